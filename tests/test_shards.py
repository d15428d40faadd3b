"""Tar shards, read back by the webdataset library."""

import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flawsmith.data import shards
from flawsmith.data.writing import Spec
from flawsmith.errors import OutputError
from flawsmith.sample import Sample
from tests.format_helpers import make_sample, write_lines_of, write_set

webdataset = pytest.importorskip("webdataset")

SPEC = Spec(("crack", "pit"), overlap=True)


def make_samples(count: int = 7) -> list[Sample]:
    random = np.random.default_rng(5)
    stacks = random.random((count, 2, 6, 9)) < 0.3
    stacks[1] = False
    samples = [make_sample(f"part.{i} ä", masks) for i, masks in enumerate(stacks)]
    return [*samples, make_sample("odd", stacks[1], "unknown")]


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_SIZE", 3)


# webdataset 1.0.2 leaves closing its files to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_webdataset_reads_every_pixel(tmp_path: Path) -> None:
    samples = make_samples()
    (notice,) = write_set(tmp_path, shards, samples, SPEC)
    assert notice == "1 samples of unknown label have no mask members"
    tars = sorted(tmp_path.iterdir())
    assert [p.name for p in tars] == [f"shard-00000{i}.tar" for i in range(3)]
    read = webdataset.WebDataset([str(p) for p in tars], shardshuffle=False).decode("l8")
    found = list(read)
    assert [f["__key__"] for f in found] == [f"{i:08d}" for i in range(8)]
    for sample, entry in zip(samples, found, strict=True):
        assert entry["json"] == {
            "id": sample.id,
            "label": sample.label,
            "group": sample.group,
            "classes": ["crack", "pit"],
        }
        assert np.array_equal(entry["png"], sample.image)
        masks = [entry[k] for k in sorted(k for k in entry if k.startswith("mask."))]
        if sample.label == "unknown":
            assert masks == []
        else:
            assert np.array_equal(np.stack(masks), sample.masks * np.uint8(255))


def test_the_same_bytes_and_nothing_of_this_machine(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_set(tmp_path / name, shards, make_samples(), SPEC)
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("a", "b"))
    assert first == second
    with tarfile.open(tmp_path / "a/shard-000000.tar") as tar:
        members = tar.getmembers()
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, 0, "", "")}
    assert [m.name for m in members] == sorted(m.name for m in members)


def test_lines_name_the_member(tmp_path: Path) -> None:
    lines = write_lines_of(tmp_path, shards, make_samples(), SPEC)
    assert lines[4]["image"] == "shard-000001.tar#00000004.png"
    shards.finish(tmp_path, SPEC, lambda: iter(lines))
    with tarfile.open(tmp_path / "shard-000001.tar") as tar:
        assert "00000004.png" in tar.getnames()


def same_tars(one: Path, other: Path) -> bool:
    names = [path.name for path in sorted(one.glob("*.tar"))]
    assert names == [path.name for path in sorted(other.glob("*.tar"))]
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_an_interrupted_finish_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    lines = write_lines_of(tmp_path, shards, make_samples(), SPEC)
    write_set(tmp_path / "whole", shards, make_samples(), SPEC)
    inner, calls = tarfile.open, []

    def full(*args: Any, **more: Any) -> tarfile.TarFile:
        calls.append(args)
        if len(calls) == failing:
            raise OSError(28, "No space left on device")
        return inner(*args, **more)

    monkeypatch.setattr(shards.tarfile, "open", full)
    with pytest.raises(OutputError, match=r"shard-00000\d.tar: cannot be written: No space"):
        shards.finish(tmp_path, SPEC, lambda: iter(lines))
    assert len(list(tmp_path.glob("*.tar"))) == failing - 1
    for _ in range(2):
        shards.finish(tmp_path, SPEC, lambda: iter(lines))
    assert not (tmp_path / ".members").exists()
    assert same_tars(tmp_path, tmp_path / "whole")


def test_a_shard_is_packed_once_its_last_sample_is_there(tmp_path: Path) -> None:
    write_set(tmp_path / "whole", shards, make_samples(), SPEC)
    most = 0
    for index, sample in enumerate(make_samples()):
        shards.write_sample(tmp_path, index, sample, SPEC)
        shards.settle(tmp_path, 0, index)
        most = max(most, sum(path.is_file() for path in (tmp_path / ".members").rglob("*")))
    # Never more than the 3 samples of 4 files.
    assert most <= 12
    packed = sorted(path.name for path in tmp_path.glob("*.tar"))
    assert packed == ["shard-000000.tar", "shard-000001.tar"]
    shards.finish(tmp_path, SPEC, lambda: iter(()))
    assert same_tars(tmp_path, tmp_path / "whole")


def test_a_shard_that_another_job_began_is_left_to_the_merge(tmp_path: Path) -> None:
    samples = make_samples()
    for index in range(2, 7):
        shards.write_sample(tmp_path, index, samples[index], SPEC)
        shards.settle(tmp_path, 2, index)
    assert [path.name for path in tmp_path.glob("*.tar")] == ["shard-000001.tar"]
    waiting = sorted(path.name for path in (tmp_path / ".members").iterdir())
    assert waiting == ["shard-000000", "shard-000002"]


def test_only_folders_of_shards_are_packed(tmp_path: Path) -> None:
    """The folders below ``.members`` may have come from elsewhere."""
    for name in ("job", "shard-1", "shard-000001"):
        (tmp_path / ".members" / name).mkdir(parents=True)
        (tmp_path / ".members" / name / "00000003.json").write_text("{}")
    shards.finish(tmp_path, SPEC, lambda: iter(()))
    assert [path.name for path in tmp_path.iterdir()] == ["shard-000001.tar"]


def test_jpeg_pictures_have_their_suffix(tmp_path: Path) -> None:
    lines = write_lines_of(tmp_path, shards, make_samples(), Spec(("crack", "pit"), jpeg=True))
    assert lines[0]["image"] == "shard-000000.tar#00000000.jpg"
