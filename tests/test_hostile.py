"""Broken and malicious content through the command line: one line, or skipped by name."""

import json
from pathlib import Path

import pytest

from flawsmith.data.formats import read_dataset
from flawsmith.errors import InputError
from tests.format_helpers import save_grey
from tests.hostile_folders import CASES, assert_one_line, call, manifest, run, two


@pytest.mark.parametrize("case", CASES)
def test_bad_input_stops_with_one_line_or_is_skipped_and_listed(tmp_path: Path, case: str) -> None:
    make, blamed, words, mend = CASES[case]
    root = make(tmp_path / "in")
    for command in (("info", root), ("convert", root, tmp_path / "out", "--to", "coco")):
        stopped = call("data", *command)
        assert isinstance(stopped.exception, InputError), stopped.output
        line = str(stopped.exception)
        assert line.startswith(f"{root}/{blamed}")
        assert words in line
        assert mend in line
        assert ("(mend: " in line) == bool(mend)
        assert not set(line) & set("\n\r\x1b")
    assert not (tmp_path / "out").exists()
    # Skipped and listed:
    checked = call("data", "check", root, "--json")
    assert isinstance(checked.exception, InputError)
    listed = json.loads(checked.stdout)["bad"]
    assert listed
    assert any(entry["where"].startswith(blamed) and words in entry["reason"] for entry in listed)
    converted = call(
        "data", "convert", root, tmp_path / "out", "--to", "coco", "--on-error", "skip"
    )
    assert converted.exit_code == 0, converted.output
    assert f"skipped: {blamed}" in converted.stderr
    assert all(line.isprintable() for line in converted.stderr.splitlines())
    labels = {s.id: s.label for s in read_dataset(tmp_path / "out")}
    # An image whose row or entry is bad must not come out as a clean one.
    assert labels.pop("bad", "unknown") == "unknown"
    assert set(labels) == ({"ok1"} if case == "json id twice" else {"ok1", "ok2"})


@pytest.mark.parametrize("case", ["truncated image", "control character", "not UTF-8", "csv up"])
def test_the_process_prints_one_line_and_exits_with_2(tmp_path: Path, case: str) -> None:
    make, blamed, words, mend = CASES[case]
    root = make(tmp_path / "in")
    done = run("data", "convert", root, tmp_path / "out", "--to", "folder", "--workers", 2)
    assert_one_line(done, f"{root}/{blamed}", words, mend)
    checked = run("data", "check", root, "--workers", 1)
    assert_one_line(checked, f"{root}: 1 bad entry (mend: see the list")
    assert f"bad: {blamed}" in checked.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [("none", "no such folder"), ("file", "it is a file"), ("empty", "it holds nothing")],
)
def test_what_is_no_data_folder(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for command in ("info", "check", "convert"):
        more = (tmp_path / "out", "--to", "coco") if command == "convert" else ()
        result = call("data", command, tmp_path / name, *more)
        assert isinstance(result.exception, InputError)
        assert str(result.exception).startswith(f"{tmp_path / name}: ")
        assert words in str(result.exception)
        assert "(mend: " in str(result.exception)
    assert_one_line(run("data", "info", tmp_path / name), words)


def test_a_folder_without_one_good_sample_is_not_converted_to_nothing(tmp_path: Path) -> None:
    (save_grey(tmp_path / "in/images/a.png")).write_text("")
    command = ("data", "convert", tmp_path / "in", tmp_path / "out", "--to", "coco")
    error = call(*command, "--on-error", "skip").exception
    assert isinstance(error, InputError)
    assert "in: no sample can be used: such as images/a.png: not a picture" in str(error)
    assert not (tmp_path / "out").exists()
    checked = call("data", "check", tmp_path / "in")
    assert "0 samples fine, 1 bad" in checked.stdout


def test_without_masks_or_without_clean_images_is_no_error(tmp_path: Path) -> None:
    save_grey(tmp_path / "bare/images/a.png")
    result = call("data", "info", tmp_path / "bare")
    assert result.exit_code == 0
    assert "note: 1 images have no mask (label unknown, not used): a.png" in result.stderr
    result = call("data", "info", two(tmp_path / "marked"))
    assert result.exit_code == 0
    assert "labels: 2 defective" in result.stdout


def test_meta_of_the_source_cannot_crash_the_writing(tmp_path: Path) -> None:
    for number, meta in enumerate(
        ({"redrawn": 5}, {"redrawn": {"a": "x"}}, {"split": [1], "source": {}})
    ):
        root = manifest(meta=meta, label="good")(tmp_path / f"in{number}")
        for to in ("coco", "mvtec", "yolo-seg", "severstal"):
            out = tmp_path / f"{to}{number}"
            assert call("data", "convert", root, out, "--to", to).exit_code == 0
