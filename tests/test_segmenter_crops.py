"""Training crops and arms: what is seen, how often, and that all arms see the same."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from flawsmith.data.dataset import DataSet
from flawsmith.data.scan import Scan
from flawsmith.errors import InputError
from flawsmith.evaluate.segmenter.crops import Pool, batch_of, crop_at, mirrored, pictures_of
from flawsmith.evaluate.segmenter.sources import arm_of
from flawsmith.sample import Sample
from flawsmith.seeding import rng
from tests.inpaint_run_helpers import texture
from tests.segmenter_helpers import blank, settings, write_set


def noisy(seed, height, width, *boxes):
    _, masks = blank(height, width, *boxes)
    return texture(seed, (height, width)), masks


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Three discs an image in nine images, a square in one, a clean one; and two synthetic ones."""
    folder = tmp_path_factory.mktemp("sets")
    discs = [
        noisy(i, 150, 180, (1, 5, 5, 4, 4), (1, 90, 20, 4, 4), (1, 100, 100, 3, 3))
        for i in range(9)
    ]
    pairs = [*discs, noisy(10, 150, 180, (0, 20, 150, 6, 6)), noisy(11, 150, 180)]
    made = [noisy(20 + i, 150, 180, (0, 10 * i, 60, 8, 8)) for i in range(2)]
    return (
        write_set(folder / "real", *zip(*pairs, strict=True)),
        write_set(folder / "made", *zip(*made, strict=True)),
    )


def same(one, other):
    return (
        np.array_equal(one.image, other.image)
        and np.array_equal(one.masks, other.masks)
        and np.array_equal(one.counted, other.counted)
    )


@pytest.mark.parametrize("full", [1, 2, 5, 9])
def test_mirrored_as_numpy_pads(full):
    line = np.arange(full)
    padded = np.pad(line, (7, 30), mode="reflect")
    assert np.array_equal(line[mirrored(-7, len(padded), full)], padded)
    assert np.array_equal(mirrored(1, full - 1, full), line[1:])


def test_a_crop_is_the_picture_s_own_pixels(sets):
    sample = sets[0].dataset[9]
    crop = crop_at(sample, 10, 100, 64)
    assert np.array_equal(crop.image, sample.image[10:74, 100:164])
    assert np.array_equal(crop.masks, sample.masks[:, 10:74, 100:164])
    assert crop.counted.all()


@pytest.mark.parametrize("shape", [(20, 30), (1, 90), (200, 17, 3)])
def test_small_pictures_are_mirrored_with_their_masks(shape):
    image = rng(0, "small").integers(0, 256, shape).astype(np.uint8)
    masks = image.reshape(*shape[:2], -1)[None, :, :, 0] > 200
    sample = Sample("a", image, masks, "defective", "a")
    crop = crop_at(sample, -3, -5, 64)
    assert crop.image.shape[:2] == (64, 64)
    first = crop.image if image.ndim == 2 else crop.image[..., 0]
    assert np.array_equal(crop.masks[0], first > 200)
    inside = crop.image[3 : 3 + shape[0], 5 : 5 + shape[1]]
    assert np.array_equal(inside, image[:61, :59])


def test_the_rim_does_not_count():
    image, masks = blank(64, 64, (0, 20, 20, 10, 10))
    crop = crop_at(Sample("a", image, masks, "defective", "a"), 0, 0, 64, rim=2)
    wanted = np.ones((64, 64), bool)
    wanted[18:32, 18:32] = False
    wanted[22:28, 22:28] = True
    assert np.array_equal(crop.counted[0], wanted)
    assert crop.counted[1].all()
    # The edge of the crop is no edge of the mask.
    cut = crop_at(Sample("a", image, masks, "defective", "a"), 25, 25, 32, rim=2)
    assert cut.counted[0, 0, 0]


def test_defects_are_seen_class_by_class_at_any_place(sets):
    pool = Pool(sets[0], 64)
    seen, rows = Counter(), []
    for i in range(300):
        crop = pool.draw(rng(1, "try", i), defect=True)
        assert crop.image.shape == (64, 64)
        planes = np.flatnonzero(crop.masks.any(axis=(1, 2)))
        assert len(planes) == 1
        seen[int(planes[0])] += 1
        if planes[0] == 0:
            rows.append(np.flatnonzero(crop.masks[0].any(axis=1)).mean())
    # One image in ten shows a square.
    assert 120 < seen[0] < 180
    assert min(rows) < 12
    # Rows 20 to 25 of the picture: they cannot lie lower in a window inside of it.
    assert max(rows) <= 25


