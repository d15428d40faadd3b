"""The demo data: a function of (seed, index), honest masks, the real balance of classes."""

from collections import Counter

import cv2
import numpy as np
import pytest

from flawsmith.data.demo import DEMO_CLASSES, DEMO_KINDS, demo_sample
from flawsmith.data.demo_plates import draw_plate, draw_plate_photo, photograph
from flawsmith.data.demo_strips import DEFECTIVE_SHARE, draw_classes, draw_strip
from flawsmith.errors import InputError
from flawsmith.sample import Masks, Sample
from flawsmith.seeding import rng

SCALE = 1 / 16


def draw(kind: str, index: int, seed: int = 5) -> Sample:
    return demo_sample(kind, seed, index, scale=SCALE)


def pieces(mask: Masks) -> int:
    return cv2.connectedComponents(mask.astype(np.uint8))[0] - 1


@pytest.mark.parametrize("kind", DEMO_KINDS)
def test_a_sample_depends_on_seed_and_index_alone(kind: str) -> None:
    later = draw(kind, 3)
    for index in (0, 3):
        again = draw(kind, index)
    assert again.image.tobytes() == later.image.tobytes()
    assert again.masks.tobytes() == later.masks.tobytes()
    assert (again.id, again.label, again.group, again.meta) == (
        later.id,
        later.label,
        later.group,
        later.meta,
    )
    assert draw(kind, 4).image.tobytes() != later.image.tobytes()
    assert draw(kind, 3, seed=6).image.tobytes() != later.image.tobytes()


