"""Splits: groups whole, every class in its share, and nothing but ids and seed decides."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flawsmith.data.scan import Facts
from flawsmith.data.split import limit_per_class, split_groups
from flawsmith.errors import InputError
from flawsmith.sample import Label

CLASSES = 3


def make_facts(name: str, planes: Sequence[int], group: str, label: Label = "good") -> Facts:
    pixels = tuple(int(plane in planes) for plane in range(CLASSES))
    found: Label = "defective" if planes else label
    return Facts(name, found, group, 8, 8, 1, pixels, (), False, name)


@st.composite
def fact_lists(draw: st.DrawFn) -> list[Facts]:
    """Up to 60 samples in random groups, of any mixture of classes."""
    count = draw(st.integers(0, 60))
    groups = draw(st.integers(1, 30))
    planes = st.sets(st.integers(0, CLASSES - 1), max_size=2)
    return [
        make_facts(
            f"s{i}",
            sorted(draw(planes)),
            f"g{draw(st.integers(1, groups))}",
            draw(st.sampled_from(["good", "unknown"])),
        )
        for i in range(count)
    ]


FRACTIONS = st.sampled_from([(0.5, 0.5), (0.7, 0.3), (0.1, 0.2, 0.7), (1.0,), (0.3, 0.3), (0.2,)])


def named(facts: Sequence[Facts], parts: list[list[int]]) -> list[set[str]]:
    return [{facts[i].id for i in part} for part in parts]


@settings(max_examples=50)
@given(fact_lists(), FRACTIONS, st.integers(0, 5), st.randoms(use_true_random=False))
def test_groups_whole_each_once_and_order_irrelevant(facts, fractions, seed, random):
    parts = split_groups(facts, fractions, seed)
    assert len(parts) == len(fractions)
    taken = [i for part in parts for i in part]
    assert len(taken) == len(set(taken))
    if sum(fractions) == pytest.approx(1):
        assert sorted(taken) == list(range(len(facts)))
    owners = [{facts[i].group for i in part} for part in parts]
    assert sum(map(len, owners)) == len(set().union(*owners))
    left = {fact.group for i, fact in enumerate(facts) if i not in set(taken)}
    assert not left & set().union(*owners)
    assert all(part == sorted(part) for part in parts)

    assert split_groups(facts, fractions, seed) == parts
    shuffled = random.sample(facts, len(facts))
    assert named(shuffled, split_groups(shuffled, fractions, seed)) == named(facts, parts)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, CLASSES), st.integers(1, 4)), min_size=1, max_size=40),
    FRACTIONS,
    st.integers(0, 5),
)
def test_class_shares_within_the_stated_bound(groups, fractions, seed):
    # Groups of one stratum each (class 0 to 2, or clean), of 1 to 4 images.
    facts = [
        make_facts(f"{g}-{i}", [kind] if kind < CLASSES else [], f"g{g}")
        for g, (kind, size) in enumerate(groups)
        for i in range(size)
    ]
    largest = max(size for _, size in groups)
    total = Counter(fact.planes for fact in facts)
    for part, share in zip(split_groups(facts, fractions, seed), fractions, strict=True):
        found = Counter(facts[i].planes for i in part)
        for stratum, n in total.items():
            surplus = found[stratum] - share * n
            assert -largest * len(fractions) < surplus < largest


def test_even_halves_of_single_images():
    facts = [make_facts(f"s{i}", [i % 3] if i % 4 else [], f"g{i}") for i in range(48)]
    for part in split_groups(facts, (0.5, 0.5), 1):
        # 12 clean images; of the 36 others 12 show each class.
        assert Counter(facts[i].planes for i in part) == {(): 6, (0,): 6, (1,): 6, (2,): 6}


def test_seeds_differ():
    facts = [make_facts(f"s{i}", [], f"g{i}") for i in range(30)]
    assert split_groups(facts, (0.5, 0.5), 1) != split_groups(facts, (0.5, 0.5), 2)


def test_rare_class_of_two_groups_lands_on_both_sides():
    facts = [make_facts(f"c{i}", [], f"c{i}") for i in range(50)]
    facts += [make_facts(f"r{i}", [2], f"r{i // 3}") for i in range(6)]
    for seed in range(10):
        for part in split_groups(facts, (0.5, 0.5), seed):
            assert sum(facts[i].planes == (2,) for i in part) == 3


@pytest.mark.parametrize("fractions", [(), (0.5, 0.0), (-0.1,), (0.8, 0.3), (float("nan"),)])
def test_bad_fractions(fractions):
    with pytest.raises(InputError, match="mend: give shares"):
        split_groups([make_facts("a", [], "a")], fractions, 0)


def test_thirds_are_not_more_than_one():
    assert len(split_groups([make_facts("a", [], "a")], (1 / 3,) * 3, 0)) == 3
    assert len(split_groups([make_facts("a", [], "a")], (0.1,) * 10, 0)) == 10


@settings(max_examples=60)
@given(fact_lists(), st.integers(1, 8), st.integers(0, 3), st.randoms(use_true_random=False))
def test_limit_keeps_clean_ones_and_at_most_n_of_a_class(facts, n, seed, random):
    part = [i for i in range(len(facts)) if i % 3]
    kept, short = limit_per_class(part, facts, n, seed)
    assert set(kept) <= set(part)
    assert kept == sorted(kept)
    clean = [i for i in part if not facts[i].planes]
    assert [i for i in kept if not facts[i].planes] == clean
    counts = Counter(plane for i in kept for plane in facts[i].planes)
    assert max(counts.values(), default=0) <= n
    known = {plane for fact in facts for plane in fact.planes}
    assert short == {plane: counts[plane] for plane in known if counts[plane] < n}
    # Nothing was dropped that still had room.
    for i in set(part) - set(kept):
        assert any(counts[plane] == n for plane in facts[i].planes)

    mixed = random.sample(part, len(part))
    assert set(limit_per_class(mixed, facts, n, seed)[0]) == set(kept)


def test_limit_by_hand():
    # Class 1 is the rarer: both of its images stay, which uses up class 0's two places.
    facts = [make_facts(f"a{i}", [0], f"a{i}") for i in range(5)]
    facts += [make_facts(f"b{i}", [0, 1], f"b{i}") for i in range(2)]
    assert limit_per_class(range(7), facts, 2, 9) == ([5, 6], {})
    assert limit_per_class(range(7), facts, 3, 9)[1] == {1: 2}
    with pytest.raises(InputError, match="at least 1"):
        limit_per_class(range(7), facts, 0, 9)
