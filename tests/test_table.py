"""The table of inner products gives what the measures give that start from features."""

import numpy as np
import pytest

from flawsmith.evaluate.coverage import coverage
from flawsmith.evaluate.frechet import frechet_distance
from flawsmith.evaluate.kernel import mmd2
from flawsmith.evaluate.neighbours import mean_pairwise, nearest
from flawsmith.evaluate.table import Table

ROWS = 70


@pytest.fixture(scope="module", params=["fewer dimensions", "more dimensions", "far from 0"])
def features(request):
    dimensions = 24 if request.param == "fewer dimensions" else 300
    found = np.random.default_rng(0).gamma(2.0, size=(ROWS, dimensions))
    return found + (1000 if request.param == "far from 0" else 0)


def picks():
    generator = np.random.default_rng(1)
    order = generator.permutation(ROWS)
    return order[:30], order[30:52]


def test_every_measure(features):
    table, (a, b) = Table(features[:40], features[40:]), picks()
    first, second = features[a], features[b]
    scale = features.var(axis=0).sum()
    assert table.mmd2(a, b) == pytest.approx(mmd2(first, second), rel=1e-6)
    assert table.frechet_distance(a, b) == pytest.approx(
        frechet_distance(first, second), abs=1e-8 * scale
    )
    assert table.coverage(a, b, 5) == coverage(first, second, 5)
    assert table.mean_pairwise(a) == pytest.approx(mean_pairwise(first))
    np.testing.assert_allclose(table.nearest(b, a), nearest(second, first)[0], rtol=1e-6)


def test_the_nearest_of_another_group(features):
    table, (a, b) = Table(features[:40], features[40:]), picks()
    groups = np.arange(ROWS) % 4
    wanted, _ = nearest(features[b], features[a], (groups[b], groups[a]))
    np.testing.assert_allclose(table.nearest(b, a, groups), wanted, rtol=1e-6)
    assert np.isinf(table.nearest(b, a, np.zeros(ROWS, int))).all()


def test_the_first_set_s_block_does_not_depend_on_the_second(features):
    one, two = (Table(features[:40], features[start:]) for start in (40, 61))
    assert np.array_equal(one.squares[:40, :40], two.squares[:40, :40])
    assert np.array_equal(one.kernel[:40, :40], two.kernel[:40, :40])


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e6])
def test_identical_rows_are_no_distance_apart(scale):
    row = scale * np.random.default_rng(2).random(200)
    table = Table(np.stack([row] * 6), np.stack([row] * 6 + [row + scale]))
    a, b = np.arange(6), np.arange(6, 12)
    assert table.mean_pairwise(a) == 0
    assert (table.nearest(a, b) == 0).all()
    assert table.frechet_distance(a, b) == pytest.approx(0, abs=1e-9 * scale**2)
    assert table.mmd2(a, b) == pytest.approx(0, abs=1e-9 * max(scale, 1) ** 6)
    assert np.isfinite(list(vars(table.coverage(a, b, 5)).values())).all()
