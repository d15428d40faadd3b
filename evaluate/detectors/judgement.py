"""What a detector's scores say of real and of synthetic images: every figure, and its draws.

Groups of the real and of the synthetic images are drawn apart, each with replacement; the threshold
that passes 95% of real clean images is found anew in each draw.
"""

import numpy as np

from flawsmith.evaluate.detectors.curves import Ranking, Values
from flawsmith.evaluate.detectors.curves import figures as curve_figures
from flawsmith.evaluate.detectors.figures import BLOCK, Scores
from flawsmith.evaluate.paired import codes, weightings

# Of real clean images, called clean.
PASSED = 0.95
REAL = ("AUROC", "AP", "F1", "found")
MADE = (
    "synthetic AUROC",
    "synthetic AP",
    "synthetic F1",
    "synthetic found",
    "synthetic less real AUROC",
    "synthetic clean alarmed",
)
NAMES = (*REAL, *MADE)


def tabulate(real: Scores, made: Scores | None, seed: int, draws: int) -> tuple[Values, Values]:
    """Return (F,) the figures in the order of ``NAMES``, and (draws, F) those of each draw.

    found: the share of defects above the threshold that passes 95% of real clean images. The
    synthetic ones stand against the real clean images. synthetic clean alarmed: the share of
    synthetic clean images above that threshold. nan where there are no such images.
    """
    first = _Weights(real, seed, draws)
    second = _Weights(made, seed + 1, draws) if made is not None else None
    whole = _figures(real, made, first.ones, second.ones if second else None)[0]
    rows = []
    for start in range(0, draws, first.block):
        end = min(draws, start + first.block)
        others = second.rows(start, end) if second else None
        rows.append(_figures(real, made, first.rows(start, end), others))
    return whole, np.concatenate(rows)


class _Weights:
    """How often each image of a set counts in each draw of its groups."""

    def __init__(self, told: Scores, seed: int, draws: int) -> None:
        self.numbers = codes(told.groups)
        self.ones = np.ones((1, len(told.groups)))
        self.drawn = np.concatenate(list(weightings(int(self.numbers.max()) + 1, seed, draws)))
        self.block = max(1, BLOCK // len(told.groups))

    def rows(self, start: int, end: int) -> Values:
        """Return (end - start, N)."""
        return np.asarray(self.drawn[start:end, self.numbers])


def threshold(scores: Values, weights: Values) -> Values:
    """Return (D,) the least of N clean scores that passes 95% of them under weights (D, N).

    An image passes at or below it. nan without any weight.
    """
    order = np.argsort(scores, kind="stable")
    passed = np.cumsum(weights[:, order], axis=1)
    total = passed[:, -1:]
    # A hair less, or rounding would ask for one image more.
    place = (passed < total * PASSED * (1 - 1e-12)).sum(axis=1)
    found = scores[order][np.minimum(place, len(scores) - 1)]
    return np.where(total[:, 0] > 0, found, np.nan)


def share_above(scores: Values, weights: Values, limits: Values) -> Values:
    """Return (D,) the weighted share of N scores above each draw's limit; nan without weight."""
    above = ((scores[None] > limits[:, None]) * weights).sum(axis=1)
    total = weights.sum(axis=1)
    usable = (total > 0) & ~np.isnan(limits)
    return np.asarray(np.divide(above, total, out=np.full(len(above), np.nan), where=usable))


def _figures(real: Scores, made: Scores | None, weights: Values, others: Values | None) -> Values:
    """Return (D, F) under weights (D, N) of the real and (D, M) of the synthetic images."""
    found = np.full((len(weights), len(NAMES)), np.nan)
    found[:, :3] = curve_figures(Ranking.of(real.anomalous, real.scores), weights)
    clean, bad = ~real.anomalous, real.anomalous
    limits = threshold(real.scores[clean], weights[:, clean])
    found[:, 3] = share_above(real.scores[bad], weights[:, bad], limits)
    if made is None or others is None:
        return found
    flawed, good = made.anomalous, ~made.anomalous
    if flawed.any():
        scores = np.concatenate([real.scores[clean], made.scores[flawed]])
        marks = np.repeat([False, True], [int(clean.sum()), int(flawed.sum())])
        both = np.concatenate([weights[:, clean], others[:, flawed]], axis=1)
        found[:, 4:7] = curve_figures(Ranking.of(marks, scores), both)
        found[:, 7] = share_above(made.scores[flawed], others[:, flawed], limits)
        found[:, 8] = found[:, 4] - found[:, 0]
    if good.any():
        found[:, 9] = share_above(made.scores[good], others[:, good], limits)
    return found
