"""Training crops: holes as in the whole picture, flips, balance, and defects moved elsewhere."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.errors import InputError
from flawsmith.inpaint.crops import Crop, Crops, as_planes, batch_of, crop_of
from flawsmith.inpaint.geometry import Geometry
from flawsmith.inpaint.hole import hole_of, soft_of
from flawsmith.inpaint.windows import Window
from flawsmith.seeding import rng
from tests.augment_helpers import blob_masks, make_parts, part, surface, write_scan
from tests.format_helpers import FUZZ

GEOMETRY = Geometry(size=32, grow=3, feather=3)
BOTH, NEITHER = (True, True), (False, False)


def crops_of(root, samples, flips=NEITHER, geometry=GEOMETRY):
    return Crops(write_scan(root, samples), geometry, flips)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return write_scan(tmp_path_factory.mktemp("parts") / "set", make_parts())


@FUZZ
@given(st.integers(0, 60), st.integers(0, 40), st.integers(0, 30), st.integers(0, 5))
def test_a_crop_s_hole_is_the_whole_picture_s_cut_there(x, y, seed, grow):
    masks = np.stack([blob_masks((72, 92), seed), blob_masks((72, 92), seed + 1)])
    masks[1, 40:] = False
    geometry = Geometry(32, grow, feather=grow)
    window = Window(x, y, 32, 32)
    crop = crop_of(surface(seed, size=(0, 0, 92, 72)), masks, window, geometry)
    there = (slice(y, y + 32), slice(x, x + 32))
    hole = hole_of(masks.any(axis=0), grow)
    assert (crop.hole == hole[there]).all()
    assert (crop.masks == masks[(slice(None), *there)]).all()
    # The soft rim too, but beside the picture's own edge, which the crop looks beyond.
    inner = max(grow, 1) + 1
    soft = soft_of(hole, grow)[there]
    if y >= inner and x >= inner and y + 32 + inner <= 72 and x + 32 + inner <= 92:
        assert crop.soft == pytest.approx(soft, abs=1e-6)
    assert (crop.soft[~crop.hole] == 0).all()
    assert (crop.soft[crop.hole] > 0).all()
    assert (crop.soft[crop.masks.any(axis=0)] == 1).all()


def test_a_mark_beyond_the_window_reaches_in():
    masks = np.zeros((2, 48, 64), bool)
    masks[0, 20, 15] = True
    crop = crop_of(surface(0), masks, Window(17, 4, 32, 32), GEOMETRY)
    assert not crop.masks.any()
    assert crop.hole[16, :2].tolist() == [True, True]  # 2 and 3 pixels from it
    assert int(crop.hole.sum()) == 6  # rows 14 to 18 at the first column, and one more


def test_a_crop_beyond_the_picture():
    image, masks = surface(1, size=(0, 0, 20, 14)), np.zeros((2, 14, 20), bool)
    masks[1, 5:9, 0:6] = True
    crop = crop_of(image, masks, Window(-6, -9, 32, 32), GEOMETRY)
    assert (crop.image[9:23, 6:26] == image).all()
    assert (crop.image[8] == crop.image[10]).all()
    assert crop.masks[1, 14:18, 6:12].all()
    assert crop.masks.sum() == 24
    assert (crop.hole[9:23, 6:26] == hole_of(masks[1], 3)).all()


def test_a_large_defect_is_seen_whole():
    image, masks = surface(2, size=(0, 0, 200, 150)), np.zeros((2, 150, 200), bool)
    masks[0, 20:120, 30:40] = True
    crop = crop_of(image, masks, Window(10, 10, 128, 32), GEOMETRY)
    assert crop.image.shape == crop.hole.shape == crop.soft.shape == (32, 32)
    rows, columns = np.nonzero(crop.masks[0])
    assert (rows.min(), rows.max()) in {(2, 27), (3, 27)}
    assert columns.max() - columns.min() in {1, 2}
    assert (crop.hole == hole_of(crop.masks[0], 3)).all()


@pytest.mark.parametrize("axes", [(), (0,), (1,), (0, 1)])
def test_flips_move_everything_alike(axes):
    number = np.arange(32 * 32).reshape(32, 32)
    image = np.repeat((number % 251).astype(np.uint8)[..., None], 3, axis=2)
    marked = number % 7 == 0
    crop = Crop(image, np.stack([marked, ~marked]), number % 5 == 0, number.astype(np.float32))
    turned = crop.flipped(*axes)
    back = turned.soft.astype(int)  # where each pixel came from
    assert (turned.image[..., 0] == back % 251).all()
    assert (turned.masks[0] == (back % 7 == 0)).all()
    assert (turned.masks[1] == (back % 7 != 0)).all()
    assert (turned.hole == (back % 5 == 0)).all()
    corner = (31 if 0 in axes else 0) * 32 + (31 if 1 in axes else 0)
    assert back[0, 0] == corner
    again = turned.flipped(*axes)
    assert all((getattr(again, n) == getattr(crop, n)).all() for n in ("image", "masks", "hole"))


def test_each_class_is_shown_as_often(tmp_path):
    samples = [part(f"pit-{i}", [(0, (10, 10, 16, 16))], image=surface(i)) for i in range(5)]
    streaks = [(1, (40, 4, 50, 8)), (1, (40, 34, 50, 38))]  # two sites in one picture
    samples.append(part("streaks", streaks, image=surface(9)))
    crops = crops_of(tmp_path / "set", samples)
    pits = [index for index, box in crops.order if box[0] < 20]
    streaky = [box for _, box in crops.order if box[0] > 20]
    assert sorted(pits) == [0, 1, 2, 3, 4]
    assert len(streaky) == 6  # two sites, three times each: at least as often as the pits
    assert len(set(streaky)) == 2
    assert len(crops) == len(crops.order) == 11


def test_a_site_of_two_classes_counts_for_both(tmp_path):
    both = part("both", [(0, (10, 10, 18, 18)), (1, (14, 14, 24, 20))], image=surface(0))
    crops = crops_of(tmp_path / "set", [both, part("clean", image=surface(1))])
    assert len(crops) == 2
    assert crops.order[0] == crops.order[1]
    crop, _ = crops.defect(0, rng(0))
    assert crop.masks.any(axis=(1, 2)).all()
    assert crop.masks.all(axis=0).any()  # where they overlap, both planes are marked


def test_crops_depend_on_their_generator_alone(parts):
    crops = Crops(parts, GEOMETRY, BOTH)
    first, second = (
        [crops.defect(3, rng(5, "x"))[0], crops.moved(2, rng(5, "x"))] for _ in range(2)
    )
    for one, two in zip(first, second, strict=True):
        assert (one.image == two.image).all()
        assert (one.masks == two.masks).all()
    shown = [crops.defect(0, rng(seed))[0].masks.tobytes() for seed in range(12)]
    assert len(set(shown)) > 6


def test_moved_defects_lie_on_clean_surface(parts):
    crops = Crops(parts, GEOMETRY, NEITHER)
    for seed in range(20):
        crop, same = crops.defect(seed % len(crops), rng(seed))[0], rng(seed)
        moved = crops.moved(seed % len(crops), same)
        assert (moved.masks == crop.masks).all()
        assert (moved.hole == crop.hole).all()
        assert np.abs(moved.image.astype(int) - 110).max() < 20  # no mark of 30 or 200
        assert np.abs(crop.image.astype(int) - 110).max() > 60


def ramp(size=(60, 80)):
    """A clean picture whose grey level tells the place: 2 a column, and its left edge is white."""
    image = np.broadcast_to(np.arange(size[1], dtype=np.uint8) * 2, size).copy()
    image[:, 0] = 255
    return image


@pytest.mark.parametrize("flips", [NEITHER, (True, False), BOTH])
@pytest.mark.parametrize("clean_size", [(60, 80), (44, 50)])
def test_a_border_defect_stays_at_the_border(tmp_path, flips, clean_size):
    broken = part("broken", [(0, (0, 20, 8, 32))], image=surface(0, size=(0, 0, 80, 60)))
    crops = crops_of(tmp_path / "set", [broken, part("clean", image=ramp(clean_size))], flips)
    sides = set()
    for seed in range(30):
        crop = crops.moved(0, rng(seed))
        columns = np.flatnonzero(crop.masks[0].any(axis=0))
        left = columns[0] == 0
        sides.add(bool(left))
        # The mask breaks the white edge of the clean picture, on whichever side that now is.
        assert (crop.image[:, 0 if left else -1] == 255).all()
        assert columns[0 if left else -1] == (0 if left else 31)
    assert sides == ({True, False} if flips[0] else {True})


def test_inner_defects_stray_a_little(tmp_path):
    inner = part("inner", [(0, (60, 40, 66, 46))], image=surface(0, size=(0, 0, 128, 96)))
    crops = crops_of(tmp_path / "set", [inner, part("clean", image=ramp((96, 120)))])
    starts = []
    for seed in range(40):
        window = crops.defect(0, rng(seed))[1]
        moved = crops.moved(0, rng(seed)).image[5]
        starts.append((int(moved[1]) // 2 - 1) / 88 - window.x / 96)
    assert 0.03 < np.std(starts) < 0.2
    assert abs(np.mean(starts)) < 0.06


def test_clean_pictures_smaller_than_the_window(tmp_path):
    samples = [
        part("pit", [(0, (10, 10, 16, 16))], image=surface(0)),
        part("clean", image=surface(1, level=60, size=(0, 0, 21, 9))),
    ]
    crop = crops_of(tmp_path / "set", samples, BOTH).moved(0, rng(1))
    assert crop.image.shape == (32, 32)
    assert crop.image.max() < 90


def test_without_clean_pictures_regions_of_the_others_serve(tmp_path):
    found = write_scan(tmp_path / "set", make_parts(clean=0))
    crops = Crops(found, GEOMETRY, NEITHER)
    assert len(crops.clean) == 6
    assert {surface.size(found) for surface in crops.clean} == {(32, 48)}
    shown = set()
    for seed in range(20):
        crop, same = crops.defect(seed % len(crops), rng(seed))[0], rng(seed)
        moved = crops.moved(seed % len(crops), same)
        assert (moved.masks == crop.masks).all()
        assert np.abs(moved.image.astype(int) - 110).max() < 20  # no mark of 30 or 200
        shown.add(moved.image.tobytes())
    assert len(shown) > 10


def test_regions_that_hold_a_window_are_preferred(tmp_path):
    """The free halves of two are 32x48; the third's is 24x64, too low for a window of 32."""
    worn = [part(f"left-{i}", [(0, (4, 4, 12, 44))], image=surface(i)) for i in range(2)]
    low = part("low", [(1, (0, 4, 64, 12))], image=surface(5))
    found = write_scan(tmp_path / "set", [*worn, low])
    crops = Crops(found, GEOMETRY, (False, False))
    assert [found.dataset.ids[one.sample] for one in crops.clean] == ["left-0", "left-1"]
    few = Crops(found.select([0, 2]), GEOMETRY, (False, False))
    assert len(few.clean) == 2 or min(few.clean[0].size(found)) >= 32


