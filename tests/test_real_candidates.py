"""Candidates from real photos pass the certificate (FLAWSMITH_TEST_DATA names their folder)."""

import os
from pathlib import Path

import numpy as np
import pytest

from flawsmith.augment.job import prepare
from flawsmith.augment.settings import AugmentSettings
from flawsmith.data.formats import read_dataset
from flawsmith.data.scan import scan
from flawsmith.data.surfaces import MARGIN, cut, surfaces_of
from flawsmith.evaluate.certificate import area_ranges, check_pair, without_copies
from flawsmith.sample import Sample

COUNT = 12


def every(name, step):
    """Return every so many'th photo of a data set, scanned."""
    folder = Path(os.environ.get("FLAWSMITH_TEST_DATA", "")) / name
    if "FLAWSMITH_TEST_DATA" not in os.environ or not folder.is_dir():
        pytest.skip(f"FLAWSMITH_TEST_DATA names no folder with {name}")
    dataset = read_dataset(folder)
    return scan(dataset.select(range(0, len(dataset), step)))


@pytest.fixture(scope="module")
def tiles():
    """Every thirteenth photo of the magnetic tiles: clean ones and all kinds of defects."""
    return every("magnetic_tile", 13)


@pytest.fixture(scope="module")
def strips():
    """Every 45th photo of hot-rolled strip: all show defects, and none is clean."""
    return every("neu_seg", 45)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("method", "more", "least"),
    [("paste", {}, 10), ("paste", {"blend": "poisson"}, 10), ("classical", {}, 12)],
    ids=["feather", "poisson", "classical"],
)
def test_magnetic_tiles(tiles, method, more, least):
    recipe = prepare(tiles, AugmentSettings(method=method, count=COUNT, seed=1, **more)).recipe
    made = [s for i in range(COUNT) if isinstance(s := recipe.make(i), Sample)]
    real = {sample.id: sample for sample in tiles.dataset}
    classes = tiles.dataset.classes
    areas = area_ranges(classes, tiles.facts) if method == "paste" else {}
    verdicts = [check_pair(s, classes, real.get(s.meta.get("background")), areas) for s in made]
    judged = list(without_copies(verdicts, (facts.digest for facts in tiles.facts)))
    accepted = [verdict for verdict in judged if verdict.accepted]
    assert len(accepted) >= least, [verdict.reason for verdict in judged]
    assert len({name for verdict in accepted for name in verdict.classes}) >= 3
    if method == "classical":
        # A real photo's pixels, moved and toned: as many marked ones, but for the edges.
        sources = [int(real[s.meta["source"]].union.sum()) for s in made]
        marked = [int(s.union.sum()) for s in made]
        assert np.median(np.divide(marked, sources)) == pytest.approx(1, abs=0.05)


@pytest.mark.realdata
def test_strips_of_which_none_is_clean(strips):
    assert not strips.where("good")
    surfaces = surfaces_of(strips, 64)
    assert len(surfaces) > 0.9 * len(strips.facts)
    real = {sample.id: sample for sample in strips.dataset}
    for surface in surfaces:
        x, y, w, h = surface.box
        near = np.s_[max(0, y - MARGIN) : y + h + MARGIN, max(0, x - MARGIN) : x + w + MARGIN]
        assert not strips.dataset[surface.sample].union[near].any()
        assert min(w, h) >= 16
    candidates = prepare(strips, AugmentSettings(method="paste", count=COUNT, seed=1))
    assert len(candidates.notices) == 1
    made = [s for i in range(COUNT) if isinstance(s := candidates.recipe.make(i), Sample)]
    classes, areas = strips.dataset.classes, area_ranges(strips.dataset.classes, strips.facts)
    pieces = [cut(real[s.meta["background"]], tuple(s.meta["region"])) for s in made]
    verdicts = [check_pair(s, classes, p, areas) for s, p in zip(made, pieces, strict=True)]
    accepted = [v for v in without_copies(verdicts, (f.digest for f in strips.facts)) if v.accepted]
    assert len(accepted) >= 10, [verdict.reason for verdict in verdicts]
    assert {name for verdict in accepted for name in verdict.classes} == {"1", "2", "3"}
