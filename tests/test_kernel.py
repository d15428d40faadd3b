"""The kernel distance: worked out by hand, torch-fidelity, unbiasedness, subsets."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import (
    KEY_METRIC_KID_MEAN,
    KEY_METRIC_KID_STD,
    kid_features_to_metric,
)

from flawsmith.evaluate import kernel
from flawsmith.evaluate.kernel import kid, mmd2
from flawsmith.seeding import rng


def features(seed, count, dimensions=16, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (count, dimensions))


def torch_fidelity(a, b, subsets, size):
    found = kid_features_to_metric(
        torch.from_numpy(a),
        torch.from_numpy(b),
        kid_subsets=subsets,
        kid_subset_size=size,
        kid_kernel="poly",
        kid_kernel_poly_degree=3,
        kid_kernel_poly_gamma=None,
        kid_kernel_poly_coef0=1,
        rng_seed=0,
        verbose=False,
    )
    return found[KEY_METRIC_KID_MEAN], found[KEY_METRIC_KID_STD]


def test_worked_out_by_hand():
    # D = 1: k(0, 1) = 1; k(2, 2) = 125, though not a pair; k(0, 2) = 1 and k(1, 2) = 27, twice.
    assert mmd2(np.array([[0.0], [1]]), np.array([[2.0], [2]])) == 1 + 125 - 2 * 14
    # D = 2, three against two: pairs (1, 1, 8) of mean 10/3; one pair 1; across 1 1, 1.5^3 1, 1 8.
    a = np.array([[0.0, 0], [1, 0], [2, 0]])
    b = np.array([[1.0, 0], [0, 1]])
    within = (1 + 1 + 2**3) / 3 + 1
    across = (1 + 1 + 1.5**3 + 1 + 2**3 + 1) / 6
    assert mmd2(a, b) == pytest.approx(within - 2 * across, rel=1e-14)


def test_torch_fidelity_on_whole_sets():
    a, b = features(0, 90), features(1, 90, shift=0.2)
    expected, spread = torch_fidelity(a, b, 1, 90)
    assert spread == 0
    assert mmd2(a, b) == pytest.approx(expected, rel=1e-10)
    assert kid(a, b, rng(0)) == (mmd2(a, b), 0.0)


def test_torch_fidelity_on_subsets():
    a, b = features(0, 300), features(1, 200, shift=0.3)
    expected, expected_spread = torch_fidelity(a, b, 200, 100)
    mean, spread = kid(a, b, rng(0), subsets=200, size=100)
    # Two means of 200 subsets each, about 1 / 10 of the spread apart.
    assert mean == pytest.approx(expected, abs=0.4 * spread)
    assert spread == pytest.approx(expected_spread, rel=0.2)


def test_unbiased_at_few_samples():
    pairs = [(features(2 * i, 8), features(2 * i + 1, 8)) for i in range(2000)]
    values = np.array([mmd2(a, b) for a, b in pairs])
    assert (values < 0).mean() > 0.3
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    # The sum over all pairs, i = j included, would be far above 0.
    shifted = [mmd2(a, b + 0.5) for a, b in pairs[:200]]
    assert np.mean(shifted) > 10 * np.std(shifted) / np.sqrt(200)


def test_neither_order_nor_role_matters():
    a, b = features(0, 30), features(1, 50, shift=0.2)
    assert mmd2(b, a) == pytest.approx(mmd2(a, b), rel=1e-12)
    assert mmd2(a[::-1], b) == pytest.approx(mmd2(a, b), rel=1e-12)


def test_blocks_change_nothing(monkeypatch):
    a, b = features(0, 30), features(1, 50, shift=0.2)
    whole = mmd2(a, b)
    monkeypatch.setattr(kernel, "BLOCK", 110)  # two or three rows at a time
    assert mmd2(a, b) == pytest.approx(whole, rel=1e-12)


def test_subsets_are_as_large_as_both_sets_allow(monkeypatch):
    sizes = []
    monkeypatch.setattr(kernel, "mmd2", lambda a, b: sizes.append((len(a), len(b))) or 0.0)
    kid(features(0, 30), features(1, 20), rng(0), subsets=3)
    kid(features(0, 30), features(1, 20), rng(0), subsets=1, size=5)
    assert sizes == [(20, 20)] * 3 + [(5, 5)]


def test_subsets_repeat_no_sample(monkeypatch):
    a = np.arange(30.0)[:, None]
    seen = []
    monkeypatch.setattr(kernel, "mmd2", lambda a, b: seen.extend([a, b]) or 0.0)
    kid(a, a, rng(0), subsets=20, size=25)
    assert all(len(np.unique(rows)) == 25 for rows in seen)
    assert len({rows.tobytes() for rows in seen}) == 40


def test_a_seed_repeats():
    a, b = features(0, 40), features(1, 50)
    assert kid(a, b, rng(3), 5, 20) == kid(a, b, rng(3), 5, 20)
    assert kid(a, b, rng(3), 5, 20) != kid(a, b, rng(4), 5, 20)


def test_unusable_input():
    a = features(0, 5)
    with pytest.raises(ValueError, match="1 samples where at least 2"):
        mmd2(a, a[:1])
    with pytest.raises(ValueError, match="16 and of 3 dimensions"):
        kid(a, a[:, :3], rng(0))
    for subsets, size in ((0, 10), (3, 1)):
        with pytest.raises(ValueError, match="at least 1 subset of 2"):
            kid(a, a, rng(0), subsets, size)
