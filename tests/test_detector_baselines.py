"""The two baselines: closed forms, and files."""

import numpy as np
import pytest

from flawsmith.evaluate.detectors.registry import load_detector, open_detector
from tests.detector_helpers import stripes
from tests.feature_helpers import one_thread  # noqa: F401


def flat(*values):
    return [np.full((16, 16), value, np.uint8) for value in values]


def test_brightness_counts_deviations_to_either_side():
    detector = open_detector("brightness", {}, "cpu")
    detector.fit(flat(90, 100, 110))  # mean 100, deviation 10
    told = detector.score(flat(100, 120, 80, 255))
    assert told.maps is None
    np.testing.assert_allclose(told.scores, [0, 2, 2, 15.5], atol=1e-5)
    same = open_detector("brightness", {}, "cpu")
    same.fit(flat(100, 100))
    assert same.score(flat(101)).scores[0] == pytest.approx(2, rel=1e-3)


def test_pixels_is_the_distance_to_the_nearest_clean_picture(tmp_path):
    clean, _ = stripes(6, 32)
    other, _ = stripes(3, 32, 5, blob=True)
    detector = open_detector("pixels", {"side": 32}, "cpu")
    detector.fit(clean)
    stack = np.stack(clean).astype(np.float64) / 127.5
    wanted = [np.sqrt(((stack - one / 127.5) ** 2).sum((1, 2))).min() for one in other]
    np.testing.assert_allclose(detector.score(other).scores, wanted, rtol=1e-4)
    assert detector.score(clean).scores.max() == 0
    detector.save(tmp_path / "saved.safetensors")
    again = load_detector(tmp_path / "saved.safetensors", "cpu")
    np.testing.assert_array_equal(again.score(other).scores, detector.score(other).scores)