def test_anywhere_shows_clean_surface_too(sets):
    pool = Pool(sets[0], 64)
    crops = [pool.draw(rng(1, "try", i), defect=False) for i in range(200)]
    empty = sum(not crop.masks.any() for crop in crops)
    assert 60 < empty < 190
    assert all(same(pool.draw(rng(1, "try", i), defect=False), crops[i]) for i in (0, 7))


def test_unknown_samples_have_no_part(sets):
    facts = tuple(replace(fact, label="unknown") for fact in sets[0].facts)
    mixed = Scan(sets[0].dataset, (*facts[:9], *sets[0].facts[9:]))
    pool = Pool(mixed, 64)
    assert pool.usable == [9, 10]
    assert pool.showing == {0: [9]}
    with pytest.raises(InputError, match="nothing to learn"):
        Pool(Scan(sets[0].dataset, facts), 64)


def test_a_pool_of_clean_samples(sets):
    clean = sets[0].select([10])
    crop = Pool(clean, 64).draw(rng(0), defect=True)
    assert not crop.masks.any()


def test_batches_are_scaled_as_lite0_wants_it(sets):
    pool = Pool(sets[0], 64)
    batch = batch_of([pool.draw(rng(1, i), defect=True) for i in range(3)])
    assert batch.image.shape == (3, 3, 64, 64)
    assert batch.masks.shape == batch.counted.shape == (3, 2, 64, 64)
    assert {batch.image.dtype, batch.masks.dtype, batch.counted.dtype} == {torch.float32}
    colours = np.zeros((1, 2, 3), np.uint8)
    colours[0, 1] = (255, 0, 51)
    wanted = torch.tensor([[-1, 1], [-1, -1], [-1, -0.6]])
    torch.testing.assert_close(pictures_of([colours])[0, :, 0], wanted)
    grey = np.array([[0, 255]], np.uint8)
    assert pictures_of([grey, colours])[0, :, 0].tolist() == [[-1, 1]] * 3


def test_all_arms_see_the_same_real_samples(sets):
    real, made = sets
    total = 40
    kinds = {
        "first": {"mixing": "first", "fraction": 0.5},
        "constant": {"mixing": "constant", "share": 0.4},
        "falling": {"mixing": "falling", "fraction": 1.0},
        "real negatives": {"mixing": "constant", "share": 0.8, "negatives": "real"},
    }
    arms = {kind: arm_of(kind, real, made, settings(**own)) for kind, own in kinds.items()}
    plain = arm_of("real", real, None, settings())
    shares = Counter()
    for step in range(total):
        for place in range(8):
            own, synthetic = plain.crop(5, step, total, place)
            assert not synthetic
            for kind, arm in arms.items():
                crop, synthetic = arm.crop(5, step, total, place)
                assert synthetic == arm.is_synthetic(5, step, total, place)
                assert same(crop, own) != synthetic
                assert not (kind == "real negatives" and synthetic and (step + place) % 2)
                shares[kind] += synthetic
    share = {kind: shares[kind] / (8 * total) for kind in arms}
    assert share == pytest.approx(dict.fromkeys(kinds, 0.4), abs=0.08)
    late = [arms["first"].is_synthetic(5, step, total, 0) for step in range(20, total)]
    assert not any(late)


def test_every_second_crop_holds_a_defect(sets):
    arm = arm_of("real", sets[0], None, settings())
    for step in range(5):
        for place in range(step % 2, 6, 2):
            assert arm.crop(0, step, 5, place)[0].masks.any()
    other = arm_of("real", sets[0], None, settings()).crop(1, 0, 5, 0)[0]
    assert not same(arm.crop(0, 0, 5, 0)[0], other)


def test_only_synthetic_samples_have_a_rim(sets):
    arm = arm_of("all", *sets, settings(mixing="constant", share=0.5, rim=1))
    for place in range(0, 20, 2):
        crop, synthetic = arm.crop(0, 0, 10, place)
        assert crop.counted.all() != synthetic


def test_what_cannot_be_an_arm(sets):
    real, made = sets
    with pytest.raises(InputError, match="no defect is marked"):
        arm_of("real", real.select([10]), None, settings())
    renamed: DataSet = replace(made.dataset, classes=("square", "dent"))
    with pytest.raises(InputError, match=r"square, dent; those of the real samples square, disc"):
        arm_of("all", real, Scan(renamed, made.facts), settings())
