"""Thresholds: worked out by hand; what they pass of real crops; too few real samples."""

import numpy as np
import pytest

from flawsmith.evaluate.filtering.quality import closest, farthest, to_real
from flawsmith.evaluate.filtering.thresholds import (
    Threshold,
    apart,
    codes_of,
    distance_thresholds,
    lacking,
)
from tests.filter_helpers import crops_of


def test_worked_out_by_hand():
    # Parts at 0 and 1, at 3, and at 7: to the nearest of another part 3, 2, 2, 4.
    rows, groups = np.array([[0.0], [1], [3], [7]]), ["a", "a", "b", "c"]
    real = apart(rows, groups)
    assert real.tolist() == [3, 2, 2, 4]
    quality, copies = distance_thresholds("pit", real, groups, 0.75, 0.5)
    # Between the third, 3, and the fourth, 4: at 0.75 * 3 = 2.25 places from the first.
    assert quality == Threshold("pit", "quality", 3.25, 4, 3)
    assert copies == Threshold("pit", "copies", 1.25, 4, 3)  # half of the median 2.5


def test_one_group_has_nothing_to_be_compared_with():
    with pytest.raises(ValueError, match="no other to be compared"):
        apart(np.zeros((5, 2)), ["a"] * 5)


def test_real_crops_pass_at_about_the_quantile():
    generator = np.random.default_rng(1)
    rows, fresh = generator.normal(size=(400, 6)), generator.normal(size=(2000, 6))
    groups = [f"g{i // 4}" for i in range(400)]
    quality, _ = distance_thresholds("pit", apart(rows, groups), groups, 0.95, 0.5)
    passed = (to_real(crops_of(fresh), crops_of(rows)) <= quality.value).mean()
    assert passed == pytest.approx(0.95, abs=0.03)


def test_a_sample_is_as_far_as_its_farthest_crop():
    made, real = crops_of([0.0, 5, 2], samples=[0, 0, 2]), crops_of([1.0])
    distances = to_real(made, real)
    assert distances.tolist() == [1, 4, 1]
    assert np.array_equal(farthest(distances, made, 3), [4, np.nan, 1], equal_nan=True)
    assert np.array_equal(closest(distances, made, 3), [1, np.nan, 1], equal_nan=True)
    assert to_real(crops_of(np.zeros((0, 1))), real).tolist() == []


def test_what_is_too_few():
    assert lacking(["a"] * 4 + ["b"]) == ""
    assert "4 real samples of 4 parts" in lacking(["a", "b", "c", "d"])
    assert "6 real samples of 1 parts" in lacking(["a"] * 6)


def test_thresholds_name_their_class_in_json():
    told = Threshold("pit", "agreement", 0.25, 9, 3).to_json()
    assert told == {"class": "pit", "step": "agreement", "value": 0.25, "real": 9, "groups": 3}


def test_codes_number_groups_as_they_come():
    assert codes_of(["b", "a", "b"]).tolist() == [0, 1, 0]
