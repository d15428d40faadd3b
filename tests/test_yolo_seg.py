"""Ultralytics' labels: polygons that lose nothing, and everything a text file may get wrong."""

import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given, settings

from flawsmith.data import yolo_seg
from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.data.polygons import fill, trace
from flawsmith.data.writing import Spec
from flawsmith.errors import InputError
from flawsmith.sample import Masks
from tests.format_helpers import (
    assert_same,
    make_sample,
    mask_stacks,
    round_trip,
    save_grey,
    write_lines_of,
    write_set,
)
from tests.fuzzing import MERGES

SPEC = Spec(("crack", "1"), overlap=True)
# On an 8x6 image: the pixels 2..4 x 1..3, by their centres.
SQUARE = "0.3125 0.25 0.5625 0.25 0.5625 0.583333 0.3125 0.583333"


def save(root: Path, labels: str | None, table: str | None = "names: [crack, pit]") -> Path:
    save_grey(root / "images/train/a.png")
    (root / "labels/train").mkdir(parents=True, exist_ok=True)
    (root / "labels/train/b.txt").write_text("")
    save_grey(root / "images/train/b.png")
    if labels is not None:
        (root / "labels/train/a.txt").write_text(labels)
    if table is not None:
        (root / "data.yaml").write_text(table)
    return root


def complaint(root: Path) -> str:
    with pytest.raises(InputError) as caught:
        list(read_dataset(root))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@settings(max_examples=8, deadline=None)
@given(mask_stacks())
def test_round_trip_loses_nothing_and_says_so(masks: Masks) -> None:
    samples = [make_sample("s 1.x", masks), make_sample("s 2", masks[:, :, ::-1])]
    with TemporaryDirectory() as folder:
        root = Path(folder)
        found = round_trip(root, yolo_seg, "yolo-seg", samples, SPEC)
        assert_same(found, samples)
        (root / "samples.jsonl").unlink()
        for line in write_lines_of(root, yolo_seg, samples, SPEC):
            seen = next(s for s in read_dataset(root) if s.id == line["id"]).masks
            wanted = next(s for s in samples if s.id == line["id"]).masks
            part = line["part"]
            assert part["pixels"] == wanted.sum()
            assert (part["lost"], part["gained"]) == (
                (wanted & ~seen).sum(),
                (seen & ~wanted).sum(),
            )


@settings(max_examples=8, deadline=None)
@given(mask_stacks(classes=8))
def test_each_polygon_is_one_component_with_its_holes(masks: Masks) -> None:
    for mask in masks:
        count, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
        pieces = [fill(points, *mask.shape) for points in trace(mask)]
        assert len(pieces) == count - 1
        for number, piece in enumerate(pieces, 1):
            assert np.array_equal(piece, labels == number)


def test_holes_in_a_row_and_nested_parts() -> None:
    mask = np.ones((9, 30), bool)
    mask[2:7, 2:9] = mask[3:6, 11:20] = mask[4, 22] = mask[1, 25:28] = False
    mask[4, 4:7] = mask[4, 14] = True
    back = np.zeros_like(mask)
    for points in trace(mask):
        back |= fill(points, *mask.shape)
    assert np.array_equal(back, mask)


def test_ultralytics_own_arithmetic_gives_the_mask_back(tmp_path: Path) -> None:
    # Its loader: float32 coordinates times the size, cut to int32, cv2.fillPoly of each line.
    masks = np.random.default_rng(1).random((2, 37, 53)) < 0.6
    masks[1] = False
    masks[1, 5, 5] = masks[1, 9:30, 40] = True
    write_set(tmp_path, yolo_seg, [make_sample("a", masks)], SPEC)
    seen = np.zeros(masks.shape, np.uint8)
    for line in (tmp_path / "labels/train/a.txt").read_text().splitlines():
        number, *values = line.split()
        assert len(values) >= 6
        points = np.array(values, np.float32).reshape(-1, 2)
        assert (np.ptp(points, axis=0) > 0).all()
        cv2.fillPoly(seen[int(number)], [(points * np.float32([53, 37])).astype(np.int32)], 1)
    assert np.array_equal(seen.astype(bool), masks)


def test_data_yaml_and_what_is_left_out(tmp_path: Path) -> None:
    empty = np.zeros((2, 4, 4), bool)
    full = ~empty
    samples = [make_sample("a", full, split="test"), make_sample("b", empty, "unknown")]
    notices = write_set(tmp_path, yolo_seg, samples, SPEC)
    assert yaml.safe_load((tmp_path / "data.yaml").read_text()) == {
        "train": "images/train",
        "test": "images/test",
        "val": "images/train",
        "names": {0: "crack", 1: "1"},
    }
    assert [n.split(" ")[0] for n in notices] == ["no", "1"]
    assert not (tmp_path / "labels/train/b.txt").exists()
    found = read_dataset(tmp_path)
    assert [(s.id, s.label, s.meta["split"]) for s in found] == [
        ("a", "defective", "test"),
        ("b", "unknown", "train"),
    ]
    assert found.skipped[0].where == "images/train/b.png"


