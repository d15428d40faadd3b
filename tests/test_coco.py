"""COCO: written sets against pycocotools, and everything a foreign JSON may get wrong."""

import contextlib
import io
import json
import pickle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from flawsmith.data import coco
from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.data.writing import Spec
from flawsmith.errors import InputError, OutputError
from flawsmith.sample import Masks
from tests.format_helpers import (
    assert_same,
    make_sample,
    mask_stacks,
    round_trip,
    save_grey,
    write_set,
)

# pycocotools 2.0.11 has not caught up with NumPy 2's protocol for copies: its own calls warn.
oracle_warns = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SPEC = Spec(("crack", "pit"), overlap=True)
SQUARE = [2, 1, 5, 1, 5, 4, 2, 4]


def document(**changes: Any) -> dict[str, Any]:
    """A valid JSON for one 8x6 image with one annotation."""
    content: dict[str, Any] = {
        "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 6}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "segmentation": [list(SQUARE)]}],
        "categories": [{"id": 3, "name": "crack"}],
    }
    return content | changes


def annotated(segmentation: Any) -> dict[str, Any]:
    return document(
        annotations=[{"id": 1, "image_id": 1, "category_id": 3, "segmentation": segmentation}]
    )


def save(root: Path, content: Any, name: str = "annotations.json") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    if not (root / "images/a.png").exists():
        save_grey(root / "images/a.png")
    return root


def complaint(root: Path) -> str:
    """The one line that reading everything gives."""
    with pytest.raises(InputError) as caught:
        list(read_dataset(root))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@oracle_warns
@settings(max_examples=8, deadline=None)
@given(st.lists(mask_stacks(), min_size=1, max_size=3))
def test_round_trip_and_pycocotools_see_every_pixel(stacks: list[Masks]) -> None:
    samples = [make_sample(f"s {i}.x", masks) for i, masks in enumerate(stacks)]
    with TemporaryDirectory() as folder:
        root = Path(folder)
        assert_same(round_trip(root, coco, "coco", samples, SPEC), samples)
        with contextlib.redirect_stdout(io.StringIO()):
            oracle = COCO(str(root / "annotations.json"))
    for number, sample in enumerate(samples, 1):
        seen = np.zeros(sample.masks.shape, bool)
        for annotation in oracle.loadAnns(oracle.getAnnIds(imgIds=[number])):
            piece = oracle.annToMask(annotation).astype(bool)
            seen[annotation["category_id"] - 1] |= piece
            ys, xs = np.nonzero(piece)
            box = [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]
            assert annotation["bbox"] == box
            assert annotation["area"] == piece.sum()
        assert np.array_equal(seen, sample.masks)


def test_one_annotation_a_class_and_component(tmp_path: Path) -> None:
    masks = np.zeros((2, 5, 9), bool)
    masks[0, 0, 0] = masks[0, 1, 1] = masks[0, 3:, 4:6] = masks[1, 3:, 4:9] = True
    write_set(tmp_path, coco, [make_sample("a", masks)], SPEC)
    found = json.loads((tmp_path / "annotations.json").read_text())
    boxes = [(a["category_id"], a["bbox"], a["area"]) for a in found["annotations"]]
    assert boxes == [(1, [0, 0, 2, 2], 2), (1, [4, 3, 2, 2], 4), (2, [4, 3, 5, 2], 10)]
    assert [a["id"] for a in found["annotations"]] == [1, 2, 3]


def test_unknown_images_are_not_written_as_clean(tmp_path: Path) -> None:
    empty = np.zeros((2, 4, 4), bool)
    samples = [make_sample("good", empty), make_sample("odd", empty, "unknown")]
    (notice,) = write_set(tmp_path, coco, samples, SPEC)
    assert notice.startswith("1 images of unknown label")
    assert [s.label for s in read_dataset(tmp_path)] == ["good", "unknown"]


def test_the_same_samples_give_the_same_bytes(tmp_path: Path) -> None:
    masks = np.random.default_rng(3).random((2, 9, 9)) < 0.4
    for name in ("a", "b"):
        write_set(tmp_path / name, coco, [make_sample("x", masks)], SPEC)
    first, second = (
        {p.name: p.read_bytes() for p in (tmp_path / n).rglob("*.*")} for n in ("a", "b")
    )
    assert first == second


def test_an_unwritable_folder_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file in the way")
    with pytest.raises(OutputError, match="images"):
        coco.write_sample(tmp_path, 0, make_sample("a", np.zeros((2, 3, 3), bool)), SPEC)


