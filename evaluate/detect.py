"""Judge two: what detectors that know clean parts alone say of real and of synthetic images.

Each is fitted on real clean images and scores real images of other parts and the synthetic ones. Is
synthetic clean taken for clean, and are synthetic defects as findable as real ones?
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.data.scan import Scan
from flawsmith.errors import InputError
from flawsmith.evaluate.detect_result import LESS, Costs, Judged
from flawsmith.evaluate.detect_seen import Seen, Side, look
from flawsmith.evaluate.detect_settings import BASELINES, DetectSettings
from flawsmith.evaluate.detectors.base import Detector, Scored
from flawsmith.evaluate.detectors.figures import Figure, Scores, interval
from flawsmith.evaluate.detectors.frames import Fitted, Form
from flawsmith.evaluate.detectors.judgement import MADE, NAMES, tabulate
from flawsmith.evaluate.detectors.places import mass_inside, pixel_figures
from flawsmith.evaluate.detectors.registry import TRAINED, open_detector
from flawsmith.evaluate.paired import ENOUGH_SEEDS, Difference, interval_of
from flawsmith.evaluate.verdict import Finding
from flawsmith.progress import say
from flawsmith.sample import Label

Drawn = NDArray[np.float64]
REAL, ADDED = "real clean", "real + synthetic clean"


def check_sets(clean: Scan, real: Scan, made: Scan | None) -> None:
    """Raise InputError unless there is something to learn from and to judge by."""
    if not clean.where("good"):
        raise InputError(
            "no clean image to learn from", where=clean.dataset.root, mend="name clean images"
        )
    _scores(np.zeros(len(_labelled(real))), real).check()
    if made is not None and not _labelled(made):
        raise InputError("no labelled candidate", where=made.dataset.root)


def judge(
    clean: Scan,
    real: Scan,
    made: Scan | None,
    settings: DetectSettings,
    *,
    added: Scan | None = None,
    device: str = "auto",
    runs: Path | None = None,
) -> tuple[Judged, ...]:
    """Fit every detector on the clean images of ``clean``; score those of ``real`` and ``made``.

    added: its clean images join the training of a second detector of each kind, which is compared
    on ``real``. runs: where trainings are kept, so that they resume. Images of unknown label have
    no part. Unless the settings say otherwise, the baselines judge, too, before the others, and
    each of these has the difference of its AUROC to theirs. Raises InputError as ``check_sets``
    does, for unknown detectors, and as these do.
    """
    check_sets(clean, real, made)
    jobs = [
        _Job(name, clean, real, made, added, settings, device, runs) for name in settings.judges
    ]
    told = [(job, *_judge_one(job)) for job in jobs]
    return _against_baselines(told)


def form_of(clean: Scan, settings: DetectSettings) -> Form:
    """Return the form that pictures are brought to: grey if all clean ones are."""
    colour = any(fact.channels == 3 for fact in clean.facts)
    return Form(settings.side, settings.side, 3 if colour else 1)


def opened(
    name: str, settings: DetectSettings, seed: int, device: str, folder: Path | None = None
) -> Detector:
    """Return an unfitted detector; folder: of its training. Raises InputError for a wrong one."""
    own = {"seed": seed, **settings.options.get(name, {})}
    if settings.epochs and name in TRAINED:
        own["epochs"] = settings.epochs
    return open_detector(name, own, device, preset=settings.preset, folder=folder)


@dataclass(frozen=True)
class _Job:
    """One detector and all it is given."""

    name: str
    clean: Scan
    real: Scan
    made: Scan | None
    added: Scan | None
    settings: DetectSettings
    device: str
    runs: Path | None

    @property
    def form(self) -> Form:
        return form_of(self.clean, self.settings)

    def open(self, seed: int, arm: str) -> Detector:
        """Return an unfitted detector."""
        folder = self.runs / self.name / arm / str(seed) if self.runs else None
        return opened(self.name, self.settings, seed, self.device, folder)

    def pictures(self, found: Scan, label: Label | None = None) -> Fitted:
        """Return a set's pictures of a label, or all whose label is known."""
        picked = found.where(label) if label else _labelled(found)
        return Fitted(found, picked, self.form)

    def learned(self, *sets: Scan) -> list[NDArray[np.uint8]]:
        """Return the clean pictures to learn from."""
        return [picture for found in sets for picture in self.pictures(found, "good")]


def _judge_one(job: _Job) -> tuple[Judged, Drawn]:
    """Return what a detector found, and its AUROC of real defects in each draw of groups."""
    settings = job.settings
    values, draws, aurocs, added = [], [], [], []
    first: tuple[Scored, Scored | None, Costs] | None = None
    for seed in range(settings.seed, settings.seed + settings.seeds):
        say(f"{job.name}: fitting, seed {seed}")
        detector, costs, real = _fitted(job, seed, "real", job.clean)
        made = detector.score(job.pictures(job.made)) if job.made else None
        first = first or (real, made, costs)
        told = _scores(real.scores, job.real)
        others = _scores(made.scores, job.made) if made and job.made else None
        whole, drawn = tabulate(told, others, settings.seed, settings.draws)
        values.append(whole)
        draws.append(drawn)
        aurocs.append(float(whole[0]))
        if job.added is not None:
            _, _, more = _fitted(job, seed, "added", job.clean, job.added)
            told = _scores(more.scores, job.real)
            added.append(tabulate(told, None, settings.seed, settings.draws))
    assert first is not None
    real, made, costs = first
    judged = Judged(
        name=job.name,
        form=job.form,
        learned=len(job.clean.where("good")),
        figures=(*_figures(job, values, draws), *_pixels(job, real)),
        by_seed=tuple(aurocs),
        mass_real=_mass(job.pictures(job.real), real),
        mass_made=_mass(job.pictures(job.made), made) if job.made else None,
        costs=costs,
        added=_finding(job, values, draws, added) if added else None,
        seen=_seen(job, real, made),
    )
    return judged, np.mean([drawn[:, 0] for drawn in draws], axis=0)


