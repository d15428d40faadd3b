"""Smooth noise: its mean, its range, its smoothness, and that the generator alone decides it."""

import numpy as np
import pytest

from flawsmith.augment.noise import perlin, wobble


def test_perlin_has_mean_zero_and_a_bound():
    field = perlin(np.random.default_rng(0), (300, 400), 20)
    assert field.shape == (300, 400)
    assert field.dtype == np.float32
    assert abs(field.mean()) < 0.02
    assert 0.5 < np.abs(field).max() < 1.4


def test_one_octave_is_zero_on_its_lattice_and_smooth_between():
    field = perlin(np.random.default_rng(1), (65, 65), 16, octaves=1)
    # Gradient noise vanishes where its gradients stand.
    assert np.abs(field[::16, ::16]).max() < 1e-6
    assert np.abs(np.diff(field, axis=0)).max() < 0.25


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (7, 3)])
def test_any_size(shape):
    assert perlin(np.random.default_rng(2), shape, 5.0).shape == shape


def test_the_generator_decides():
    one, two, other = (perlin(np.random.default_rng(s), (20, 30), 6) for s in (3, 3, 4))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_wobble_stays_near_its_amplitude_and_is_smooth():
    dx, dy = wobble(np.random.default_rng(5), (60, 80), 4.0, 12.0)
    for field in (dx, dy):
        assert field.shape == (60, 80)
        assert 1 < np.abs(field).max() < 1.5 * 4.0
        assert np.abs(np.diff(field, axis=1)).max() < 2
    still = wobble(np.random.default_rng(5), (6, 8), 0.0, 12.0)
    assert not np.any(still)