@oracle_warns
@pytest.mark.parametrize(
    "segmentation",
    [
        [SQUARE],
        [[2.0, 1.0, 5.0, 1.0, 5.0, 4.0, 2.0, 4.0], [0, 5, 1, 5, 1, 6, 0, 6]],
        {"size": [6, 8], "counts": [13, 3, 3, 3, 26]},
        {"size": [6, 8], "counts": [0, 48]},
        [[-3, -3, 12, -3, 12, 9, -3, 9]],
    ],
)
def test_segmentations_are_drawn_as_pycocotools_draws_them(
    tmp_path: Path, segmentation: Any
) -> None:
    runs = coco_mask.frPyObjects(segmentation, 6, 8)
    wanted = coco_mask.decode(coco_mask.merge(runs) if isinstance(runs, list) else runs)
    (sample,) = read_dataset(save(tmp_path, annotated(segmentation)))
    assert sample.label == "defective"
    assert np.array_equal(sample.masks[0], wanted.astype(bool))


def test_compressed_runs_and_several_files_with_their_splits(tmp_path: Path) -> None:
    mask = np.zeros((6, 8), np.uint8, order="F")
    mask[2:4, 3:7] = 1
    text = coco_mask.encode(mask)["counts"].decode()
    names = [{"id": 1, "name": "pit"}, {"id": 3, "name": "crack"}]
    save(
        tmp_path,
        annotated({"size": [6, 8], "counts": text}) | {"categories": names},
        "annotations/instances_train2017.json",
    )
    val = document(images=[{"id": "v", "file_name": "b.png"}], annotations=[])
    save(tmp_path, val, "annotations/instances_val2017.json")
    save(tmp_path, val, "annotations/person_keypoints_val2017.json")
    save_grey(tmp_path / "images/train2017/a.png")
    save_grey(tmp_path / "val2017/b.png")
    (tmp_path / "images/a.png").unlink()
    found = read_dataset(tmp_path)
    assert found.format == "coco"
    assert found.classes == ("pit", "crack")
    assert [(s.id, s.label, s.meta) for s in found] == [
        ("a", "defective", {"split": "train2017"}),
        ("b", "good", {"split": "val2017"}),
    ]
    assert np.array_equal(found[0].masks[1], mask.astype(bool))
    assert pickle.loads(pickle.dumps(found.records)) == found.records


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ([[2, 1, 5, 1]], "polygon of 4 numbers"),
        ([[2, 1, 5, 1, 5, 4, 2]], "polygon of 7 numbers"),
        ([[2, 1, 5, 1, 5, float("nan")]], "not finite"),
        ([[2, 1, 5, 1, float("inf"), 4]], "not finite"),
        ([[2, 1, 5, 1, 10**400, 4]], "by far"),
        ([[2, 1, 5, 1, 1e300, 4]], "by far"),
        ([[2, 1, 5, 1, "5", 4]], "no list of numbers"),
        ([[2, 1, 5, 1, True, 4]], "no list of numbers"),
        ([2, 1, 5, 1, 5, 4], "no list of numbers"),
        ([None], "no list of numbers"),
        ("text", "no 'segmentation'"),
        ([], "no 'segmentation'"),
        (None, "no 'segmentation'"),
        ({"size": [6, 8]}, "'counts' is neither"),
        ({"size": [8, 6], "counts": [48]}, "'size' is [8, 6]"),
        ({"size": [10**9, 10**9], "counts": [10**18]}, "'size' is"),
        ({"size": "68", "counts": [48]}, "'size' is 68"),
        ({"size": [6, 8], "counts": [-1, 49]}, "0 or more"),
        ({"size": [6, 8], "counts": [40, 2**70]}, "add up to"),
        ({"size": [6, 8], "counts": [40, 9]}, "add up to 49"),
        ({"size": [6, 8], "counts": [40.0, 8]}, "whole numbers"),
        ({"size": [6, 8], "counts": "~~~~"}, "damaged"),
        ({"size": [6, 8], "counts": "0ooooooooo0"}, "40 bits"),
        ({"size": [6, 8], "counts": "a1"}, "add up to"),
    ],
)
def test_bad_segmentations_get_one_line(tmp_path: Path, segmentation: Any, words: str) -> None:
    line = complaint(save(tmp_path, annotated(segmentation)))
    assert words in line
    assert "annotations[0]" in line


def test_an_endless_outline_is_refused_before_it_is_drawn(tmp_path: Path) -> None:
    zigzag = [0, 0, 8, 6] * 300_000
    assert "outline is longer" in complaint(save(tmp_path, annotated([zigzag])))


