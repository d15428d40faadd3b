"""AUROC, average precision and F1 of scores, for many weightings of the images at once.

Of one weighting they are scikit-learn's ``roc_auc_score``, ``average_precision_score`` and the best
F1 of its ``precision_recall_curve``; that takes milliseconds each, and intervals need thousands.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ranking:
    """Images by falling score. order: (N,), their places; ends: the last of each run of equals."""

    order: NDArray[np.int64]
    ends: NDArray[np.int64]
    anomalous: NDArray[np.bool_]

    @staticmethod
    def of(anomalous: NDArray[np.bool_], scores: Values) -> "Ranking":
        """Rank (N,) scores, N at least 1; anomalous: (N,), which images show a defect."""
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        ends = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
        return Ranking(order, ends, anomalous[order])


def figures(ranking: Ranking, weights: Values) -> Values:
    """Return (D, 3): AUROC, average precision and best F1 under weightings (D, N) of the images.

    nan where one of the two kinds has no weight. The threshold of F1 is the best on these very
    images, so F1 flatters.
    """
    hits, alarms = counts(ranking, weights)
    positives, negatives = hits[:, -1:], alarms[:, -1:]
    both = (positives > 0) & (negatives > 0)
    recall = hits / np.where(both, positives, 1)
    false = alarms / np.where(both, negatives, 1)
    precision = hits / np.maximum(hits + alarms, np.finfo(float).tiny)
    start = np.zeros((len(weights), 1))
    steps = np.diff(recall, axis=1, prepend=start)
    before = np.concatenate([start, recall[:, :-1]], axis=1)
    # The trapezoid rule, which counts equal scores half; AP is the step rule, as scikit-learn's.
    auroc = (np.diff(false, axis=1, prepend=start) * (recall + before) / 2).sum(axis=1)
    found = np.stack([auroc, (steps * precision).sum(axis=1), _f1(hits, alarms).max(axis=1)], 1)
    return np.where(both, found, np.nan)


def counts(ranking: Ranking, weights: Values) -> tuple[Values, Values]:
    """Return (D, T) each: the weight of anomalous and of clean images at or above a threshold."""
    ranked = weights[:, ranking.order]
    hits = np.cumsum(ranked * ranking.anomalous, axis=1)[:, ranking.ends]
    alarms = np.cumsum(ranked * ~ranking.anomalous, axis=1)[:, ranking.ends]
    return hits, alarms


def _f1(hits: Values, alarms: Values) -> Values:
    wanted = hits[:, -1:]
    return np.asarray(2 * hits / np.maximum(hits + alarms + wanted, np.finfo(float).tiny))
