"""Near copies among candidates: by hand, several crops and classes, and against plain loops."""

import numpy as np

from flawsmith.evaluate.filtering.novelty import twins
from tests.filter_helpers import crops_of


def test_the_first_in_order_stays():
    crops = {0: crops_of([0.0, 0.4, 0.8, 5])}
    # 0.8 is near 0.4 alone, which falls: so it stays.
    assert twins(crops, {0: 0.5}, [0, 1, 2, 3]) == {1: 0}
    assert twins(crops, {0: 0.5}, [2, 1, 0, 3]) == {1: 2}
    assert twins(crops, {0: 0.5}, [1, 2, 3]) == {2: 1}  # who fell before is no original
    assert twins(crops, {0: 0.3}, [0, 1, 2, 3]) == {}
    assert twins(crops, {}, [0, 1, 2, 3]) == {}


def test_at_the_limit_is_near_and_identical_is_near_at_any():
    assert twins({0: crops_of([0.0, 0.5])}, {0: 0.5}, [0, 1]) == {1: 0}
    same = np.random.default_rng(0).normal(size=(1, 64)).repeat(2, axis=0)
    assert twins({0: crops_of(same)}, {0: 0.0}, [0, 1]) == {1: 0}


def test_one_new_defect_is_worth_having():
    # Candidate 1 has the defect of 0 and another one; 2 has both of 1.
    crops = {0: crops_of([0.0, 0, 9, 0, 9], samples=[0, 1, 1, 2, 2])}
    assert twins(crops, {0: 0.5}, [0, 1, 2]) == {2: 0}
    # Two alike in one candidate are no copy of another one.
    assert twins({0: crops_of([0.0, 0], samples=[0, 0])}, {0: 0.5}, [0]) == {}


def test_every_class_must_be_known():
    crops = {0: crops_of([0.0, 0]), 1: crops_of([3.0, 3], samples=[0, 1])}
    assert twins(crops, {0: 0.5, 1: 0.5}, [0, 1]) == {1: 0}
    assert twins(crops, {0: 0.5}, [0, 1]) == {}


def test_plain_loops():
    rows = np.random.default_rng(3).normal(size=(80, 2))
    order = np.random.default_rng(4).permutation(80).tolist()
    fallen: dict[int, int] = {}
    for place, mine in enumerate(order):
        for other in order[:place]:
            near = np.linalg.norm(rows[mine] - rows[other]) <= 0.4
            if near and other not in fallen and mine not in fallen:
                fallen[mine] = other
    assert len(fallen) > 20
    # float32 features: no pair of these lies at the limit.
    assert twins({0: crops_of(rows)}, {0: 0.4}, order) == fallen
