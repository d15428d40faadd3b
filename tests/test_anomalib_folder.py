"""anomalib's Folder layout: which mask belongs to which image."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from flawsmith.data import anomalib_folder
from flawsmith.data.formats import read_dataset
from flawsmith.errors import InputError
from tests.format_helpers import save_grey, save_mask


def layout(root: Path) -> Path:
    save_grey(root / "normal_train/a.png")
    save_grey(root / "normal_test/b.png")
    save_grey(root / "abnormal_train/c.png")
    save_grey(root / "abnormal_test/d.png")
    return root


@pytest.mark.parametrize(
    "places",
    [("mask/c.png", "mask/d_mask.png"), ("mask/abnormal_train/c.png", "mask/abnormal_test/d.png")],
)
def test_labels_masks_and_splits(tmp_path: Path, places: tuple[str, str]) -> None:
    layout(tmp_path)
    for place in places:
        save_mask(tmp_path / place)
    found = read_dataset(tmp_path)
    assert (found.format, found.classes, found.skipped) == ("anomalib-folder", ("defect",), ())
    assert [(s.id, s.label, s.meta["split"]) for s in found] == [
        ("d", "defective", "test"),
        ("c", "defective", "train"),
        ("b", "good", "test"),
        ("a", "good", "train"),
    ]
    assert np.argwhere(found[0].masks).tolist() == [[0, 1, 2], [0, 1, 3], [0, 1, 4]]
    assert pickle.loads(pickle.dumps(found.records)) == found.records


def test_no_mask_is_unknown_and_orphans_are_named(tmp_path: Path) -> None:
    layout(tmp_path)
    save_mask(tmp_path / "mask/c.png")
    save_mask(tmp_path / "mask/a.png")
    found = read_dataset(tmp_path)
    assert {s.id: s.label for s in found} == {
        "a": "good",
        "b": "good",
        "c": "defective",
        "d": "unknown",
    }
    assert [(s.where, s.reason) for s in found.skipped] == [
        ("abnormal_test/d.png", "no mask: label unknown, not used"),
        ("mask/a.png", "a mask without an abnormal image"),
    ]


def test_one_mask_for_two_images_is_refused(tmp_path: Path) -> None:
    layout(tmp_path)
    save_grey(tmp_path / "abnormal_test/c.png")
    save_mask(tmp_path / "mask/c.png")
    with pytest.raises(InputError, match=r"mask/c.png: 2 abnormal images are called 'c'"):
        read_dataset(tmp_path)
    (tmp_path / "mask/c.png").unlink()
    save_mask(tmp_path / "mask/abnormal_test/c.png")
    labels = {s.id: s.label for s in read_dataset(tmp_path)}
    assert labels["abnormal_test__c"] == "defective"
    assert labels["abnormal_train__c"] == "unknown"


def test_sub_folders_and_equal_names_of_normal_images(tmp_path: Path) -> None:
    save_grey(tmp_path / "normal_train/1.png")
    save_grey(tmp_path / "abnormal_test/dent/1.png")
    save_mask(tmp_path / "mask/dent/1.png")
    found = read_dataset(tmp_path)
    assert {s.id: s.label for s in found} == {
        "normal_train__1": "good",
        "abnormal_test__dent__1": "defective",
    }


def test_a_marked_normal_image_is_refused(tmp_path: Path) -> None:
    layout(tmp_path)
    save_mask(tmp_path / "mask/normal_train/a.png")
    with pytest.raises(InputError, match="marks a defect in a good image"):
        list(read_dataset(tmp_path))


@pytest.mark.parametrize(
    ("folders", "claimed"),
    [
        (("normal_train",), False),
        (("abnormal_test", "mask"), False),
        (("normal_test", "mask"), True),
        (("normal_train", "abnormal_test"), True),
    ],
)
def test_what_is_claimed(tmp_path: Path, folders: tuple[str, ...], claimed: bool) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir()
    assert bool(anomalib_folder.detect(tmp_path)) == claimed


def test_two_classes_do_not_fit(tmp_path: Path) -> None:
    layout(tmp_path)
    manifest = '{"flawsmith": 1, "format": "anomalib-folder", "classes": ["a", "b"]}'
    (tmp_path / "dataset.json").write_text(manifest)
    with pytest.raises(InputError, match="one class, not 2"):
        read_dataset(tmp_path)
