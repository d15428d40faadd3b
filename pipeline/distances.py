"""The stage of distances: every method's certified candidates against the real test part."""

import json
from dataclasses import dataclass
from pathlib import Path

from flawsmith.data.kept import read_kept
from flawsmith.data.scan import Scan
from flawsmith.data.writing import write_file
from flawsmith.evaluate.comparison import Distances
from flawsmith.evaluate.distance import Compute, DistanceSettings, compare
from flawsmith.evaluate.feature_store import FeatureStore
from flawsmith.evaluate.features import Extractor, open_extractor
from flawsmith.pipeline.candidates import Scans, Verdicts
from flawsmith.pipeline.settings import RunMethod, RunSettings
from flawsmith.pipeline.source import Parts
from flawsmith.pipeline.stages import Stages

RESULT = "distances.json"


@dataclass(frozen=True)
class Judge:
    """What the distances are taken with: the network, and where it runs."""

    settings: DistanceSettings
    extractor: Extractor
    device: str


def open_judge(settings: RunSettings, device: str) -> Judge | None:
    """Return the judge, or None if distances are switched off; raises InputError for bad weights.

    To be called before any stage: a missing file must not cost an hour of work first.
    """
    if settings.features == "none":
        return None
    chosen = DistanceSettings(
        features=settings.features, weights=settings.weights, seed=settings.seed
    )
    return Judge(chosen, open_extractor(chosen.features, chosen.weights), device)


def distance_stage(
    stages: Stages,
    found: Scan,
    parts: Parts,
    made: Scans,
    verdicts: Verdicts,
    judge: Judge | None,
) -> dict[RunMethod, Distances]:
    """Return the distances of each method that has certified candidates.

    Compared with the test part, which no method saw; the training part joins the floor and is
    searched for copies.
    """
    if judge is None:
        return {}
    test, train = found.select(parts["test"]), found.select(parts["train"])
    compute = Compute(store_of(stages, judge.extractor), judge.device)
    results: dict[RunMethod, Distances] = {}
    for method, entry in made.items():
        kept = [i for i, verdict in enumerate(verdicts[method]) if verdict.accepted]
        if not kept:
            continue
        work = _Work(entry.select(kept), test, train, judge, compute)
        inputs = {"features": judge.extractor.version, "seed": judge.settings.seed}
        needs = ("certificate", "split", f"candidates-{method}")
        folder = stages.make(f"distances-{method}", inputs, needs, work)
        results[method] = read_distances(folder)
    return results


def read_distances(folder: Path) -> Distances:
    """Return what the stage left; raises InputError for what is not as it was written."""
    return read_kept(folder / RESULT, Distances, Distances.from_json)


@dataclass(frozen=True)
class _Work:
    made: Scan
    test: Scan
    train: Scan
    judge: Judge
    compute: Compute

    def __call__(self, folder: Path) -> None:
        judge = self.judge
        distances = compare(
            self.test, self.made, self.train, judge.settings, judge.extractor, self.compute
        )
        write_file(folder / RESULT, json.dumps(distances.to_json(), ensure_ascii=False))


def store_of(stages: Stages, extractor: Extractor) -> FeatureStore:
    """Features stay in the run's own folder: they say something of pictures under NDA."""
    return FeatureStore(stages.place("features"), extractor.version)
