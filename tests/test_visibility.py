"""A change counts as visible when a person would see it, not when pixels merely differ."""

import numpy as np
import pytest

from flawsmith.data.visibility import distance_outside, is_visible, visibility


def surface(seed: int, noise: float) -> np.ndarray:
    values = np.random.default_rng(seed).normal(120, noise, (96, 96))
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def disc(radius: int) -> np.ndarray:
    rows, columns = np.mgrid[:96, :96] - 48
    return np.hypot(rows, columns) <= radius


@pytest.mark.parametrize("noise", [2, 5, 10, 20])
@pytest.mark.parametrize("radius", [4, 10, 24])
def test_other_noise_of_the_same_surface_is_no_defect(noise: float, radius: int) -> None:
    mask = disc(radius)
    seen = 0
    for seed in range(20):
        before = surface(seed, noise)
        after = np.where(mask, surface(seed + 100, noise), before)
        assert np.abs(after.astype(int) - before)[mask].mean() > noise * 0.6
        seen += is_visible(before, after, mask)
    assert seen <= 1


@pytest.mark.parametrize("noise", [2, 5, 10, 20])
def test_a_dark_spot_is_a_defect(noise: float) -> None:
    mask = disc(6)
    before = surface(1, noise)
    after = np.where(mask, np.maximum(before, 60) - 60, before).astype(np.uint8)
    assert is_visible(before, after, mask)


def test_a_thin_scratch_under_a_wide_mask_is_a_defect() -> None:
    before = surface(2, 4)
    after = before.copy()
    after[20:70, 48] = 30
    mask = np.zeros((96, 96), bool)
    mask[18:72, 44:53] = True
    assert is_visible(before, after, mask)


def test_a_faint_shift_is_none() -> None:
    before = surface(3, 6)
    assert not is_visible(before, (before - 2 * disc(8)).astype(np.uint8), disc(8))


def test_contrast_of_a_flat_step_by_hand() -> None:
    before = np.full((96, 96), 100, np.uint8)
    after = before.copy()
    after[30:60, 30:60] = 160
    mask = np.zeros((96, 96), bool)
    mask[35:55, 35:55] = True  # inside, so that smoothing changes nothing under the mask
    assert visibility(before, after, mask) == (60.0, 0.0)


def test_distance_is_infinite_without_a_mask() -> None:
    assert np.isinf(distance_outside(np.zeros((4, 5), bool))).all()
