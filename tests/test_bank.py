"""The bank of real defects: what counts as one, how it is drawn, cut out and varied."""

from collections import Counter

import numpy as np
import pytest

from flawsmith.augment.bank import MARGIN, Cutout, cut_out, draw_entry, make_bank, vary
from flawsmith.augment.blend import hole_of
from flawsmith.augment.settings import AugmentSettings
from flawsmith.data.cache import SampleCache
from tests.augment_helpers import part, surface, write_scan


def test_pits_within_twelve_pixels_are_one_defect(tmp_path):
    near = [(0, (x, 10, x + 3, 13)) for x in (4, 19, 34)]  # gaps of 12 pixels
    far = [(0, (55, 40, 58, 43)), (1, (37, 10, 40, 14))]  # 27 away; of another class
    speck = [(0, (4, 44, 6, 45))]  # two pixels: no defect to speak of
    found = write_scan(tmp_path / "set", [part("p", [*near, *far, *speck], image=surface(0))])
    bank = make_bank(found, (0, 1))
    ((sample, entries),) = bank[0]
    assert sample == 0
    assert {entry.box for entry in entries} == {(4, 10, 37, 13), (55, 40, 58, 43)}
    assert [entry.box for entry in bank[1][0][1]] == [(37, 10, 40, 14)]


def test_every_image_weighs_the_same(tmp_path):
    many = [(0, (x, y, x + 3, y + 3)) for x in (2, 22, 42) for y in (2, 22, 42)]
    few = [(0, (30, 20, 36, 26))]
    samples = [part("many", many, image=surface(0)), part("few", few, image=surface(1))]
    bank = make_bank(write_scan(tmp_path / "set", samples), (0,))
    assert [len(entries) for _, entries in bank[0]] == [1, 9]
    generator = np.random.default_rng(0)
    drawn = Counter(draw_entry(generator, bank, 0).sample for _ in range(600))
    assert drawn[0] == pytest.approx(300, abs=60)


def entry_of(tmp_path, marks, plane=0):
    found = write_scan(tmp_path / "set", [part("p", marks, image=surface(0))])
    bank = make_bank(found, (0, 1))
    return SampleCache(found.dataset), bank[plane][0][1][0]


def test_cut_out_takes_the_defect_with_its_surface(tmp_path):
    samples, entry = entry_of(tmp_path, [(0, (20, 16, 26, 21)), (1, (30, 16, 34, 20))])
    cutout = cut_out(samples, entry)
    assert cutout.mask.shape == (5 + 2 * MARGIN, 6 + 2 * MARGIN)
    assert cutout.mask.sum() == 30
    assert np.array_equal(cutout.image, samples[0].image[4:33, 8:38])
    assert cutout.touches == frozenset()
    assert cutout.centre == (23 / 64, 18.5 / 48)
    # Plain surface is what lies clear of both defects.
    columns = np.flatnonzero(~cutout.clean.all(axis=0)) + 8
    assert columns.tolist() == list(range(17, 37))


def test_cut_out_continues_the_surface_where_the_photo_ends(tmp_path):
    samples, entry = entry_of(tmp_path, [(0, (3, 0, 9, 6))])
    cutout = cut_out(samples, entry)
    assert cutout.touches == {"top"}
    # Nothing above, a full margin elsewhere, of which the photo has three columns at the left.
    assert cutout.mask.shape == (6 + MARGIN, 6 + 2 * MARGIN)
    assert cutout.mask[0, MARGIN]
    left = cutout.image[:, : MARGIN - 3]
    assert np.array_equal(left, np.repeat(cutout.image[:, MARGIN - 3 : MARGIN - 2], 9, axis=1))
    assert not cutout.clean[:, : MARGIN - 3].any()


def round_cutout(touches=frozenset()):
    rows, columns = np.mgrid[:60, :70]
    mask = np.hypot((rows - 30) / 14, (columns - 33) / 18) < 1
    mask[20:24, 45:58] = True  # a nose, so that flips and turns show
    image = (mask * 255).astype(np.uint8)
    return Cutout(image, mask, ~mask, frozenset(touches), (0.2, 0.6))


def test_vary_moves_image_and_mask_as_one():
    settings = AugmentSettings(method="paste", elastic=0.3, rotate=90, scale=(0.5, 2))
    sizes = []
    for seed in range(60):
        done = vary(np.random.default_rng(seed), round_cutout(), settings)
        # Farther out lies the surface reflected, of which a seam takes nothing.
        bright = (done.image > 127) & hole_of(done.mask, 4)
        both, either = (bright & done.mask).sum(), (bright | done.mask).sum()
        assert both / either > 0.93  # bilinear and nearest differ along the edge alone
        assert not (done.clean & done.mask).any()
        sizes.append(done.mask.sum() / round_cutout().mask.sum())
    # Areas follow the square of the scale.
    assert 0.1 < min(sizes) < 0.5
    assert 2 < max(sizes) < 4.5


def test_vary_without_any_change_flips_at_most():
    settings = AugmentSettings(method="paste", elastic=0, rotate=0, scale=(1, 1))
    seen = set()
    for seed in range(20):
        done = vary(np.random.default_rng(seed), round_cutout(), settings)
        flips = [(a, b) for a in (1, -1) for b in (1, -1)]
        matching = [
            (a, b) for a, b in flips if np.array_equal(done.mask, round_cutout().mask[::a, ::b])
        ]
        assert len(matching) == 1
        down, across = matching[0]
        assert done.centre == (0.2 if across == 1 else 0.8, 0.6 if down == 1 else 0.4)
        seen |= set(matching)
    assert len(seen) == 4


def test_a_defect_cut_by_a_border_is_only_flipped():
    settings = AugmentSettings(method="paste", rotate=45, elastic=0.5, scale=(0.5, 2))
    sides = set()
    for seed in range(20):
        done = vary(np.random.default_rng(seed), round_cutout({"left", "top"}), settings)
        assert done.mask.sum() == round_cutout().mask.sum()
        assert done.image.shape == (60, 70)
        sides.add(done.touches)
    assert sides == {frozenset({a, b}) for a in ("left", "right") for b in ("top", "bottom")}
