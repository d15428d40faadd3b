"""The hole and its soft edge: masks worked by hand, and what must hold of any mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from flawsmith.data.visibility import distance_outside
from flawsmith.inpaint.hole import SMALL, hole_of, soft_of
from flawsmith.seeding import rng


def grid(*rows):
    return np.array([[cell == "#" for cell in row] for row in rows])


def test_growing_a_point_gives_a_disc():
    point = grid(".......", ".......", ".......", "...#...", ".......", ".......", ".......")
    disc = grid(".......", "...#...", "..###..", ".#####.", "..###..", "...#...", ".......")
    assert (hole_of(point, 2) == disc).all()
    assert (hole_of(point, 0) == point).all()


def test_no_mask_no_hole():
    empty = np.zeros((5, 7), bool)
    assert not hole_of(empty, 3).any()
    assert not soft_of(hole_of(empty, 3), 2).any()


def test_the_edge_rises_smoothly_inside():
    hole = grid("..........", ".#########")  # the bottom row's hole runs to the picture's edge
    hole = np.repeat(hole[1:], 9, axis=0)
    soft = soft_of(hole, 4)
    # One to four pixels deep: 3 t^2 - 2 t^3 at a quarter, a half, three quarters, one.
    wanted = [0, 0.15625, 0.5, 0.84375, 1, 1, 1, 1, 1, 1]
    assert soft.dtype == np.float32
    assert soft == pytest.approx(np.tile(wanted, (9, 1)))


def test_the_picture_s_edge_is_no_edge_of_the_hole():
    assert (soft_of(np.ones((4, 6), bool), 3) == 1).all()
    cut = np.zeros((20, 20), bool)
    cut[:8, 5:15] = True
    soft = soft_of(cut, 3)
    assert (soft[0, 7:13] == 1).all()
    assert (soft[0] == soft[1]).all()


@pytest.mark.parametrize("feather", [0, 1])
def test_no_feather_is_the_hole(feather):
    hole = hole_of(grid(".....", "..#..", "....."), 1)
    assert (soft_of(hole, feather) == hole).all()


@given(
    arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24))),
    st.integers(0, 7),
    st.integers(0, 7),
)
def test_any_mask(mask, grow, less):
    hole = hole_of(mask, grow)
    soft = soft_of(hole, max(0, grow - less))
    assert (soft[~hole] == 0).all()
    assert (soft[hole] > 0).all()
    assert soft.max() <= 1
    assert (soft[mask] == 1).all()


@given(arrays(bool, (11, 13)), st.integers(0, 6))
def test_the_hole_is_what_lies_within_reach(mask, grow):
    rows, columns = np.nonzero(mask)
    r, c = np.mgrid[:11, :13]
    near = (r[..., None] - rows) ** 2 + (c[..., None] - columns) ** 2 <= grow**2
    assert (hole_of(mask, grow) == near.any(axis=-1)).all()


@pytest.mark.parametrize("grow", [0, 3, SMALL, SMALL + 1, 20])
def test_what_lies_around_the_box_changes_nothing(grow):
    """Hole and edge are made in the mask's box alone; against distances over the whole picture."""
    generator = rng(0, "boxes", grow)
    for _ in range(30):
        mask = np.zeros((60, 90), bool)
        for _ in range(generator.integers(1, 4)):
            (y, x), (h, w) = generator.integers(0, (60, 90)), generator.integers(1, 30, 2)
            mask[y : y + h, x : x + w] = generator.random() < 0.7
            mask[y, x] = True
        hole = hole_of(mask, grow)
        assert (hole == (distance_outside(mask) <= grow)).all()
        assert hole.dtype == bool
        depth = np.minimum(distance_outside(~hole) / max(grow, 1), 1)
        assert soft_of(hole, grow) == pytest.approx(depth**2 * (3 - 2 * depth), abs=1e-6)


def test_a_part_is_as_deep_as_in_the_whole():
    # Far from the cut, a crop's edge and hole are the whole picture's.
    mask = np.zeros((40, 40), bool)
    mask[18:22, 10:30] = True
    hole = hole_of(mask, 5)
    assert (soft_of(hole, 4)[5:35, 2:38] == soft_of(hole_of(mask[5:35, 2:38], 5), 4)).all()
