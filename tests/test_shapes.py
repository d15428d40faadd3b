"""Mask sources: tight masks, of the class asked for, that fit their frame."""

import cv2
import numpy as np
import pytest

from flawsmith.augment.settings import AugmentSettings
from flawsmith.augment.shapes import (
    FolderShapes,
    ProceduralShapes,
    shape_source,
    wanted_planes,
    with_position,
)
from flawsmith.data.cache import SampleCache
from flawsmith.data.images import write_png
from flawsmith.errors import InputError
from tests.augment_helpers import make_parts, part, surface, write_scan

FRAMES = [(16, 16), (16, 300), (48, 64), (400, 300)]


def is_tight(mask):
    edges = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    return mask.dtype == bool and all(edge.any() for edge in edges)


def pieces(mask):
    return cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1


@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_drawn_shapes(frame):
    source = ProceduralShapes()
    assert source.classes == ("blob", "pits", "scratch")
    for plane, name in enumerate(source.classes):
        masks = []
        for seed in range(40):
            shape = source.draw(np.random.default_rng(seed), plane, frame)
            assert is_tight(shape.mask)
            assert all(np.less_equal(shape.mask.shape, frame))
            assert shape.origin == f"procedural {name}"
            assert name == "pits" or pieces(shape.mask) == 1
            masks.append(shape.mask)
        assert len({mask.tobytes() for mask in masks}) > 20
        if min(frame) >= 48:
            filled = np.median([mask.mean() for mask in masks])
            low, high = {"blob": (0.4, 0.8), "pits": (0.05, 0.6), "scratch": (0.01, 0.3)}[name]
            assert low < filled < high
    if min(frame) >= 300:
        clouds = [pieces(source.draw(np.random.default_rng(s), 1, frame).mask) for s in range(20)]
        assert np.median(clouds) >= 3


def bank(tmp_path, samples, **more):
    found = write_scan(tmp_path / "set", samples)
    chosen = AugmentSettings(method="procedural", masks="bank", **more)
    return shape_source(chosen, found, SampleCache(found.dataset)), chosen


def test_bank_shapes_are_the_class_s_own(tmp_path):
    source, chosen = bank(tmp_path, make_parts(), rotate=0, elastic=0, scale=(1, 1))
    assert wanted_planes(chosen, source) == (0, 1)
    single = 0
    for seed in range(40):
        shape = source.draw(np.random.default_rng(seed), 1, (48, 64))
        assert is_tight(shape.mask)
        assert shape.origin.startswith("streak-")
        if "+" not in shape.origin:
            assert shape.mask.shape == (3, 16)
            assert shape.mask.all()
            single += 1
        else:
            assert 48 <= shape.mask.sum() <= 96
    assert 20 <= single < 40  # a quarter is joined of two


def test_a_thin_mask_never_vanishes(tmp_path):
    line = part("line", [(0, (20, 20, 40, 21))], image=surface(0))
    source, _ = bank(tmp_path, [part("c", image=surface(1)), line], scale=(0.2, 0.3))
    for seed in range(40):
        shape = source.draw(np.random.default_rng(seed), 0, (48, 64))
        assert is_tight(shape.mask)
        assert shape.mask.sum() >= 4


def test_a_class_that_the_source_lacks(tmp_path):
    source, _ = bank(tmp_path, [s for s in make_parts() if "streak" not in s.id])
    assert source.planes == (0,)
    wanted = AugmentSettings(method="procedural", masks="bank", classes=("streak",))
    with pytest.raises(InputError, match=r"no mask of the class 'streak' \(mend: one of pit\)"):
        wanted_planes(wanted, source)


def own_masks(root):
    for name, box in (("dent", (2, 3, 9, 11)), ("nick", (0, 0, 30, 2))):
        picture = np.zeros((20, 30), np.uint8)
        picture[box[1] : box[3], box[0] : box[2]] = 255
        (root / name).mkdir(parents=True)
        write_png(root / name / "one.png", picture)
    return root


def test_folder_shapes(tmp_path):
    source = FolderShapes.of(own_masks(tmp_path / "own"))
    assert source.classes == ("dent", "nick")
    shape = source.draw(np.random.default_rng(0), 0, (48, 64))
    assert shape.mask.shape == (8, 7)
    assert shape.origin == "folder one.png"
    assert shape.wish.centre is None
    # Drawn at the frame's own size, the place is the user's too.
    placed = source.draw(np.random.default_rng(0), 0, (20, 30))
    assert placed.wish.centre == pytest.approx((5.5 / 30, 7 / 20))
    anywhere = AugmentSettings(method="procedural")
    assert with_position(placed.wish, anywhere).centre is None
    kept = AugmentSettings(method="procedural", position="empirical")
    assert with_position(placed.wish, kept) == placed.wish


def test_folders_that_hold_no_masks(tmp_path):
    with pytest.raises(InputError, match=r"none: no such folder"):
        FolderShapes.of(tmp_path / "none")
    (tmp_path / "flat").mkdir()
    write_png(tmp_path / "flat" / "mask.png", np.ones((3, 3), np.uint8))
    with pytest.raises(InputError, match=r"holds no masks \(mend: put them in <class>"):
        FolderShapes.of(tmp_path / "flat")
    (tmp_path / "own" / "dent").mkdir(parents=True)
    write_png(tmp_path / "own" / "dent" / "void.png", np.zeros((3, 3), np.uint8))
    source = FolderShapes.of(tmp_path / "own")
    with pytest.raises(InputError, match=r"void\.png: the mask is empty"):
        source.draw(np.random.default_rng(0), 0, (48, 64))
