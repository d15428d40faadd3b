"""The part's own area, and places within it."""

import pickle

import cv2
import numpy as np
import pytest

from flawsmith.augment import region as regions
from flawsmith.augment.region import Region, Regions, Wish, foreground, places
from flawsmith.data.images import write_png
from flawsmith.data.surfaces import Surface
from flawsmith.data.visibility import to_grey
from flawsmith.errors import InputError
from tests.augment_helpers import surface


def test_the_dark_margin_of_a_strip_is_left_out():
    strip = surface(0, level=120)
    strip[:, :15] = 3
    found = foreground(strip)
    assert not found[:, :15].any()
    assert found[:, 19:].all()


def test_a_white_light_table_is_left_out():
    table = np.full((60, 80), 255, np.uint8)
    table[15:45, 20:60] = surface(1)[:30, :40]
    found = foreground(table)
    assert not found[:14].any()
    assert not found[:, :19].any()
    assert found[18:42, 23:57].all()


def test_a_glare_that_meets_a_border_belongs_to_the_part():
    part = surface(2)
    part[10:30, 40:] = 255
    assert foreground(part).all()


def test_a_dark_hole_inside_belongs_to_the_part():
    part = surface(3)
    part[20:30, 20:30] = 0
    assert foreground(part).all()


@pytest.mark.parametrize("level", [0, 255])
def test_a_picture_of_one_extreme_is_all_part(level):
    assert foreground(np.full((30, 40), level, np.uint8)).all()
    assert foreground(np.full((30, 40, 3), level, np.uint8)).all()