def _against_baselines(told: Sequence[tuple["_Job", Judged, Drawn]]) -> tuple[Judged, ...]:
    """Return what was found, each but the baselines with its AUROC less that of each baseline.

    The draws are the same for all, so the difference is a paired one.
    """
    bases = [one for one in told if one[1].name in BASELINES]
    found = []
    for job, judged, drawn in told:
        own = judged.by_seed
        about = _scores(np.zeros(len(_labelled(job.real))), job.real)
        less = [
            interval(
                f"{LESS}{base.name}",
                float(np.mean(own) - np.mean(base.by_seed)),
                drawn - other,
                about,
            )
            for _, base, other in bases
            if judged.name not in BASELINES
        ]
        found.append(replace(judged, figures=(*judged.figures, *less)))
    return tuple(found)


def _seen(job: _Job, real: Scored, made: Scored | None) -> Seen:
    """Return the scores by kind, and some maps."""
    other = None
    if job.made is not None and made is not None:
        other = Side(job.pictures(job.made), _scores(made.scores, job.made), made)
    return look(Side(job.pictures(job.real), _scores(real.scores, job.real), real), other)


def _fitted(job: _Job, seed: int, arm: str, *sets: Scan) -> tuple[Detector, Costs, Scored]:
    """Return a fitted detector, what it cost, and what it says of the real images."""
    detector, pictures = job.open(seed, arm), job.pictures(job.real)
    clean = job.learned(*sets)
    began = time.perf_counter()
    detector.fit(clean)
    fitted = time.perf_counter()
    scored = detector.score(pictures)
    each = 1000 * (time.perf_counter() - fitted) / len(pictures)
    return detector, Costs(fitted - began, each, detector.size), scored


def _figures(job: _Job, values: Sequence[Any], draws: Sequence[Any]) -> list[Figure]:
    """Return the figures as means over the seeds, their intervals over groups."""
    whole, drawn = np.mean(values, axis=0), np.mean(draws, axis=0)
    told = _scores(np.zeros(len(_labelled(job.real))), job.real)
    found = []
    for i, name in enumerate(NAMES):
        if np.isnan(whole[i]):
            continue
        about = told
        if name in MADE and job.made is not None:
            others = _scores(np.zeros(len(_labelled(job.made))), job.made)
            flawed = others.only(True) if "clean" not in name else others.only(False)
            about = _joined(flawed, told.only(False))
        found.append(interval(name, float(whole[i]), drawn[:, i], about))
    return found


def _finding(job: _Job, values: Any, draws: Any, added: Any) -> Finding:
    """Return what adding synthetic clean images does to the AUROC of real defects."""
    own = np.array([whole[0] for whole, _ in added])
    base = np.array([whole[0] for whole in values])
    by_seed = own - base
    drawn = np.mean([d[:, 0] for _, d in added], axis=0) - np.mean([d[:, 0] for d in draws], axis=0)
    drawn = drawn[~np.isnan(drawn)]
    low, high = interval_of(drawn, by_seed, job.settings.seed)
    told = _scores(np.zeros(len(_labelled(job.real))), job.real)
    groups, seeds = len(set(told.groups)), len(own)
    return Finding(
        ADDED,
        REAL,
        Difference(
            name=f"AUROC of {job.name}",
            better="high",
            own=float(own.mean()),
            base=float(base.mean()),
            value=float(by_seed.mean()),
            low=low,
            high=high,
            by_seed=tuple(by_seed.tolist()),
            showing=groups,
            groups=groups,
            images=len(told.groups),
            seeds=seeds,
            draws=len(drawn),
            warning=f"only {seeds} seeds" if seeds < ENOUGH_SEEDS else "",
        ),
    )


def _pixels(job: _Job, real: Scored) -> tuple[Figure, ...]:
    if real.maps is None:
        return ()
    pictures = job.pictures(job.real)
    masks = [pictures.mask(i) for i in range(len(pictures))]
    groups = _scores(real.scores, job.real).groups
    return pixel_figures(masks, real.maps, groups, job.settings.seed, job.settings.draws)


def _mass(pictures: Fitted, scored: Scored | None) -> float | None:
    if scored is None or scored.maps is None:
        return None
    masks = [pictures.mask(i) for i in range(len(pictures))]
    shares = [mass_inside(m, v) for m, v in zip(masks, scored.maps, strict=True) if m.any()]
    return float(np.nanmean(shares)) if shares and not np.isnan(shares).all() else None


def _labelled(found: Scan) -> list[int]:
    return [i for i, fact in enumerate(found.facts) if fact.label != "unknown"]


def _scores(scores: NDArray[np.float64], found: Scan) -> Scores:
    """Return a set's scores with their labels and groups."""
    facts = [found.facts[i] for i in _labelled(found)]
    marks = np.array([fact.label == "defective" for fact in facts], bool)
    return Scores(scores, marks, tuple(fact.group for fact in facts))


def _joined(made: Scores, clean: Scores) -> Scores:
    """Return what a figure of synthetic images is about: these, and the real clean ones."""
    groups = (*(f"synthetic {name}" for name in made.groups), *clean.groups)
    marks = np.concatenate([made.anomalous, clean.anomalous])
    return Scores(np.concatenate([made.scores, clean.scores]), marks, groups)
