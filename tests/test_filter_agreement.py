"""Agreement: overlap by hand, windows around defects, who judges whom, thresholds."""

import numpy as np
import pytest

from flawsmith.evaluate.filtering.agreement import (
    Agreement,
    of_candidates,
    of_real,
    overlap_thresholds,
    shares_of,
    sums_of,
)
from flawsmith.evaluate.filtering.windows import MOST, NEAR, Window, windows_of
from flawsmith.sample import Sample
from tests.filter_helpers import Seers, drawn, scanned


def marked(height, width, *boxes):
    masks = np.zeros((2, height, width), bool)
    for plane, y, x, h, w in boxes:
        masks[plane, y : y + h, x : x + w] = True
    image = np.arange(height * width).reshape(height, width) % 251
    return Sample("s", image.astype(np.uint8), masks, "defective", "g")


def test_overlap_by_hand():
    # Four pixels near: mask 1 1 0 0, told 0.5 1 0.5 0. Shared 1.5; 2 + 2 - 1.5 in all.
    masks = np.zeros((2, 2, 3), bool)
    masks[0, 0, :2] = True
    near = np.array([[True, True, True], [True, False, False]])
    far = np.array([[False] * 3, [False, True, True]])
    chances = np.zeros((2, 2, 3), np.float32)
    chances[0, 0] = 0.5, 1, 0.5
    chances[1, 1, 2] = 0.7  # an alarm of any class, one of two far pixels
    window = Window(0, np.zeros((2, 3), np.uint8), masks, near, far)
    sums = sums_of(window, chances)
    assert sums.tolist() == [1.5, 2.5, 1, 2]
    assert shares_of(sums) == (0.6, 0.5)
    assert shares_of(sums + sums) == (0.6, 0.5)
    assert shares_of(np.zeros(4)) == (0, 0)


def test_a_window_lies_around_its_defect():
    sample = marked(200, 300, (0, 100, 150, 10, 12), (1, 20, 20, 4, 4))
    first, second = windows_of(sample, 64)
    assert (first.plane, second.plane) == (0, 1)
    assert first.masks[0].sum() == 120
    rows, columns = np.nonzero(first.masks[0])
    assert rows.min() == columns.min() + 1 == 27  # in the middle of 64
    assert first.near.sum() == (10 + 2 * NEAR) * (12 + 2 * NEAR)
    assert not (first.near & first.far).any()
    assert (first.near | first.far).all()
    top, left = 100 - 27, 150 - 26
    assert np.array_equal(first.image, sample.image[top : top + 64, left : left + 64])
    assert second.masks[1].sum() == 16  # moved into the picture


def test_windows_do_not_keep_their_pictures():
    """They wait for one another; as views each would keep all of its sample."""
    (window,) = windows_of(marked(200, 300, (0, 100, 150, 10, 12)), 64)
    for array in (window.image, window.masks, window.near, window.far):
        assert array.base is None


def test_long_defects_take_several_windows_the_fullest_first():
    found = list(windows_of(marked(100, 400, (0, 40, 10, 4, 300), (0, 46, 240, 9, 30)), 64))
    assert len(found) == MOST
    assert found[0].masks[0].sum() == max(w.masks[0].sum() for w in found) > 64 * 4


def test_small_pictures_are_mirrored_and_not_judged_there():
    (window,) = windows_of(marked(20, 30, (0, 5, 5, 6, 6)), 64)
    assert window.image.shape == (64, 64)
    assert window.masks[0].sum() > 36
    assert (window.near | window.far).sum() == 20 * 30
    assert list(windows_of(marked(20, 30), 64)) == []


def test_the_half_that_has_not_seen_it_judges(tmp_path):
    samples = [drawn(f"r{i}", i, 0) for i in range(3)]
    found = scanned(tmp_path / "real", samples)
    judges = Seers({"r0": 0, "r1": 1, "r2": 1})
    entries = of_real(found.dataset, judges)
    assert judges.asked == [(1, 1), (0, 2)]
    assert [entry.sample for entry in entries] == [0, 1, 2]
    assert all(entry.overlap > 0.8 for entry in entries)


def test_candidates_are_judged_by_the_mean_of_both(tmp_path):
    class Divided(Seers):
        def chances(self, pictures, half):
            return super().chances(pictures, half) * (1 - half)

    found = scanned(tmp_path / "made", [drawn("m0", 1, 0), drawn("m1", 2, None)])
    (alone,) = of_candidates(found.dataset, Seers())
    (shared,) = of_candidates(found.dataset, Divided())
    assert alone.overlap > 0.8
    assert shared.overlap == pytest.approx(alone.overlap / 2, rel=0.15)


def test_a_shifted_mask_is_contradicted_and_batches_do_not_matter(tmp_path, monkeypatch):
    good = [drawn(f"m{i}", i, i % 2) for i in range(5)]
    wrong = [Sample(f"w{s.id}", s.image, np.roll(s.masks, 25, 2), s.label, "g") for s in good]
    found = scanned(tmp_path / "made", good + wrong)
    entries = of_candidates(found.dataset, Seers())
    assert min(e.overlap for e in entries[:5]) > 0.8
    assert max(e.overlap for e in entries[5:]) < 0.3
    # What the mask does not cover any more is an alarm.
    assert max(e.alarms for e in entries[:5]) < min(e.alarms for e in entries[5:])
    monkeypatch.setattr("flawsmith.evaluate.filtering.agreement.BATCH", 3)
    assert of_candidates(found.dataset, Seers()) == entries


def test_thresholds_by_hand():
    overlaps = [0.5, 0.1, 0.3, 0.4, 0.2]
    known = [(Agreement(i, 0, o, 0.0), f"g{i}") for i, o in enumerate(overlaps)]
    known += [(Agreement(9, 1, 0.5, 0.0), "g")]
    known += [(Agreement(i, 2, 0.0, 0.0), f"g{i}") for i in range(5)]
    limits, notices = overlap_thresholds(known, ("pit", "streak", "stain"), (0, 1, 2), 0.25)
    assert limits[0].value == pytest.approx(0.2)
    assert (limits[0].real, limits[0].groups) == (5, 5)
    assert 1 not in limits
    assert notices[0].startswith("streak: agreement with segmenters not judged: 1 real samples")
    assert notices[1].startswith("stain: the segmenters miss")
