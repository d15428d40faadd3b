"""Windows and sites: cases worked by hand, and what must hold for any box, picture and mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from flawsmith.inpaint.hole import hole_of
from flawsmith.inpaint.sites import sites_of
from flawsmith.inpaint.windows import Window, side_for, window_at
from tests.format_helpers import FUZZ

SHARES = st.floats(0, 1)


def grid(*rows):
    return np.array([[cell == "#" for cell in row] for row in rows])


@st.composite
def boxes_in_pictures(draw):
    """A picture's shape and a box inside of it."""
    height, width = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    w, h = draw(st.integers(1, width)), draw(st.integers(1, height))
    x, y = draw(st.integers(0, width - w)), draw(st.integers(0, height - h))
    return (height, width), (x, y, w, h)


def test_windows_by_hand():
    shape, box = (100, 200), (50, 40, 10, 20)
    # The box (50 to 60, 40 to 60) in the middle, then at either end of a window of 32.
    assert window_at(box, shape, 32) == Window(39, 34, 32, 32)
    assert window_at(box, shape, 32, (0, 0)) == Window(28, 28, 32, 32)
    assert window_at(box, shape, 32, (1, 1)) == Window(50, 40, 32, 32)
    # In the lower right corner there is room to the left and above only.
    assert window_at((190, 80, 10, 20), shape, 32) == Window(168, 68, 32, 32)
    # Higher than the picture: centred, as much above as below.
    assert window_at(box, (20, 200), 32) == Window(39, -6, 32, 32)


def test_a_large_defect_gets_a_larger_window():
    assert side_for((0, 0, 24, 10), 32) == 32
    assert side_for((0, 0, 30, 10), 32) == 39  # 1.3 times
    assert side_for((0, 0, 10, 100), 32) == 130
    window = window_at((50, 0, 10, 100), (100, 200), 32)
    assert window == Window(25, -15, 130, 32)
    assert window.scaled
    assert not window_at((50, 0, 10, 20), (100, 200), 32).scaled


@FUZZ
@given(boxes_in_pictures(), st.sampled_from([16, 32, 48]), SHARES, SHARES)
def test_a_window_holds_its_box_and_stays_inside_where_there_is_room(case, size, across, down):
    shape, (x, y, w, h) = case
    window = window_at((x, y, w, h), shape, size, (across, down))
    assert window.size == size
    assert window.side >= max(size, w, h)
    assert window.x <= x
    assert x + w <= window.x + window.side
    assert window.y <= y
    assert y + h <= window.y + window.side
    for start, full in ((window.x, shape[1]), (window.y, shape[0])):
        if full >= window.side:
            assert 0 <= start <= full - window.side
        else:  # sticks out on both sides, alike
            assert abs((-start) - (start + window.side - full)) <= 1


@FUZZ
@given(boxes_in_pictures(), st.sampled_from([16, 32]), SHARES, SHARES, st.booleans())
def test_what_a_window_shows(case, size, across, down, colour):
    shape, box = case
    image = np.random.default_rng(3).integers(0, 256, (*shape, 3) if colour else shape, np.uint8)
    masks = np.random.default_rng(4).random((2, *shape)) < 0.2
    window = window_at(box, shape, size, (across, down))
    if window.scaled:
        assert window.image(image).shape == (size, size, 3)[: image.ndim]
        assert window.masks(masks).shape == (2, size, size)
        return
    # NumPy's own padding: mirrored without the edge itself, nothing marked.
    pad = [(size, size)] * 2
    mirrored = np.pad(image, pad + [(0, 0)] * (image.ndim - 2), "reflect")
    unmarked = np.pad(masks, [(0, 0), *pad])
    there = (
        slice(window.y + size, window.y + 2 * size),
        slice(window.x + size, window.x + 2 * size),
    )
    assert (window.image(image) == mirrored[there]).all()
    assert (window.masks(masks) == unmarked[(slice(None), *there)]).all()
    inside, own = window.inside(shape)
    assert (window.image(image)[own] == image[inside]).all()
    assert window.masks(masks).dtype == np.bool_


