"""Candidates from real photos pass the certificate (FLAWSMITH_TEST_DATA names their folder)."""

import os
from pathlib import Path

import numpy as np
import pytest

from flawsmith.augment.job import prepare
from flawsmith.augment.settings import AugmentSettings
from flawsmith.data.formats import read_dataset
from flawsmith.data.scan import scan
from flawsmith.evaluate.certificate import area_ranges, check_pair, without_copies
from flawsmith.sample import Sample

COUNT = 12


@pytest.fixture(scope="module")
def tiles():
    """Every thirteenth photo of the magnetic tiles: clean ones and all kinds of defects."""
    folder = Path(os.environ.get("FLAWSMITH_TEST_DATA", "")) / "magnetic_tile"
    if "FLAWSMITH_TEST_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("FLAWSMITH_TEST_DATA names no folder with magnetic_tile")
    dataset = read_dataset(folder)
    return scan(dataset.select(range(0, len(dataset), 13)))


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
