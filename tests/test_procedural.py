"""Drawn defects: every label is one that can be seen, and nothing else changes."""

import cv2
import numpy as np
import pytest

from flawsmith.augment import procedural
from flawsmith.augment.job import prepare
from flawsmith.augment.procedural import Procedural
from flawsmith.augment.settings import AugmentSettings
from flawsmith.data.build import Refused
from flawsmith.data.images import write_png
from flawsmith.data.visibility import distance_outside
from flawsmith.sample import Sample
from tests.augment_helpers import assert_stands_out, make_parts, part, surface, write_scan


def settings(**more):
    return AugmentSettings(method="procedural", count=10, **more)


def good_only(root, rgb=False, level=110):
    samples = [part(f"c{i}", image=surface(i, rgb=rgb, level=level)) for i in range(3)]
    return write_scan(root, samples)


@pytest.mark.parametrize("rgb", [False, True], ids=["grey", "rgb"])
@pytest.mark.parametrize("level", [20, 110, 245])
def test_every_label_is_visible_and_the_rest_unchanged(tmp_path, rgb, level):
    found = good_only(tmp_path / "set", rgb, level)
    known = {sample.id: sample for sample in found.dataset}
    recipe = Procedural.of(found, settings(per_image=(1, 3)))
    for index in range(20):
        sample = recipe.make(index)
        assert isinstance(sample, Sample)
        background = known[sample.meta["background"]]
        outside = distance_outside(sample.union) > 3
        assert np.array_equal(sample.image[outside], background.image[outside])
        painted = 0
        for plane in sample.masks:
            count, labels = cv2.connectedComponents(
                cv2.dilate(plane.astype(np.uint8), np.ones((5, 5), np.uint8))
            )
            for number in range(1, count):
                piece = (labels == number) & plane
                assert_stands_out(background.image, sample.image, piece)
                painted += 1
        assert painted >= len(sample.meta["defects"]) >= 1
        names = {defect["class"] for defect in sample.meta["defects"]}
        assert names == {recipe.shapes.classes[p] for p in range(3) if sample.masks[p].any()}
        assert sample.meta["mask_source"] == "procedural"


def test_a_change_that_cannot_be_seen_is_refused(tmp_path, monkeypatch):
    def faint(generator, target, mask):
        return target + np.uint8(2)

    monkeypatch.setattr(procedural, "render", faint)
    recipe = Procedural.of(good_only(tmp_path / "set"), settings())
    assert recipe.make(0) == Refused("change not visible")


def test_no_room_is_refused(tmp_path):
    roi = np.zeros((48, 64), np.uint8)
    roi[0, 0] = 255
    write_png(tmp_path / "roi.png", roi)
    recipe = Procedural.of(good_only(tmp_path / "set"), settings(roi=tmp_path / "roi.png"))
    assert recipe.make(0) == Refused("no room in the region")


def test_same_seed_and_index_same_bytes(tmp_path):
    found = good_only(tmp_path / "set")
    one, two = (Procedural.of(found, settings(seed=8)) for _ in range(2))
    ahead = [one.make(i) for i in range(5)]
    for index in reversed(range(5)):
        assert np.array_equal(two.make(index).image, ahead[index].image)
    assert len({sample.image.tobytes() for sample in ahead}) == 5


def test_small_frames(tmp_path):
    noise = np.random.default_rng(0).integers(100, 106, (16, 16), np.uint8)
    found = write_scan(tmp_path / "set", [part("tiny", image=noise)])
    recipe = Procedural.of(found, settings())
    made = [recipe.make(i) for i in range(20)]
    assert sum(isinstance(sample, Sample) for sample in made) >= 15


def test_real_masks_keep_their_classes(tmp_path):
    found = write_scan(tmp_path / "set", make_parts())
    candidates = prepare(found, settings(masks="bank", classes=("streak",)))
    assert candidates.spec.classes == ("pit", "streak")
    for index in range(5):
        sample = candidates.recipe.make(index)
        assert sample.masks[1].any()
        assert not sample.masks[0].any()
        assert all(defect["mask"].startswith("streak-") for defect in sample.meta["defects"])


def test_without_clean_images_regions_are_drawn_on(tmp_path):
    worn = [sample for sample in make_parts(rgb=True) if sample.label == "defective"]
    found = write_scan(tmp_path / "set", worn)
    known = {sample.id: sample for sample in found.dataset}
    candidates = prepare(found, settings(per_image=(1, 1)))
    assert len(candidates.notices) == 1
    for index in range(8):
        sample = candidates.recipe.make(index)
        x, y, w, h = sample.meta["region"]
        whole = known[sample.meta["background"]]
        view = np.s_[y : y + h, x : x + w]
        assert not whole.union[view].any()
        outside = distance_outside(sample.union) > sample.meta["hole_px"]
        assert outside.any()
        assert np.array_equal(sample.image[outside], whole.image[view][outside])
