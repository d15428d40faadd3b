"""The certificate: hand-made pairs for each reason and for acceptance."""

from dataclasses import replace

import numpy as np
import pytest

from flawsmith.augment.classical import Classical
from flawsmith.augment.settings import AugmentSettings
from flawsmith.data import folder
from flawsmith.data.scan import pixel_digest
from flawsmith.data.writing import Spec
from flawsmith.evaluate.certificate import (
    Certify,
    area_ranges,
    check_pair,
    decision,
    without_copies,
)
from flawsmith.sample import Sample
from tests.augment_helpers import CLASSES, make_parts, part, surface, write_scan
from tests.format_helpers import round_trip

BACKGROUND = part("clean", image=surface(0))
ANY_AREA: dict[str, tuple[float, float]] = {}


def pair(change=60, hole_px=3, box=(20, 20, 26, 26)):
    """A pit of 36 pixels on the background, ``change`` grey levels away from it."""
    x0, y0, x1, y1 = box
    image, masks = BACKGROUND.image.copy(), np.zeros((2, 48, 64), bool)
    image[y0:y1, x0:x1] += np.uint8(change)
    masks[0, y0:y1, x0:x1] = True
    meta = {"background": "clean", "hole_px": hole_px}
    return Sample("candidate", image, masks, "defective", "g", meta)


def judged(sample, background=BACKGROUND, areas=ANY_AREA):
    return check_pair(sample, CLASSES, background, areas)


def test_a_pair_that_holds():
    verdict = judged(pair(), areas={"pit": (18.0, 72.0)})
    assert verdict.accepted
    assert verdict.reason == ""
    assert verdict.classes == ("pit",)
    assert 45 < verdict.scores["contrast"] < 61  # 60, less what smoothing takes from its edge
    assert verdict.scores["surface"] < 2
    assert verdict.digest == pixel_digest(pair().image)


def test_an_empty_mask():
    sample = pair()
    empty = replace(sample, masks=np.zeros_like(sample.masks))
    assert judged(empty).reason == "mask empty"


@pytest.mark.parametrize("limits", [(37.0, 100.0), (1.0, 35.0)])
def test_an_area_that_no_real_sample_has(limits):
    assert judged(pair(), areas={"pit": limits}).reason == "mask area outside of the real range"
    # A class without real samples has no range.
    assert judged(pair(), areas={"streak": limits}).accepted


def test_one_level_of_one_pixel_outside_of_the_hole():
    sample = pair(hole_px=3)
    sample.image[20, 28] += 1  # three pixels from the mask
    assert judged(sample).accepted
    sample.image[20, 29] += 1
    assert judged(sample).reason == "background changed outside of the hole"


def test_one_channel_outside_of_the_hole():
    background = part("clean", image=surface(0, rgb=True))
    image = background.image.copy()
    image[20:26, 20:26] = 10
    sample = replace(pair(), image=image)
    assert judged(sample, background).accepted
    image[40, 60, 2] ^= 1
    assert judged(sample, background).reason == "background changed outside of the hole"


def test_another_size():
    small = part("clean", image=surface(0)[:40])
    assert judged(pair(), small).reason == "size differs from its background"


def test_a_change_that_cannot_be_seen():
    assert judged(pair(change=3)).reason == "change not visible"
    both = pair()
    both.masks[1, 35:40, 40:46] = True  # a second class where nothing was painted
    assert judged(both).reason == "change not visible"
    noisy = np.random.default_rng(3).normal(120, 25, (48, 64)).clip(0, 255).astype(np.uint8)
    background, sample = part("clean", image=noisy), pair()
    image = noisy.copy()
    image[20:26, 20:26] = (noisy[20:26, 20:26].astype(int) + 5).clip(0, 255)
    assert judged(replace(sample, image=image), background).reason == "change not visible"


def test_moved_samples_have_no_background():
    assert check_pair(pair(change=0), CLASSES, None, ANY_AREA).accepted
    good = part("moved", image=surface(1))
    assert check_pair(good, CLASSES, None, ANY_AREA).accepted


def test_copies_across_methods():
    verdicts = [judged(pair(change=change)) for change in (60, 70, 60, 3, 3)]
    real = [pixel_digest(pair(change=70).image)]
    reasons = [verdict.reason for verdict in without_copies(verdicts, real)]
    assert reasons == [
        "",
        "copy of a real image",
        "copy of another candidate",
        "change not visible",  # what fell before is no copy's original
        "change not visible",
    ]


def test_area_ranges_are_from_the_smallest_defect_to_the_fullest_image(tmp_path):
    two = part("two", [(0, (5, 5, 9, 9)), (0, (30, 30, 36, 40))], image=surface(1))
    found = write_scan(tmp_path / "set", [two, part("one", [(0, (5, 5, 11, 9))], image=surface(2))])
    assert area_ranges(CLASSES, found.facts) == {"pit": (16 / 2, (16 + 60) * 2)}


def test_certify_finds_each_background_by_its_id(tmp_path):
    real = write_scan(tmp_path / "real", [part("other", image=surface(5)), BACKGROUND])
    lost = replace(pair(), id="lost", meta={"background": "other", "hole_px": 3})
    candidates = round_trip(
        tmp_path / "made", folder, "folder", [pair(), lost], Spec(CLASSES, False)
    )
    check = Certify(candidates, real.dataset, ANY_AREA)
    assert [check(i).reason for i in range(2)] == ["", "background changed outside of the hole"]


