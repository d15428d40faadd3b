"""Scores of images, and a figure of them with its interval.

An interval draws groups of images with replacement, photos of one part
together, as ``evaluate.paired`` does, and says what other parts would have given. What another
training of the detector would give is not in it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.errors import InputError
from flawsmith.evaluate.paired import ENOUGH_GROUPS, interval_of

Values = NDArray[np.float64]
DRAWS = 2000
# With a smaller share of draws that have a figure, its interval is said to be doubtful.
USABLE = 0.9
# Numbers held at a time by the curves of draws.
BLOCK = 1_000_000


@dataclass(frozen=True)
class Figure:
    """A figure with its 95% interval and what it comes from.

    anomalous, clean: images; groups: parts that they show. draws: that the interval is made of
    (one without either kind has no figure). warning: why to doubt it, else empty.
    """

    name: str
    value: float
    low: float
    high: float
    anomalous: int
    clean: int
    groups: int
    draws: int
    warning: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of N images, larger is more anomalous.

    scores: (N,) float64; anomalous: (N,) bool; groups: N names of the parts that the images show.
    """

    scores: Values
    anomalous: NDArray[np.bool_]
    groups: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.groups)
        if self.scores.shape != (n,) or self.anomalous.shape != (n,):
            raise ValueError(
                f"{self.scores.shape} scores, {self.anomalous.shape} labels and {n} groups"
            )

    @staticmethod
    def join(anomalous: "Scores", clean: "Scores") -> "Scores":
        """Return the anomalous images of one and the clean ones of another."""
        first, second = anomalous.only(True), clean.only(False)
        return Scores(
            np.concatenate([first.scores, second.scores]),
            np.concatenate([first.anomalous, second.anomalous]),
            first.groups + second.groups,
        )

    def only(self, anomalous: bool) -> "Scores":
        """Return the anomalous images, or the clean ones."""
        picked = np.flatnonzero(self.anomalous == anomalous)
        groups = tuple(self.groups[i] for i in picked)
        return Scores(self.scores[picked], self.anomalous[picked], groups)

    def check(self) -> None:
        """Raise InputError unless there are images of both kinds, of two groups or more."""
        found = int(self.anomalous.sum())
        if not 0 < found < len(self.groups):
            raise InputError(
                f"{found} images with and {len(self.groups) - found} without a defect; "
                "a detector is judged on both",
                mend="test on clean and on defective images",
            )
        if len(set(self.groups)) < 2:
            raise InputError(
                f"all {len(self.groups)} images are of one group: no interval can be had",
                mend="test on images of several parts",
            )


def interval(
    name: str, by_seed: Values, drawn: Values, told: Scores, *others: Scores, seed: int = 0
) -> Figure:
    """Return the figure with its interval over groups and trainings (``paired.interval_of``).

    by_seed: (S,), its value of each training; drawn: (D,), their mean in each draw of groups, nan
    ones left out. told: the images that it is about; others: more that it is held against, whose
    groups may be too few, too.
    """
    usable = drawn[~np.isnan(drawn)]
    value = float(by_seed.mean())
    low = high = float("nan")
    if len(usable):
        # What trainings differ by is added on either side, where a share may have no room.
        ends = interval_of(usable, by_seed, seed)
        low, high = np.clip(ends, -1.0 if " less " in name else 0.0, 1.0).tolist()
    doubts = [few_groups(one) for one in (told, *others)]
    if len(usable) < USABLE * len(drawn):
        doubts.append(f"{len(usable)} of {len(drawn)} draws of groups have this figure")
    found = int(told.anomalous.sum())
    return Figure(
        name=name,
        value=value,
        low=low,
        high=high,
        anomalous=found,
        clean=len(told.groups) - found,
        groups=len(set(told.groups)),
        draws=len(usable),
        warning="; ".join(dict.fromkeys(filter(None, doubts))),
    )


def few_groups(told: Scores) -> str:
    """Return why to doubt an interval over these groups, or nothing."""
    kinds: Sequence[tuple[str, bool]] = (("defective", True), ("clean", False))
    few = []
    for name, anomalous in kinds:
        groups = len(set(told.only(anomalous).groups))
        if 0 < groups < ENOUGH_GROUPS:
            few.append(f"{name} ({groups})")
    return f"fewer than {ENOUGH_GROUPS} groups show {', '.join(few)}" if few else ""