IMAGE = {"id": 1, "file_name": "a.png"}
MARK = {"id": 1, "image_id": 1, "category_id": 3, "segmentation": [SQUARE]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images": [IMAGE, IMAGE]}, "image id 1 occurs twice"),
        ({"images": [IMAGE, IMAGE | {"id": 2}]}, "second entry for images/a.png"),
        ({"images": [IMAGE, IMAGE | {"id": 2, "file_name": "./a.png"}]}, "second entry"),
        ({"images": [IMAGE | {"file_name": "../../etc/passwd"}]}, "outside of the data folder"),
        ({"images": [IMAGE | {"file_name": "/etc/passwd"}]}, "outside of the data folder"),
        ({"images": [IMAGE | {"file_name": "C:\\a.png"}]}, "outside of the data folder"),
        ({"images": [IMAGE | {"file_name": "a\0.png"}]}, "outside of the data folder"),
        ({"images": [IMAGE | {"file_name": 7}]}, "'file_name' must be a text"),
        ({"images": [IMAGE | {"width": "8"}]}, "whole numbers above 0"),
        ({"images": [IMAGE | {"width": 9, "height": 6}]}, "by its entry 9x6"),
        ({"images": ["a.png"]}, "images[0]: wanted an object"),
        ({"images": [IMAGE | {"id": [1]}]}, "number or text as 'id'"),
        ({"images": {"1": IMAGE}}, "wanted an object with the lists"),
        ({"annotations": [MARK | {"category_id": 4}]}, "unknown category_id 4"),
        ({"annotations": [MARK | {"category_id": {}}]}, "unknown category_id"),
        ({"annotations": [7]}, "annotations[0]: the annotation is no object"),
        ({"annotations": None}, "wanted an object with the lists"),
        ({"categories": [{"id": 3, "name": ""}]}, "'name' must be a text"),
        ({"categories": [{"id": 3, "name": "a"}, {"id": 4, "name": "a"}]}, "occurs twice"),
        ({"categories": [{"id": 3, "name": "a"}, {"id": 3, "name": "b"}]}, "occurs twice"),
    ],
)
def test_bad_entries_get_one_line(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    assert words in complaint(save(tmp_path, document(**changes)))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(document())[:-20],
        json.dumps(document())[:-1] + ', "x": ' + "[" * 200_000,
        '["images", "annotations", "categories"]',
        json.dumps(document()).replace('"id": 1', '"id": ' + "1" * 5000),
    ],
)
def test_damaged_json_is_named(tmp_path: Path, text: str) -> None:
    assert "annotations.json" in complaint(save(tmp_path, text))


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    secret = save_grey(tmp_path / "secret.png")
    root = tmp_path / "data"
    save(root, document())
    (root / "images/a.png").unlink()
    (root / "images/a.png").symlink_to(secret)
    assert "outside of the data folder" in complaint(root)


def test_skipping_never_turns_a_bad_annotation_into_a_clean_image(tmp_path: Path) -> None:
    images = [IMAGE, {"id": 2, "file_name": "b.png"}]
    marks = [MARK | {"segmentation": None}, MARK | {"image_id": 99}, MARK | {"image_id": []}]
    save_grey(tmp_path / "images/b.png")
    save(tmp_path, document(images=images, annotations=marks))
    found = read_dataset(tmp_path, ReadOptions(on_error="skip"))
    assert [(s.id, s.label) for s in found] == [("b", "good")]
    reasons = " / ".join(f"{s.where}: {s.reason}" for s in found.skipped)
    assert "2 annotations of images that it does not list" in reasons
    assert "images/a.png: its entry or an annotation of it is bad" in reasons


def test_missing_and_unlisted_images_are_named(tmp_path: Path) -> None:
    save_grey(tmp_path / "images/stray.png")
    images = [IMAGE, {"id": 2, "file_name": "gone.png"}]
    found = read_dataset(save(tmp_path, document(images=images)))
    assert {s.id: s.label for s in found} == {"a": "defective", "stray": "unknown"}
    assert [s.where for s in found.skipped] == ["gone.png", "images/stray.png"]


def test_other_json_is_not_claimed(tmp_path: Path) -> None:
    save_grey(tmp_path / "a.png")
    (tmp_path / "x.json").write_text('{"filename": "a.png", "label": 0}\n{"filename": "b.png"}')
    assert coco.detect(tmp_path) is None
