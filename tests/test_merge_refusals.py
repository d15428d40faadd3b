"""What is not all shards of one job, whole and unchanged, is named, and nothing is written."""

import hashlib
import json
import shutil
from operator import itemgetter
from pathlib import Path

import pytest
from click.testing import CliRunner

from flawsmith.cli import cli
from flawsmith.data.division import Shard
from flawsmith.data.merge import merge
from flawsmith.data.shard_manifest import FILES, LINES, SHARD
from flawsmith.errors import InputError
from tests.merge_helpers import JOB, change_manifest, rewrite, write, write_shards
from tests.test_staging_build import Broken
from tests.trees import tree_hash


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pristine")
    write_shards(root)
    return root


@pytest.fixture
def folders(pristine: Path, tmp_path: Path) -> list[Path]:
    """Three shards to be changed."""
    return [shutil.copytree(pristine / n, tmp_path / n) for n in ("1", "2", "3")]


def refusal_of(folders: list[Path], **more: object) -> str:
    """Return the one line of the refusal; nothing may be left of the attempt."""
    out = folders[0].parent / "out"
    with pytest.raises(InputError) as found:
        merge(folders, out, **more)  # type: ignore[arg-type]
    assert "\n" not in str(found.value)
    assert not out.exists()
    assert not out.with_name("out.partial").exists()
    return str(found.value)


def test_missing_and_doubled(folders, tmp_path):
    copy = shutil.copytree(folders[2], tmp_path / "copy")
    told = refusal_of([folders[0], folders[2], copy])
    assert f"{folders[2]} and {copy}: both are shard 3/3" in told
    assert "shard 2/3 missing" in told
    assert "shard 2/3, 3/3 missing" in refusal_of(folders[:1])
    assert "both are shard 1/3" in refusal_of([folders[0], *folders])


def test_foreign(folders, tmp_path):
    job = {**JOB, "settings": {**JOB["settings"], "seed": 2}}
    write(tmp_path / "seed", Shard(2, 3), job=job)
    write(tmp_path / "version", Shard(2, 3), job={**JOB, "flawsmith": "1"})
    write(tmp_path / "of", Shard(2, 4))
    write(tmp_path / "format", Shard(2, 3), to="severstal")
    for name, told in {
        "seed": "settings.seed 2, wanted 1",
        "version": 'flawsmith "1", wanted "0"',
        "of": "of 4, wanted 3",
        "format": 'format "severstal", wanted "folder"',
    }.items():
        found = refusal_of([folders[0], tmp_path / name, folders[2]])
        assert f"{tmp_path / name}: a shard of another job: {told}" in found
        assert "shard 2/3 missing" in found


def test_unfinished(folders):
    shutil.rmtree(folders[1])
    with pytest.raises(InputError, match="sample 7 is broken"):
        write(folders[1], Shard(2, 3), recipe=Broken())
    wanted = "unfinished: run its command again"
    assert f"{folders[1]}: {wanted}" in refusal_of(folders)
    # What a shell's pattern finds.
    partial = folders[1].with_name("2.partial")
    assert f"{partial}: {wanted}" in refusal_of([folders[0], partial, folders[2]])


def test_no_shards(folders, tmp_path):
    write(tmp_path / "whole")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / SHARD).write_text("{")
    for name, told in {
        "whole": "a whole data set, no shard",
        "empty": "no shard",
        "none": "no such folder",
        "broken": "not valid JSON",
    }.items():
        found = refusal_of([*folders, tmp_path / name])
        assert str(tmp_path / name) in found
        assert told in found


@pytest.mark.parametrize("name", ["images/s5.png", LINES, FILES])
@pytest.mark.parametrize("how", ["one byte", "longer", "gone"])
def test_changed(folders, name, how):
    path = folders[1] / name
    content = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content + b"\n" * (how == "longer"))
    told = refusal_of(folders)
    assert f"{path}: " in told
    assert "changed since" in told or "missing" in told


