"""How well scores tell defects from clean images: AUROC, average precision, F1, with intervals.

Values are scikit-learn's; an interval draws groups of images with replacement, photos of one part
together, as ``evaluate.paired`` does, and says what other parts would have given. What another
training of the detector would give is not in it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (  # type: ignore[import-untyped]
    average_precision_score,
    roc_auc_score,
)

from flawsmith.errors import InputError
from flawsmith.evaluate.detectors import curves
from flawsmith.evaluate.paired import ENOUGH_GROUPS, codes, interval_of, weightings

Values = NDArray[np.float64]
DRAWS = 2000
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


def figures(told: Scores, seed: int = 0, draws: int = DRAWS) -> tuple[Figure, ...]:
    """Return AUROC, AP (average precision) and F1 at its best threshold, each with its interval.

    The threshold of F1 is the best on these very images, so F1 flatters; a draw has its own.
    Raises InputError as ``Scores.check`` does.
    """
    told.check()
    ranking = curves.Ranking.of(told.anomalous, told.scores)
    whole = curves.figures(ranking, np.ones((1, len(told.scores))))[0]
    values = [
        float(roc_auc_score(told.anomalous, told.scores)),
        float(average_precision_score(told.anomalous, told.scores)),
        float(whole[2]),
    ]
    drawn = drawn_figures(told, ranking, seed, draws)
    return tuple(
        interval(name, np.array([value]), drawn[:, i], told)
        for i, (name, value) in enumerate(zip(curves.NAMES, values, strict=True))
    )


def drawn_figures(told: Scores, ranking: curves.Ranking, seed: int, draws: int) -> Values:
    """Return (draws, 3): the figures of each draw of groups; the same draws for the same groups."""
    numbers = codes(told.groups)
    count, block = int(numbers.max()) + 1, max(1, BLOCK // len(numbers))
    return np.concatenate(
        [
            curves.figures(ranking, weights[:, numbers])
            for weights in weightings(count, seed, draws, block * count)
        ]
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
        warning="; ".join(dict.fromkeys(filter(None, map(few_groups, (told, *others))))),
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
