"""Which layout a folder has, what dataset.json and samples.jsonl settle."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flawsmith.data import folder, severstal
from flawsmith.data.dataset import DataSet, Record
from flawsmith.data.formats import READERS, ReadOptions, get_writer, read_dataset
from flawsmith.data.images import encode_bmp
from flawsmith.data.manifest import class_colours
from flawsmith.data.scan import scan
from flawsmith.data.writing import Spec
from flawsmith.errors import InputError
from tests.folder_helpers import complaint, numbered
from tests.format_helpers import make_sample, round_trip, save_grey, save_mask

SKIP = ReadOptions(on_error="skip")


def written(root: Path) -> Path:
    """A set as flawsmith writes it: a defective, b good, c unknown."""
    mask = np.zeros((2, 5, 6), bool)
    mask[1, 2, 3] = True
    samples = [make_sample("a", mask, run="r1"), make_sample("b", mask & False)]
    samples.append(make_sample("c", mask & False, "unknown"))
    round_trip(root, folder, "folder", samples, Spec(("x", "y")))
    return root


def lines_of(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "samples.jsonl").read_text().splitlines()]


def store(root: Path, lines: list[dict[str, Any]]) -> None:
    (root / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_each_layout_is_recognised_by_itself(tmp_path: Path) -> None:
    save_grey(tmp_path / "folder/images/a.png")
    save_mask(tmp_path / "folder/masks/a.png")
    save_grey(tmp_path / "pairs/a.png")
    save_mask(tmp_path / "pairs/a_mask.png")
    save_grey(tmp_path / "severstal/train_images/a.png")
    (tmp_path / "severstal/train.csv").write_text("ImageId,ClassId,EncodedPixels\n")
    save_grey(tmp_path / "mvtec/train/good/a.png")
    save_grey(tmp_path / "mvtec/test/crack/b.png")
    save_grey(tmp_path / "anomalib-folder/normal_train/a.png")
    save_grey(tmp_path / "anomalib-folder/abnormal_test/b.png")
    for kind in ("good", "bad"):
        path = tmp_path / f"plates/{kind}/{kind}.bmp"
        path.parent.mkdir(parents=True)
        path.write_bytes(encode_bmp(np.full((6, 8), 9, np.uint8)))
    for root in sorted(tmp_path.iterdir()):
        found = read_dataset(root)
        assert found.format == root.name
        assert found.notices[0].startswith(f"read as {root.name}: ")


def test_what_fits_several_layouts_is_refused_with_what_was_seen(tmp_path: Path) -> None:
    save_grey(tmp_path / "images/a.png")
    save_mask(tmp_path / "masks/a.png")
    save_grey(tmp_path / "train/good/b.png")
    save_grey(tmp_path / "test/crack/c.png")
    line = complaint(tmp_path)
    assert "several layouts fit: folder (images/ and masks/ with .png); mvtec (train/" in line
    assert line.endswith("(mend: choose one with --format)")
    assert read_dataset(tmp_path, ReadOptions("folder")).ids == ("a",)


def test_an_unknown_layout_is_refused_with_what_was_seen(tmp_path: Path) -> None:
    assert "no known layout: it holds nothing (mend: name one with --format" in complaint(tmp_path)
    save_grey(tmp_path / "scans/a.png")
    (tmp_path / "notes.txt").write_text("")
    line = complaint(tmp_path)
    assert "no known layout: it holds notes.txt, scans/ (mend:" in line
    assert all(name in line for name in READERS)
    for i in range(20):
        (tmp_path / f"x{i:02d}").mkdir()
    assert "x05/ and 14 more (mend:" in complaint(tmp_path)


def test_a_named_format_without_images_says_so(tmp_path: Path) -> None:
    for name in sorted(set(READERS) - {"severstal", "coco"}):
        line = complaint(tmp_path, ReadOptions(name))
        assert f"no image found (read as {name}) (mend:" in line


def test_no_folder_and_no_such_format(tmp_path: Path) -> None:
    path = save_grey(tmp_path / "a.png")
    assert "a.png: it is a file, not a folder (mend: give the folder of images)" in complaint(path)
    for missing in (tmp_path / "none", tmp_path / ("x" * 5000)):
        assert "no such folder (mend: give the folder of images)" in complaint(missing)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert "no such folder" in complaint(loop)
    assert "the format 'x' cannot be read" in complaint(tmp_path, ReadOptions("x"))
    with pytest.raises(InputError, match=r"'x' cannot be written \(mend: one of folder, severstal"):
        get_writer("x")


def test_slices_and_selections_stay_lazy_data_sets(tmp_path: Path) -> None:
    found = read_dataset(numbered(tmp_path))
    assert found[1:3].ids == ("p1", "p2")
    assert found.select([3, 0]).ids == ("p3", "p0")
    assert [s.id for s in found[::-1]] == ["p3", "p2", "p1", "p0"]
    assert (found[-1].id, len(found[:0])) == ("p3", 0)


def test_a_written_set_is_read_as_its_manifest_says(tmp_path: Path) -> None:
    written(tmp_path)
    # By its files alone this would be another layout as well.
    save_grey(tmp_path / "train/good/z.png")
    save_grey(tmp_path / "test/crack/z.png")
    found = read_dataset(tmp_path)
    assert found.notices[0] == "read as folder: dataset.json"
    assert found.classes == ("x", "y")
    assert [(s.id, s.label, s.group) for s in found] == [
        ("a", "defective", "part-a"),
        ("b", "good", "part-b"),
        ("c", "unknown", "part-c"),
    ]
    assert found[0].meta == {"run": "r1"}


def test_the_manifest_of_a_severstal_set_keeps_its_classes(tmp_path: Path) -> None:
    masks = np.zeros((6, 4, 5), bool)
    masks[5, 1, 1] = True
    spec = Spec(tuple("abcdef"))
    found = round_trip(tmp_path, severstal, "severstal", [make_sample("s", masks)], spec)
    assert found.classes == spec.classes
    assert found[0].masks[5].sum() == 1


def test_images_and_lines_without_partner_are_named(tmp_path: Path) -> None:
    written(tmp_path)
    save_grey(tmp_path / "images/new.png", 5, 6)
    (tmp_path / "images/b.png").unlink()
    found = read_dataset(tmp_path)
    assert found.ids == ("a", "c")
    assert [str(s) for s in found.skipped if "samples.jsonl" in s.reason] == [
        "images/new.png: samples.jsonl does not name it",
        "images/b.png: samples.jsonl names it, but there is no such image",
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": 7}, "id, image, label and group must be texts"),
        ({"group": ""}, "id, image, label and group must be texts"),
        ({"label": "fine"}, "label must be one of good, defective, unknown"),
        ({"meta": []}, "meta must be an object"),
        ({"id": "b"}, "samples.jsonl:2: the id 'b' is named twice"),
        ({"image": "images/b.png"}, "the image 'images/b.png' is named twice"),
        ({"id": "../../a"}, "samples.jsonl:1: sample id '../../a' cannot be a file name (mend:"),
        ({"id": "a\nb"}, "cannot be a file name"),
        ({"id": "a\x1b[31m"}, "cannot be a file name"),
        ({"id": "x" * 201}, "cannot be a file name"),
        ({"image": "../a.png"}, "samples.jsonl:1: the file name '../a.png' points outside"),
        ({"image": "/etc/passwd"}, "points outside of the data folder (mend: use names relative"),
        ({"meta": {"x": "\ud800"}}, "samples.jsonl:1: holds half of a Unicode character"),
        ({"label": "good"}, "its mask marks 1 pixels"),
    ],
)
def test_bad_lines_are_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    written(tmp_path)
    first, *others = lines_of(tmp_path)
    store(tmp_path, [first | change, *others])
    assert words in complaint(tmp_path)
    kept = scan(read_dataset(tmp_path, SKIP), on_error="skip").dataset
    assert sum(entry.bad for entry in kept.skipped) == 1
    assert "a" not in kept.ids


def test_deeply_nested_meta_is_refused(tmp_path: Path) -> None:
    written(tmp_path)
    first, *others = lines_of(tmp_path)
    nested: Any = 1
    for _ in range(300):
        nested = [nested]
    store(tmp_path, [first | {"meta": {"x": nested}}, *others])
    assert "meta nests over 32 levels deep" in complaint(tmp_path)


def test_unusual_line_breaks_in_a_text_are_no_line_breaks(tmp_path: Path) -> None:
    written(tmp_path)
    first, *others = lines_of(tmp_path)
    first["meta"] = {"note": "a\u2028b\x85c\x0bd"}
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in (first, *others))
    (tmp_path / "samples.jsonl").write_text(text, encoding="utf-8")
    assert read_dataset(tmp_path)[0].meta == first["meta"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"flawsmith": 2}, "written in format version 2; this flawsmith reads 1"),
        ({"flawsmith": 1}, "'classes' must be a list of names"),
        ({"flawsmith": 1, "classes": ["a", ""]}, "'classes' must be a list of names"),
        ({"flawsmith": 1, "classes": ["a", "a"]}, "'classes' names one class twice"),
        ({"flawsmith": 1, "classes": [], "format": "zip"}, "the format 'zip' cannot be read"),
        ({"flawsmith": 1, "classes": ["a\nb"], "format": "folder"}, "has control characters"),
        ({"flawsmith": 1, "classes": [" "], "format": "folder"}, "the class name ' ' is blank"),
        ("{", "dataset.json: not valid JSON"),
        ("[" * 100_000, "dataset.json: not valid JSON"),
    ],
)
def test_bad_manifests_are_refused(tmp_path: Path, content: Any, words: str) -> None:
    written(tmp_path)
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "dataset.json").write_text(text)
    assert words in complaint(tmp_path)


def test_a_dataset_json_of_another_program_is_not_ours(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "dataset.json").write_text('{"classes": [1]}')
    assert read_dataset(tmp_path).notices[0].startswith("read as folder: images/ and masks/")


def test_a_data_set_checks_its_ids_and_classes(tmp_path: Path) -> None:
    record = Record("a", tmp_path / "a.png")
    with pytest.raises(InputError, match="'a' occurs twice"):
        DataSet(tmp_path, "folder", (), (record, record))
    with pytest.raises(InputError, match="cannot be a file name"):
        DataSet(tmp_path, "folder", (), (Record(".a", tmp_path / "a.png"),))


def test_more_masks_than_memory_is_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbered(tmp_path, 1)
    save_mask(tmp_path / "masks/p0.png")

    def exhaust(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(folder.IndexMask, "read", exhaust)
    assert "p0.png: 1 masks of 8x6 do not fit into the memory" in complaint(tmp_path)


def test_class_colours_repeat_after_seven() -> None:
    colours = class_colours(9)
    assert len(set(colours)) == 7
    assert colours[7:] == colours[:2]