def test_several_faults_are_told_at_once(folders):
    (folders[0] / "images/s0.png").unlink()
    (folders[2] / "images/s8.png").write_bytes(b"other")
    told = refusal_of(folders, workers=2)
    assert f"{folders[0] / 'images/s0.png'}: missing" in told
    assert f"{folders[2] / 'images/s8.png'}: changed since" in told


@pytest.mark.parametrize(
    "path",
    ["../out-of-it.png", "/etc/hostname", "..\\x.png", "job.json", "dataset.json",
     ".journal.jsonl", "", 7, None, "a\0b", "sub/link/s0.png", "pipe", "link.png", "images"],
)  # fmt: skip
def test_names_of_files_are_not_trusted(folders, tmp_path, path):
    (tmp_path / "out-of-it.png").write_bytes(b"secret")
    (folders[0] / "sub").mkdir()
    (folders[0] / "sub/link").symlink_to(tmp_path)
    (folders[0] / "link.png").symlink_to(folders[0] / "images/s0.png")
    (folders[0] / "pipe").symlink_to("/dev/null")
    entry = {"path": path, "size": 6, "sha256": "0" * 64}
    rewrite(folders[0], FILES, lambda entries: entries.append(entry))
    assert str(folders[0]) in refusal_of(folders)


@pytest.mark.parametrize(
    "path", ["./job.json", "./samples.jsonl", "dataset.json/x", "images//s1.png", "images/./s1.png"]
)
def test_a_name_has_one_spelling(folders, path):
    """Else it would get past the names that are ours, or be there twice."""
    place = folders[0] / path
    if place.parent.name == "dataset.json":
        place.parent.mkdir()
    place.write_bytes(b"forged")
    entry = {"path": path, "size": 6, "sha256": hashlib.sha256(b"forged").hexdigest()}

    def add(entries):
        entries[:] = [one for one in entries if (folders[0] / one["path"]) != place]
        entries.append(entry)
        entries.sort(key=itemgetter("path"))

    rewrite(folders[0], FILES, add)
    assert f"the file name {path!r} cannot be listed here" in refusal_of(folders)


def test_a_file_that_only_the_end_writes_leaves_the_shard_s_alone(folders):
    (folders[0] / "classes.txt").write_bytes(b"forged")
    entry = {"path": "classes.txt", "size": 6, "sha256": hashlib.sha256(b"forged").hexdigest()}
    rewrite(folders[0], FILES, lambda entries: entries.insert(0, entry))
    merge(folders, folders[0].parent / "out")
    assert (folders[0] / "classes.txt").read_bytes() == b"forged"
    assert (folders[0].parent / "out/classes.txt").read_text() == "a\n"


def test_one_file_twice(folders):
    rewrite(folders[0], FILES, lambda entries: entries.append(entries[-1]))
    assert "cannot be listed here" in refusal_of(folders)


def test_one_file_in_two_shards(folders):
    shutil.copyfile(folders[0] / "images/s0.png", folders[1] / "images/s0.png")
    first = json.loads((folders[0] / FILES).read_text().splitlines()[0])
    rewrite(folders[1], FILES, lambda entries: entries.insert(0, first))
    told = refusal_of(folders)
    assert f"{folders[0]} and {folders[1]}: both hold images/s0.png" in told


@pytest.mark.parametrize(
    "line",
    [[], "text", {}, {"refused": []}, {"id": "../x", "image": "x", "label": "good", "group": "g"},
     {"id": "x", "image": "x", "label": "good", "group": "g", "meta": 3},
     {"id": "x", "image": "x", "label": "good", "group": "g", "part": []},
     {"id": "x", "image": "x", "label": "good", "group": "g",
      "part": {"a": json.loads("[" * 40 + "]" * 40)}}],
)  # fmt: skip
def test_lines_are_not_trusted(folders, line):
    rewrite(folders[0], LINES, lambda lines: lines.__setitem__(0, line))
    assert str(folders[0]) in refusal_of(folders)


