"""Classical augmentation: image and mask move as one, and nothing but the policy happens."""

import subprocess
import sys
import warnings

import albumentations as A
import cv2
import numpy as np
import pytest

from flawsmith.augment import policies
from flawsmith.augment.classical import Classical, seed_transforms
from flawsmith.augment.job import prepare
from flawsmith.augment.settings import AugmentSettings
from flawsmith.data import folder
from flawsmith.data.build import Refused, build
from flawsmith.data.writing import Spec
from flawsmith.errors import InputError
from flawsmith.sample import Sample
from tests.augment_helpers import CLASSES, blob_masks, make_parts, part, surface, write_scan
from tests.format_helpers import round_trip

LEVELS = (40, 120, 200)  # background, first and second class, far enough apart for any tone


def settings(**more):
    return AugmentSettings(method="classical", count=10, **more)


def telling_sample(shape=(50, 70)):
    """A sample whose grey levels say which class each pixel belongs to."""
    first, second = blob_masks(shape, 1), blob_masks(shape, 2)
    masks = np.stack([first & ~second, second])
    image = np.full(shape, LEVELS[0], np.uint8)
    image[masks[0]], image[masks[1]] = LEVELS[1], LEVELS[2]
    return Sample("telling", image, masks, "defective", "g")


def read_levels(image):
    """Recover the masks from the grey levels."""
    return np.stack([(image > 76) & (image <= 157), image > 157])


