"""The runs of a downstream check: each trained, then tested, once; what is done is kept.

A run's folder is that of ``train`` with ``counts.json`` beside the weights: how the test images
were predicted, and digests of what decided that. The checkpoint goes once the counts are there.
"""

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flawsmith import __version__
from flawsmith.data.kept import read_kept
from flawsmith.data.scan import Scan
from flawsmith.data.staging import job_digest
from flawsmith.errors import InputError
from flawsmith.evaluate.feature_store import default_folder
from flawsmith.evaluate.overlap import Counts, ImageCounts, count, overlap
from flawsmith.evaluate.read_once import ReadOnce, content_digest
from flawsmith.evaluate.segmenter.predict import Predictor, load_predictor
from flawsmith.evaluate.segmenter.settings import SegmentSettings
from flawsmith.evaluate.segmenter.sources import Arm, arm_of
from flawsmith.evaluate.segmenter.training import train_arm
from flawsmith.progress import say, track
from flawsmith.train.files import replace_file
from flawsmith.train.runs import STATE, WEIGHTS
from flawsmith.train.settings import TrainSettings

COUNTS = "counts.json"


@dataclass(frozen=True)
class RunPlan:
    """How every run of a check is made. device, precision: as in ``SegmentSettings.loop``."""

    settings: SegmentSettings
    device: str = "auto"
    precision: str = "auto"

    def loop(self, seed: int) -> TrainSettings:
        return self.settings.loop(seed, device=self.device, precision=self.precision)


@dataclass(frozen=True)
class Entry:
    """An arm ready to be trained. flips: those that the real samples allow; source: of what."""

    arm: Arm
    flips: tuple[bool, bool]
    source: dict[str, str]


def entry_of(name: str, real: ReadOnce, added: Scan | None, settings: SegmentSettings) -> Entry:
    """Return the arm of these samples; None: the real ones alone.

    Flips come from the real samples in every arm, so that all are augmented alike: some of their
    pictures are read for that, and all masks for the digests. Raises InputError as ``arm_of`` does.
    """
    source = {"real": real.digest}
    if added is not None:
        source["added"] = content_digest(added)
    arm = arm_of(name, real.found, added, settings, real.samples)
    return Entry(arm, real.flips, source)


def run_arm(entry: Entry, seed: int, test: ReadOnce, folder: Path, plan: RunPlan) -> Counts:
    """Train an arm with a seed in its run folder, then count how it predicts the test images.

    The same call again goes on: within the training from its checkpoint, and with nothing to do
    once ``counts.json`` is there. With another test set or tiling, or counts without their hash,
    the kept weights predict again. Test images are not read before the weights are trained; those
    of unknown label are not predicted. Raises InputError for a folder of another run, Interrupted
    while training.
    """
    trained_as = _run_digest(entry, seed, plan)
    kept = read_counts(folder / COUNTS)
    if kept and kept.run == trained_as and (folder / WEIGHTS).is_file():
        if kept.counts and kept.test == _test_digest(test, plan):
            _drop_state(folder)
            return kept.counts
    else:
        settings = plan.settings
        train_arm(
            entry.arm, settings, plan.loop(seed), folder, flips=entry.flips, source=entry.source
        )
    predictor = load_predictor(folder, plan.device, plan.settings.tiling)
    counts = predict(predictor, test)
    content = {
        "run": trained_as,
        "test": _test_digest(test, plan),
        "counts": counts.to_json(),
    }
    content["sha256"] = job_digest(content)
    replace_file(folder / COUNTS, (json.dumps(content) + "\n").encode())
    _drop_state(folder)
    return counts


def run_all(
    arms: Mapping[str, Scan | None], real: Scan, test: Scan, folder: Path, plan: RunPlan
) -> dict[str, dict[int, Counts]]:
    """Make every run of every arm, in ``folder/<arm>/<seed>``, and tell how far it is."""
    seeds = range(plan.settings.seed, plan.settings.seed + plan.settings.seeds)
    learned, tested = ReadOnce(real), ReadOnce(test)
    left = sum(not _at(folder, arm, s, COUNTS).is_file() for arm in arms for s in seeds)
    told = Progress(len(arms) * len(seeds), left)
    counts: dict[str, dict[int, Counts]] = {}
    for name, added in arms.items():
        entry = entry_of(name, learned, added, plan.settings)
        counts[name] = {}
        for seed in seeds:
            new = not _at(folder, name, seed, COUNTS).is_file()
            start = time.monotonic()
            counts[name][seed] = run_arm(entry, seed, tested, _at(folder, name, seed), plan)
            if new:
                told.add(time.monotonic() - start)
            told.tell(f"{name}, seed {seed}", counts[name][seed])
    return counts


