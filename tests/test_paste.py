"""Copy-paste: what is changed, where it lies, where it comes from."""

import cv2
import numpy as np
import pytest

from flawsmith.augment.bank import cut_out, make_bank, margin_for, vary
from flawsmith.augment.job import missing_for, prepare
from flawsmith.augment.paste import Paste
from flawsmith.augment.region import foreground
from flawsmith.augment.settings import AugmentSettings
from flawsmith.data.build import Refused
from flawsmith.data.images import write_png
from flawsmith.data.surfaces import cut
from flawsmith.data.visibility import distance_outside, window
from flawsmith.errors import InputError
from flawsmith.sample import Sample
from tests.augment_helpers import CLASSES, assert_stands_out, make_parts, part, surface, write_scan


def settings(**more):
    return AugmentSettings(method="paste", count=10, **more)


def made(recipe, count):
    """Return the samples made, at least nine in ten of those asked for."""
    done = [recipe.make(i) for i in range(count)]
    found = [sample for sample in done if isinstance(sample, Sample)]
    assert len(found) >= 0.9 * count
    return found


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return write_scan(tmp_path_factory.mktemp("parts") / "set", make_parts())


def backgrounds(found):
    return {sample.id: sample for sample in found.dataset}


@pytest.mark.parametrize("rgb", [False, True], ids=["grey", "rgb"])
@pytest.mark.parametrize("blend", ["feather", "poisson"])
def test_only_the_hole_changes_and_every_label_is_seen(tmp_path, blend, rgb):
    found = write_scan(tmp_path / "set", make_parts(rgb=rgb))
    known = backgrounds(found)
    recipe = Paste.of(found, settings(blend=blend, per_image=(1, 3)))
    for sample in made(recipe, 25):
        background = known[sample.meta["background"]]
        assert background.label == "good"
        assert sample.label == "defective"
        assert sample.group == background.group
        outside = distance_outside(sample.union) > sample.meta["hole_px"]
        assert outside.any()
        assert np.array_equal(sample.image[outside], background.image[outside])
        assert {CLASSES[p] for p in range(2) if sample.masks[p].any()} == {
            defect["class"] for defect in sample.meta["defects"]
        }
        for plane in sample.masks:
            count, labels = cv2.connectedComponents(plane.astype(np.uint8))
            for number in range(1, count):
                assert_stands_out(background.image, sample.image, labels == number)


def test_masks_lie_in_the_part_and_apart(tmp_path):
    samples = make_parts()
    for sample in samples:
        if sample.label == "good":
            sample.image[:, :20] = 2  # the bench beside the part
    found = write_scan(tmp_path / "set", samples)
    known = backgrounds(found)
    several = 0
    for sample in made(Paste.of(found, settings(per_image=(2, 3))), 30):
        region = foreground(known[sample.meta["background"]].image)
        assert not region[:, :20].any()
        assert not (sample.union & ~region).any()
        assert sample.masks.sum(axis=0).max() <= 1
        pieces = cv2.connectedComponents(sample.union.astype(np.uint8))[0] - 1
        assert pieces == len(sample.meta["defects"])
        several += pieces > 1
    assert several > 15


def test_a_region_of_interest_is_kept(parts, tmp_path):
    roi = np.zeros((48, 64), np.uint8)
    roi[20:, 30:] = 255
    write_png(tmp_path / "roi.png", roi)
    for sample in made(Paste.of(parts, settings(roi=tmp_path / "roi.png")), 10):
        assert not (sample.union & (roi == 0)).any()


def test_a_defect_cut_by_a_border_is_put_at_one(tmp_path):
    samples = [part(f"clean-{i}", image=surface(i)) for i in range(3)]
    samples.append(part("left", [(0, (0, 20, 9, 26))], image=surface(8)))
    samples.append(part("top", [(1, (30, 0, 34, 7))], image=surface(9)))
    found = write_scan(tmp_path / "set", samples)
    for sample in made(Paste.of(found, settings(per_image=(1, 1))), 30):
        first, second = sample.masks
        assert first.any() != second.any()
        if first.any():  # flipped or not
            assert first[:, 0].any() or first[:, -1].any()
            assert first.sum() == 54
        else:
            assert second[0].any() or second[-1].any()


def test_classes_and_number_of_defects(parts):
    only = made(Paste.of(parts, settings(classes=("streak",), per_image=(3, 3))), 12)
    assert all(not s.masks[0].any() and s.masks[1].any() for s in only)
    counts = [len(s.meta["defects"]) for s in only]
    assert max(counts) == 3
    assert counts.count(3) >= 9
    with pytest.raises(InputError, match=r"no mask of the class 'dent'.*one of pit, streak"):
        Paste.of(parts, settings(classes=("dent",)))


def centres(samples, plane):
    found = []
    for sample in samples:
        if sample.masks[plane].any():
            rows, columns = window(sample.masks[plane], 0)
            found.append(((columns.start + columns.stop) / 128, (rows.start + rows.stop) / 96))
    return np.array(found)


