"""Requests that would lose data, do nothing or fail late are refused at once, in one line."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from flawsmith.cli import cli
from flawsmith.data.plates import locate_plate
from flawsmith.errors import InputError
from tests.augment_helpers import make_parts, write_scan


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_scan(tmp_path / "source", make_parts())
    return tmp_path / "source"


def refusal(*words: object) -> str:
    result = CliRunner().invoke(cli, [*map(str, words), "--workers", "1"])
    assert isinstance(result.exception, InputError), (result.output, result.exception)
    return str(result.exception)


def tree(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*")}


@pytest.mark.parametrize(
    "words",
    [
        ("data", "convert", "{src}", "{out}", "--to", "coco", "--overwrite"),
        ("data", "split", "{src}", "{out}", "--overwrite"),
        ("data", "plates", "{src}", "{out}", "--overwrite"),
        ("augment", "{src}", "{out}", "--method", "classical", "--overwrite"),
    ],
)
def test_an_output_that_holds_its_source_is_never_replaced(source, tmp_path, words) -> None:
    out = tmp_path / "split"
    command = ["data", "split", str(source), str(out), "--workers", "1"]
    assert CliRunner().invoke(cli, command).exit_code == 0
    before = tree(out)
    filled = [word.format(src=out / "train", out=out) for word in words]
    assert "lies inside of the output" in refusal(*filled)
    assert tree(out) == before


def test_a_class_that_no_sample_shows(source, tmp_path) -> None:
    (source / "classes.txt").write_text("pit\nstreak\nghost\n")
    manifest = source / "dataset.json"
    manifest.write_text(manifest.read_text().replace('"streak"', '"streak", "ghost"'))
    for method in ("classical", "paste"):
        words = (source, tmp_path / "out", "--method", method, "--classes", "ghost")
        assert "ghost" in refusal("augment", *words)
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("method", "flag", "value"),
    [
        ("paste", "--preset", "thesis"),
        ("paste", "--flips", "none"),
        ("classical", "--blend", "poisson"),
        ("classical", "--per-image", "5-6"),
        ("procedural", "--blend", "poisson"),
    ],
)
def test_a_setting_of_another_method(source, tmp_path, method, flag, value) -> None:
    message = refusal("augment", source, tmp_path / "out", "--method", method, flag, value)
    assert f"{flag[2:].replace('-', '_')} has no meaning for {method}" in message


def test_a_preview_that_could_not_be_drawn_is_refused_before_the_job(source, tmp_path) -> None:
    words = ("augment", source, tmp_path / "out", "--method", "paste", "--preview")
    assert "ends in .png" in refusal(*words, tmp_path / "grid.jpg")
    assert "webdataset" in refusal(*words, tmp_path / "grid.png", "--to", "webdataset")
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(cli, [*map(str, words), str(tmp_path / "file/grid.png")])
    assert "cannot be made" in str(done.exception)
    assert not list(tmp_path.glob("out*"))


def test_a_run_that_nothing_could_read_again(source, tmp_path) -> None:
    assert "a run cannot write webdataset" in refusal(
        "run", source, tmp_path / "out", "--to", "webdataset"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", ["", "pit,", " , "])
def test_empty_names_in_a_list(source, tmp_path, value) -> None:
    words = ["augment", str(source), str(tmp_path / "out"), "--method", "paste"]
    result = CliRunner().invoke(cli, [*words, "--classes", value])
    assert result.exit_code == 2
    assert "is no list" in result.output


def test_a_plate_of_few_pixels_is_not_blown_up() -> None:
    photo = np.full((300, 200, 3), 60, np.uint8)
    photo[50:250, 80:120] = 190
    assert locate_plate(photo) is None
    assert locate_plate(photo.repeat(4, axis=0).repeat(4, axis=1)) is not None