def test_a_scaled_window_is_the_mean_of_what_it_covers():
    image = np.random.default_rng(1).integers(0, 256, (64, 64), np.uint8)
    window = Window(0, 0, 64, 32)
    means = image.reshape(32, 2, 32, 2).mean(axis=(1, 3))
    assert np.abs(window.image(image) - means).max() <= 0.5 + 1e-6
    block = np.zeros((1, 64, 64), bool)
    block[0, 8:20, 10:30] = True
    wanted = np.zeros((32, 32), bool)
    wanted[4:10, 5:15] = True
    assert (window.masks(block)[0] == wanted).all()


def test_a_touched_rim_does_not_widen_a_block():
    block = np.zeros((1, 128, 128), bool)
    block[0, 31:97, 32:96] = True  # one row above and below its cells of four: a quarter of each
    block[0, 31, 32:96:2] = block[0, 96, 32:96:2] = False  # now an eighth
    wanted = np.zeros((32, 32), bool)
    wanted[8:24, 8:24] = True
    assert (Window(0, 0, 128, 32).masks(block)[0] == wanted).all()


@FUZZ
@given(
    st.integers(33, 400), st.floats(0, 399), st.floats(0, 399), st.floats(0, np.pi), st.booleans()
)
def test_a_thin_line_never_vanishes_nor_breaks(side, x, y, angle, blob):
    """However much it is scaled, and whatever else the plane marks."""
    mask = np.zeros((1, side, side), bool)
    along = np.arange(-side, side)
    columns = np.rint(x % side + along * np.cos(angle)).astype(int)
    rows = np.rint(y % side + along * np.sin(angle)).astype(int)
    held = (columns >= 0) & (rows >= 0) & (columns < side) & (rows < side)
    mask[0, rows[held], columns[held]] = True
    line = np.argwhere(mask[0])
    if blob:
        mask[0, : side // 3, : side // 3] = True
    seen = Window(0, 0, side, 32).masks(mask)[0]
    around = hole_of(seen, 2)
    cells = np.minimum((line + 0.5) * 32 // side, 31).astype(int)
    assert around[cells[:, 0], cells[:, 1]].all()
    if not blob:
        assert len(sites_of(seen, 1)) == 1


def test_an_empty_mask_stays_empty_when_scaled():
    assert not Window(-5, -5, 50, 32).masks(np.zeros((2, 40, 40), bool)).any()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_change_comes_back_at_the_picture_s_scale(channels):
    change = np.full((32, 32, channels)[: 2 + (channels == 3)], 7.0, np.float32)
    assert Window(0, 0, 32, 32).enlarged(change) is change
    full = Window(3, 4, 70, 32).enlarged(change)
    assert full.shape == (70, 70, 3)[: change.ndim]
    assert full.dtype == np.float32
    assert full == pytest.approx(7, abs=1e-4)
    spot = np.zeros((32, 32), np.float32)
    spot[8, 16] = 1
    peak = np.unravel_index(Window(0, 0, 96, 32).enlarged(spot).argmax(), (96, 96))
    assert peak == (25, 49)  # the middle of the three pixels that the cell stands for


def test_sites_by_hand():
    union = grid(
        "#.......#",
        "........#",
        ".........",
        "..##.....",
    )
    alone = sites_of(union, 0)
    assert [site.box for site in alone] == [(8, 0, 1, 2), (2, 3, 2, 1), (0, 0, 1, 1)]
    # Grown by one: the dot reaches (1, 0) and (0, 1), nothing touches.
    assert len(sites_of(union, 1)) == 3
    # Grown by two, the dot's hole and the dash's touch; the stroke stays alone.
    assert len(sites_of(union, 2)) == 2
    assert sites_of(np.zeros((4, 5), bool), 3) == []


@FUZZ
@given(
    arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24)), fill=st.just(False)),
    st.integers(0, 4),
)
def test_sites_part_the_hole(union, grow):
    counted = np.zeros(union.shape, int)
    sites = sites_of(union, grow)
    for site in sites:
        assert site.hole.shape == (site.box[3], site.box[2])
        # The box is tight: its first and last rows and columns hold something.
        assert site.hole[0].any()
        assert site.hole[-1].any()
        assert site.hole[:, 0].any()
        assert site.hole[:, -1].any()
        counted[site.view] += site.hole
    assert (counted == hole_of(union, grow)).all()
    areas = [int(site.hole.sum()) for site in sites]
    assert areas == sorted(areas, reverse=True)
