"""What changes while a segmenter is trained: the share of synthetic samples, the learning rate.

Both are functions of how far the run has come, so that a resumed run needs no state of theirs.
"""

import math
from dataclasses import dataclass
from typing import Literal

Mixing = Literal["none", "first", "constant", "falling"]
Negatives = Literal["real", "any"]
Course = Literal["cosine", "one-cycle"]
# A one-cycle run starts at this part of its highest rate and ends at that one (Smith and Topin
# 2017, arXiv 1708.07120; the figures are those of PyTorch's OneCycleLR).
CYCLE_START = 1 / 25
CYCLE_END = 1 / 250_000


@dataclass(frozen=True)
class Schedule:
    """How much of what a batch shows is synthetic, and when.

    none: real samples only. first: ``share`` of the places for the first ``fraction`` of the steps,
    then real samples only. constant: ``share`` throughout. falling: from ``share`` in a line to 0,
    which it reaches after ``fraction`` of the steps. The defaults are those of the trial in DESIGN
    section 8: what is learned first from many synthetic defects, real ones correct.

    negatives: any cuts crops that need no defect as often from synthetic samples as those with one;
    real never does: what only looks like a defect is then learned from real surface alone.
    """

    kind: Mixing = "first"
    share: float = 0.8
    fraction: float = 0.375
    negatives: Negatives = "any"

    def __post_init__(self) -> None:
        if not (0 <= self.share <= 1 and 0 < self.fraction <= 1):
            raise ValueError(
                f"share {self.share}, fraction {self.fraction}; wanted 0 <= share <= 1 and "
                "0 < fraction <= 1"
            )

    def share_at(self, step: int, total: int, *, defect: bool = True) -> float:
        """Return the probability that a place of the batch is synthetic, at a step from 0 on.

        defect: whether the place is one for a crop with a defect.
        """
        if self.kind == "none" or not (defect or self.negatives == "any"):
            return 0.0
        if self.kind == "constant":
            return self.share
        left = 1 - step / (self.fraction * total)
        if self.kind == "falling":
            return self.share * max(0.0, left)
        return self.share if left > 0 else 0.0


def rate_at(course: Course, step: int, total: int, warm_up: float) -> float:
    """Return the learning rate of a step, counted from 0, in parts of the highest one.

    warm_up: share of the steps in which it rises. cosine: in a line from 0, then along half a
    cosine to 0 (Loshchilov and Hutter 2017, arXiv 1608.03983, eq. 5, without restarts). one-cycle:
    up and down along half a cosine each, from 1/25 and to almost nothing.
    """
    done = (step + 0.5) / total
    rising = done < warm_up
    part = done / warm_up if rising else (done - warm_up) / (1 - warm_up)
    if course == "cosine":
        return part if rising else _eased(1.0, 0.0, part)
    return _eased(CYCLE_START, 1.0, part) if rising else _eased(1.0, CYCLE_END, part)


def _eased(start: float, end: float, part: float) -> float:
    """Return the way from start to end, 0 to 1 of it, along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2