def test_the_notice_adds_up_the_loss(tmp_path: Path) -> None:
    part = {"split": "val", "labelled": True, "pixels": 100, "lost": 0, "gained": 0}
    lines = [{"part": part}, {"part": part | {"lost": 3}}, {"part": part | {"gained": 2}}]
    (notice,) = yolo_seg.finish(tmp_path, SPEC, lambda: iter(lines))
    assert notice == ("polygons changed the masks of 2 samples: 3 of 300 pixels lost, 2 gained")


def test_pixels_of_a_hand_written_label(tmp_path: Path) -> None:
    found = read_dataset(save(tmp_path, f"1 {SQUARE}\n\n1 0 1 0 1 0 1\n"))
    wanted = np.zeros((2, 6, 8), bool)
    wanted[1, 1:4, 2:5] = wanted[1, 5, 0] = True
    assert found.classes == ("crack", "pit")
    assert [(s.id, s.label) for s in found] == [("a", "defective"), ("b", "good")]
    assert np.array_equal(found[0].masks, wanted)
    assert pickle.loads(pickle.dumps(found.records)) == found.records


@pytest.mark.parametrize("width", [3, 7, 640, 1599])
def test_whole_pixels_written_with_six_digits_keep_their_place(width: int) -> None:
    for x in range(0, width, 1 + width // 50):
        text = f"0 {x / width:.6f} 0 {x / width:.6f} 0 {x / width:.6f} 0"
        assert np.flatnonzero(yolo_seg.rasterise(text, 1, width, "")).tolist() == [x]


def test_classes_without_a_table_and_roboflows_folders(tmp_path: Path) -> None:
    save_grey(tmp_path / "valid/images/a.png")
    (tmp_path / "valid/labels").mkdir()
    (tmp_path / "valid/labels/a.txt").write_text(f"7 {SQUARE}\n2 {SQUARE}")
    (tmp_path / "valid/labels/gone.txt").write_text("")
    found = read_dataset(tmp_path)
    assert (found.format, found.classes) == ("yolo-seg", ("2", "7"))
    assert found[0].masks.sum(axis=(1, 2)).tolist() == [9, 9]
    assert found[0].meta == {"split": "val"}
    assert [s.where for s in found.skipped] == ["valid/labels/gone.txt"]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (f"0 {SQUARE} nan 0.5", "outside of 0..1"),
        (f"0 {SQUARE} inf 0.5", "outside of 0..1"),
        (f"0 {SQUARE} 1.01 0.5", "outside of 0..1"),
        (f"0 {SQUARE} -0.1 0.5", "outside of 0..1"),
        (f"0 {SQUARE} x 0.5", "is no number"),
        (f"0 {SQUARE} 0.5", "9 coordinates"),
        ("0", "0 coordinates"),
        ("0 0.5 0.5 0.2 0.2", "a box, not a polygon"),
        (f"2 {SQUARE}", "class 2; known: 0, 1"),
        (f"-1 {SQUARE}", "begins with '-1'"),
        (f"0.0 {SQUARE}", "begins with '0.0'"),
        (f"99999999999 {SQUARE}", "begins with"),
        (f"crack {SQUARE}", "begins with 'crack'"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, labels: str, words: str) -> None:
    line = complaint(save(tmp_path, f"0 {SQUARE}\n{labels}\n"))
    assert words in line
    assert "a.txt:2: " in line


def test_binary_labels_are_named(tmp_path: Path) -> None:
    save(tmp_path, None)
    (tmp_path / "labels/train/a.txt").write_bytes(b"\xff\xfe0 1")
    assert "a.txt: not UTF-8" in complaint(tmp_path)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("names: [crack", "no valid YAML"),
        ("[" * 1500, "no valid YAML"),
        ("names: 2001-99-99", "no valid YAML"),
        ("names: [!!bool x]", "no valid YAML"),
        ("!!timestamp x: 3", "no valid YAML"),
        (MERGES, "over 100,000 values"),
        ("names: !!python/object/apply:os.system ['true']", "no valid YAML"),
        ("names: crack", "must be a list"),
        ("- crack", "must be a list"),
        ("names: {a: crack}", "must be a list"),
        ("names: [crack, crack]", "one name twice"),
        ("names: [yes, no]", "must hold texts"),
        ("names: ['']", "must hold texts"),
    ],
)
def test_bad_tables_are_named(tmp_path: Path, table: str, words: str) -> None:
    line = complaint(save(tmp_path, "", table))
    assert words in line
    assert "data.yaml" in line


def test_numbers_as_names_and_gaps(tmp_path: Path) -> None:
    found = read_dataset(save(tmp_path, f"5 {SQUARE}", "names: {5: 12, 0: rust}"))
    assert found.classes == ("rust", "12")
    assert found[0].masks.any(axis=(1, 2)).tolist() == [False, True]


def test_skip_lists_unreadable_class_numbers(tmp_path: Path) -> None:
    found = read_dataset(save(tmp_path, "x 1", None), ReadOptions(on_error="skip"))
    assert "begins with 'x'" in found.skipped[0].reason