def test_too_few_lines_and_cut_ones(folders):
    rewrite(folders[0], LINES, lambda lines: lines.pop())
    assert "another number of samples" in refusal_of(folders)


def test_parts_that_no_writer_left(tmp_path):
    """Only the format knows what it needs of them: told at the end, and nothing stays."""
    folders = write_shards(tmp_path, 2, to="coco")
    rewrite(folders[0], LINES, lambda lines: lines[0]["part"].pop("annotations"))
    said = refusal_of(folders)
    assert said.startswith(
        f"{folders[0]}: the lines of these shards are not flawsmith's: not as it "
    )
    # Nothing of a folder that is gone again, and no class of Python's.
    assert ".partial" not in said
    assert "InputError" not in said


def test_a_disk_that_fails_is_no_fault_of_the_shards(folders, monkeypatch):
    """What was joined stays, so that the same call goes on."""

    def read(path):
        raise InputError("cannot be read: I/O error", where=path) from OSError(5, "I/O error")

    with monkeypatch.context() as patch:
        patch.setattr("flawsmith.data.journal.read", read)
        out = folders[0].parent / "out"
        with pytest.raises(InputError, match=r"/out\.partial/\S+: cannot be read: I/O error$"):
            merge(folders, out)
    assert (out.with_name("out.partial") / "images").is_dir()
    assert merge(folders, out).linked == 0


@pytest.mark.parametrize(
    "changes",
    [{"flawsmith": 2}, {"shard": 4}, {"shard": True}, {"of": 10**9}, {"count": 10**30}, {"end": 9},
     {"first": "0"}, {"classes": "a"}, {"classes": ["a", "a"]}, {"classes": [""]}, {"lines": "x"},
     {"format": "../x"}, {"format": "plates"}, {"job": []}, {"built": 3}, {"more": 1}, {"of": None},
     {"job": {"a": json.loads("[" * 40 + "]" * 40)}}, {"overlap": "no"}],
    ids=str,
)  # fmt: skip
def test_manifests_are_not_trusted(folders, changes):
    for folder in folders if "format" in changes else folders[:1]:
        change_manifest(folder, **changes)
    assert str(folders[0]) in refusal_of(folders)


def test_a_manifest_behind_a_link(folders, tmp_path):
    shutil.move(folders[0] / SHARD, tmp_path / "elsewhere.json")
    (folders[0] / SHARD).symlink_to(tmp_path / "elsewhere.json")
    assert "a link that leaves the data folder" in refusal_of(folders)


def test_the_output_is_no_shard_and_in_none(folders):
    done = CliRunner().invoke(cli, ["merge", *map(str, folders)])
    assert isinstance(done.exception, InputError)
    assert "name OUT after the shards" in str(done.exception)
    with pytest.raises(InputError, match="inside of the source"):
        merge(folders, folders[0] / "out")
    assert not (folders[0] / "out").exists()


def test_another_job_s_unfinished_output_outlives_a_refusal(folders, tmp_path):
    job = {**JOB, "settings": {"seed": 2}}
    with pytest.raises(InputError, match="sample 7 is broken"):
        write(tmp_path / "out", recipe=Broken(), job=job)
    before = tree_hash(tmp_path / "out.partial")
    (folders[0] / "images/s0.png").unlink()
    with pytest.raises(InputError, match="missing"):
        merge(folders, tmp_path / "out")
    assert tree_hash(tmp_path / "out.partial") == before


def test_folders_without_a_name(folders, monkeypatch):
    monkeypatch.chdir(folders[0])
    with pytest.raises(InputError, match="shard 2/3, 3/3 missing"):
        merge([Path()], Path("../out"))
    (folders[0] / SHARD).unlink()
    for path in (Path(), Path("/")):
        assert f"{path}: no shard" in refusal_of([*folders[1:], path])


def test_what_is_there_is_not_overwritten(folders, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")
    with pytest.raises(InputError, match="it exists"):
        merge(folders, tmp_path / "out", overwrite=True)
    assert (tmp_path / "out/mine").read_text() == "mine"
