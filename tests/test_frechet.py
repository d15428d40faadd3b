"""The Frechet distance: pytorch-fid, torch-fidelity, exact Gaussians, symmetries, hard input."""

import warnings

import numpy as np
import pytest
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_fid import (
    KEY_METRIC_FID,
    fid_features_to_statistics,
    fid_statistics_to_metric,
)

from flawsmith.evaluate.frechet import frechet_distance


def features(seed, count, dimensions, scale=1.0, shift=0.0):
    """Normal features with a spread that differs a dimension by a factor of up to 4."""
    spread = np.linspace(0.5, 2, dimensions) * scale
    return np.random.default_rng(seed).normal(shift, spread, (count, dimensions))


def with_moments(seed, count, mean, covariance):
    """Features whose sample mean and covariance (divisor N - 1) are exactly the given ones."""
    raw = np.random.default_rng(seed).normal(size=(count, len(mean)))
    white, _ = np.linalg.qr(raw - raw.mean(axis=0))
    return white * np.sqrt(count - 1) @ np.linalg.cholesky(covariance).T + np.asarray(mean)


def pytorch_fid(a, b):
    """pytorch-fid on the sample moments of both.

    With fewer samples than dimensions the product of the covariances is singular. SciPy still
    finds its root then, to about 1e-8 in each missing direction: pytorch-fid's way out of adding
    1e-6 to the diagonals, which would change the distance itself, stays unused.
    """
    moments = [m for x in (a, b) for m in (x.mean(axis=0), np.cov(x, rowvar=False))]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The `disp` argument", DeprecationWarning)
        return calculate_frechet_distance(*moments)


def torch_fidelity(a, b):
    found = [fid_features_to_statistics(torch.from_numpy(x)) for x in (a, b)]
    return fid_statistics_to_metric(*found, verbose=False)[KEY_METRIC_FID]


@pytest.mark.parametrize("independent", [pytorch_fid, torch_fidelity])
@pytest.mark.parametrize(
    ("count", "other", "dimensions"),
    [(300, 250, 40), (60, 50, 96), (60, 200, 96), (200, 60, 96), (97, 96, 96)],
)
def test_independent_libraries(independent, count, other, dimensions, capsys):
    a = features(0, count, dimensions)
    b = features(1, other, dimensions, scale=1.4, shift=0.3)
    assert frechet_distance(a, b) == pytest.approx(independent(a, b), rel=1e-6)
    assert "singular" not in capsys.readouterr().out


def test_one_dimension_is_worked_out_by_hand():
    # Means 1 and 4, variances 2 and 8: 3^2 + (sqrt 8 - sqrt 2)^2 = 9 + 2.
    assert frechet_distance(np.array([[0.0], [2]]), np.array([[2.0], [6]])) == pytest.approx(11)


def test_gaussians_with_given_moments():
    one, two = np.diag([1.0, 4, 9]), np.diag([4.0, 4, 1])
    a, b = with_moments(0, 50, [0, 0, 0], one), with_moments(1, 80, [1, 2, 2], two)
    # Diagonal covariances: 9 for the means, then (1 - 2)^2 + 0 + (3 - 1)^2.
    assert frechet_distance(a, b) == pytest.approx(9 + 1 + 4, rel=1e-12)


def test_gaussians_whose_covariances_do_not_commute():
    one, two = np.array([[2.0, 1], [1, 2]]), np.diag([4.0, 1])
    a, b = with_moments(0, 40, [0, 0], one), with_moments(1, 30, [0, 0], two)
    # Of 2 x 2: tr(P^(1/2)) = sqrt(tr P + 2 sqrt(det P)); here tr P = 10 and det P = 3 * 4.
    root = np.sqrt(10 + 2 * np.sqrt(12))
    assert frechet_distance(a, b) == pytest.approx(4 + 5 - 2 * root, rel=1e-12)


def test_many_samples_approach_the_distance_of_their_distributions():
    a = features(0, 20000, 8)
    b = features(1, 20000, 8, scale=2.0, shift=1.0)
    assert frechet_distance(a, b) == pytest.approx(
        8 + (np.linspace(0.5, 2, 8) ** 2).sum(), rel=0.03
    )


@pytest.mark.parametrize("count", [2, 30, 200])
def test_a_set_is_nowhere_from_itself(count):
    a = features(0, count, 50)
    assert 0 <= frechet_distance(a, a.copy()) < 1e-11
    assert 0 <= frechet_distance(a, a[::-1]) < 1e-11


def test_neither_order_nor_role_nor_origin_matters():
    a, b = features(0, 30, 50), features(1, 80, 50, scale=1.5)
    found = frechet_distance(a, b)
    assert frechet_distance(b, a) == pytest.approx(found, rel=1e-12)
    mixed = np.random.default_rng(2).permutation(b)
    assert frechet_distance(a[::-1], mixed) == pytest.approx(found, rel=1e-12)
    assert frechet_distance(a + 100, b + 100) == pytest.approx(found, rel=1e-10)
    assert frechet_distance(3 * a, 3 * b) == pytest.approx(9 * found, rel=1e-12)


def test_a_shift_alone_adds_its_square():
    a = features(0, 30, 50)
    assert frechet_distance(a, a + 2) == pytest.approx(4 * 50, rel=1e-12)


def test_single_precision_is_raised_before_anything_is_summed():
    a, b = (features(s, 300, 20, shift=1000).astype(np.float32) for s in (0, 1))
    exact = frechet_distance(a.astype(np.float64), b.astype(np.float64))
    assert frechet_distance(a, b) == exact


@pytest.mark.parametrize("dimensions", [3, 40])
def test_sets_without_spread(dimensions):
    spread = features(0, 20, dimensions)
    variance = np.trace(np.atleast_2d(np.cov(spread, rowvar=False)))
    one = np.full((2, dimensions), 5.0)
    assert frechet_distance(one, one) == 0
    assert frechet_distance(one, np.full((30, dimensions), 7.0)) == pytest.approx(4 * dimensions)
    shift = ((spread.mean(axis=0) - 5) ** 2).sum()
    assert frechet_distance(one, spread) == pytest.approx(shift + variance, rel=1e-12)


@pytest.mark.parametrize("dimensions", [3, 40])
def test_repeated_rows(dimensions):
    a, b = features(0, 20, dimensions), features(1, 25, dimensions)
    # Each row twice doubles the sum of squares, and the divisor goes from 19 to 39.
    wider = a.mean(axis=0) + (a - a.mean(axis=0)) * np.sqrt(38 / 39)
    found = frechet_distance(np.repeat(a, 2, axis=0), b)
    assert found == pytest.approx(frechet_distance(wider, b), rel=1e-12)


def test_dimensions_that_never_change_add_nothing():
    a, b = features(0, 20, 40), features(1, 25, 40)
    wide = [np.hstack([x, np.full((len(x), 5), 3.0)]) for x in (a, b)]
    assert frechet_distance(*wide) == pytest.approx(frechet_distance(a, b), rel=1e-12)


@pytest.mark.parametrize(
    ("a", "message"),
    [
        (np.zeros((1, 3)), "1 samples where at least 2"),
        (np.zeros((4, 2)), "of 2 and of 3 dimensions"),
        (np.zeros(4), r"found \(4,\)"),
        (np.zeros((4, 0)), r"found \(4, 0\)"),
        (np.full((4, 3), np.nan), "NaN"),
        (np.full((4, 3), np.inf), "infinity"),
    ],
)
def test_unusable_features(a, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(a, np.ones((5, 3)))