def test_defects_are_moved_to_regions_of_their_own_class(tmp_path):
    bright = [part(f"b{i}", [(0, (2, 2, 12, 12))], image=surface(i, level=180)) for i in range(3)]
    dark = [part(f"d{i}", [(1, (2, 2, 12, 12))], image=surface(i, level=60)) for i in range(3)]
    crops = crops_of(tmp_path / "set", [*bright, *dark])
    for plane, places in crops.places.items():
        for place in places:
            moved = crops.moved(place, rng(0, "moved", place))
            assert (moved.image.mean() > 120) == (plane == 0)


def test_without_any_clean_surface(tmp_path):
    wide = part("wide", [(0, (12, 12, 52, 36))], image=surface(3))
    crops = crops_of(tmp_path / "set", [wide], BOTH)
    assert crops.clean == ()
    moved, crop = crops.moved(0, rng(4)), crops.defect(0, rng(4))[0]
    assert (moved.image == crop.image).all()
    assert (moved.masks == crop.masks).all()


def test_nothing_marked(tmp_path):
    with pytest.raises(InputError, match=r"no defect is marked \(mend: add images with masks"):
        crops_of(tmp_path / "set", [part("clean", image=surface(0))])


def test_grey_and_colour_mix(tmp_path):
    samples = [
        part("grey", [(0, (10, 10, 16, 16))], image=surface(0)),
        part("colour", [(1, (10, 10, 16, 16))], image=surface(1, rgb=True)),
        part("clean", image=surface(2, rgb=True)),
    ]
    crops = crops_of(tmp_path / "set", samples)
    drawn = [crops.defect(i, rng(i))[0] for i in range(2)] + [crops.moved(0, rng(3))]
    assert sorted(crop.image.ndim for crop in drawn) == [2, 3, 3]
    for channels in (1, 3):
        batch = batch_of(drawn, channels)
        assert batch.image.shape == (3, channels, 32, 32)
        assert batch.masks.shape == (3, 2, 32, 32)
        assert batch.hole.shape == batch.soft.shape == (3, 1, 32, 32)
        assert {t.dtype for t in (batch.image, batch.masks, batch.hole, batch.soft)} == {
            torch.float32
        }
        assert set(batch.masks.unique().tolist()) == {0.0, 1.0}


def test_planes_by_hand():
    assert as_planes(np.array([[0, 255, 51]], np.uint8), 1).ravel() == pytest.approx([-1, 1, -0.6])
    colour = np.array([[[0, 51, 255]]], np.uint8)
    assert as_planes(colour, 3).ravel() == pytest.approx([-1, -0.6, 1])
    assert as_planes(colour, 1).ravel() == pytest.approx([-0.2])
    assert (as_planes(np.full((2, 2), 7, np.uint8), 3) == as_planes(np.uint8([[7]]), 1)).all()


def test_a_batch_maps_each_tensor(parts):
    crops = Crops(parts, GEOMETRY, NEITHER)
    batch = batch_of([crops.defect(i, rng(i))[0] for i in range(3)], 1)
    half = batch.map(lambda planes: planes[1:])
    for name in ("image", "masks", "hole", "soft"):
        assert torch.equal(getattr(half, name), getattr(batch, name)[1:])
