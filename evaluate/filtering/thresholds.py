"""Thresholds: how strict a step is in a class, learned from real samples and from nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from flawsmith.evaluate.neighbours import Features, Indices, Rows, nearest

Step = Literal["quality", "agreement", "clean", "seen", "copies", "artefacts"]
# A class with fewer real samples of a step, or of fewer parts, says too little: a quantile of four
# values is the largest of them, and samples of one part are hardly two.
LEAST = 5
LEAST_GROUPS = 2


@dataclass(frozen=True)
class Threshold:
    """What a step asks of a class.

    quality: the largest distance to a real crop; agreement: the smallest overlap; clean: the
    detector's largest value for a picture without a defect; seen: its smallest for a defect;
    copies: the distance at which a near copy begins; artefacts: the largest oddness of a whole
    picture. real: the real crops behind it (samples for agreement, clean and seen; pictures),
    groups: their parts.
    """

    name: str
    step: Step
    value: float
    real: int
    groups: int

    def to_json(self) -> dict[str, Any]:
        content = asdict(self)
        return {"class": content.pop("name"), **content}


def lacking(groups: Sequence[str]) -> str:
    """Return why so many real samples, each of a group, are too few for a threshold, or nothing."""
    parts = len(set(groups))
    if len(groups) >= LEAST and parts >= LEAST_GROUPS:
        return ""
    return f"{len(groups)} real samples of {parts} parts; {LEAST} of {LEAST_GROUPS} are needed"


def codes_of(groups: Sequence[str]) -> Indices:
    """Return (N,) int64: a number for each group's name."""
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    return np.array([numbers[group] for group in groups], np.int64)


def apart(features: Features, groups: Sequence[str]) -> Rows:
    """Return (N,): each real crop's distance to the nearest one of another group.

    features: (N, D). As many folds as there are groups, each left out once: so what a real crop is
    held against is as large as what a candidate is held against, but for its own part.
    Raises ValueError when all are of one group.
    """
    codes = codes_of(groups)
    distances, found = nearest(features, features, (codes, codes))
    if (found < 0).any():
        raise ValueError("crops of one group have no other to be compared with")
    return distances


def distance_thresholds(
    name: str, real: Rows, groups: Sequence[str], quantile: float, share: float
) -> Iterator[Threshold]:
    """Yield a class's thresholds of quality and of copies from what ``apart`` found.

    quantile: of the distances, for quality; share: of their median, for copies, as in
    ``neighbours.near_copies``.
    """
    facts = len(groups), len(set(groups))
    yield Threshold(name, "quality", float(np.quantile(real, quantile)), *facts)
    yield Threshold(name, "copies", float(share * np.median(real)), *facts)
