"""Halvings: no group on both sides, equal sizes, each draw by itself, bad input."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flawsmith.evaluate.halving import half_size, halvings
from flawsmith.seeding import rng

GROUPS = st.lists(st.sampled_from("abcdefghij"), min_size=2, max_size=40).filter(
    lambda groups: len(set(groups)) > 1
)
SEEDS = st.integers(0, 1000)
SINGLES = [f"part {i}" for i in range(21)]


def of_seed(seed):
    return lambda draw: rng(seed, "halving", draw)


def same(found, expected):
    pairs = zip(found, expected, strict=True)
    return all(np.array_equal(a, b) for x, y in pairs for a, b in zip(x, y, strict=True))


@settings(max_examples=60, deadline=None)
@given(GROUPS, SEEDS)
def test_halves_share_no_group_and_have_the_same_size(groups, seed):
    names = np.array(groups)
    n = half_size(groups, 5, of_seed(seed))
    found = list(halvings(groups, 5, of_seed(seed)))
    assert len(found) == 5
    for first, second in found:
        assert len(first) == len(second) == n
        assert len(set(first)) == len(set(second)) == n
        assert not set(names[first]) & set(names[second])


@settings(max_examples=60, deadline=None)
@given(GROUPS, SEEDS)
def test_halves_differ_by_at_most_the_largest_group(groups, seed):
    sizes = Counter(groups)
    n = half_size(groups, 1, of_seed(seed))
    assert min(sizes.values()) <= n <= len(groups) // 2
    assert len(groups) - 2 * n <= max(sizes.values())


@settings(max_examples=30, deadline=None)
@given(GROUPS, SEEDS)
def test_a_draw_depends_on_its_own_generator_alone(groups, seed):
    n = half_size(groups, 7, of_seed(seed))
    seven = list(halvings(groups, 7, of_seed(seed), n))
    assert same(seven, halvings(groups, 7, of_seed(seed)))
    assert same(seven[:3], halvings(groups, 3, of_seed(seed), n))
    shifted = halvings(groups, 3, lambda draw: of_seed(seed)(draw + 4), n)
    assert same(seven[4:], shifted)


def test_the_names_of_groups_do_not_matter():
    renamed = [name[::-1] for name in SINGLES]
    assert same(halvings(SINGLES, 3, of_seed(0)), halvings(renamed, 3, of_seed(0)))


def test_single_samples_are_halved_evenly():
    assert half_size(SINGLES, 50, of_seed(0)) == 10
    found = list(halvings(SINGLES, 400, of_seed(0)))
    used = np.bincount(np.concatenate([np.concatenate(pair) for pair in found]), minlength=21)
    # Each sample is left out in about 1 of 21 draws: 19 of 400, give or take 4.3.
    assert (400 - used).max() < 40
    assert (400 - used).min() > 2
    assert len({tuple(sorted(first)) for first, _ in found}) > 390


def test_one_large_group_leaves_what_others_have():
    groups = ["large"] * 50 + ["a"] * 3 + ["b"] * 4
    assert half_size(groups, 20, of_seed(0)) == 7
    # Which role the large group has is left to a coin.
    found = list(halvings(groups, 200, of_seed(0)))
    first = sum(bool((pair[0] < 50).any()) for pair in found)
    second = sum(bool((pair[1] < 50).any()) for pair in found)
    assert first == pytest.approx(100, abs=30)
    assert second == pytest.approx(100, abs=30)


def test_too_much_is_refused():
    with pytest.raises(ValueError, match="1 groups, where halves need at least 2"):
        half_size(["a"] * 9, 3, of_seed(0))
    with pytest.raises(ValueError, match="0 groups"):
        half_size([], 3, of_seed(0))
    with pytest.raises(ValueError, match="0 draws"):
        list(halvings(SINGLES, 0, of_seed(0)))
    for n in (0, 11):
        with pytest.raises(ValueError, match=f"n = {n}, but halves of 10 can be had"):
            list(halvings(SINGLES, 3, of_seed(0), n))