def moves(policy, count=40, shape=(61, 81)):
    """Return the source row of each output row, and columns alike, for transforms of a picture."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.uint8)
    image = np.stack([rows, columns, rows], -1)
    for seed in range(count):
        seed_transforms(policy, np.random.default_rng(seed))
        done = policy(image=image)["image"]
        assert done.shape == image.shape
        # A whole picture moved: each row comes from one row, each column from one column.
        assert (done[:, :, 0] == done[:, :1, 0]).all()
        assert (done[:, :, 1] == done[:1, :, 1]).all()
        yield done[:, 0, 0].astype(int), done[0, :, 1].astype(int)


def moved_by(index):
    """Return (shift, flipped) if the indices are a whole-pixel move with reflected edges."""
    n = len(index)
    for flipped in (False, True):
        for shift in range(-n // 10, n // 10 + 1):
            wanted = np.pad(np.arange(n), n // 2, "reflect")[n // 2 + shift :][:n]
            if np.array_equal(index[::-1] if flipped else index, wanted):
                return shift, flipped
    raise AssertionError(f"no move by whole pixels: {index}")


def test_safe_moves_by_whole_pixels_with_reflected_edges():
    policy = policies.safe_policy((True, True))
    geometry = A.Compose([t for t in policy if not isinstance(t, A.RandomBrightnessContrast)])
    found = [(moved_by(r), moved_by(c)) for r, c in moves(geometry)]
    for axis in (0, 1):
        assert {move[axis][1] for move in found} == {False, True}
        assert {abs(move[axis][0]) for move in found} >= {0, 1, 2}
        assert max(abs(move[axis][0]) for move in found) <= 4


def test_every_transform_tosses_its_own_coin():
    policy = policies.safe_policy((True, True))
    geometry = A.Compose([t for t in policy if not isinstance(t, A.RandomBrightnessContrast)])
    both = [(moved_by(r)[1], moved_by(c)[1]) for r, c in moves(geometry, 60)]
    assert {both.count((down, across)) > 5 for down in (0, 1) for across in (0, 1)} == {True}


@pytest.mark.parametrize("flips", [(False, True), (True, False), (False, False)])
def test_safe_keeps_to_the_flips_allowed(flips):
    policy = policies.safe_policy(flips)
    geometry = A.Compose([t for t in policy if not isinstance(t, A.RandomBrightnessContrast)])
    found = [(moved_by(r)[1], moved_by(c)[1]) for r, c in moves(geometry, 25)]
    assert any(down for down, _ in found) == flips[1]
    assert any(across for _, across in found) == flips[0]


def test_safe_mask_and_image_agree_in_every_pixel(tmp_path):
    source = telling_sample()
    found = write_scan(tmp_path / "set", [source])
    recipe = Classical.of(found, settings(), (True, True))
    tones = set()
    for index in range(40):
        sample = recipe.make(index)
        assert np.array_equal(sample.masks, read_levels(sample.image))
        assert (sample.label, sample.group) == ("defective", "g")
        assert sample.meta["source"] == "telling"
        tones.add(int(sample.image[sample.masks[1]].max()))
    assert len(tones) > 10  # the tone curve is at work
    assert min(tones) > 170
    assert max(tones) < 235


def test_overlapping_planes_survive(tmp_path):
    shape = (50, 70)
    masks = np.stack([blob_masks(shape, seed) for seed in range(3)])
    assert (masks.sum(0) == 3).any()
    # Eight combinations of three planes, as eight levels.
    code = (masks * np.array([1, 2, 4])[:, None, None]).sum(0)
    image = (30 + 28 * code).astype(np.uint8)
    sample = Sample("over", image, masks, "defective", "g")
    found = write_scan(tmp_path / "set", [sample], ("a", "b", "c"))
    assert prepare(found, settings()).spec.overlap
    recipe = Classical.of(found, settings(flips="all"), (True, True))
    for index in range(20):
        done = recipe.make(index)
        out = (done.masks * np.array([1, 2, 4])[:, None, None]).sum(0)
        # Where the code is one, so is the grey level, and the order of levels is kept.
        levels = [np.unique(done.image[out == value]) for value in range(8)]
        assert all(len(level) == 1 for level in levels)
        assert np.all(np.diff([int(level[0]) for level in levels]) > 0)


def test_same_seed_and_index_same_bytes_in_any_order(tmp_path):
    found = write_scan(tmp_path / "set", make_parts())
    forwards = Classical.of(found, settings(seed=5), (True, True))
    backwards = Classical.of(found, settings(seed=5), (True, True))
    ahead = [forwards.make(i) for i in range(12)]
    back = [backwards.make(i) for i in reversed(range(12))][::-1]
    for one, two in zip(ahead, back, strict=True):
        assert one.id == two.id
        assert one.meta == two.meta
        assert np.array_equal(one.image, two.image)
        assert np.array_equal(one.masks, two.masks)
    other = Classical.of(found, settings(seed=6), (True, True))
    assert any(not np.array_equal(other.make(i).image, ahead[i].image) for i in range(6))


def test_sources_and_classes_choose(tmp_path):
    found = write_scan(tmp_path / "set", make_parts())

    def used(**more):
        recipe = prepare(found, settings(**more)).recipe
        return {recipe.make(i).meta["source"].split("-")[0] for i in range(11)}

    assert used() == {"pit", "streak"}
    assert used(sources="good") == {"clean"}
    assert used(sources="all") == {"clean", "pit", "streak"}
    assert used(classes=("streak",)) == {"streak"}
    with pytest.raises(InputError, match="no class dent"):
        prepare(found, settings(classes=("dent",)))


def test_good_only_source_without_classes(tmp_path):
    good = [Sample(f"p{i}", surface(i), np.zeros((0, 48, 64), bool), "good", "") for i in range(3)]
    root = tmp_path / "set"
    for number, sample in enumerate(good):
        good[number] = Sample(sample.id, sample.image, sample.masks, "good", f"g{number}")
    found = write_scan(root, good, ())
    recipe = prepare(found, settings(sources="good")).recipe
    for index in range(4):
        sample = recipe.make(index)
        assert sample.label == "good"
        assert sample.masks.shape == (0, 48, 64)
    back = round_trip(tmp_path / "again", folder, "folder", [recipe.make(0)], Spec(()))
    assert back.classes == ()
    with pytest.raises(InputError, match="no defective image"):
        prepare(found, settings())


def test_thesis_is_six_transforms_at_p_03():
    policy = policies.thesis_policy(50, 70)
    real = [t for t in policy if not isinstance(t, (A.PadIfNeeded, A.RandomCrop))]
    names = [type(t).__name__ for t in real]
    assert names == [
        "RandomScale",
        "Rotate",
        "VerticalFlip",
        "HorizontalFlip",
        "Blur",
        "RandomBrightnessContrast",
    ]
    assert [t.p for t in real] == [0.3] * 6
    rotate = real[1]
    assert rotate.border_mode == cv2.BORDER_REFLECT_101
    assert rotate.mask_interpolation == cv2.INTER_NEAREST


def test_thesis_keeps_size_fills_by_reflection_and_masks_binary(tmp_path):
    masks = np.stack([blob_masks((50, 70), 1), blob_masks((50, 70), 2)])
    flat = Sample("flat", np.full((50, 70), 200, np.uint8), masks, "defective", "g")
    found = write_scan(tmp_path / "set", [flat])
    recipe = Classical.of(found, settings(preset="thesis"), (True, True))
    shares = []
    for index in range(60):
        sample = recipe.make(index)
        assert sample.image.shape == (50, 70)
        assert sample.masks.dtype == bool
        assert sample.image.min() >= 150  # a black wedge would be far below
        shares.append(sample.masks[0].mean())
    # Nearest interpolation keeps areas; it would thin or grow them if masks were thresholded.
    assert np.median(shares) == pytest.approx(masks[0].mean(), abs=0.02)


def test_thesis_moves_the_mask_with_the_image(tmp_path):
    masks = np.zeros((2, 50, 70), bool)
    masks[0, 12:22, 30:52] = True
    image = np.where(masks[0], 200, 40).astype(np.uint8)
    found = write_scan(tmp_path / "set", [Sample("s", image, masks, "defective", "g")])
    recipe = Classical.of(found, settings(preset="thesis"), (True, True))
    for index in range(40):
        sample = recipe.make(index)
        bright = sample.image > 120
        both, either = (bright & sample.masks[0]).sum(), (bright | sample.masks[0]).sum()
        assert both / either > 0.85


def emptying(probability):
    def policy(flips):
        shift = A.Affine(translate_px={"x": (500, 500), "y": (0, 0)}, p=probability)
        return A.Compose([A.HorizontalFlip(p=1.0), shift])

    return policy


def test_emptied_masks_are_refused_and_counted(tmp_path, monkeypatch):
    found = write_scan(tmp_path / "set", make_parts())
    monkeypatch.setattr(policies, "safe_policy", emptying(1.0))
    recipe = Classical.of(found, settings(), (True, True))
    assert recipe.make(0) == Refused("a mask emptied by the crop")
    built = build(
        tmp_path / "out",
        recipe,
        3,
        format_name="folder",
        spec=Spec(CLASSES),
        made_by={},
        workers=1,
        label="test",
    )
    assert built.refused == {"a mask emptied by the crop": 3}
    assert sum(built.labels.values()) == 0


def test_emptied_masks_are_drawn_again(tmp_path, monkeypatch):
    found = write_scan(tmp_path / "set", make_parts())
    monkeypatch.setattr(policies, "safe_policy", emptying(0.5))
    recipe = Classical.of(found, settings(), (True, True))
    made = [sample for i in range(20) if isinstance(sample := recipe.make(i), Sample)]
    assert len(made) >= 17  # eight attempts fail once in 256 samples
    assert all(sample.masks.any() for sample in made)
    again = [sum(sample.meta["redrawn"].values()) for sample in made]
    assert 0 in again
    assert max(again) >= 1


def test_a_defect_of_two_pixels_is_not_called_emptied(tmp_path):
    speck = part("speck", [(0, (30, 20, 32, 21))], image=surface(1))
    found = write_scan(tmp_path / "set", [speck])
    recipe = Classical.of(found, settings(), (True, True))
    assert recipe.make(0).masks.sum() == 2


def test_an_argument_that_albumentations_ignores_is_an_error(monkeypatch):
    blur = A.Blur

    class Wrong:
        def __new__(cls, **kwargs):
            return blur(surplus=1, **kwargs)

    monkeypatch.setattr(policies.A, "Blur", Wrong)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(UserWarning, match="not valid"):
            policies.thesis_policy(50, 70)


def test_importing_it_brings_no_torch():
    code = (
        "import sys, flawsmith.augment.classical, flawsmith.augment.policies as p;"
        "p.thesis_policy(9, 9); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
