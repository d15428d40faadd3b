"""Judge two: what detectors that know clean parts alone say of real and of synthetic images.

Each is fitted on real clean images and scores real images of other parts and the synthetic ones. Is
synthetic clean taken for clean, and are synthetic defects as findable as real ones?
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flawsmith.data.scan import Scan
from flawsmith.errors import InputError
from flawsmith.evaluate.detect_figures import (
    MADE_MASS,
    MASS,
    Table,
    added_finding,
    against_baselines,
    figures_of,
    mass_of,
    pixels_of,
    scores_of,
)
from flawsmith.evaluate.detect_job import Job, check_forms, labelled
from flawsmith.evaluate.detect_result import Costs, Counts, Judged
from flawsmith.evaluate.detect_seen import Seen, Side, look
from flawsmith.evaluate.detect_settings import DetectSettings
from flawsmith.evaluate.detect_sources import Share
from flawsmith.evaluate.detectors.base import Detector, Scored
from flawsmith.evaluate.detectors.figures import Scores
from flawsmith.evaluate.detectors.judgement import FEWEST, tabulate
from flawsmith.progress import say


def check_sets(clean: Scan, real: Scan, made: Scan | None) -> None:
    """Raise InputError unless there is something to learn from and to judge by."""
    if not clean.where("good"):
        raise InputError(
            "no clean image to learn from", where=clean.dataset.root, mend="name clean images"
        )
    scores_of(np.zeros(len(labelled(real))), real).check()
    if made is not None and not labelled(made):
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

    Synthetic images that show a clean photo which is learned from are judged by a detector of the
    other half of the clean parts (``detect_sources``). added: its clean images join the training of
    a second detector of each kind, of as many steps, which is compared on ``real``. runs: where
    trainings are kept, so that they resume. Images of unknown label have no part. Unless the
    settings say otherwise, the baselines judge, too, before the others, and each of these has the
    difference of its AUROC to theirs.

    Raises InputError, before anything is fitted, as ``check_sets`` and ``check_forms`` do, for
    unknown detectors and wrong options, and for an addition judged by one training.
    """
    check_sets(clean, real, made)
    if added is not None:
        check_added(added, settings)
    others = {"real images": real, "synthetic images": made, "added images": added}
    check_forms(clean, {name: own for name, own in others.items() if own is not None})
    jobs = [Job(name, clean, real, made, added, settings, device, runs) for name in settings.judges]
    for job in jobs:
        job.check()
    tested = len(real.where("good"))
    if tested < FEWEST:
        say(f"note: {tested} clean test images: a threshold that passes 95% takes {FEWEST}")
    return against_baselines([(job, *_judge_one(job)) for job in jobs])


def check_added(added: Scan, settings: DetectSettings) -> None:
    """Raise InputError unless an addition can be judged."""
    if not added.where("good"):
        raise InputError(
            "no clean image to add", where=added.dataset.root, mend="name synthetic clean images"
        )
    if settings.seeds < 2:
        raise InputError(
            "one training cannot tell whether an addition helps", mend="--seeds 2, better 3"
        )


def _judge_one(job: Job) -> tuple[Judged, list[Table]]:
    """Return what a detector found, and its figures of real images by training."""
    settings = job.settings
    tables, more = [], []
    first: _First | None = None
    shares, left = job.shares()
    for seed in range(settings.seed, settings.seed + settings.seeds):
        say(f"{job.name}: fitting, seed {seed}")
        detector, seconds = job.fitted(seed, job.clean)
        real, costs = job.timed(detector, seconds)
        made = _made(job, shares, seed, detector, real)
        told = scores_of(real.scores, job.real)
        pairs = [(scores_of(one.real.scores, job.real), one.told) for one in made]
        tables.append(tabulate(told, pairs, settings.seed, settings.draws))
        first = first or _First(real, costs, made)
        if job.added is not None:
            again, _ = job.fitted(seed, job.clean, job.added)
            scored = again.score(job.pictures(job.real))
            others = scores_of(scored.scores, job.real)
            more.append(tabulate(others, (), settings.seed, settings.draws))
    assert first is not None
    judged = Judged(
        name=job.name,
        form=job.form,
        learned=job.counted,
        figures=(
            *figures_of(job, tables, first.scores),
            *pixels_of(job, first.real),
            *mass_of(job, MASS, [(job.real, first.real)]),
            *mass_of(job, MADE_MASS, [(one.found, one.scored) for one in first.made]),
        ),
        by_seed=tuple(float(whole[0]) for whole, _ in tables),
        costs=first.costs,
        added=added_finding(job, more, tables) if more else None,
        seen=_seen(job, first),
        counts=_counts(job, first.scores),
        halves=left > 0 or any(share.clean is not job.clean for share in shares),
        left_out=left,
    )
    return judged, tables


def _counts(job: Job, made: Scores | None) -> Counts:
    """Return how many images the figures come from."""
    clean = scores_of(np.zeros(len(labelled(job.real))), job.real).only(False)
    return Counts(
        clean=len(clean.groups),
        clean_parts=len(set(clean.groups)),
        made_clean=int((~made.anomalous).sum()) if made else 0,
        made_defects=int(made.anomalous.sum()) if made else 0,
    )


@dataclass(frozen=True)
class _Made:
    """A share of the synthetic images, and what its detector says of them and of real ones."""

    found: Scan
    scored: Scored
    told: Scores
    real: Scored


@dataclass(frozen=True)
class _First:
    """What the first training said."""

    real: Scored
    costs: Costs
    made: list[_Made]

    @property
    def scores(self) -> Scores | None:
        """All synthetic images that were judged; of several detectors, so not to be ranked."""
        if not self.made:
            return None
        return Scores(
            np.concatenate([one.told.scores for one in self.made]),
            np.concatenate([one.told.anomalous for one in self.made]),
            tuple(group for one in self.made for group in one.told.groups),
        )


def _made(
    job: Job, shares: Sequence[Share], seed: int, whole: Detector, real: Scored
) -> list[_Made]:
    """Score the synthetic images, each share by a detector that has not seen what it shows."""
    found = []
    for share in shares:
        judge, tested = whole, real
        if share.clean is not job.clean:
            judge, _ = job.fitted(seed, share.clean)
            tested = judge.score(job.pictures(job.real))
        scored = judge.score(job.pictures(share.made))
        told = scores_of(scored.scores, share.made)
        found.append(_Made(share.made, scored, told, tested))
    return found


def _seen(job: Job, first: _First) -> Seen:
    """Return the scores by kind, and some maps, as one detector gives them: of shares the first."""
    one = first.made[0] if first.made else None
    scored = one.real if one else first.real
    real = Side(job.pictures(job.real), scores_of(scored.scores, job.real), scored)
    return look(real, Side(job.pictures(one.found), one.told, one.scored) if one else None)
