"""Surfaces: golden boxes by hand, every rectangle of small grids, and what is cut out."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.augment.region import foreground
from flawsmith.data.cache import SampleCache
from flawsmith.data.surfaces import (
    CELL,
    MARGIN,
    Surface,
    cut,
    free_cells,
    has_surface,
    largest_free,
    notices_of,
    rectangles,
    region_of,
    surfaces_of,
)
from flawsmith.errors import InputError
from flawsmith.sample import Sample
from tests.augment_helpers import make_parts, part, surface, write_scan
from tests.format_helpers import FUZZ


def marks(shape, *boxes):
    """Return (H, W) bool with each box (x0, y0, x1, y1) marked."""
    union = np.zeros(shape, bool)
    for x0, y0, x1, y1 in boxes:
        union[y0:y1, x0:x1] = True
    return union


@pytest.mark.parametrize(
    ("shape", "boxes", "wanted", "box"),
    [
        # Nothing marked: all of it, though the last cells are cut.
        ((45, 61), [], 16, (0, 0, 61, 45)),
        # The mark's cells are columns 2 and 3, with the margin 1 to 4: right of it is most room.
        ((48, 64), [(16, 8, 32, 40)], 16, (40, 0, 24, 48)),
        # One pixel blocks three columns of cells, and all but the first and the last row.
        ((40, 96), [(48, 20, 49, 21)], 16, (0, 0, 40, 40)),
        # As wide on both sides: the left one counts.
        ((40, 88), [(44, 20, 45, 21)], 16, (0, 0, 32, 40)),
        # Above and below: the upper one.
        ((88, 40), [(20, 44, 21, 45)], 16, (0, 0, 40, 32)),
        # Left 32 by 64, below 128 by 24: the larger, unless its sides are too short.
        ((64, 128), [(40, 0, 128, 32)], 24, (0, 40, 128, 24)),
        ((64, 128), [(40, 0, 128, 32)], 32, (0, 0, 32, 64)),
        # No side of 64 anywhere, so one of 16 will do, but none of 12.
        ((64, 40), [(0, 20, 40, 22)], 64, (0, 32, 40, 32)),
        ((40, 64), [(24, 16, 64, 24)], 64, (0, 0, 16, 40)),
        ((40, 64), [(20, 16, 64, 24)], 64, None),
        ((40, 64), [(0, 0, 64, 40)], 0, None),
    ],
)
def test_boxes_by_hand(shape, boxes, wanted, box):
    assert largest_free(marks(shape, *boxes), wanted) == box


def test_the_margin_to_the_pixel():
    # Column 1 is pixels 8 to 15: a mark nine pixels away leaves it free, one eight away does not.
    for x, free in [(25, True), (24, True), (23, False), (0, False)]:
        assert free_cells(marks((48, 64), (x, 16, x + 1, 17)))[2, 1] == free
    alone = free_cells(marks((48, 64), (24, 24, 25, 25)))
    assert np.argwhere(~alone).tolist() == [[r, c] for r in (2, 3, 4) for c in (2, 3, 4)]


def by_brute_force(union, wanted, shown):
    """Return the best box by trying all rectangles of cells, with the margin taken in pixels."""
    height, width = union.shape
    ys, xs = ([*range(0, n, CELL), n] for n in union.shape)
    for least in (wanted, wanted // 4):
        found = []
        for top in range(len(ys) - 1):
            for bottom in range(top + 1, len(ys)):
                for left in range(len(xs) - 1):
                    for right in range(left + 1, len(xs)):
                        x, y, w, h = xs[left], ys[top], xs[right] - xs[left], ys[bottom] - ys[top]
                        near = union[
                            max(0, y - MARGIN) : min(height, y + h + MARGIN),
                            max(0, x - MARGIN) : min(width, x + w + MARGIN),
                        ]
                        area = int(shown[y : y + h, x : x + w].sum())
                        if not near.any() and min(w, h) >= least and area >= max(1, least**2):
                            found.append((-area, y, x, -w, -h))
        if found:
            _, y, x, w, h = min(found)
            return x, y, -w, -h
    return None


@FUZZ
@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(0, 4),
    st.sampled_from([0, 8, 16, 30, 48, 100]),
    st.integers(0, 10**6),
)
def test_no_rectangle_is_better(height, width, count, wanted, seed):
    generator = np.random.default_rng(seed)
    union = np.zeros((height, width), bool)
    for _ in range(count):
        y, x = generator.integers(height), generator.integers(width)
        union[y : y + generator.integers(1, 12), x : x + generator.integers(1, 12)] = True
    assert largest_free(union, wanted) == by_brute_force(union, wanted, np.ones_like(union))


@FUZZ
@given(st.integers(1, 7), st.integers(1, 9), st.floats(0, 1), st.integers(0, 10**6))
def test_every_rectangle_that_cannot_grow_is_found(rows, columns, share, seed):
    free = np.random.default_rng(seed).random((rows, columns)) >= share
    found = {tuple(box) for box in rectangles(free).T.tolist()}
    for left, top, right, bottom in found:
        assert left < right
        assert top < bottom
        assert free[top:bottom, left:right].all()
    for top in range(rows):
        for bottom in range(top + 1, rows + 1):
            for left in range(columns):
                for right in range(left + 1, columns + 1):
                    grown = [
                        (left - 1, top, right, bottom),
                        (left, top - 1, right, bottom),
                        (left, top, right + 1, bottom),
                        (left, top, right, bottom + 1),
                    ]
                    stuck = all(
                        min(x0, y0) < 0 or x1 > columns or y1 > rows or not free[y0:y1, x0:x1].all()
                        for x0, y0, x1, y1 in grown
                    )
                    if free[top:bottom, left:right].all() and stuck:
                        assert (left, top, right, bottom) in found


def test_the_box_shows_most_of_the_part():
    union = marks((64, 160), (60, 0, 68, 64))
    assert largest_free(union, 32) == (80, 0, 80, 64)
    there = marks((64, 160), (0, 0, 90, 64))  # the rest is bench
    assert largest_free(union, 32, there) == (0, 0, 48, 64)
    # Too little of the part for the sides wanted, enough for a quarter of them; then none at all.
    corner = marks((64, 160), (140, 44, 160, 64))
    assert largest_free(union, 32, corner) == (80, 0, 80, 64)
    assert largest_free(union, 100, corner) is None
    assert largest_free(union, 32, np.zeros_like(union)) is None


@pytest.fixture(scope="module")
def worn(tmp_path_factory):
    """Six defective parts and one without a mark that nobody calls clean."""
    samples = [sample for sample in make_parts() if sample.label == "defective"]
    samples.append(replace(part("dull", image=surface(40)), label="unknown"))
    return write_scan(tmp_path_factory.mktemp("worn") / "set", samples)


def test_clean_samples_are_all_there_is(tmp_path, monkeypatch):
    found = write_scan(tmp_path / "set", make_parts())
    monkeypatch.setattr(type(found.dataset), "__getitem__", None)  # nothing is decoded
    good = found.where("good")
    assert surfaces_of(found, 64) == tuple(Surface(index) for index in good)
    assert has_surface(found, 64)
    assert notices_of(found, surfaces_of(found, 64)) == ()
    assert Surface(good[0]).size(found) == (64, 48)


def test_each_defective_sample_lends_a_box(worn):
    surfaces = surfaces_of(worn, 24)
    assert [worn.facts[s.sample].label for s in surfaces] == ["defective"] * 6
    for found in surfaces:
        sample = worn.dataset[found.sample]
        x, y, w, h = found.box
        near = np.s_[max(0, y - MARGIN) : y + h + MARGIN, max(0, x - MARGIN) : x + w + MARGIN]
        assert not sample.union[near].any()
        assert found.size(worn) == (w, h)
        assert min(w, h) >= 24
        # Pits lie at (13..20, 9..14); streaks at (40..55, 34..38), with as much above as beside.
        assert found.box == ((32, 0, 32, 48) if sample.masks[0].any() else (0, 0, 64, 24))
    told = "no clean image: 6 defect-free regions of 6 defective images are painted on"
    assert notices_of(worn, surfaces) == (told,)


def test_any_number_of_workers_finds_the_same(worn):
    alone = surfaces_of(worn, 24, part=foreground)
    assert surfaces_of(worn, 24, workers=3, part=foreground) == alone
    assert surfaces_of(worn, 24) == alone


def test_none_is_free(tmp_path, worn):
    wide = part("wide", [(0, (20, 16, 44, 32))], image=surface(3))
    found = write_scan(tmp_path / "set", [wide])
    assert surfaces_of(found, 64) == ()
    assert not has_surface(found, 64)
    assert notices_of(found, ()) == ()
    unknown = worn.select(worn.where("unknown"))
    assert surfaces_of(unknown, 8) == ()
    assert not has_surface(unknown, 8)
    assert has_surface(worn, 64)  # sides of 16 at least
    assert not has_surface(worn, 200)


def test_what_is_cut_is_a_clean_sample_of_its_own():
    whole = part("worn", [(0, (10, 8, 18, 14)), (1, (40, 30, 50, 33))], image=surface(1, rgb=True))
    whole = replace(whole, meta={"region": "his own", "source": "x"})
    piece = cut(whole, (20, 3, 16, 40))
    assert (piece.id, piece.group, piece.label) == (whole.id, whole.group, "good")
    assert piece.meta == {"region": [20, 3, 16, 40]}
    assert region_of(piece.meta) == (20, 3, 16, 40)
    assert np.array_equal(piece.image, whole.image[3:43, 20:36])
    assert piece.image.flags.c_contiguous
    assert not np.shares_memory(piece.image, whole.image)
    assert piece.masks.shape == (2, 40, 16)
    assert not piece.masks.any()


def test_a_surface_of_its_sample(worn):
    samples = SampleCache(worn.dataset)
    (index, *_) = worn.where("defective")
    box = Surface(index, (32, 0, 32, 48))
    assert box.of(samples[index]).meta == {"region": [32, 0, 32, 48]}
    clean = replace(part("clean", image=surface(1)), meta={"region": [0, 0, 4, 4], "by": "hand"})
    assert Surface(0).of(clean).meta == {}
    # But what made a generated one stays, as far as it is plain.
    told = {"method": "gen", "run": "r", "weights": "0a", "seed": 4, "index": [1], "region": [0, 0]}
    made = Surface(0).of(replace(clean, meta=told))
    assert made.meta == {"generated": {"run": "r", "weights": "0a", "seed": 4}}
    assert np.array_equal(Surface(0).of(clean).image, clean.image)


@pytest.mark.parametrize(
    "box",
    [
        (-1, 0, 5, 5),
        (0, -1, 5, 5),
        (60, 0, 5, 5),
        (0, 44, 5, 5),
        (0, 0, 0, 5),
        (0, 0, 5, -1),
        (0, 0, 10**30, 1),
    ],
)
def test_a_box_that_leaves_the_image(box):
    with pytest.raises(InputError, match=r"worn: the region \[.*\] .* leaves the image of 64x48$"):
        cut(part("worn", image=surface(1)), box)


def test_a_box_that_holds_a_defect():
    worn = part("worn", [(1, (10, 8, 18, 14))], image=surface(1))
    assert isinstance(cut(worn, (18, 8, 10, 10)), Sample)
    with pytest.raises(InputError, match="holds a marked defect"):
        cut(worn, (17, 8, 10, 10))


@pytest.mark.parametrize(
    "region", ["0,0,8,8", [0, 0, 8], [0, 0, 8, 8, 8], [0, 0, 8.0, 8], [0, 0, True, 8], {"x": 0}, 7]
)
def test_a_region_that_nobody_cut(region):
    assert region_of({}) is None
    assert region_of({"region": [1, 2, 3, 4]}) == (1, 2, 3, 4)
    with pytest.raises(InputError, match="no list of x, y, width and height"):
        region_of({"region": region})