def test_empirical_positions_are_the_class_s_own(parts):
    chosen = {"per_image": (1, 1), "position": "empirical"}
    near = made(Paste.of(parts, settings(**chosen)), 60)
    anywhere = made(Paste.of(parts, settings(per_image=(1, 1))), 60)
    # Pits lie at a quarter of each side (flipped: three quarters), streaks at 3/4 of each.
    for plane in (0, 1):
        folded = np.abs(centres(near, plane) - 0.5)
        assert np.abs(folded - 0.25).max() < 5 * 0.05
        assert np.median(np.abs(folded - 0.25)) < 0.07
    spread = np.abs(np.abs(centres(anywhere, 0) - 0.5) - 0.25)
    assert np.median(spread) > 0.08


def test_provenance_is_complete(parts):
    ids = set(parts.dataset.ids)
    recipe = prepare(parts, settings(seed=3, feather=4)).recipe
    for sample in made(recipe, 10):
        meta = sample.meta
        assert (meta["method"], meta["seed"], meta["hole_px"]) == ("paste", 3, 4)
        assert (meta["blend"], meta["mask_source"]) == ("feather", "bank")
        assert meta["background"] in ids
        assert meta["defects"]
        for defect in meta["defects"]:
            assert set(defect) == {"class", "donor", "mask"}
            assert defect["donor"].startswith(defect["class"])
        assert isinstance(meta["redrawn"], dict)


def test_only_samples_of_the_scan_are_used(parts):
    chosen = [i for i, f in enumerate(parts.facts) if f.id in {"clean-1", "clean-3", "pit-2"}]
    for sample in made(Paste.of(parts.select(chosen), settings()), 15):
        assert sample.meta["background"] in {"clean-1", "clean-3"}
        assert {defect["donor"] for defect in sample.meta["defects"]} == {"pit-2"}


def test_same_seed_and_index_same_bytes(parts):
    first, second = Paste.of(parts, settings(seed=2)), Paste.of(parts, settings(seed=2))
    ahead = [first.make(i) for i in range(6)]
    for index in reversed(range(6)):
        again = second.make(index)
        assert np.array_equal(again.image, ahead[index].image)
        assert again.meta == ahead[index].meta
    assert not np.array_equal(Paste.of(parts, settings(seed=4)).make(0).image, ahead[0].image)


def test_a_grey_donor_in_a_coloured_part(tmp_path):
    samples = [part(f"clean-{i}", image=surface(i, rgb=True)) for i in range(2)]
    samples.append(part("pit-0", [(0, (20, 20, 27, 27))], image=surface(5)))
    found = write_scan(tmp_path / "set", samples)
    for sample in made(Paste.of(found, settings(per_image=(1, 1))), 8):
        assert sample.image.shape == (48, 64, 3)
        # Toned to the surface, whose red lies 40 above its blue, the pit keeps its contrast.
        around = np.median(sample.image[~sample.union], axis=0)
        inside = np.median(sample.image[sample.union], axis=0)
        assert np.all(inside < around - 40)


def test_a_coloured_donor_in_a_grey_part(tmp_path):
    samples = [part(f"clean-{i}", image=surface(i)) for i in range(2)]
    samples.append(part("pit-0", [(0, (20, 20, 27, 27))], image=surface(5, rgb=True)))
    found = write_scan(tmp_path / "set", samples)
    assert all(s.image.ndim == 2 for s in made(Paste.of(found, settings()), 5))


def test_drawn_masks_with_a_real_look(parts):
    for sample in made(Paste.of(parts, settings(masks="procedural", per_image=(1, 1))), 12):
        assert sample.meta["mask_source"] == "procedural"
        (defect,) = sample.meta["defects"]
        assert defect["mask"].startswith("procedural ")
        assert sample.masks[CLASSES.index(defect["class"])].any()
        inside = np.median(sample.image[sample.union])
        assert inside < 90 if defect["class"] == "pit" else inside > 130


def test_the_user_s_masks_with_a_real_look(parts, tmp_path):
    ring = np.zeros((15, 15), np.uint8)
    cv2.circle(ring, (7, 7), 6, 255, 3)
    (tmp_path / "own" / "pit").mkdir(parents=True)
    write_png(tmp_path / "own" / "pit" / "ring.png", ring)
    chosen = settings(masks="folder", mask_folder=tmp_path / "own", per_image=(1, 1))
    wanted = ring[np.ix_(ring.any(1), ring.any(0))] > 0
    for sample in made(Paste.of(parts, chosen), 8):
        assert sample.meta["defects"][0]["mask"] == "folder ring.png"
        rows, columns = window(sample.masks[0], 0)
        assert np.array_equal(sample.masks[0][rows, columns], wanted)


def test_a_wide_seam_is_never_cut_short(tmp_path):
    # A defect two pixels from its photo's corner has hardly any surface to fade over.
    found = write_scan(
        tmp_path / "set",
        [part("c", image=surface(0)), part("pit-0", [(0, (2, 2, 9, 9))], image=surface(1))],
    )
    chosen = settings(feather=14, elastic=0.5, scale=(0.5, 2.0), rotate=90)
    recipe = Paste.of(found, chosen)
    (_, (entry,)) = make_bank(found, (0, 1))[0][0]
    for seed in range(40):
        whole = cut_out(recipe.samples, entry, margin_for(chosen))
        cutout = vary(np.random.default_rng(seed), whole, chosen)
        rows, columns = window(cutout.mask, 0)
        height, width = cutout.mask.shape
        gaps = (rows.start, columns.start, height - rows.stop, width - columns.stop)
        assert min(gaps) >= chosen.feather


