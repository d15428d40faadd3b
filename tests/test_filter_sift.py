"""The filter as a whole: planted junk falls for the right reason, real-like candidates pass."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from flawsmith.data.scan import Scan
from flawsmith.errors import InputError
from flawsmith.evaluate.distance import Compute
from flawsmith.evaluate.feature_store import FeatureStore
from flawsmith.evaluate.features import open_extractor
from flawsmith.evaluate.filtering.filtering import Sifted, sift
from flawsmith.evaluate.filtering.reasons import (
    CONTRADICTED,
    COPY,
    SURPLUS,
    TWIN,
    UNREAL,
    is_certified,
)
from flawsmith.evaluate.filtering.settings import FilterSettings
from flawsmith.sample import Sample
from flawsmith.seeding import rng
from tests.filter_helpers import Seers, drawn, real_parts, scanned

ALL = FilterSettings(keep=1.0, detector="none")


def noisy(name, seed, plane):
    """A candidate with noise in its mask, in place of a defect."""
    sample = drawn(name, seed, plane, "inpainting")
    noise = rng(seed, "junk").integers(0, 2, sample.image.shape) * 255
    image = np.where(sample.union, noise, sample.image).astype(np.uint8)
    return replace(sample, image=image)


def shifted(name, seed, plane):
    sample = drawn(name, seed, plane, "inpainting")
    return replace(sample, masks=np.roll(sample.masks, (20, 30), (1, 2)))


def copied(name, original, method):
    """A real part, one pixel in its corner changed."""
    image = original.image.copy()
    image[-1, -1] ^= 1
    return replace(original, id=name, image=image, meta={"method": method})


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Real parts, good and junk candidates, and a store for their features."""
    root = tmp_path_factory.mktemp("world")
    real = real_parts()
    good = [drawn(f"good-{i}", 1000 + i, i % 2, "inpainting") for i in range(30)]
    again = replace(good[4], id="twin", image=np.where(good[4].image == 7, 8, good[4].image))
    again.image[0, 0] ^= 1
    made = [
        *good,
        drawn("empty", 2000, None, "inpainting"),
        *(noisy(f"noisy-{i}", 1100 + i, i % 2) for i in range(6)),
        *(shifted(f"shifted-{i}", 1200 + i, i % 2) for i in range(6)),
        copied("copy-gan", real[3], "inpainting"),
        copied("copy-moved", real[5], "classical"),
        again,
    ]
    object.__setattr__(made[30], "label", "defective")
    extractor = open_extractor("lite0")
    store = FeatureStore(root / "cache", extractor.version)
    compute = Compute(store, "cpu")
    return scanned(root / "made", made), scanned(root / "real", real), extractor, compute


def sifted(world, settings=ALL, judges: Seers | None = None, workers: int = 1) -> Sifted:
    made, real, extractor, compute = world
    return sift(made, real, settings, extractor, compute, judges, workers=workers)


def reasons_of(found: Sifted) -> dict[str, str]:
    return {verdict.id: verdict.reason for verdict in found.verdicts}


def test_junk_falls_and_good_candidates_pass(world):
    found = sifted(world, judges=Seers())
    reasons = reasons_of(found)
    assert reasons["empty"] == "mask empty"
    assert {reasons[f"noisy-{i}"] for i in range(6)} == {UNREAL}
    # A mask beside its defect also looks like no real one; the segmenters would have said so, too.
    assert {reasons[f"shifted-{i}"] for i in range(6)} <= {UNREAL, CONTRADICTED}
    assert reasons["copy-gan"] == COPY
    assert reasons["copy-moved"] == ""  # a copy by design
    assert reasons["twin"] == TWIN
    passed = [i for i in range(30) if not reasons[f"good-{i}"]]
    # 5% of real ones fall in each of two steps; of 30 that is 3, give or take.
    assert len(passed) >= 23
    assert Counter(limit.step for limit in found.thresholds) == {
        "quality": 2, "copies": 2, "agreement": 2,
    }  # fmt: skip
    assert all(limit.real == 20 and limit.groups == 10 for limit in found.thresholds)
    assert found.notices == ()


def test_segmenters_alone_find_shifted_masks(world):
    lax = FilterSettings(keep=1.0, quality=1.0, copies=0.0, agreement=0.05)
    made, real, extractor, compute = world
    names = [i for i, fact in enumerate(made.facts) if fact.id.startswith(("shifted", "good"))]
    found = sift(made.select(names), real, lax, extractor, compute, Seers())
    low = {v.id for v in found.verdicts if v.scores["agreement"] < 0.3}
    assert low == {f"shifted-{i}" for i in range(6)}
    assert all(not v.accepted for v in found.verdicts if v.id in low)
    for verdict in found.verdicts:
        assert verdict.scores["hardness"] == pytest.approx(1 - verdict.scores["agreement"])


