"""Fidelity and coverage by neighbourhoods: precision, recall, density, coverage."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flawsmith.evaluate.neighbours import Features, Rows, as_pair, blocks, squares_of

Inside = NDArray[np.bool_]


@dataclass(frozen=True)
class Coverage:
    """What two sets share, by the balls that reach from each sample to its k-th neighbour.

    precision: share of made samples within some real sample's ball; recall: the reverse.
    density: real balls around a made sample over k, may exceed 1. coverage: share of real samples
    with a made one in their ball. All but density are from 0 to 1.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def coverage(real: Features, made: Features, k: int = 5) -> Coverage:
    """Measure the balls of both sets. real: (N, D), made: (M, D), finite.

    Kynkäänniemi et al. 2019, section 2 (precision, recall); Naeem et al. 2020, section 3
    (density, coverage). As in the latter's code, a ball is open: its border is outside of it.
    Raises ValueError unless both have more than k >= 1 samples of the same D.
    """
    first, second = as_pair(real, made)
    if not 1 <= k < min(len(first), len(second)):
        raise ValueError(f"k = {k} for {len(first)} real and {len(second)} made samples")
    real_limits, made_limits = _limits(first, k), _limits(second, k)
    balls = np.zeros(len(second), np.int64)
    covered, recalled = np.zeros(len(first), bool), np.zeros(len(first), bool)
    for part, squares, slack in blocks(first, second):
        in_real = _below(first[part], second, squares, real_limits[part, None], slack)
        in_made = _below(first[part], second, squares, made_limits[None], slack)
        balls += in_real.sum(axis=0)
        covered[part] = in_real.any(axis=1)
        recalled[part] = in_made.any(axis=1)
    return Coverage(
        precision=float((balls > 0).mean()),
        recall=float(recalled.mean()),
        density=float(balls.mean() / k),
        coverage=float(covered.mean()),
    )


def _below(real: Rows, made: Rows, squares: Rows, limits: Rows, slack: Rows) -> Inside:
    """Return (len(real), len(made)) whether squares < limits; limits broadcast to the table.

    Where rounding decides, the square is taken again as the limit was: a sample on the border of
    a ball (every k-th neighbour, once the made set holds copies) must not fall in by chance.
    """
    inside = squares < limits
    rows, columns = np.nonzero(np.abs(squares - limits) <= slack)
    exact = squares_of(real, made, rows, columns)
    inside[rows, columns] = exact < np.broadcast_to(limits, inside.shape)[rows, columns]
    return inside


def _limits(points: Rows, k: int) -> Rows:
    """Return the squared distance of each point to its k-th nearest other one."""
    limits = np.empty(len(points))
    for part, squares, _ in blocks(points, points):
        own = np.arange(part.start, part.stop)
        squares[own - part.start, own] = np.inf
        near = np.argpartition(squares, k - 1, axis=1)[:, :k]
        exact = squares_of(points, points, np.repeat(own, k), near.ravel())
        limits[part] = exact.reshape(-1, k).max(axis=1)
    return limits