@pytest.mark.parametrize("seed", [0, 1, 5])
def test_a_short_run_of_strips_holds_every_label_and_class(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flawsmith.data.demo.draw_strip", planned_strip)
    samples = [draw("severstal", i, seed) for i in range(24)]
    labels = Counter(sample.label for sample in samples)
    assert labels["good"] >= 8
    assert labels["defective"] >= 9
    assert np.any([s.masks.any(axis=(1, 2)) for s in samples], axis=0).all()


def planned_strip(
    generator: np.random.Generator, *, defective: bool, classes: list[int]
) -> tuple[np.ndarray, Masks]:
    """In place of the drawing: one pixel for each class that would be drawn."""
    masks: Masks = np.zeros((4, 2, 2), dtype=np.bool_)
    for number in classes:
        masks[number - 1, 0, 0] = True
    assert masks.any() == defective
    return np.zeros((2, 2), dtype=np.uint8), masks


def test_strip_labels_and_classes_come_in_the_real_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flawsmith.data.demo.draw_strip", planned_strip)
    samples = [draw("severstal", i) for i in range(17 * 40)]
    bad = [s for s in samples if s.label == "defective"]
    assert len(bad) / len(samples) == pytest.approx(DEFECTIVE_SHARE, abs=0.002)
    held = np.array([s.masks.any(axis=(1, 2)) for s in bad])
    # 897, 247, 5150 and 801 of 6666 defective images hold class 1 to 4; 427 hold two.
    np.testing.assert_allclose(held.mean(axis=0), [0.135, 0.037, 0.773, 0.120], atol=0.04)
    assert 0.02 < (held.sum(axis=1) == 2).mean() < 0.11


def test_free_draws_of_classes_follow_the_real_shares() -> None:
    generator = rng(2, "classes")
    drawn = Counter(c for _ in range(2000) for c in draw_classes(generator))
    total = sum(drawn.values())
    shares = [drawn[c] / total for c in (1, 2, 3, 4)]
    np.testing.assert_allclose(shares, [0.126, 0.035, 0.726, 0.113], atol=0.03)


def test_pieces_of_a_class_are_about_as_many_as_in_the_real_set() -> None:
    # 3082, 321, 14622 and 1902 pieces on 897, 247, 5150 and 801 images.
    for number, real in zip((1, 2, 3, 4), (3.44, 1.30, 2.84, 2.37), strict=True):
        counts = []
        for i in range(4):
            _, masks = draw_strip(rng(4, "pieces", number, i), defective=True, classes=[number])
            counts.append(pieces(masks[number - 1]))
        assert real / 2 < np.mean(counts) < 2 * real


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_strip_masks_lie_on_visible_change_and_on_nothing_else(number: int) -> None:
    for i in range(2):
        image, masks = draw_strip(rng(9, number, i), defective=True, classes=[number])
        clean, empty = draw_strip(rng(9, number, i), defective=False)
        mask = masks[number - 1]
        assert image.shape == (256, 1600)
        assert image.dtype == np.uint8
        assert not empty.any()
        assert masks.any(axis=(1, 2)).sum() == 1
        np.testing.assert_array_equal(image[~mask], clean[~mask])
        change = np.abs(image.astype(int) - clean)
        assert change[mask].mean() > 8
        # A pixel of the mask is changed, or within a few pixels of one that is (annotators' slack).
        near = cv2.dilate((change > 5).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        assert near[mask].mean() > 0.98


def test_class_shapes_are_what_their_names_say() -> None:
    def mark(number: int) -> tuple[float, float, float]:
        sizes = []
        for i in range(3):
            _, masks = draw_strip(rng(11, number, i), defective=True, classes=[number])
            _, _, stats, _ = cv2.connectedComponentsWithStats(masks[number - 1].astype(np.uint8))
            largest = stats[1 + stats[1:, cv2.CC_STAT_AREA].argmax()]
            sizes.append(largest[[cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA]])
        width, height, area = np.median(sizes, axis=0)
        return float(width), float(height), float(area)

    crack, scratch, patch = mark(2), mark(3), mark(4)
    assert crack[1] > 3 * crack[0]
    assert crack[1] < 140
    assert max(scratch[:2]) > 140
    assert scratch[2] < 6000
    assert patch[2] > 3000


def test_plates_and_their_photos_keep_the_real_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = draw_plate(rng(0), defective=False, scale=SCALE)
    blank = photograph(rng(0), plain, SCALE)
    monkeypatch.setattr("flawsmith.data.demo.draw_plate", lambda *a, **k: plain)
    monkeypatch.setattr("flawsmith.data.demo.photograph", lambda *a, **k: blank)
    samples = [draw("plates", i) for i in range(260)]
    labels = Counter(s.label for s in samples)
    assert labels["defective"] / 260 == pytest.approx(53 / 260, abs=0.01)
    photos = Counter(s.group for s in samples)
    assert set(photos.values()) == {1, 2, 3}
    for group in photos:
        assert len({s.label for s in samples if s.group == group}) == 1
    short = Counter(s.label for s in samples[:24])
    assert short["good"] >= 16
    assert short["defective"] >= 4


def test_photos_of_one_plate_show_the_same_defects() -> None:
    samples = [draw("plates", i) for i in range(20)]
    bad = [s for s in samples if s.label == "defective"]
    one, two = (s for s in bad if s.group == bad[0].group)
    assert one.image.tobytes() != two.image.tobytes()
    areas = [s.masks.sum(axis=(1, 2)) for s in (one, two)]
    np.testing.assert_allclose(areas[0], areas[1], rtol=0.2, atol=4)


def test_plate_masks_lie_on_visible_change() -> None:
    for i in range(4):
        bad = draw_plate(rng(3, i), defective=True)
        good = draw_plate(rng(3, i), defective=False)
        mask = bad.masks.any(axis=0)
        assert mask.any()
        assert not good.masks.any()
        np.testing.assert_array_equal(bad.image[~mask], good.image[~mask])
        change = np.abs(bad.image.astype(int) - good.image).max(axis=2)
        assert change[mask].mean() > 8


@pytest.mark.parametrize("scale", [0.06, 1 / 8, 1 / 3])
def test_plate_photos_scale(scale: float) -> None:
    photo = draw_plate_photo(rng(1, "scale"), defective=True, scale=scale)
    height, width = round(6000 * scale), round(4096 * scale)
    assert photo.image.shape == (height, width, 3)
    assert photo.masks.shape == (2, height, width)
    corners = np.array(photo.pose.corners)
    assert ((corners > 0) & (corners < [width, height])).all()
    side, end = np.linalg.norm(corners[3] - corners[0]), np.linalg.norm(corners[1] - corners[0])
    assert side / end == pytest.approx(5, rel=1e-3)
    # Every defect lies on the plate.
    plate = np.zeros((height, width), dtype=np.uint8)
    cv2.fillConvexPoly(plate, np.rint(corners).astype(np.int32), 1)
    assert not (photo.masks.any(axis=0) & (cv2.dilate(plate, np.ones((5, 5))) == 0)).any()


def test_samples_name_their_kind() -> None:
    strip, plate = draw("severstal", 12), draw("plates", 12)
    assert strip.id == strip.group == "strip_00012"
    assert plate.id == "plate_00012"
    assert plate.group.startswith("plate_")
    assert strip.size == (1600, 256)
    assert plate.size == (256, 375)
    for sample, kind in ((strip, "severstal"), (plate, "plates")):
        assert len(sample.masks) == len(DEMO_CLASSES[kind])
        assert (sample.label == "defective") == sample.masks.any()


@pytest.mark.parametrize(
    ("kind", "seed", "index", "scale"),
    [("tiles", 0, 0, 1), ("plates", -1, 0, 1), ("plates", 0, -1, 1), ("plates", 0, 0, 2)],
)
def test_bad_settings_are_refused(kind: str, seed: int, index: int, scale: float) -> None:
    with pytest.raises(InputError, match="mend"):
        demo_sample(kind, seed, index, scale=scale)
