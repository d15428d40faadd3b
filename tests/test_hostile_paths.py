"""Links, pipes, loops and strange names through the command line: nothing outside is opened."""

import errno
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flawsmith.data.formats import read_dataset
from flawsmith.errors import InputError, OutputError
from tests.format_helpers import save_grey, save_mask
from tests.hostile_folders import assert_one_line, call, coco, run, severstal, two
from tests.trees import make_folder


def test_a_folder_that_links_to_itself(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for words in (
        ("info", tmp_path / "loop"),
        ("convert", tmp_path / "loop", tmp_path / "out", "--to", "coco"),
        ("convert", two(tmp_path / "in"), tmp_path / "loop", "--to", "coco"),
        ("convert", two(tmp_path / "in"), tmp_path / "loop" / "x", "--to", "coco"),
    ):
        error = call("data", *words).exception
        assert isinstance(error, (InputError, OutputError)), error
        assert str(error).startswith(f"{tmp_path / 'loop'}")


def test_links_pipes_and_loops_inside_are_passed_over(tmp_path: Path) -> None:
    root = two(tmp_path / "in")
    save_grey(tmp_path / "secret/images/s.png")
    (root / "images/self").symlink_to(root / "images")
    (root / "images/up").symlink_to("..")
    (root / "images/out").symlink_to(tmp_path / "secret")
    (root / "images/s.png").symlink_to(tmp_path / "secret/images/s.png")
    (root / "images/dead.png").symlink_to("nowhere.png")
    (root / "images/round.png").symlink_to("round.png")
    (root / "images/inner.png").symlink_to("ok1.png")
    os.mkfifo(root / "images/pipe.png")
    found = read_dataset(root)
    assert found.ids == ("inner", "ok1", "ok2")
    stray = "a link that is broken or leaves the data folder"
    assert {s.where: s.reason for s in found.skipped} == {
        "images/self": "a link to a folder is not followed",
        "images/up": "a link to a folder is not followed",
        "images/out": "a link to a folder is not followed",
        "images/s.png": stray,
        "images/dead.png": stray,
        "images/round.png": stray,
        "images/pipe.png": "neither a file nor a folder",
    }
    assert call("data", "info", root).exit_code == 0


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("folder", "classes.txt"),
        ("folder", "groups.csv"),
        ("folder", "dataset.json"),
        ("severstal", "train.csv"),
        ("coco", "annotations.json"),
        ("yolo", "data.yaml"),
    ],
)
def test_tables_that_are_links_out_of_the_folder_are_not_opened(
    tmp_path: Path, place: str, name: str
) -> None:
    makers = {"folder": two, "severstal": severstal("bad.png,1,1 2"), "coco": coco()}
    root = makers.get(place, two)(tmp_path / "in")
    if place == "yolo":
        (root / "masks").rename(root / "labels")
        for path in (root / "labels").iterdir():
            path.unlink()
            path.with_suffix(".txt").write_text("")
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    (root / name).unlink(missing_ok=True)
    (root / name).symlink_to(secret)
    error = call("data", "info", root).exception
    assert isinstance(error, InputError)
    assert "hunter2" not in str(error)
    assert str(error).startswith(str(root))


def test_a_mask_folder_that_is_a_link_out_is_not_followed(tmp_path: Path) -> None:
    root = two(tmp_path / "in")
    (root / "masks").rename(tmp_path / "masks")
    (root / "masks").symlink_to(tmp_path / "masks")
    error = call("data", "info", root, "--format", "folder")
    assert error.exit_code == 0
    assert "skipped: masks: a link that is broken or leaves the data folder" in error.stderr
    assert "2 unknown" in error.stdout


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = two(tmp_path / "in")
    save_grey(root / "images/locked/a.png")
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    error = call("data", "info", root).exception
    assert str(error) == f"{root}/images/locked: cannot be read: Permission denied"
    skipped = call("data", "info", root, "--on-error", "skip")
    assert skipped.exit_code == 0
    assert "skipped: images/locked: cannot be read: Permission denied" in skipped.stderr


def test_unusual_names_survive_every_conversion(tmp_path: Path) -> None:
    source = tmp_path / "Prüf teile 检查"
    make_folder(source, 4, 8)
    names = ("Ü 1 (a)", "点 検", "naïve;=%&'", '"q"')
    for i, name in enumerate(names):
        for folder in ("images", "masks"):
            (source / folder / f"part_{i:03d}.png").rename(source / folder / f"{name}.png")
    (source / "groups.csv").unlink()
    (source / "classes.txt").write_text("tiefer Kratzer\nПора\n", encoding="utf-8")
    before = {s.id: s for s in read_dataset(source)}
    for step in ("severstal", "coco", "yolo-seg", "folder"):
        out = tmp_path / f"als {step} ✓"
        result = call("data", "convert", source, out, "--to", step)
        assert result.exit_code == 0, result.exception
        found = read_dataset(out)
        assert found.classes == ("tiefer Kratzer", "Пора")
        assert set(found.ids) == set(names)
        for sample in found:
            assert np.array_equal(sample.image, before[sample.id].image)
            assert np.array_equal(sample.masks, before[sample.id].masks)
            assert sample.label == before[sample.id].label
        source = out


def test_a_source_whose_path_is_not_utf8(tmp_path: Path) -> None:
    root = two(tmp_path / os.fsdecode(b"in\xff\n"))
    save_grey(root / "images" / os.fsdecode(b"sub\xfe") / "c.png")
    done = run("data", "convert", root, tmp_path / "out", "--to", "folder", "--workers", 1,
               "--group-regex", "images/.*/", "--assume-good")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(read_dataset(tmp_path / "out")) == 3
    (root / "images/ok1.png").write_text("")
    assert_one_line(run("data", "info", root), "in\\udcff\\n/images/ok1.png: not a picture")


def test_folders_nested_beyond_reason_are_refused(tmp_path: Path) -> None:
    root = two(tmp_path / "in")
    here = os.open(root / "images", os.O_RDONLY)
    try:
        for _ in range(1200):
            os.mkdir("d", dir_fd=here)
            deeper = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = deeper
    finally:
        os.close(here)
    try:
        result = call("data", "info", root)
    finally:
        # pytest's own clean-up recurses too.
        subprocess.run(["rm", "-rf", str(root)], check=True)
    # Newer Pythons walk any depth.
    if result.exit_code:
        assert str(result.exception) == f"{root}: the folders are nested too deeply"


def test_names_with_control_characters_cannot_draw_on_the_terminal(tmp_path: Path) -> None:
    root = two(tmp_path / "in")
    for name in ("\x1b]0;owned\x07", "a\rb", "tab\there", "rtl\u202egnp", "nel\x85", "sep\u2028x"):
        save_mask(root / f"masks/{name}.png")
        save_grey(root / f"images/{name}dir/p{len(name)}{ord(name[0])}.png")
    done = run("data", "info", root, "--on-error", "skip", "--workers", 1)
    assert done.returncode == 0
    lines = (done.stdout + done.stderr).split("\n")
    assert all(line.isprintable() for line in lines)
    assert len([line for line in lines if "a mask without an image" in line]) == 6