def on_region(box=(8, 4, 40, 36), **meta):
    """A pit painted on a box of the worn part below, and what it says of its background."""
    x, y, w, h = box
    image = WORN.image[y : y + h, x : x + w].copy()
    masks = np.zeros((2, h, w), bool)
    image[20:26, 20:26] += np.uint8(60)
    masks[0, 20:26, 20:26] = True
    told = {"background": "worn", "region": list(box), "hole_px": 3, **meta}
    return Sample("candidate", image, masks, "defective", "g", told)


WORN = part("worn", [(1, (52, 40, 60, 46))], image=surface(6))


def test_a_region_of_a_defective_image_is_its_background(tmp_path):
    real = write_scan(tmp_path / "real", [BACKGROUND, WORN])
    stray = replace(on_region(), id="stray")
    stray.image[35, 0] ^= 1
    faint = replace(on_region(), id="faint", image=WORN.image[4:40, 8:48].copy())
    elsewhere = replace(on_region(region=[9, 4, 40, 36]), id="elsewhere")
    smaller = replace(on_region(region=[8, 4, 40, 35]), id="smaller")
    samples = [on_region(), stray, faint, elsewhere, smaller]
    candidates = round_trip(tmp_path / "made", folder, "folder", samples, Spec(CLASSES, False))
    check = Certify(candidates, real.dataset, ANY_AREA)
    verdicts = {verdict.id: verdict for verdict in map(check, range(5))}
    assert {name: verdict.reason for name, verdict in verdicts.items()} == {
        "candidate": "",
        "stray": "background changed outside of the hole",
        "faint": "change not visible",
        "elsewhere": "background changed outside of the hole",
        "smaller": "size differs from its background",
    }
    assert 45 < verdicts["candidate"].scores["contrast"] < 61


@pytest.mark.parametrize(
    "meta",
    [
        {"region": [8, 4, 40, 60]},
        {"region": [-8, 4, 40, 36]},
        {"region": [30, 20, 32, 26]},  # a real defect lies in it
        {"region": [8, 4, 40]},
        {"region": [8.0, 4, 40, 36]},
        {"region": "8,4,40,36"},
        {"region": {"x": 8}},
        {"region": None},  # all of it, with its old defect
        {"background": "dull"},
        {"background": "nobody"},
        {"background": ["worn"]},
        {"background": 3},
        {"hole_px": "wide"},
        {"hole_px": -1},
        {"hole_px": 10**6},
        {"hole_px": 10**400},
        {"hole_px": None},
    ],
)
def test_what_a_candidate_says_is_not_believed(tmp_path, meta):
    dull = Sample("dull", WORN.image, np.zeros_like(WORN.masks), "unknown", "g")
    real = write_scan(tmp_path / "real", [BACKGROUND, WORN, dull])
    candidates = round_trip(
        tmp_path / "made", folder, "folder", [on_region(**meta)], Spec(CLASSES, False)
    )
    verdict = Certify(candidates, real.dataset, ANY_AREA)(0)
    assert verdict.reason == "background not on record"
    assert not verdict.accepted


@pytest.mark.parametrize("method", ["paste", "inpaint", "procedural", "classical"])
def test_who_must_name_a_background_and_have_a_real_area(tmp_path, method):
    real = write_scan(tmp_path / "real", [BACKGROUND])
    told = replace(pair(), meta={**pair().meta, "method": method})
    silent = replace(told, id="silent", meta={"method": method})
    candidates = round_trip(
        tmp_path / "made", folder, "folder", [told, silent], Spec(CLASSES, False)
    )
    check = Certify(candidates, real.dataset, {"pit": (1.0, 35.0)})
    reasons = {verdict.id: verdict.reason for verdict in map(check, range(2))}
    # What is moved has no background, and carries its own area; drawn defects have no real one.
    ranged = method in ("paste", "inpaint")
    assert reasons["candidate"] == ("mask area outside of the real range" if ranged else "")
    assert reasons["silent"] == ("" if method == "classical" else "background not on record")


def test_decisions():
    verdict = judged(pair())
    assert decision(verdict) == {"decision": "accepted", "scores": verdict.scores}
    fallen = judged(pair(change=3))
    assert decision(fallen) == {
        "decision": "rejected",
        "scores": fallen.scores,
        "reason": "change not visible",
    }


def test_the_thesis_policy_s_copies_are_refused(tmp_path):
    found = write_scan(tmp_path / "set", make_parts())
    settings = AugmentSettings(method="classical", preset="thesis")
    recipe = Classical.of(found, settings, (True, True))
    made = [recipe.make(i) for i in range(400)]
    verdicts = [check_pair(sample, CLASSES, None, ANY_AREA) for sample in made]
    known = {facts.digest for facts in found.facts}
    reasons = [v.reason for v in without_copies(verdicts, known)]
    copies = [v.digest in known for v in verdicts]
    # 0.7 to the sixth power of 400 are 47, give or take three standard deviations of 6.4.
    assert sum(copies) == pytest.approx(47, abs=20)
    assert [reason == "copy of a real image" for reason in reasons] == copies
