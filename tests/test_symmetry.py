"""Which flips photos allow."""

import numpy as np

from flawsmith.data.symmetry import FEWEST, SIZE, allowed_flips, thumbnails
from tests.augment_helpers import part, surface, write_scan


def pictures(seed, count=20):
    return np.random.default_rng(seed).normal(0, 1, (count, SIZE, SIZE)).astype(np.float32)


def test_noise_without_direction_allows_both():
    assert allowed_flips(pictures(0)) == (True, True)


def test_a_dark_top_forbids_the_flip_upside_down():
    shaded = pictures(1) * 0.3 + np.linspace(-2, 2, SIZE, dtype=np.float32)[:, None]
    assert allowed_flips(shaded) == (True, False)
    assert allowed_flips(shaded.transpose(0, 2, 1)) == (False, True)


def test_too_few_pictures_forbid_nothing():
    shaded = pictures(2, FEWEST - 1) * 0.1 + np.linspace(-2, 2, SIZE, dtype=np.float32)[:, None]
    assert allowed_flips(shaded) == (True, True)


def test_thumbnails_carry_no_brightness(tmp_path):
    rows = np.linspace(0, 60, 48).astype(np.uint8)[:, None]
    samples = [part(f"p{i}", image=surface(i, level=90 + 5 * i) + rows) for i in range(8)]
    found = write_scan(tmp_path / "set", samples)
    small = thumbnails(found.dataset, list(range(8)))
    assert small.shape == (8, SIZE, SIZE)
    assert np.allclose(small.mean(axis=(1, 2)), 0, atol=1e-5)
    assert np.allclose(small.std(axis=(1, 2)), 1, atol=1e-2)
    assert allowed_flips(small) == (True, False)
