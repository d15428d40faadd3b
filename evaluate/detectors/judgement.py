"""What a detector's scores say of real and of synthetic images: every figure, and its draws.

Groups of the real and of the synthetic images are drawn apart, each with replacement; the threshold
that passes 95% of real clean images is found anew in each draw.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from flawsmith.evaluate.detectors.curves import Ranking, Values
from flawsmith.evaluate.detectors.curves import figures as curve_figures
from flawsmith.evaluate.detectors.figures import BLOCK, Scores
from flawsmith.evaluate.paired import codes, weightings
from flawsmith.seeding import rng

# Of real clean images, called clean.
PASSED = 0.95
# Clean images that a threshold takes: ceil(0.95 * (19 + 1)) is the 19th of 19.
FEWEST = 19
ALARMED = "synthetic clean alarmed"
DIFFERENCE = "synthetic less real AUROC"
REAL = ("AUROC", "AP", "F1", "found")
MADE = (
    "synthetic AUROC",
    "synthetic AP",
    "synthetic F1",
    "synthetic found",
    DIFFERENCE,
    ALARMED,
)
NAMES = (*REAL, *MADE)
# What a detector says of the real images, and of the synthetic ones that it judges.
Told = tuple[Scores, Scores]


def tabulate(real: Scores, made: Sequence[Told], seed: int, draws: int) -> tuple[Values, Values]:
    """Return (F,) the figures in the order of ``NAMES``, and (draws, F) those of each draw.

    found: the share of defects above the threshold that passes 95% of real clean images. The
    synthetic ones stand against the real clean images. synthetic clean alarmed: the share of
    synthetic clean images above that threshold. nan where there are no such images.

    made: shares of the synthetic images, each judged by a detector of its own: what that one says
    of the real images, and of its share. Their figures are means over the shares, which weigh as
    much as they hold images of the kind. Groups are drawn once, from all shares together.
    """
    numbers = codes(real.groups)
    others = codes([group for _, own in made for group in own.groups])
    whole = _figures(real, made, np.ones((1, len(numbers))), np.ones((1, len(others))))[0]
    rows = max(1, BLOCK // max(len(numbers), len(others)))
    drawn = zip(
        _drawn(numbers, seed, draws, rows), _drawn(others, seed + 1, draws, rows), strict=True
    )
    return whole, np.concatenate([_figures(real, made, own, other) for own, other in drawn])


def _drawn(numbers: NDArray[np.int64], seed: int, draws: int, rows: int) -> Iterator[Values]:
    """Yield (some, N): how often each image counts, ``rows`` draws of its groups at a time."""
    groups = int(numbers.max(initial=0)) + 1
    for weights in weightings(groups, seed, draws, rows * groups):
        yield weights[:, numbers]


def _figures(real: Scores, made: Sequence[Told], weights: Values, others: Values) -> Values:
    """Return (D, F) under weights (D, N) of the real and (D, M) of all synthetic images."""
    found = _of_share(real, None, weights, None)
    tops, bottoms = (np.zeros((len(weights), len(NAMES))) for _ in range(2))
    start = 0
    for judged, own in made:
        part = others[:, start : start + len(own.groups)]
        start += len(own.groups)
        values = _of_share(judged, own, weights, part)
        flawed, good = (part[:, own.anomalous == kind].sum(axis=1) for kind in (True, False))
        for i, name in enumerate(NAMES):
            held = np.where(np.isnan(values[:, i]), 0.0, good if name == ALARMED else flawed)
            tops[:, i] += held * np.nan_to_num(values[:, i])
            bottoms[:, i] += held
    synthetic = np.array([name in MADE for name in NAMES])
    mean = np.divide(tops, bottoms, out=np.full_like(tops, np.nan), where=bottoms > 0)
    return np.where(synthetic, mean, found)


def threshold(scores: Values, weights: Values) -> Values:
    """Return (D,) the least of N clean scores that new clean images pass in 95 of 100 cases.

    That is the ceil(0.95 (n + 1))-th score of n clean images, counted under weights (D, N); an
    image passes at or below it. nan where there is none: it takes ``FEWEST`` images.
    """
    order = np.argsort(scores, kind="stable")
    passed = np.cumsum(weights[:, order], axis=1)
    total = passed[:, -1]
    # A hair less, or rounding would ask for one image more.
    wanted = PASSED * (total + 1) * (1 - 1e-12)
    place = (passed < wanted[:, None]).sum(axis=1)
    found = scores[order][np.minimum(place, len(scores) - 1)]
    return np.where(wanted <= total, found, np.nan)


def alarmed_by_chance(clean: int, level: float = 0.975) -> float:
    """Return the share of alarms above which a threshold lies by chance in 1 - level of cases.

    clean: how many clean images it was taken from, at least ``FEWEST``. New clean images lie above
    the k-th of n scores with a probability that is Beta(n + 1 - k, k) distributed.
    """
    place = int(np.ceil(PASSED * (clean + 1) * (1 - 1e-12)))
    drawn = rng(0, "detect", "threshold").beta(clean + 1 - place, place, 20_000)
    return float(np.quantile(drawn, level))


def share_above(scores: Values, weights: Values, limits: Values) -> Values:
    """Return (D,) the weighted share of N scores above each draw's limit; nan without weight."""
    above = ((scores[None] > limits[:, None]) * weights).sum(axis=1)
    total = weights.sum(axis=1)
    usable = (total > 0) & ~np.isnan(limits)
    return np.asarray(np.divide(above, total, out=np.full(len(above), np.nan), where=usable))


def _of_share(real: Scores, made: Scores | None, weights: Values, others: Values | None) -> Values:
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
