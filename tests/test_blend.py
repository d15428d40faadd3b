"""Tone and seams, by hand."""

import numpy as np
import pytest

from flawsmith.augment.blend import feather, hole_of, match_tone, poisson


def grey(rows):
    return np.array(rows, np.uint8)


def test_feather_by_hand():
    target, patch = np.zeros((1, 7), np.uint8), np.full((1, 7), 90, np.uint8)
    mask = grey([[0, 0, 0, 1, 0, 0, 0]]) > 0
    # Two pixels of seam: 2/3 and 1/3 of the patch, then nothing.
    assert feather(target, patch, mask, 2).tolist() == [[0, 30, 60, 90, 60, 30, 0]]
    assert feather(target, patch, mask, 0).tolist() == [[0, 0, 0, 90, 0, 0, 0]]
    assert hole_of(mask, 2).tolist() == [[False, True, True, True, True, True, False]]
    colour = feather(np.zeros((1, 7, 3), np.uint8), np.dstack([patch] * 3), mask, 2)
    assert colour[0, :, 1].tolist() == [0, 30, 60, 90, 60, 30, 0]


def textured(seed, shape=(40, 50)):
    return np.random.default_rng(seed).integers(90, 130, shape, np.uint8)


@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 3)])
@pytest.mark.parametrize("place", [(15, 20), (0, 0), (28, 40)], ids=["inside", "corner", "end"])
def test_poisson_of_a_shifted_tone_gives_back_the_target(shape, place):
    # Equal gradients and equal boundary: the only solution is the target itself.
    target = textured(1, shape)
    patch = (target + 40).astype(np.uint8)
    mask = np.zeros((40, 50), bool)
    mask[place[0] : place[0] + 12, place[1] : place[1] + 10] = True
    done = poisson(target, patch, mask, 2)
    outside = ~hole_of(mask, 2)
    assert np.array_equal(done[outside], target[outside])
    error = np.abs(done.astype(int) - target)
    inner = np.zeros((40, 50), bool)
    inner[4:-4, 4:-4] = True  # the image's own border is no boundary that is known
    assert error[inner].max() <= 2


def test_poisson_keeps_a_defect_s_contrast():
    target = np.full((40, 50), 150, np.uint8)
    patch = np.full((40, 50), 80, np.uint8)
    mask = np.zeros((40, 50), bool)
    mask[15:25, 20:30] = True
    patch[mask] = 40
    done = poisson(target, patch, mask, 3)
    assert done[mask].mean() == pytest.approx(110, abs=4)


def test_match_tone_closed_form():
    patch = grey([[50] * 10, [60] * 10])
    target = grey([[101] * 10, [200] * 10])
    surface = np.array([[True] * 10, [False] * 10])
    # Gain (101 + 1) / (50 + 1) = 2: 50 becomes 101, and 60 becomes 101 + 10 * 2.
    assert match_tone(patch, surface, target, surface)[:, 0].tolist() == [101, 121]


def test_match_tone_limits_gain_and_range():
    patch, surface = grey([[10] * 10, [20] * 10]), np.array([[True] * 10, [False] * 10])
    bright = np.full((2, 10), 200, np.uint8)
    assert match_tone(patch, surface, bright, surface)[:, 0].tolist() == [200, 220]  # gain 2
    dark = np.full((2, 10), 1, np.uint8)
    down = match_tone(grey([[200] * 10, [20] * 10]), surface, dark, surface)
    assert down[:, 0].tolist() == [1, 0]  # gain 0.5, clipped at black


def test_match_tone_needs_surface_in_both():
    patch, target = grey([[50] * 10]), grey([[99] * 10])
    few, all_of_it = np.array([[True] * 7 + [False] * 3]), np.ones((1, 10), bool)
    assert np.array_equal(match_tone(patch, few, target, all_of_it), patch)
    assert np.array_equal(match_tone(patch, all_of_it, target, few), patch)


def test_match_tone_treats_channels_apart():
    patch = np.full((1, 10, 3), (50, 100, 150), np.uint8)
    target = np.full((1, 10, 3), (99, 100, 75), np.uint8)
    everything = np.ones((1, 10), bool)
    done = match_tone(patch, everything, target, everything)
    assert done[0, 0].tolist() == [99, 100, 75]
