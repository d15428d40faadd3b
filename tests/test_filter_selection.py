"""Selection: against brute force, quotas, classes that must not die; the control by lot."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from flawsmith.evaluate.certificate import Verdict
from flawsmith.evaluate.filtering.reasons import SURPLUS, UNREAL
from flawsmith.evaluate.filtering.selection import Herd, Pool, choose, quotas_of, random_subset
from flawsmith.evaluate.kernel import mmd2
from tests.filter_helpers import crops_of


def kernel(a, b):
    return (a @ b.T / a.shape[1] + 1) ** 3


def distance(made, real):
    """Return the squared mean discrepancy with its diagonal, written out."""
    return kernel(made, made).mean() - 2 * kernel(made, real).mean() + kernel(real, real).mean()


def features(seed, count, dimensions=1, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (count, dimensions))


@pytest.mark.parametrize("dimensions", [1, 5])
def test_each_step_is_the_best_one(dimensions):
    made, real = features(1, 12, dimensions, 0.3), features(2, 9, dimensions)
    herd, chosen = Herd(made, np.arange(12), real), []
    for _ in range(6):
        told = herd.distances() + kernel(real, real).mean()
        written = [distance(made[[*chosen, i]], real) for i in range(12)]
        assert told == pytest.approx(written, rel=1e-9, abs=1e-12)
        left = [i for i in range(12) if i not in chosen]
        best = herd.best(range(12))
        assert best == min(left, key=lambda i: written[i])
        herd.take(best)
        chosen.append(best)


def test_greedy_is_close_to_the_best_of_all_subsets():
    made, real = features(3, 12, 1, 0.5), features(4, 30)
    pool = Pool({0: range(12)}, {0: 5}, {})
    chosen = choose(pool, {0: crops_of(made)}, {0: crops_of(real)})
    every = sorted(distance(made[list(c)], real) for c in combinations(range(12), 5))
    assert len(chosen) == 5
    # Of 792 subsets.
    assert sum(value < distance(made[chosen], real) - 1e-6 for value in every) < 40


def test_a_candidate_counts_as_the_mean_of_its_crops():
    made, real = features(5, 5, 3), features(6, 4, 3)
    herd = Herd(made, np.array([0, 0, 0, 1, 1]), real)
    herd.take(0)
    weights = np.array([1 / 6] * 3 + [1 / 4] * 2)
    written = weights @ kernel(made, made) @ weights - 2 * (weights @ kernel(made, real)).mean()
    assert herd.distances()[1] == pytest.approx(written, rel=1e-9)


def test_it_lowers_the_kid_below_that_of_chance():
    real = features(7, 60, 4)
    made = np.vstack([features(8, 60, 4), features(9, 60, 4, 1.5)])
    chosen = choose(Pool({0: range(120)}, {0: 40}, {}), {0: crops_of(made)}, {0: crops_of(real)})
    drawn = [
        mmd2(made[np.random.default_rng(i).choice(120, 40, replace=False)], real) for i in range(50)
    ]
    assert mmd2(made[chosen], real) < min(drawn)
    assert sum(place < 60 for place in chosen) > 30


def test_quotas():
    assert quotas_of({0: 10, 1: 3, None: 5}, {0: 10, 1: 1}, 0.5) == {0: 5, 1: 1}
    assert quotas_of({0: 30}, {0: 30}, 0.1) == {0: 3}
    assert quotas_of({0: 3}, {0: 3}, 0.01) == {0: 1}  # no class dies
    assert quotas_of({0: 3}, {0: 2}, 1.0) == {0: 2}


def test_one_of_two_classes_counts_for_both():
    crops = {0: crops_of([0.0, 1, 2]), 1: crops_of([5.0], samples=[2])}
    real = {0: crops_of([0.0, 1]), 1: crops_of([5.0])}
    pool = Pool({0: [0, 1, 2], 1: [2]}, {0: 2, 1: 1}, {})
    chosen = choose(pool, crops, real)
    assert len(chosen) == 2
    assert 2 in chosen


def test_without_anything_real_the_first_are_taken():
    empty = crops_of(np.zeros((0, 1)))
    pool = Pool({0: [1, 3, 4], None: [0, 2]}, {0: 2, None: 1}, {})
    assert choose(pool, {0: crops_of([1.0, 2, 3], samples=[1, 3, 4])}, {0: empty}) == [0, 1, 3]


def test_harder_ones_can_be_preferred():
    rows, hardness = features(1, 20), {i: i / 20 for i in range(20)}
    made, real = {0: crops_of(rows)}, {0: crops_of(features(2, 20))}
    half = choose(Pool({0: range(20)}, {0: 4}, hardness, 0.5), made, real)
    assert len(half) == 4
    assert min(half) >= 10
    assert choose(Pool({0: range(20)}, {0: 4}, hardness, 0.01), made, real) == [16, 17, 18, 19]
    assert choose(Pool({0: range(20)}, {0: 4}, {}, 1.0), made, real) != half


def verdicts():
    found = []
    for i in range(60):
        classes = (("pit",), ("pit", "streak"), ())[i % 3]
        reason = ("", SURPLUS, UNREAL, "mask empty")[i % 4]
        found.append(Verdict(f"v{i}", classes, str(i), reason))
    return found


def test_the_control_has_as_many_of_each_class_and_only_certified_ones():
    found = verdicts()
    drawn = random_subset(found, 3)
    assert drawn == sorted(set(drawn))
    assert all(found[i].reason != "mask empty" for i in drawn)
    accepted = Counter(v.classes for v in found if v.accepted)
    assert Counter(found[i].classes for i in drawn) == accepted
    assert random_subset(found, 3) == drawn
    assert random_subset(found, 4) != drawn
    # It is no filter: rejected ones are in it, too.
    assert any(found[i].reason for i in drawn)


def test_the_control_of_nothing_is_nothing():
    assert random_subset([Verdict("a", ("pit",), "x", UNREAL)], 0) == []
    assert random_subset([], 0) == []
