"""Shards joined are what the undivided job writes, byte for byte, whatever comes in between."""

import json
import shutil
import tracemalloc
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from flawsmith.augment.job import augment
from flawsmith.augment.settings import AugmentSettings
from flawsmith.cli import cli
from flawsmith.data import merge as merging
from flawsmith.data import shards
from flawsmith.data.build import Refused
from flawsmith.data.division import Shard
from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.data.merge import merge
from flawsmith.errors import InputError
from flawsmith.sample import Sample
from tests.augment_helpers import make_parts, write_scan
from tests.killing import name_of, run_until
from tests.merge_helpers import COUNT, write, write_shards
from tests.test_staging_build import Broken, Grey
from tests.trees import tree_hash


@dataclass(frozen=True)
class Many:
    """As ``Grey``, for any index."""

    def make(self, index: int) -> Sample | Refused:
        made = Grey().make(index % 250)
        return made if isinstance(made, Refused) else replace(made, id=f"s{index}")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scan(tmp_path_factory.mktemp("source") / "parts", make_parts()).dataset.root


@pytest.fixture(scope="module")
def divided(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], dict[str, str]]:
    """Three shards, never to be changed, and the tree of the undivided job."""
    root = tmp_path_factory.mktemp("divided")
    write(root / "whole")
    return write_shards(root), tree_hash(root / "whole")


@pytest.mark.parametrize("of", [3, 4])  # shares that begin with a tar shard, and others
@pytest.mark.parametrize("to", ["folder", "severstal", "webdataset"])
@pytest.mark.parametrize("method", ["classical", "paste", "procedural"])
def test_augment(parts, tmp_path, monkeypatch, method, to, of):
    monkeypatch.setattr(shards, "SHARD_SIZE", 3)
    settings = AugmentSettings(method=method, count=10, seed=6)

    def made(out, shard=None):
        return augment(parts, out, settings, options=ReadOptions(), to=to, shard=shard)

    whole = made(tmp_path / "whole")
    for number in range(1, of + 1):
        made(tmp_path / f"{number}", Shard(number, of))
    merged = merge([tmp_path / f"{n}" for n in range(of, 0, -1)], tmp_path / "out")
    assert merged.built == whole
    assert tree_hash(tmp_path / "out") == tree_hash(tmp_path / "whole")
    # It is the same job: asked for undivided, it is done.
    assert made(tmp_path / "out") == whole


@pytest.mark.parametrize("to", ["coco", "yolo-seg", "mvtec", "webdataset"])
def test_other_formats_with_refused_samples_and_notices(tmp_path, monkeypatch, to):
    monkeypatch.setattr(shards, "SHARD_SIZE", 2)
    whole = write(tmp_path / "whole", to=to)
    merged = merge(write_shards(tmp_path, 5, to=to), tmp_path / "out")
    assert merged.built == whole
    assert whole.refused == {"a fifth one": 2}
    assert tree_hash(tmp_path / "out") == tree_hash(tmp_path / "whole")


def test_whole_tar_shards_are_linked_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_SIZE", 2)
    folders = write_shards(tmp_path, 3, to="webdataset")
    merged = merge(folders, tmp_path / "out")
    assert (merged.linked, merged.copied) == (6, 0)
    one, other = (root / "shard-000003.tar" for root in (folders[1], tmp_path / "out"))
    assert one.samefile(other)


def test_links_and_copies(divided, tmp_path):
    folders, wanted = divided
    name = "images/s0.png"
    for copy in (False, True):
        out = tmp_path / str(copy)
        merged = merge(folders, out, copy=copy)
        assert (merged.linked, merged.copied) == ((0, 20) if copy else (20, 0))
        assert (folders[0] / name).samefile(out / name) == (not copy)
        assert tree_hash(out) == wanted


def test_without_links_files_are_copied(divided, tmp_path, monkeypatch):
    def refused(*_, **__):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(merging.os, "link", refused)
    merged = merge(divided[0], tmp_path / "out")
    assert (merged.linked, merged.copied) == (0, 20)
    assert tree_hash(tmp_path / "out") == divided[1]


def test_merged_it_needs_no_shards(divided, tmp_path):
    folders = [shutil.copytree(folder, tmp_path / folder.name) for folder in divided[0]]
    merge(folders, tmp_path / "out")
    for folder in folders:
        shutil.rmtree(folder)
    assert tree_hash(tmp_path / "out") == divided[1]
    assert len(read_dataset(tmp_path / "out")) == COUNT - 2


def test_the_workers_do_not_matter(divided, tmp_path):
    merge(divided[0], tmp_path / "out", workers=2)
    assert tree_hash(tmp_path / "out") == divided[1]