def test_what_cannot_be_seen_gets_no_label(tmp_path):
    samples = [part(f"clean-{i}", image=surface(i)) for i in range(2)]
    masks = np.zeros((2, 48, 64), bool)
    masks[0, 20:26, 20:26] = True  # a mask on plain surface
    samples.append(Sample("wrong", surface(7), masks, "defective", "g"))
    found = write_scan(tmp_path / "set", samples)
    assert Paste.of(found, settings()).make(0) == Refused("change not visible")


def worn_parts():
    return [sample for sample in make_parts() if sample.label == "defective"]


def test_without_clean_images_regions_are_pasted_on(tmp_path):
    found = write_scan(tmp_path / "set", worn_parts())
    known = backgrounds(found)
    candidates = prepare(found, settings(per_image=(1, 1)))
    assert candidates.notices == (
        "no clean image: 6 defect-free regions of 6 defective images are painted on",
    )
    used = set()
    for sample in made(candidates.recipe, 20):
        whole = known[sample.meta["background"]]
        region = sample.meta["region"]
        used.add((whole.id, *region))
        piece = cut(whole, tuple(region))  # which raises if an old defect lies in it
        assert sample.size == tuple(region[2:])
        assert sample.group == whole.group
        outside = distance_outside(sample.union) > sample.meta["hole_px"]
        assert np.array_equal(sample.image[outside], piece.image[outside])
        assert_stands_out(piece.image, sample.image, sample.union)
        # A class may occur on one kind of surface only: each image's own are painted on its region.
        assert not (sample.masks.any(axis=(1, 2)) & ~whole.masks.any(axis=(1, 2))).any()
    assert len(used) >= 4
    assert {box[1:] for box in used} <= {(32, 0, 32, 48), (0, 0, 64, 24)}


def test_a_rare_class_comes_as_often_on_regions_and_on_its_own(tmp_path):
    pits = [part(f"pit-{i}", [(0, (4, 4, 12, 12))], image=surface(i)) for i in range(9)]
    streak = part("streak", [(1, (4, 4, 8, 24))], image=surface(20))
    found = write_scan(tmp_path / "set", [*pits, streak])
    recipe = prepare(found, settings(per_image=(1, 1))).recipe
    samples = made(recipe, 60)
    streaks = [sample for sample in samples if sample.masks[1].any()]
    assert 15 < len(streaks) < 45
    for sample in samples:
        assert sample.meta["background"].startswith("streak" if sample.masks[1].any() else "pit")
    only = prepare(found, settings(per_image=(1, 1), classes=CLASSES[1:])).recipe
    assert {sample.meta["background"] for sample in made(only, 10)} == {"streak"}


def test_one_clean_image_is_enough_for_no_region(tmp_path):
    found = write_scan(tmp_path / "set", [*worn_parts(), part("clean", image=surface(1))])
    candidates = prepare(found, settings())
    assert candidates.notices == ()
    for sample in made(candidates.recipe, 8):
        assert sample.meta["background"] == "clean"
        assert "region" not in sample.meta


def test_a_region_of_interest_decides_where_a_region_is_cut(tmp_path):
    found = write_scan(tmp_path / "set", [worn_parts()[0]])  # a pit at (13..18, 9..14)
    roi = np.zeros((48, 64), np.uint8)
    roi[28:, :] = 255
    write_png(tmp_path / "roi.png", roi)
    for sample in made(Paste.of(found, settings(roi=tmp_path / "roi.png")), 6):
        x, y, w, h = sample.meta["region"]
        assert (x, y, w, h) == (0, 24, 64, 24)
        assert not (sample.union & (roi[y : y + h, x : x + w] == 0)).any()


def test_data_it_cannot_work_on(tmp_path):
    clean = [part(f"clean-{i}", image=surface(i)) for i in range(2)]
    speck = part("speck", [(0, (5, 5, 8, 6))], image=surface(4))
    wide = part("wide", [(0, (20, 16, 44, 32))], image=surface(3))
    no_defect = write_scan(tmp_path / "a", clean)
    no_surface = write_scan(tmp_path / "b", [wide])
    tiny = write_scan(tmp_path / "c", [*clean, speck])
    worn = write_scan(tmp_path / "d", worn_parts())
    assert "no image with a defect" in missing_for("paste", no_defect)
    assert "no clean image, and no defect-free region" in missing_for("paste", no_surface)
    assert "4 pixels" in missing_for("paste", tiny)
    assert missing_for("procedural", no_defect) is None
    assert missing_for("paste", worn) is None
    assert "no defect-free region" in missing_for("paste", worn, side=200)
    for found in (no_defect, no_surface, tiny):
        with pytest.raises(InputError, match=r"paste cannot work here: no .*\(mend: .*\)$"):
            prepare(found, settings())
