"""From scores to figures: a detector's own, the synthetic images', and differences."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from flawsmith.data.scan import Scan
from flawsmith.evaluate.detect_job import Job, labelled
from flawsmith.evaluate.detect_result import LESS, Judged
from flawsmith.evaluate.detect_settings import BASELINES
from flawsmith.evaluate.detectors.base import Scored
from flawsmith.evaluate.detectors.figures import Figure, Scores, few_groups, interval
from flawsmith.evaluate.detectors.judgement import ALARMED, DIFFERENCE, MADE, NAMES
from flawsmith.evaluate.detectors.places import mass_figure, pixel_figures
from flawsmith.evaluate.paired import ENOUGH_SEEDS, Difference, interval_of
from flawsmith.evaluate.verdict import Finding
from flawsmith.sample import Masks

Values = NDArray[np.float64]
# Of one training: the figures (F,), and those of each draw of groups (draws, F).
Table = tuple[Values, Values]
MASS, MADE_MASS = "map mass inside", "synthetic map mass inside"
BASE, ADDED = "real clean", "real + synthetic clean"


def scores_of(scores: Values, found: Scan) -> Scores:
    """Return a set's scores with their labels and groups."""
    facts = [found.facts[i] for i in labelled(found)]
    marks = np.array([fact.label == "defective" for fact in facts], bool)
    return Scores(scores, marks, tuple(fact.group for fact in facts))


def figures_of(job: Job, tables: Sequence[Table], made: Scores | None) -> list[Figure]:
    """Return the figures as means over the trainings; made: the synthetic images judged."""
    values = np.stack([whole for whole, _ in tables])
    drawn = np.mean([draws for _, draws in tables], axis=0)
    real = _empty(job.real)
    found = []
    for i, name in enumerate(NAMES):
        if np.isnan(values[:, i]).any():
            continue
        about, others = real, [real]
        if name in MADE and made is not None:
            about = made.only(name != ALARMED)
            others = [real] if name == DIFFERENCE else [real.only(False)]
        one = interval(name, values[:, i], drawn[:, i], about, *others, seed=job.settings.seed)
        if about is not real and name != ALARMED:  # they stand against the real clean images
            one = replace(one, clean=len(real.only(False).groups))
        found.append(one)
    return found


def pixels_of(job: Job, real: Scored) -> tuple[Figure, ...]:
    """Return pixel AUROC and PRO of real defects, of one training; nothing without maps."""
    if real.maps is None:
        return ()
    pictures = job.pictures(job.real)
    masks = [pictures.mask(i) for i in range(len(pictures))]
    settings = job.settings
    return pixel_figures(masks, real.maps, _empty(job.real).groups, settings.seed, settings.draws)


def mass_of(job: Job, name: str, sets: Sequence[tuple[Scan, Scored]]) -> tuple[Figure, ...]:
    """Return which share of the maps' mass lies inside the masks; nothing without maps or defects.

    sets: pictures and what one training says of them.
    """
    masks: list[Masks] = []
    maps: list[NDArray[np.float32]] = []
    groups: list[str] = []
    for found, scored in sets:
        if scored.maps is not None:
            pictures = job.pictures(found)
            masks += [pictures.mask(i) for i in range(len(pictures))]
            maps += list(scored.maps)
            groups += _empty(found).groups
    if not maps:
        return ()
    settings = job.settings
    one = mass_figure(name, masks, np.stack(maps), groups, settings.seed, settings.draws)
    return (one,) if one else ()


def added_finding(job: Job, own: Sequence[Table], base: Sequence[Table]) -> Finding:
    """Return what adding synthetic clean images does to the AUROC of real defects."""
    found = _differences(own, base)
    low, high = interval_of(found[1], found[0], job.settings.seed)
    told = _empty(job.real)
    groups, seeds = len(set(told.groups)), len(own)
    few = f"only {seeds} seeds" if seeds < ENOUGH_SEEDS else ""
    return Finding(
        ADDED,
        BASE,
        Difference(
            name=f"AUROC of {job.name}",
            better="high",
            own=float(np.mean([whole[0] for whole, _ in own])),
            base=float(np.mean([whole[0] for whole, _ in base])),
            value=float(found[0].mean()),
            low=low,
            high=high,
            by_seed=tuple(found[0].tolist()),
            showing=groups,
            groups=groups,
            images=len(told.groups),
            seeds=seeds,
            draws=len(found[1]),
            warning="; ".join(filter(None, (few_groups(told), few))),
        ),
    )


def against_baselines(
    told: Sequence[tuple[Job, Judged, Sequence[Table]]],
) -> tuple[Judged, ...]:
    """Return what was found, each but the baselines with its AUROC less that of each baseline.

    The draws are the same for all, so the difference is a paired one.
    """
    bases = [one for one in told if one[1].name in BASELINES]
    found = []
    for job, judged, tables in told:
        less = []
        for _, base, others in bases:
            if judged.name not in BASELINES:
                by_seed, drawn = _differences(tables, others)
                about, name = _empty(job.real), f"{LESS}{base.name}"
                less.append(interval(name, by_seed, drawn, about, seed=job.settings.seed))
        found.append(replace(judged, figures=(*judged.figures, *less)))
    return tuple(found)


def _differences(own: Sequence[Table], base: Sequence[Table]) -> Table:
    """Return (S,) the difference of the AUROCs by seed, and (D,) its mean in each usable draw."""
    by_seed = np.array([a[0] - b[0] for (a, _), (b, _) in zip(own, base, strict=True)])
    pairs = zip(own, base, strict=True)
    drawn = np.mean([a[:, 0] - b[:, 0] for (_, a), (_, b) in pairs], axis=0)
    return by_seed, drawn[~np.isnan(drawn)]


def _empty(found: Scan) -> Scores:
    return scores_of(np.zeros(len(labelled(found))), found)
