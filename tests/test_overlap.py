"""Overlap: counts by hand, pooling, scikit-learn, classes and clean images that are not there."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score

from flawsmith.errors import InputError
from flawsmith.evaluate.overlap import Counts, Overlap, count, figure_names, overlap
from flawsmith.sample import Sample

CLASSES = ("pit", "streak")


def sample(name, masks, label="defective", group=None):
    image = np.zeros(masks.shape[1:], np.uint8)
    return Sample(name, image, masks, label, group or name)


def planes(*boxes, size=(8, 10)):
    """Masks of a plane each: a box x0, y0, x1, y1, or nothing."""
    masks = np.zeros((len(boxes), *size), bool)
    for plane, box in zip(masks, boxes, strict=True):
        if box:
            x0, y0, x1, y1 = box
            plane[y0:y1, x0:x1] = True
    return masks


def golden():
    """Two defective images, one with both classes that overlap, and two clean ones."""
    both = sample("a", planes((0, 0, 4, 4), (2, 2, 6, 6)), group="g")
    pit = sample("b", planes((0, 0, 2, 1), None), group="g")
    clean = [sample(f"c{i}", planes(None, None), "good") for i in range(2)]
    return [
        count(both, planes((0, 0, 4, 2), (2, 2, 6, 6))),  # pit 8 of 16, streak all
        count(pit, planes((0, 0, 4, 1), (5, 5, 6, 6))),  # pit 2 of 2 and 2 more, streak 1 more
        count(clean[0], planes((0, 0, 3, 1), (2, 1, 5, 2))),  # 3 and 3 that touch at a side
        count(clean[1], planes(None, None)),
    ]


def test_golden_counts():
    counts = Counts.of(CLASSES, golden())
    assert counts.tp.tolist() == [[8, 16], [2, 0], [0, 0], [0, 0]]
    assert counts.fp.tolist() == [[0, 0], [2, 1], [3, 3], [0, 0]]
    assert counts.fn.tolist() == [[8, 0], [0, 0], [0, 0], [0, 0]]
    assert counts.largest.tolist() == [24, 4, 6, 0]
    assert counts.shows.tolist() == [[True, True], [True, False], [False] * 2, [False] * 2]


def test_golden_figures():
    found = overlap(Counts.of(CLASSES, golden()))
    assert found.iou == pytest.approx((10 / 23, 16 / 20))
    assert found.miou == pytest.approx((10 / 23 + 16 / 20) / 2)
    # Pit: 16 of 24 and 4 of 6; the streak's false pixels lie where no streak is.
    assert found.dice == pytest.approx(((16 / 24 + 4 / 6) / 2, 1.0))
    assert found.mdice == pytest.approx(((16 / 24 + 4 / 6) / 2 + 1) / 2)
    assert (found.images, found.groups, found.absent, found.unknown) == (4, 3, (), 0)
    assert (found.clean, found.alarmed, found.alarm_share) == (2, 1, 0.5)


def test_an_alarm_is_one_component_of_all_classes():
    counts = Counts.of(CLASSES, golden())
    assert overlap(counts, min_area=6).alarmed == 1
    assert overlap(counts, min_area=7).alarmed == 0
    with pytest.raises(ValueError, match="min_area = 0"):
        overlap(counts, min_area=0)
    corners = planes((0, 0, 2, 2), (2, 2, 4, 4))  # 8-connected
    assert count(sample("a", planes(None, None), "good"), corners).largest == 8
    apart = planes((0, 0, 2, 2), (3, 3, 5, 5))
    assert count(sample("a", planes(None, None), "good"), apart).largest == 4


def test_scikit_learn_agrees():
    generator = np.random.default_rng(0)
    masks = generator.random((6, 3, 20, 30)) < np.array([0.5, 0.2, 0.05])[:, None, None]
    masks[:3, 2] = False
    predicted = masks ^ (generator.random(masks.shape) < 0.1)
    names = ("a", "b", "c")
    rows = [count(sample(f"{i}", m), p) for i, (m, p) in enumerate(zip(masks, predicted))]  # noqa: B905
    found = overlap(Counts.of(names, rows))
    for k in range(3):
        assert found.iou[k] == pytest.approx(
            jaccard_score(masks[:, k].ravel(), predicted[:, k].ravel())
        )
        showing = [i for i in range(6) if masks[i, k].any()]
        dice = [f1_score(masks[i, k].ravel(), predicted[i, k].ravel()) for i in showing]
        assert found.dice[k] == pytest.approx(np.mean(dice))
    assert found.miou == pytest.approx(np.mean(found.iou))


def test_truth_itself_and_nothing():
    masks = planes((0, 0, 4, 4), (2, 2, 6, 6))
    perfect = overlap(Counts.of(CLASSES, [count(sample("a", masks), masks)]))
    assert perfect.iou == perfect.dice == (1.0, 1.0)
    missed = overlap(Counts.of(CLASSES, [count(sample("a", masks), np.zeros_like(masks))]))
    assert missed.iou == missed.dice == (0.0, 0.0)
    assert (missed.miou, missed.mdice) == (0.0, 0.0)


def test_a_class_without_test_pixels_is_named_and_counts_for_nothing():
    masks = planes((0, 0, 4, 4), None)
    for predicted in (planes((0, 0, 4, 2), None), planes((0, 0, 4, 2), (0, 0, 9, 8))):
        found = overlap(Counts.of(CLASSES, [count(sample("a", masks), predicted)]))
        assert found.absent == ("streak",)
        assert found.iou == (0.5, None)
        assert found.dice == (pytest.approx(2 / 3), None)
        assert found.miou == 0.5
        assert found.mdice == pytest.approx(2 / 3)


def test_no_clean_images_no_false_alarms():
    found = overlap(Counts.of(CLASSES, golden()[:2]))
    assert (found.clean, found.alarmed, found.alarm_share) == (0, None, None)


def test_unknown_images_are_left_out_and_counted():
    unknown = count(sample("u", planes(None, None), "unknown"), planes((0, 0, 9, 8), None))
    with_it, without = (Counts.of(CLASSES, rows) for rows in ([*golden(), unknown], golden()))
    assert with_it.unknown == ("u",)
    assert overlap(with_it).unknown == 1
    assert overlap(with_it).iou == overlap(without).iou
    with pytest.raises(InputError, match="no labelled image among its 1"):
        Counts.of(CLASSES, [unknown])


def test_only_clean_images_are_refused():
    with pytest.raises(InputError, match="no defect of any class \\(pit, streak\\)"):
        overlap(Counts.of(CLASSES, golden()[2:]))


def test_the_order_of_images_does_not_matter():
    assert overlap(Counts.of(CLASSES, golden())) == overlap(Counts.of(CLASSES, golden()[::-1]))


def test_wrong_predictions_are_refused():
    one = sample("a", planes((0, 0, 4, 4), None))
    with pytest.raises(ValueError, match=r"predicted uint8 .*; wanted bool \(2, 8, 10\)"):
        count(one, one.masks.astype(np.uint8))
    with pytest.raises(ValueError, match="a: predicted bool"):
        count(one, one.masks[:1])
    with pytest.raises(ValueError, match="for 4 images and 3 classes"):
        Counts.of((*CLASSES, "third"), golden())


def test_json_and_back():
    counts = Counts.of(CLASSES, golden())
    again = Counts.from_json(json.loads(json.dumps(counts.to_json())))
    assert again.to_json() == counts.to_json()
    assert again.ids == counts.ids
    found = overlap(again)
    assert found == overlap(counts)
    assert Overlap.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_names_of_figures():
    names = figure_names(CLASSES)
    assert names[:4] == ("mIoU", "IoU pit", "IoU streak", "mDice")
    assert names[4:] == ("Dice pit", "Dice streak", "false alarms")
