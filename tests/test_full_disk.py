"""Outputs that cannot be written: one line, nothing under the final name, and the rest later."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flawsmith.data.merge import merge
from flawsmith.errors import InputError, OutputError
from tests.hostile_folders import assert_one_line, call, run, two
from tests.merge_helpers import write, write_shards
from tests.trees import make_folder, tree_hash


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    root = two(tmp_path / "in")
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file/out", root / "out", root):
        before = tree_hash(tmp_path)
        error = call("data", "convert", root, out, "--to", "coco").exception
        assert isinstance(error, (InputError, OutputError)), error
        assert str(tmp_path) in str(error)
        assert tree_hash(tmp_path) == before
    assert_one_line(run("data", "convert", root, tmp_path / "file/out", "--to", "coco"), "file")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_write_that_fails_keeps_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    root, out = make_folder(tmp_path / "in"), tmp_path / "out"
    whole = Path.write_bytes
    left = [7]

    def fail(path: Path, content: bytes) -> int:
        left[0] -= 1
        if left[0] < 0:
            whole(path, content[: len(content) // 2])
            raise OSError(code, os.strerror(code))
        return whole(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fail)
        error = call("data", "convert", root, out, "--to", "folder").exception
    assert isinstance(error, OutputError)
    assert str(error).endswith(f"cannot be written: {os.strerror(code)}")
    assert not out.exists()
    again = call("data", "convert", root, out, "--to", "folder")
    assert again.exit_code == 0
    assert "resuming" in again.stderr
    assert call("data", "convert", root, tmp_path / "fresh", "--to", "folder").exit_code == 0
    assert tree_hash(out) == tree_hash(tmp_path / "fresh")


def test_what_is_complete_is_found_on_a_read_only_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = make_folder(tmp_path / "in"), tmp_path / "out"
    command = ("data", "convert", root, out, "--to", "folder")
    assert call(*command).exit_code == 0
    before = tree_hash(out)

    def refused(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "unlink", refused)
    done = call(*command)
    assert done.exit_code == 0, done.exception
    assert tree_hash(out) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(place)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("full_by", ["images", "ballast"])
def test_a_full_disk_stops_with_one_line_and_the_same_command_completes(
    tmp_path: Path, small_disk: Path, full_by: str
) -> None:
    # 24 grey pictures of noise take 3 KiB each and fill 4 KiB blocks: about 100 KiB with masks.
    root, out = make_folder(tmp_path / "in", count=12, size=50), small_disk / "out"
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file:
        # Room for a few samples, or for none at all.
        file.write(b"x" * (180 if full_by == "images" else 252) * 1024)
    command = ("data", "convert", root, out, "--to", "folder", "--workers", 1)
    assert_one_line(run(*command), str(small_disk), "No space left on device")
    assert not out.exists()
    ballast.unlink()
    again = run(*command)
    assert again.returncode == 0, again.stderr
    assert call("data", "convert", root, tmp_path / "fresh", "--to", "folder").exit_code == 0
    assert tree_hash(out) == tree_hash(tmp_path / "fresh")


def test_a_merge_onto_a_full_disk_completes_later(tmp_path: Path, small_disk: Path) -> None:
    folders = write_shards(tmp_path, 3)
    write(tmp_path / "whole")
    before = [tree_hash(folder) for folder in folders]
    ballast, out, told = small_disk / "ballast", small_disk / "out", list[str]()
    while not out.exists() and len(told) < 40:
        # All but two of the 64 blocks of 4 KiB; some 20 small files are copied from another disk.
        taken = sum(path.is_file() and path.stat().st_size > 0 for path in small_disk.rglob("*"))
        ballast.write_bytes(b"x" * (62 - taken) * 4096)
        try:
            merge(folders, out)
        except OutputError as error:
            told.append(str(error))
        ballast.unlink()
    assert len(told) > 3
    assert all(line.endswith("cannot be written: No space left on device") for line in told)
    assert tree_hash(out) == tree_hash(tmp_path / "whole")
    assert [tree_hash(folder) for folder in folders] == before