@pytest.mark.parametrize(
    "point",
    [
        ("flawsmith.data.staging", "write_file", "after", 1),
        ("flawsmith.data.merge", "_place", "after", 9),
        ("flawsmith.data.journal", "append", "before", 2),
        ("flawsmith.data.journal", "append", "after", 2),
        ("flawsmith.data.build", "write_manifest", "after", 1),
        ("flawsmith.data.staging", "_remove_replaced", "before", 1),
    ],
    ids=name_of,
)
def test_killed_and_run_again(divided, tmp_path, point):
    folders, wanted = divided
    run_until(point, "merge", *folders, tmp_path / "out", "--workers", 1)
    merge(folders, tmp_path / "out")
    assert tree_hash(tmp_path / "out") == wanted
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_stopped_merge_and_a_stopped_job_are_one_another_s(divided, tmp_path, monkeypatch):
    """Both leave the undivided job's state."""
    folders, wanted = divided
    with pytest.raises(InputError, match="sample 7 is broken"):
        write(tmp_path / "job", recipe=Broken())
    merge(folders, tmp_path / "job")
    assert tree_hash(tmp_path / "job") == wanted
    placed, inner = [], merging._place

    def place(*words, **more):
        placed.append(words)
        if len(placed) == 10:
            raise KeyboardInterrupt
        return inner(*words, **more)

    monkeypatch.setattr(merging, "_place", place)
    with pytest.raises(KeyboardInterrupt):
        merge(folders, tmp_path / "merged")
    write(tmp_path / "merged")
    assert tree_hash(tmp_path / "merged") == wanted


def test_no_job_that_goes_on_writes_into_a_shard_s_files(divided, tmp_path, monkeypatch):
    folders = [shutil.copytree(folder, tmp_path / folder.name) for folder in divided[0]]
    with monkeypatch.context() as patch:
        patch.setattr(merging.journal, "append", stop)
        with pytest.raises(KeyboardInterrupt):
            merge(folders, tmp_path / "out")
    picture = folders[0] / "images/s0.png"
    assert picture.samefile(tmp_path / "out.partial/images/s0.png")
    # Another name of the same file shows whether it was opened for writing.
    picture.write_bytes(b"the shard's own")
    write(tmp_path / "out")
    assert picture.read_bytes() == b"the shard's own"
    assert tree_hash(tmp_path / "out") == divided[1]


def stop(*_, **__):
    raise KeyboardInterrupt


def test_a_shard_stopped_while_it_packs_is_as_if_it_had_not(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_SIZE", 2)
    folders = write_shards(tmp_path, 2, to="webdataset")
    wanted = tree_hash(folders[0])
    shutil.rmtree(folders[0])
    inner, calls = shards.tarfile.open, []

    def half(name, *words, **more):
        calls.append(name)
        if len(calls) == 2:
            name.write_bytes(b"half a tar")
            raise KeyboardInterrupt
        return inner(name, *words, **more)

    monkeypatch.setattr(shards.tarfile, "open", half)
    with pytest.raises(KeyboardInterrupt):
        write(folders[0], Shard(1, 2), to="webdataset")
    write(folders[0], Shard(1, 2), to="webdataset")
    assert tree_hash(folders[0]) == wanted
    for out in (tmp_path / "out", tmp_path / "again"):
        merge(folders, out)
        assert tree_hash(folders[0]) == wanted


def test_a_shard_resumes_like_any_job(divided, tmp_path):
    with pytest.raises(InputError, match="sample 7 is broken"):
        write(tmp_path / "2", Shard(2, 3), recipe=Broken())
    write(tmp_path / "2", Shard(2, 3))
    assert tree_hash(tmp_path / "2") == tree_hash(divided[0][1])
    assert write(tmp_path / "2", Shard(2, 3)).labels == {"good": 1, "defective": 2, "unknown": 0}


def test_memory_does_not_grow_with_the_samples(tmp_path):
    peaks = []
    for count in (100, 800):
        folders = write_shards(tmp_path / str(count), 2, count=count, recipe=Many())
        tracemalloc.start()
        merge(folders, tmp_path / f"out-{count}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # The folders of the tree and buffers, not the lines.
    assert peaks[1] < 1.25 * peaks[0] + 100_000, peaks


def test_the_command(parts, tmp_path):
    def told(*words):
        done = CliRunner().invoke(cli, [*map(str, words), "--workers", "1", "--json"])
        assert done.exit_code == 0, (done.output, done.exception)
        return json.loads(done.stdout)

    for n in (1, 2):
        job = ("augment", parts, tmp_path / f"{n}", "--method", "paste", "--count", 5)
        found = told(*job, "--shard", f"{n}/2")
        assert sum(found["labels"].values()) == 4 - n
    preview = tmp_path / "grid.png"
    found = told("merge", tmp_path / "2", tmp_path / "1", tmp_path / "out", "--preview", preview)
    assert (found["shards"], found["linked"], found["copied"]) == (2, 10, 0)
    assert found["labels"]["defective"] == 5
    assert preview.is_file()


def test_a_shard_is_no_data_set_and_has_no_preview(divided, parts, tmp_path):
    with pytest.raises(InputError, match="one shard of a divided job"):
        read_dataset(divided[0][0])
    words = ("augment", parts, tmp_path / "out", "--method", "paste", "--shard", "1/2")
    done = CliRunner().invoke(cli, [*map(str, words), "--preview", str(tmp_path / "grid.png")])
    assert isinstance(done.exception, InputError)
    assert "flawsmith merge has --preview" in str(done.exception)
