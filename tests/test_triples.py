"""Triples of parts: all different, every part equally often, each found by itself."""

from collections import Counter

import numpy as np
import pytest

from flawsmith.gen.triples import Triples

COUNTS = [(3, 3, 3), (2, 3, 4), (4, 6, 3), (6, 4, 4), (1, 1, 5), (1, 1, 1), (5, 2, 10)]


@pytest.mark.parametrize("counts", COUNTS)
def test_all_triples_once(counts):
    triples = Triples(counts, 7)
    drawn = [triples.of(i) for i in range(triples.total)]
    assert sorted(drawn) == sorted(np.ndindex(counts))
    assert triples.total == np.prod(counts)


@pytest.mark.parametrize("counts", [*COUNTS, (7, 5, 6), (100, 99, 50)])
def test_every_part_about_equally_often_at_any_time(counts):
    triples = Triples(counts, 3)
    used = [np.zeros(count, int) for count in counts]
    for i in range(min(triples.total, 400)):
        for uses, part in zip(used, triples.of(i), strict=True):
            uses[part] += 1
            assert np.ptp(uses) <= 1


def test_pairs_are_mixed():
    triples = Triples((20, 20, 20), 0)
    drawn = [triples.of(i) for i in range(400)]
    for one, other in ((0, 1), (1, 2), (0, 2)):
        times = Counter((triple[one], triple[other]) for triple in drawn)
        # Of 400 pairs 252 different ones would be expected of chance alone.
        assert len(times) > 250
        assert max(times.values()) <= 5


def test_seed_and_place_decide():
    first, same = Triples((9, 8, 7), 1), Triples((9, 8, 7), 1)
    other = Triples((9, 8, 7), 2)
    assert [first.of(i) for i in range(50)] == [same.of(i) for i in reversed(range(50))][::-1]
    assert [first.of(i) for i in range(50)] != [other.of(i) for i in range(50)]
    for index in (-1, 9 * 8 * 7):
        with pytest.raises(IndexError):
            first.of(index)
