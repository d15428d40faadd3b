"""Nearest neighbours: worked out by hand, scikit-learn, SciPy, duplicates, groups, near copies."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.neighbors import NearestNeighbors

from flawsmith.evaluate import neighbours
from flawsmith.evaluate.neighbours import mean_pairwise, near_copies, nearest


def features(seed, count, dimensions=8, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (count, dimensions))


def codes(*numbers):
    return np.array(numbers)


@pytest.fixture(params=["whole", "blocks"])
def _block(request, monkeypatch):
    if request.param == "blocks":
        monkeypatch.setattr(neighbours, "BLOCK", 130)  # a few rows at a time


def test_worked_out_by_hand():
    points = np.array([[0.0, 0], [3, 4], [10, 0]])
    distances, indices = nearest(np.array([[0.0, 0], [6, 8], [10, 1]]), points)
    assert distances.tolist() == [0, 5, 1]
    assert indices.tolist() == [0, 1, 2]


@pytest.mark.usefixtures("_block")
def test_scikit_learn():
    queries, points = features(0, 40), features(1, 60)
    expected, index = (
        NearestNeighbors(n_neighbors=1, algorithm="brute").fit(points).kneighbors(queries)
    )
    distances, indices = nearest(queries, points)
    assert distances == pytest.approx(expected[:, 0], rel=1e-9)
    assert np.array_equal(indices, index[:, 0])


@pytest.mark.usefixtures("_block")
def test_groups_are_passed_over():
    points = features(0, 50)
    groups = np.random.default_rng(1).integers(0, 4, 50)
    distances, indices = nearest(points, points, (groups, groups))
    assert (groups[indices] != groups).all()
    table = np.linalg.norm(points[:, None] - points, axis=2)
    table[groups[:, None] == groups] = np.inf
    assert distances == pytest.approx(table.min(axis=1), rel=1e-12)
    assert np.array_equal(indices, table.argmin(axis=1))


def test_a_query_without_any_point_left():
    points = np.array([[0.0], [1]])
    found = nearest(np.array([[5.0], [5]]), points, (codes(7, 8), codes(7, 7)))
    assert found[0].tolist() == [np.inf, 4]
    assert found[1].tolist() == [-1, 1]


@pytest.mark.parametrize("shift", [0, 0.1, 1e6])
def test_identical_rows_are_exactly_nothing_apart(shift):
    points = features(0, 300, 64) + shift
    order = np.random.default_rng(1).permutation(300)
    distances, indices = nearest(points[order], points)
    assert (distances == 0).all()
    assert np.array_equal(indices, order)


def test_a_copy_beats_what_rounding_cannot_tell_from_it():
    copy = features(0, 1, 64) + 1e4
    points = np.repeat(copy, 8, axis=0)
    points[[0, 1, 2, 3, 5, 6, 7], 0] += 1e-7  # squares of 1e-14, among norms of 1e10
    assert [x.tolist() for x in nearest(copy, points)] == [[0], [4]]


def test_the_first_of_equals_counts():
    points = np.repeat(features(0, 3), 4, axis=0)
    assert nearest(points[::4], points)[1].tolist() == [0, 4, 8]
    assert nearest(np.array([[0.0]]), np.array([[2.0], [1], [-1]]))[1].tolist() == [1]


def test_single_precision_gives_the_same_as_double():
    queries, points = features(0, 20).astype(np.float32), features(1, 30).astype(np.float32)
    for found, same in zip(
        nearest(queries, points), nearest(queries.astype(float), points.astype(float)), strict=True
    ):
        assert np.array_equal(found, same)


@pytest.mark.usefixtures("_block")
@pytest.mark.parametrize("shift", [0, 1e5])
def test_mean_pairwise(shift):
    rows = features(0, 60)
    assert mean_pairwise(rows + shift) == pytest.approx(pdist(rows).mean(), rel=1e-9)
    assert mean_pairwise(rows[::-1]) == pytest.approx(mean_pairwise(rows), rel=1e-12)


def test_mean_pairwise_by_hand():
    # The sides of a triangle: 3, 4, 5.
    assert mean_pairwise(np.array([[0.0, 0], [3, 0], [0, 4]])) == pytest.approx(4)
    assert mean_pairwise(np.full((5, 3), 0.1)) == pytest.approx(0, abs=1e-15)


def test_near_copies_by_hand():
    # Parts at 0 and 0.5, at 2, and at 5: to other parts 2, 1.5, 1.5, 3.
    real, groups = np.array([[0.0], [0.5], [2], [5]]), codes(0, 0, 1, 2)
    apart, _ = nearest(real, real, (groups, groups))
    assert apart.tolist() == [2, 1.5, 1.5, 3]
    # Their median is 1.75; half of it, 0.875, is near.
    distances = np.array([0, 0.875, 0.9, 4])
    assert near_copies(distances, apart) == 0.5
    assert near_copies(distances, apart, 1) == 0.75
    assert near_copies(distances, np.zeros(4)) == 0.25  # an exact copy counts at any threshold


def test_copies_among_new_samples_are_found():
    real, groups = features(0, 200, 32), np.arange(200)
    new, copies = features(1, 100, 32), real[:25] + 1e-3
    apart, _ = nearest(real, real, (groups, groups))

    def share(made):
        return near_copies(nearest(made, real)[0], apart)

    assert share(new) == 0
    assert share(np.vstack([new, copies])) == 25 / 125
    assert share(copies) == 1


def test_unusable_input():
    rows = features(0, 5)
    with pytest.raises(ValueError, match="0 samples where at least 1"):
        nearest(rows[:0], rows)
    with pytest.raises(ValueError, match="0 samples where at least 1"):
        nearest(rows, rows[:0])
    with pytest.raises(ValueError, match="8 and of 3 dimensions"):
        nearest(rows, rows[:, :3])
    with pytest.raises(ValueError, match="5 and 4 group codes for 5 queries and 5 points"):
        nearest(rows, rows, (np.zeros(5, int), np.zeros(4, int)))
    with pytest.raises(ValueError, match="1 samples where at least 2"):
        mean_pairwise(rows[:1])
    with pytest.raises(ValueError, match="NaN"):
        mean_pairwise(rows * np.nan)
