"""The filter's detector: what nobody sees and what is not clean falls, and nothing else is read."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from flawsmith.cli import cli
from flawsmith.data.dataset import DataSet
from flawsmith.evaluate.certificate import Verdict
from flawsmith.evaluate.distance import Compute
from flawsmith.evaluate.features import Extractor, open_extractor
from flawsmith.evaluate.filtering.detection import detect
from flawsmith.evaluate.filtering.filtering import sift_certified
from flawsmith.evaluate.filtering.reasons import ANOMALOUS, REASONS, UNSEEN, is_certified
from flawsmith.evaluate.filtering.settings import FilterSettings
from flawsmith.evaluate.filtering.watch import Watch
from flawsmith.evaluate.filtering.windows import cover
from flawsmith.sample import Sample
from tests.eye import Eye
from tests.feature_helpers import one_thread  # noqa: F401
from tests.filter_helpers import CLASSES, drawn, real_parts, scanned, surface
from tests.trees import tree_hash

SETTINGS = FilterSettings()
PLANES = (0, 1)


def invisible(name: str, seed: int, plane: int) -> Sample:
    """A mask as any other, on clean surface."""
    return replace(drawn(name, seed, plane, "paste"), image=surface(seed))


def stained(name: str, seed: int) -> Sample:
    """A clean part with a disc that nobody marked."""
    return replace(
        drawn(name, seed, 1, "classical"), masks=np.zeros((2, 160, 200), bool), label="good"
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    clean = [drawn(f"more-{i}", 600 + i, None) for i in range(8)]
    made = [
        *(drawn(f"visible-{i}", 1000 + i, i % 2, "paste") for i in range(6)),
        *(invisible(f"invisible-{i}", 1100 + i, i % 2) for i in range(4)),
        *(drawn(f"fresh-{i}", 1200 + i, None, "classical") for i in range(4)),
        stained("stained", 1300),
    ]
    real = scanned(root / "real", [*real_parts(8), *clean])
    return scanned(root / "made", made), real


@pytest.fixture(scope="module")
def found(world):
    return detect(*world, PLANES, SETTINGS, "cpu")


def of(world, rows):
    return {fact.id: value for fact, value in zip(world[0].facts, rows, strict=True)}


def test_the_unseen_and_the_stained_fall(world, found):
    seen, anomaly = of(world, found.seen), of(world, found.anomaly)
    assert all(seen[f"visible-{i}"] >= 1 for i in range(6))
    # The limit is the most of 40 masks on clean surface: now and then one stands out more.
    assert sum(seen[f"invisible-{i}"] < 1 for i in range(4)) >= 3
    assert anomaly["stained"] > 1
    # 5% of real ones may fall: of four, one.
    assert sum(anomaly[f"fresh-{i}"] > 1 for i in range(4)) <= 1
    # Each is asked one question.
    assert all(np.isnan(anomaly[name]) != np.isnan(seen[name]) for name in seen)
    assert found.notices == ()


def test_thresholds_are_quantiles_of_real_samples(found):
    kinds = {(entry.name, entry.step): entry for entry in found.thresholds}
    assert set(kinds) == {("(good)", "clean"), ("square", "seen"), ("disc", "seen")}
    alarm = kinds["(good)", "clean"]
    assert (alarm.real, alarm.groups) == (12, 12)
    # What stands out from clean surface is seen, though real defects stand out far more here.
    assert all(0 < kinds[name, "seen"].value <= alarm.value for name in CLASSES)
    assert kinds["disc", "seen"].real == 8


def test_reasons_scores_and_nothing_else(world, found, monkeypatch):
    monkeypatch.setattr(Extractor, "network", lambda self, device="auto": Eye())
    monkeypatch.setattr("flawsmith.evaluate.filtering.sieve.Sieve.by_quality", lambda self: None)
    made, real = world
    places = [
        i for i, f in enumerate(made.facts) if f.id in ("visible-0", "invisible-0", "stained")
    ]
    made = made.select(places)
    asked = []

    def told_before(*words):
        asked.append(words)
        return replace(found, seen=found.seen[places], anomaly=found.anomaly[places])

    monkeypatch.setattr("flawsmith.evaluate.filtering.sieve.detect", told_before)
    certified = [Verdict(f.id, (), f.digest, "", {}) for f in made.facts]
    words = (certified, made, real)
    settings, compute = FilterSettings(keep=1.0), Compute(None, "cpu")
    told = sift_certified(*words, settings, open_extractor("lite0"), compute)
    assert asked == [(made, real, [0], settings, "cpu")]
    verdicts = {verdict.id: verdict for verdict in told.verdicts}
    assert verdicts["invisible-0"].reason == UNSEEN
    assert verdicts["stained"].reason == ANOMALOUS
    assert verdicts["visible-0"].reason == ""
    assert verdicts["invisible-0"].scores["seen"] < 1 < verdicts["stained"].scores["anomaly"]
    assert {UNSEEN, ANOMALOUS} < set(REASONS)
    assert all(map(is_certified, told.verdicts))
    off = FilterSettings(keep=1.0, detector="none")
    without = sift_certified(*words, off, open_extractor("lite0"), compute)
    assert all(v.reason not in (UNSEEN, ANOMALOUS) for v in without.verdicts)
    assert all(not {"seen", "anomaly"} & set(v.scores) for v in without.verdicts)
    kept = [entry for entry in told.thresholds if entry.step not in ("clean", "seen")]
    assert list(without.thresholds) == kept
    assert not any("detector" in notice for notice in without.notices)


def test_the_same_again_whatever_else_is_judged(world, found):
    made, real = world
    again = detect(made.select(range(6, 11)), real, PLANES, SETTINGS, "cpu")
    assert again.thresholds == found.thresholds
    np.testing.assert_allclose(again.seen, found.seen[6:11], rtol=1e-5)
    np.testing.assert_allclose(again.anomaly, found.anomaly[6:11], rtol=1e-5)


def test_the_command_is_the_same_for_any_workers(world, tmp_path, monkeypatch):
    monkeypatch.setattr(Extractor, "network", lambda self, device="auto": Eye())
    monkeypatch.setenv("FLAWSMITH_CACHE", str(tmp_path / "cache"))
    made, real = (found.dataset.root for found in world)
    for workers in (1, 2):
        words = ["filter", made, tmp_path / f"out{workers}", "--real", real, "--no-segmenter"]
        words += ["--keep", 1.0, "--workers", workers, "--device", "cpu"]
        done = CliRunner().invoke(cli, [*map(str, words)])
        assert done.exception is None, (done.exception, done.output)
    lines = [
        json.loads(line) for line in (tmp_path / "out1/samples.jsonl").read_text().splitlines()
    ]
    reasons = {line["id"]: line["reason"] for line in lines}
    assert reasons["stained"] == ANOMALOUS
    assert {line["id"] for line in lines if "anomaly" in line["scores"]} == {
        "stained", *(f"fresh-{i}" for i in range(4))
    }  # fmt: skip
    assert tree_hash(tmp_path / "out1") == tree_hash(tmp_path / "out2")


def test_nobody_judges_what_he_has_learned_from(world):
    real = world[1]
    watch = Watch(real, SETTINGS, "cpu")
    for half, part in enumerate(watch.clean):
        assert all(watch.judge_of(real, i) == 1 - half for i in part)
        assert all(real.facts[i].label == "good" for i in part)
    # A candidate is of its background's group; one of no real group is judged by the first.
    lent = replace(world[0].facts[0], group=real.facts[watch.clean[0][0]].group)
    other = replace(world[0], facts=(lent, *world[0].facts[1:]))
    assert [watch.judge_of(other, i) for i in (0, 1)] == [1, 0]


def test_windows_that_are_kept_do_not_keep_their_pictures(world, monkeypatch):
    watch, kept = Watch(world[1], SETTINGS, "cpu"), []
    monkeypatch.setattr(Watch, "_told", lambda self, detector, looks: kept.extend(looks) or [])
    watch.detectors = [None, None]
    watch.bare(0)
    assert len(kept) >= 40
    assert all(look.image.base is None for look in kept)
    learned = watch._windows(watch.clean[0], 0, 8)
    assert len(learned) == 8
    assert all(image.base is None for image in learned)


def test_windows_are_counted_before_they_are_looked_at(world, monkeypatch):
    from flawsmith.evaluate.detectors.knn import Knn
    from flawsmith.pipeline import measuring

    real, looked = world[1], []
    watch = Watch(real, SETTINGS, "cpu")
    # Pictures of 200x160: four windows a clean one, at most two a class of a marked one.
    assert watch.looks(watch.shown()) == 4 * 12
    assert watch.looks(watch.defective(PLANES)) == 2 * 16
    # Learned, known, and 40 masks of both classes on clean surface.
    assert watch.ahead() == 4 * 12 + 4 * 12 + 2 * 16 + 2 * 2 * 40
    inner = Knn.score
    monkeypatch.setattr(Knn, "score", lambda self, x: looked.append(len(x)) or inner(self, x))
    clock = iter([1.0, 9.0])
    monkeypatch.setattr(measuring, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    seconds, each = measuring.watch_seconds(real, SETTINGS, "cpu")
    assert sum(looked) == 4 * measuring.SEEN
    assert each == 8 / sum(looked)
    assert seconds == each * watch.ahead()
    none = FilterSettings(detector="none")
    assert measuring.watch_seconds(real, none, "cpu") == (0, 0)
    few = real.select([i for i, fact in enumerate(real.facts) if fact.planes])
    assert measuring.watch_seconds(few, SETTINGS, "cpu") == (0, 0)


def test_too_few_clean_images_are_said(world, monkeypatch):
    made, real = world
    none = [i for i, fact in enumerate(real.facts) if fact.planes]
    few = [*none, *(i for i, fact in enumerate(real.facts) if fact.id.startswith("clean"))]

    def reads(self, index):
        raise AssertionError("a picture is read for nothing")

    monkeypatch.setattr(DataSet, "__getitem__", reads)
    for places, count in ((few, 4), (none, 0)):
        told = detect(made, real.select(places), PLANES, SETTINGS, "cpu")
        assert told.thresholds == ()
        assert np.isnan(told.seen).all()
        assert np.isnan(told.anomaly).all()
        (notice,) = told.notices
        assert "detector" in notice
        assert f"{count} clean images" in notice


@pytest.mark.parametrize("shape", [(256, 300), (128, 128), (60, 700), (40, 50)])
def test_windows_cover_a_picture(shape):
    image = (np.arange(shape[0] * shape[1]) % 251).astype(np.uint8).reshape(shape)
    sample = Sample("a", image, np.zeros((1, *shape), bool), "good", "g")
    windows = list(cover(sample, 128))
    assert all(window.shape == inside.shape == (128, 128) for window, inside in windows)
    assert len(windows) == -(-shape[0] // 128) * -(-shape[1] // 128)
    shown = sum(int(inside.sum()) for _, inside in windows)
    assert shown >= image.size
    assert len(windows) > 1 or shown == image.size