def by_hand(image):
    """The same margin, found plainly: a sorted median, and every piece measured."""
    grey = cv2.medianBlur(image if image.ndim == 2 else to_grey(image), 5)

    def margin(area):
        _, labels = cv2.connectedComponents(area.astype(np.uint8), connectivity=4)
        found = np.zeros(area.shape, bool)
        edge = np.ones(area.shape, bool)
        edge[1:-1, 1:-1] = False
        for label in set(labels[edge].tolist()) - {0}:
            if (labels == label).sum() >= 0.01 * area.size:
                found |= labels == label
        return found, found[edge].mean()

    found, _ = margin(grey <= max(12, float(np.median(grey)) / 4))
    bright, share = margin(grey >= 250)
    found |= bright & (share > 0.5)
    if not 0.01 <= found.mean() <= 0.95:
        return np.ones(grey.shape, bool)
    return cv2.dilate(found.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0


def test_quick_and_plain_ways_find_the_same_part():
    generator = np.random.default_rng(0)
    cut = 0
    for seed in range(60):
        image = surface(seed, level=int(generator.integers(30, 220)), rgb=seed % 3 == 0)
        for _ in range(int(generator.integers(0, 6))):
            (y, x), (h, w) = generator.integers(0, (44, 60)), generator.integers(2, 40, 2)
            image[y : y + h, x : x + w] = generator.choice([0, 10, 20, 251, 255])
            image[: int(generator.integers(0, 3)) * 4] = 2
        assert np.array_equal(foreground(image), by_hand(image))
        cut += not foreground(image).all()
    assert cut > 10


def test_a_region_of_interest_that_cannot_be_used(tmp_path):
    write_png(tmp_path / "small.png", np.full((10, 10), 255, np.uint8))
    write_png(tmp_path / "empty.png", np.zeros((48, 64), np.uint8))
    image = surface(0)
    with pytest.raises(InputError, match=r"small\.png: .* is 10x10, an image 64x48 \(mend: "):
        Region(tmp_path / "small.png").of(image)
    with pytest.raises(InputError, match=r"empty\.png: .* is empty"):
        Region(tmp_path / "empty.png").of(image)
    with pytest.raises(InputError, match=r"none\.png"):
        Region(tmp_path / "none.png").of(image)


def drawn(mask, region, taken, wish=None, seeds=40, wanted=3):
    for seed in range(seeds):
        spots = places(np.random.default_rng(seed), mask, region, taken, wish or Wish(), wanted)
        assert len(spots) <= wanted
        yield from spots


def test_places_lie_in_the_region_and_on_nothing_taken():
    region, taken = np.zeros((30, 40), bool), np.zeros((30, 40), bool)
    region[4:20, 5:36] = True
    taken[8:14, 15:20] = True
    # An L: its empty corner may cover what is taken.
    mask = np.ones((5, 6), bool)
    mask[:3, 2:] = False
    spots = set(drawn(mask, region, taken))
    assert len(spots) > 40
    for row, column in spots:
        cover = np.zeros((30, 40), bool)
        cover[row : row + 5, column : column + 6] = mask
        assert not (cover & (taken | ~region)).any()
    covered = {(row, column) for row, column in spots if taken[row : row + 3, column + 2 :].any()}
    assert covered


def test_no_place_where_it_cannot_fit():
    everywhere, nothing = np.ones((30, 40), bool), np.zeros((30, 40), bool)
    assert not list(drawn(np.ones((31, 5), bool), everywhere, nothing))
    assert not list(drawn(np.ones((5, 41), bool), everywhere, nothing))
    assert not list(drawn(np.ones((3, 3), bool), everywhere, everywhere))
    assert not list(drawn(np.ones((3, 3), bool), nothing, nothing))
    assert set(drawn(np.ones((30, 40), bool), everywhere, nothing)) == {(0, 0)}


def test_a_cut_defect_returns_to_its_border():
    everywhere, nothing = np.ones((30, 40), bool), np.zeros((30, 40), bool)
    mask = np.ones((4, 6), bool)
    bottom = set(drawn(mask, everywhere, nothing, Wish(frozenset({"bottom"}))))
    assert {row for row, _ in bottom} == {26}
    assert len({column for _, column in bottom}) > 10
    corner = set(drawn(mask, everywhere, nothing, Wish(frozenset({"top", "right"}))))
    assert corner == {(0, 34)}


def test_a_wish_for_a_centre():
    everywhere, nothing = np.ones((100, 200), bool), np.zeros((100, 200), bool)
    spots = np.array(
        list(drawn(np.ones((10, 20), bool), everywhere, nothing, Wish(centre=(0.25, 0.7))))
    )
    # Half the mask's size before the centre (x 50, y 70), with 5% of spread.
    assert spots.mean(axis=0) == pytest.approx([65, 40], abs=3)
    assert spots.std(axis=0) == pytest.approx([5, 10], rel=0.35)


def strip(seed):
    """A strip whose left 15 columns are black."""
    image = surface(seed, level=120)
    image[:, :15] = 3
    return image


def test_a_region_is_found_once_and_kept(monkeypatch):
    found, inner = [], regions.foreground
    monkeypatch.setattr(regions, "foreground", lambda image: found.append(1) or inner(image))
    kept = Regions()
    # A box that lies on the margin alone would be all part if it were looked at by itself.
    surfaces = [Surface(0), Surface(0, (8, 4, 21, 30)), Surface(1), Surface(0, (0, 0, 8, 8))]
    views = [np.s_[:, :], np.s_[4:34, 8:29], np.s_[:, :], np.s_[:8, :8]]
    for _ in range(3):
        for item, view in zip(surfaces, views, strict=True):
            mask = kept.of(item, strip(item.sample))
            assert mask.dtype == np.bool_
            assert np.array_equal(mask, inner(strip(item.sample))[view])
    assert len(found) == 4
    assert not kept.of(surfaces[3], strip(0)).any()
    # Sent to a worker it travels empty, with the same settings.
    assert len(pickle.dumps(kept)) < 300
    pickle.loads(pickle.dumps(kept)).of(surfaces[0], strip(0))
    assert len(found) == 5


def test_what_does_not_fit_is_found_each_time(monkeypatch):
    found, inner = [], regions.foreground
    monkeypatch.setattr(regions, "foreground", lambda image: found.append(1) or inner(image))
    kept = Regions(limit=48 * 8 + 100)  # one region of 64x48, as bits
    for _ in range(3):
        for index in (0, 1):
            assert np.array_equal(kept.of(Surface(index), strip(index)), inner(strip(index)))
    assert len(found) == 1 + 3


def test_a_users_region_is_cut_like_the_image(tmp_path):
    write_png(tmp_path / "roi.png", np.tri(48, 64, dtype=np.uint8) * 255)
    kept = Regions(tmp_path / "roi.png")
    box = Surface(0, (10, 5, 30, 40))
    for _ in range(2):
        assert np.array_equal(kept.of(box, surface(0)), np.tri(48, 64)[5:45, 10:40] > 0)
    with pytest.raises(InputError, match="an image 64x40"):
        kept.of(Surface(1, (0, 0, 8, 8)), surface(0)[:40])
