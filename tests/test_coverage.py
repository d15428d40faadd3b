"""Precision, recall, density, coverage: a line worked out by hand, prdc, ties, blocks."""

import numpy as np
import pytest
from prdc import compute_prdc

from flawsmith.evaluate import neighbours
from flawsmith.evaluate.coverage import Coverage, coverage


def features(seed, count, dimensions=8, scale=1.0, shift=0.0):
    return np.random.default_rng(seed).normal(shift, scale, (count, dimensions))


def agrees_with_prdc(real, made, k):
    found, expected = coverage(real, made, k), compute_prdc(real, made, k)
    assert found.precision == expected["precision"]
    assert found.recall == expected["recall"]
    assert found.coverage == expected["coverage"]
    assert found.density == pytest.approx(expected["density"], rel=1e-12)
    return found


def on_line(*places):
    return np.array(places, float)[:, None]


def test_a_line_worked_out_by_hand():
    # Radii to the nearest other: real 1, 1, 4; made 1, 1, 14.
    real, made = on_line(0, 1, 5), on_line(1.5, 2.5, 16.5)
    # Made 1.5 is in the balls of 1 and 5, 2.5 in that of 5, 16.5 in none. Real 1 and 5 have one.
    # Real 0 is in none of the made balls, 1 in that of 1.5, 5 in that of 16.5.
    assert coverage(real, made, k=1) == Coverage(2 / 3, 2 / 3, 1.0, 2 / 3)


def test_a_border_is_outside():
    real, made = on_line(0, 1), on_line(2, 12)
    # 2 is on the border of real 1's ball; the made balls, of radius 10, hold both real ones.
    assert coverage(real, made, k=1) == Coverage(0.0, 1.0, 0.0, 0.0)
    assert coverage(real, on_line(1.875, 12), k=1) == Coverage(0.5, 1.0, 0.5, 0.5)


@pytest.mark.parametrize("k", [1, 3, 5, 38])  # prdc has no 39, the most that 40 samples allow
def test_prdc(k):
    found = agrees_with_prdc(features(0, 60), features(1, 40, scale=0.8, shift=0.4), k)
    assert 0 < found.coverage <= 1


@pytest.mark.parametrize("seed", range(5))
def test_prdc_on_a_grid_full_of_ties_and_duplicates(seed):
    # Small whole numbers: distances are exact on both sides, and most are equal to others.
    generator = np.random.default_rng(seed)
    real = generator.integers(0, 4, (70, 3)).astype(float)
    made = generator.integers(1, 5, (50, 3)).astype(float)
    agrees_with_prdc(real, made, 3)


def test_blocks_change_nothing(monkeypatch):
    real, made = features(0, 60), features(1, 40, shift=0.4)
    whole = coverage(real, made)
    monkeypatch.setattr(neighbours, "BLOCK", 130)  # two or three rows at a time
    assert coverage(real, made) == whole


@pytest.mark.parametrize("shift", [0, 0.1, 1000.1])
def test_rounding_puts_no_copy_on_a_border_inside(shift):
    # Each ball of a copied set holds its centre and k - 1 others; the k-th lies on the border.
    real = features(0, 200, 64) + shift
    found = coverage(real, np.random.default_rng(1).permutation(real), k=5)
    assert found == Coverage(1.0, 1.0, 1.0, 1.0)


def test_sets_far_apart_share_nothing():
    assert coverage(features(0, 20), features(1, 20, shift=100)) == Coverage(0.0, 0.0, 0.0, 0.0)


def test_a_collapsed_set():
    real = features(0, 30)
    # All made ones in one place, within the ball of the real one there: precise, and no recall.
    found = coverage(real, np.repeat(real[:1], 20, axis=0))
    assert (found.precision, found.recall) == (1.0, 0.0)
    assert found.coverage < 0.5
    # Balls without extent hold nothing, not even their centre.
    assert coverage(np.ones((9, 4)), np.ones((9, 4))) == Coverage(0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(("real", "made", "k"), [(5, 9, 5), (9, 5, 5), (9, 9, 0), (9, 9, -1)])
def test_too_few_samples(real, made, k):
    with pytest.raises(ValueError, match=f"k = {k} for {real} real and {made} made"):
        coverage(features(0, real), features(1, made), k)


def test_unusable_features():
    with pytest.raises(ValueError, match="8 and of 3 dimensions"):
        coverage(features(0, 9), features(1, 9, 3))
    with pytest.raises(ValueError, match="NaN"):
        coverage(features(0, 9), features(1, 9) * np.nan)
