"""The cache of features: what comes back, what is never trusted, many writers, kills."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors.numpy import load_file, save

from flawsmith.errors import InputError
from flawsmith.evaluate.feature_store import FeatureStore, default_folder

WRITER = """
import sys
from pathlib import Path
import numpy as np
from flawsmith.evaluate.feature_store import FeatureStore
store = FeatureStore(Path(sys.argv[1]), "v1")
print("ready", flush=True)
sys.stdin.readline()
for start in range(0, int(sys.argv[2]), 10):
    ids = range(start, start + 10)
    store.put([f"{i:032x}" for i in ids], np.float32([[i, -i, 0.5 * i] for i in ids]))
"""


def key(number):
    return f"{number:032x}"


def rows(*numbers):
    return np.float32([[i, -i, 0.5 * i] for i in numbers])


def filled(folder, *numbers):
    store = FeatureStore(folder, "v1")
    store.put([key(i) for i in numbers], rows(*numbers))
    return store


def shards(folder):
    return sorted((folder / "v1").glob("*.safetensors"))


def write_shard(folder, tensors, name=None):
    content = save(tensors)
    path = folder / "v1" / f"{name or hashlib.sha256(content).hexdigest()}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def as_keys(*numbers):
    return np.frombuffer("".join(map(key, numbers)).encode(), np.uint8).reshape(-1, 32)


@contextmanager
def writers(folder, count, number):
    """Yield processes that write the same ``count`` keys, started at once."""
    command = [sys.executable, "-c", WRITER, folder, str(count)]
    with ExitStack() as stack:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        found = [stack.enter_context(subprocess.Popen(command, **pipes)) for _ in range(number)]
        for process in found:
            assert process.stdout.readline() == "ready\n"
        for process in found:
            process.stdin.write("\n")
            process.stdin.flush()
        yield found


def test_what_is_put_comes_back(tmp_path, capsys):
    store = FeatureStore(tmp_path, "v1")
    assert store.get(key(1), 3) is None
    store.put([key(1), key(2)], rows(1, 2))
    store.put([], np.zeros((0, 3), np.float32))
    for reader in (store, FeatureStore(tmp_path, "v1")):
        found = reader.get(key(2), 3)
        assert found.dtype == np.float32
        assert np.array_equal(found, rows(2)[0])
        assert reader.get(key(3), 3) is None
    assert FeatureStore(tmp_path, "v2").get(key(1), 3) is None
    assert not capsys.readouterr().err


def test_the_shard_s_layout(tmp_path):
    filled(tmp_path, 4, 5)
    (path,) = shards(tmp_path)
    assert path.stem == hashlib.sha256(path.read_bytes()).hexdigest()
    content = load_file(path)
    assert content["keys"].dtype == np.uint8
    assert content["keys"].tobytes().decode() == key(4) + key(5)
    assert np.array_equal(content["features"], rows(4, 5))


def test_the_same_shard_twice_is_one_file(tmp_path):
    filled(tmp_path, 1)
    filled(tmp_path, 1)
    assert len(shards(tmp_path)) == 1


def test_wrong_calls(tmp_path):
    store = FeatureStore(tmp_path, "v1")
    for keys, features in (
        ([key(1)], rows(1, 2)),
        ([key(1)], rows(1).astype(np.float64)),
        (["short"], rows(1)),
    ):
        with pytest.raises(ValueError, match=r"keys|reshape"):
            store.put(keys, features)
    with pytest.raises(InputError):
        FeatureStore(tmp_path, "../v1")


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "renamed"])
def test_a_damaged_shard_is_said_and_passed_over(tmp_path, damage, capsys):
    filled(tmp_path, 1, 2)
    filled(tmp_path, 7)
    path = next(p for p in shards(tmp_path) if len(load_file(p)["keys"]) == 2)
    content = path.read_bytes()
    changed = {
        "cut": content[:-1],
        "flipped": content[:-1] + bytes([content[-1] ^ 1]),
        "emptied": b"",
        "renamed": content,
    }[damage]
    path.write_bytes(changed)
    if damage == "renamed":
        path = path.rename(path.with_name("mine.safetensors"))
    store = FeatureStore(tmp_path, "v1")
    assert store.get(key(1), 3) is None
    assert store.get(key(2), 3) is None
    assert np.array_equal(store.get(key(7), 3), rows(7)[0])
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(path) in said
    assert path.read_bytes() == changed
    # Computed again, it is whole again, under the very same name.
    store.put([key(1), key(2)], rows(1, 2))
    assert np.array_equal(store.get(key(1), 3), rows(1)[0])
    assert np.array_equal(FeatureStore(tmp_path, "v1").get(key(2), 3), rows(2)[0])


@pytest.mark.parametrize(
    ("tensors", "why"),
    [
        ({"keys": as_keys(1), "features": np.ones((1, 4), np.float32)}, "wanted float32 (1, 3)"),
        ({"keys": as_keys(1), "features": np.ones((2, 3), np.float32)}, "wanted float32 (1, 3)"),
        ({"keys": as_keys(1), "features": np.ones((1, 3))}, "features float64"),
        ({"keys": as_keys(1), "features": np.float32([[1, np.nan, 0]])}, "not finite"),
        ({"keys": as_keys(1)}, "wanted float32 (1, 3)"),
        ({"keys": np.ones((1, 8), np.uint8)}, "wanted uint8 (n, 32)"),
        ({"keys": np.full((1, 32), 200, np.uint8)}, "ascii"),
        ({"other": np.ones(3)}, "keys"),
    ],
)
def test_shards_that_are_not_features(tmp_path, tensors, why, capsys):
    write_shard(tmp_path, tensors)
    store = FeatureStore(tmp_path, "v1")
    assert store.get(key(1), 3) is None
    assert store.get(key(1), 3) is None
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert why in said


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float8_e4m3fn])
def test_number_types_that_numpy_lacks(tmp_path, kind, capsys):
    odd = torch.zeros(1, 3).to(kind)
    filled(tmp_path, 1)
    for tensors in ({"keys": odd}, {"keys": torch.tensor(as_keys(2).copy()), "features": odd}):
        content = safetensors.torch.save(tensors)
        path = tmp_path / "v1" / f"{hashlib.sha256(content).hexdigest()}.safetensors"
        path.write_bytes(content)
    store = FeatureStore(tmp_path, "v1")
    assert store.get(key(2), 3) is None
    assert np.array_equal(store.get(key(1), 3), rows(1)[0])
    assert capsys.readouterr().err.count("passed over") == 2


def test_another_shard_with_the_key_is_used(tmp_path):
    # Whichever of the two is looked at first, the damaged one or the whole one.
    for number, name in enumerate(("0" * 64, "f" * 64)):
        folder = tmp_path / str(number)
        filled(folder, 1)
        write_shard(folder, {"keys": as_keys(1), "features": rows(9)}, name)
        assert np.array_equal(FeatureStore(folder, "v1").get(key(1), 3), rows(1)[0])


def test_strangers_in_the_folder(tmp_path, capsys):
    filled(tmp_path, 1)
    (tmp_path / "v1" / "notes.txt").write_text("mine")
    (tmp_path / "v1" / "folder.safetensors").mkdir()
    assert np.array_equal(FeatureStore(tmp_path, "v1").get(key(1), 3), rows(1)[0])
    assert "folder.safetensors" in capsys.readouterr().err


def test_half_written_files_go_after_a_day(tmp_path):
    filled(tmp_path, 1)
    old, young = tmp_path / "v1" / "a.partial", tmp_path / "v1" / "b.partial"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    FeatureStore(tmp_path, "v1").get(key(1), 3)
    assert not old.exists()
    assert young.exists()


def test_a_cache_that_cannot_be_written_is_said_once(tmp_path, capsys):
    (tmp_path / "file").write_bytes(b"")
    store = FeatureStore(tmp_path / "file", "v1")
    store.put([key(1)], rows(1))
    store.put([key(2)], rows(2))
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "features are not kept" in said
    assert store.get(key(1), 3) is None


def test_two_processes_write_the_same_keys_at_once(tmp_path, capsys):
    with writers(tmp_path, 300, 2) as both:
        while any(process.poll() is None for process in both):
            FeatureStore(tmp_path, "v1").get(key(0), 3)
    assert [process.returncode for process in both] == [0, 0]
    store = FeatureStore(tmp_path, "v1")
    for number in range(300):
        assert np.array_equal(store.get(key(number), 3), rows(number)[0])
    assert len(shards(tmp_path)) == 30
    assert not list(tmp_path.rglob("*.partial"))
    assert not capsys.readouterr().err


def test_a_killed_writer_leaves_only_whole_shards(tmp_path, capsys):
    with writers(tmp_path, 10_000_000, 1) as (process,):
        while len(shards(tmp_path)) < 5:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    count = len(shards(tmp_path))
    store = FeatureStore(tmp_path, "v1")
    for number in range(10 * count):
        assert np.array_equal(store.get(key(number), 3), rows(number)[0])
    assert store.get(key(10 * count), 3) is None
    assert not capsys.readouterr().err
    assert len(list(tmp_path.rglob("*.partial"))) <= 1


def test_the_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("FLAWSMITH_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_folder() == tmp_path / ".cache" / "flawsmith"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert default_folder() == tmp_path / "x" / "flawsmith"
    monkeypatch.setenv("FLAWSMITH_CACHE", str(tmp_path / "own"))
    assert default_folder() == tmp_path / "own"
    monkeypatch.delenv("FLAWSMITH_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")

    def homeless():
        raise RuntimeError

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(InputError, match="set FLAWSMITH_CACHE"):
        default_folder()