@dataclass
class Progress:
    """How far the runs are. total: of them all; left: not made yet; made, seconds: made now."""

    total: int
    left: int
    told: int = 0
    made: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Note that a run was made, and how long it took."""
        self.left -= 1
        self.made += 1
        self.seconds += seconds

    def tell(self, name: str, counts: Counts) -> None:
        """Say how well a run did and how long the others may take."""
        self.told += 1
        rest = self.left * self.seconds / self.made if self.made else 0.0
        more = f", {_minutes(rest)} left" if rest else ""
        say(f"{name}: mIoU {overlap(counts).miou:.3f} ({self.told} of {self.total} runs{more})")


def default_runs(
    real: Scan,
    added: Mapping[str, Scan],
    settings: SegmentSettings,
    device: str = "auto",
    precision: str = "auto",
) -> Path:
    """Return a folder in the user's cache for the runs of a comparison; another has another one.

    The test set has no part in its name: tested on other images, the same runs serve again.
    """
    job = {
        "settings": settings.deciding(real_only=not added),
        "loop": settings.loop(0, device=device, precision=precision).deciding(fixed_length=True),
        "real": [asdict(fact) for fact in real.facts],
        "added": {name: [asdict(fact) for fact in scan.facts] for name, scan in added.items()},
    }
    return default_folder() / "segment" / job_digest(job)[:16]


def predict(predictor: Predictor, test: ReadOnce) -> Counts:
    """Return the counts of the test set's labelled samples.

    Raises InputError if its classes are not the predictor's.
    """
    dataset = test.found.dataset
    classes = dataset.classes
    if classes != predictor.classes:
        raise InputError(
            f"its classes are {', '.join(classes)}; the segmenter's {', '.join(predictor.classes)}",
            where=dataset.root,
        )

    def rows() -> "list[ImageCounts]":
        found = []
        for index in track(range(len(dataset)), "testing", len(dataset)):
            sample = test.samples[index]
            known = sample.label != "unknown"
            masks = predictor.masks(sample.image) if known else np.zeros_like(sample.masks)
            found.append(count(sample, masks))
        return found

    return Counts.of(classes, rows())


def _run_digest(entry: Entry, seed: int, plan: RunPlan) -> str:
    job: dict[str, Any] = {
        "flawsmith": __version__,
        "arm": entry.arm.name,
        "settings": plan.settings.deciding(real_only=entry.arm.synthetic is None),
        "loop": plan.loop(seed).deciding(fixed_length=True),
        "flips": entry.flips,
        "source": entry.source,
    }
    return job_digest(job)


def _test_digest(test: ReadOnce, plan: RunPlan) -> str:
    return job_digest({"test": test.digest, "tiling": asdict(plan.settings.tiling)})


@dataclass(frozen=True)
class _CountsFile:
    """What counts.json holds; sha256: of the others, which those of earlier versions lack."""

    run: str
    test: str
    counts: dict[str, Any]
    sha256: str = ""


@dataclass(frozen=True)
class Kept:
    """What an earlier call kept: what was trained, and on what it was tested, by their digests.

    counts: None where no hash vouches for them.
    """

    run: str
    test: str
    counts: Counts | None


def read_counts(path: Path) -> Kept | None:
    """Return what an earlier call kept; None if there is nothing.

    Raises InputError for a file that is not as it was written.
    """

    def made(content: dict[str, Any]) -> Kept:
        known = {name: value for name, value in content.items() if name != "sha256"}
        counts = Counts.from_json(known["counts"])
        if "sha256" not in content:
            return Kept(known["run"], known["test"], None)
        if content["sha256"] != job_digest(known):
            raise ValueError("its digest is another one")
        return Kept(known["run"], known["test"], counts)

    return read_kept(path, _CountsFile, made) if path.is_file() else None


def _drop_state(folder: Path) -> None:
    """Remove what only a resume needs: optimisers take twice the weights' room."""
    shutil.rmtree(folder / STATE, ignore_errors=True)


def _at(folder: Path, arm: str, seed: int, name: str = "") -> Path:
    return folder / arm / str(seed) / name


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"about {minutes} minute{'' if minutes == 1 else 's'}" if minutes else "under a minute"