def test_every_certified_candidate_has_every_score(world):
    found = sifted(world, judges=Seers())
    for verdict in found.verdicts:
        known = {"quality", "novelty", "agreement", "hardness", "alarms"}
        assert set(verdict.scores) == (known if is_certified(verdict) else set())
    without = sifted(world)
    assert all(set(v.scores) <= {"quality", "novelty"} for v in without.verdicts)
    assert any("there are none" in notice for notice in without.notices)


def test_selection_keeps_its_share_of_each_class_and_lowers_the_kid(world):
    found = sifted(world, FilterSettings(keep=0.3))
    certified = Counter(v.classes for v in found.verdicts if is_certified(v))
    kept = Counter(v.classes for v in found.verdicts if v.accepted)
    assert kept == {classes: int(np.ceil(0.3 * n)) for classes, n in certified.items()}
    assert any(v.reason == SURPLUS for v in found.verdicts)
    for entry in found.selected:
        assert entry.kept < entry.left <= entry.certified
        assert entry.after < entry.before
    counted = sifted(world, FilterSettings(count=8))
    assert 8 <= sum(v.accepted for v in counted.verdicts) <= 10


def test_without_segmenters_no_candidate_is_hardest(world):
    whole = sifted(world, FilterSettings(keep=0.3))
    found = sifted(world, FilterSettings(keep=0.3, hardest=0.4))
    assert found.verdicts == whole.verdicts
    assert any("'hardest' has no effect" in notice for notice in found.notices)
    assert not any("hardest" in notice for notice in whole.notices)
    judged = sifted(world, FilterSettings(keep=0.3, hardest=0.4), Seers())
    assert judged.verdicts != sifted(world, FilterSettings(keep=0.3), Seers()).verdicts


def test_neither_workers_nor_the_cache_change_a_verdict(world):
    first = sifted(world, judges=Seers())
    assert sifted(world, judges=Seers(), workers=2) == first
    made, real, extractor, _ = world
    fresh = sift(made, real, ALL, extractor, Compute(None, "cpu", 7), Seers())
    assert reasons_of(fresh) == reasons_of(first)


def test_a_class_with_too_few_real_samples_is_said(world):
    made, real, extractor, compute = world
    few = [i for i, f in enumerate(real.facts) if 1 not in f.planes or int(f.id[5:]) < 8]
    found = sift(made, real.select(few), ALL, extractor, compute, Seers())
    assert {limit.name for limit in found.thresholds} == {"square"}
    assert [notice.split(":")[0] for notice in found.notices] == ["disc", "disc"]
    assert not reasons_of(found)["noisy-1"]


def test_nothing_certified_is_no_error(world):
    made, real, extractor, compute = world
    (empty,) = (i for i, fact in enumerate(made.facts) if fact.id == "empty")
    found = sift(made.select([empty]), real, ALL, extractor, compute)
    assert reasons_of(found) == {"empty": "mask empty"}
    assert found.notices == ("no candidate holds the certificate",)


def refusal(made: Scan, world) -> str:
    with pytest.raises(InputError) as caught:
        sift(made, world[1], ALL, world[2], world[3])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_candidates_that_do_not_belong_there(world, tmp_path):
    alone = drawn("nobody", 1, 0)
    assert "does not say how it was made" in refusal(scanned(tmp_path / "a", [alone]), world)
    odd = replace(alone, meta={"method": 3})
    assert "does not say how it was made" in refusal(scanned(tmp_path / "b", [odd]), world)
    known = replace(alone, meta={"method": "paste"})
    image = np.repeat(known.image[..., None], 3, axis=2)
    coloured = replace(known, image=image)
    assert "is coloured" in refusal(scanned(tmp_path / "c", [coloured]), world)
    small = Sample("small", known.image[:99], known.masks[:, :99], "defective", "g", known.meta)
    assert "is 200x99; no real sample is" in refusal(scanned(tmp_path / "d", [small]), world)
    other = scanned(tmp_path / "e", [known])
    renamed = replace(other, dataset=replace(other.dataset, classes=("square", "crack")))
    assert "its classes are square, crack" in refusal(renamed, world)
