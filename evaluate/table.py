"""Every figure of a draw, from one table of inner products: a draw then only picks rows of it.

The measures are those of ``frechet``, ``kernel``, ``coverage`` and ``neighbours``, which start from
features; written in inner products they cost no multiplication of features a draw.
"""

import numpy as np
from numpy.typing import NDArray

from flawsmith.evaluate.coverage import Coverage
from flawsmith.evaluate.kernel import cubed
from flawsmith.evaluate.neighbours import Features, Indices, Rows, as_pair

# Squared distances up to this share of both rows' are rounding: the rows are the same.
SAME = 1e-13


class Table:
    """The inner products of two stacked sets of features, (P, D) and (M, D).

    What lies within the first set does not depend on the second, to the bit. Memory is three tables
    of (P + M) x (P + M) float64.
    """

    def __init__(self, first: Features, second: Features) -> None:
        own, other = as_pair(first, second)
        self.kernel = cubed(_products(own, other), own.shape[1])
        # Centred, so that distances are not differences of large numbers.
        centre = own.mean(axis=0)
        self.products = _products(own - centre, other - centre)
        norms = np.diagonal(self.products)
        scale = norms[:, None] + norms
        squares = scale - 2 * self.products
        squares[squares <= SAME * scale] = 0
        self.squares: Rows = squares

    def mmd2(self, a: Indices, b: Indices) -> float:
        """Return ``kernel.mmd2`` of rows a and rows b."""
        within = [
            (float(block.sum()) - float(np.trace(block))) / (len(block) * (len(block) - 1))
            for block in (self.kernel[np.ix_(a, a)], self.kernel[np.ix_(b, b)])
        ]
        return sum(within) - 2 * float(self.kernel[np.ix_(a, b)].mean())

    def frechet_distance(self, a: Indices, b: Indices) -> float:
        """Return ``frechet.frechet_distance`` of rows a and rows b.

        The centred cross product is the table's block without its row and column means.
        """
        own, other, across = (self.products[np.ix_(i, j)] for i, j in ((a, a), (b, b), (a, b)))
        shift = own.mean() + other.mean() - 2 * across.mean()
        spread = sum(
            (np.trace(block) - len(block) * block.mean()) / (len(block) - 1)
            for block in (own, other)
        )
        centred = across - across.mean(axis=0) - across.mean(axis=1)[:, None] + across.mean()
        shared = np.linalg.svd(centred, compute_uv=False).sum()
        shared /= np.sqrt((len(a) - 1) * (len(b) - 1))
        return max(0.0, float(shift + spread - 2 * shared))

    def coverage(self, a: Indices, b: Indices, k: int) -> Coverage:
        """Return ``coverage.coverage`` of real rows a and made rows b."""
        across = self.squares[np.ix_(a, b)]
        in_real = across < self._limits(a, k)[:, None]
        in_made = across < self._limits(b, k)
        return Coverage(
            precision=float(in_real.any(axis=0).mean()),
            recall=float(in_made.any(axis=1).mean()),
            density=float(in_real.sum(axis=0).mean() / k),
            coverage=float(in_real.any(axis=1).mean()),
        )

    def mean_pairwise(self, a: Indices) -> float:
        """Return ``neighbours.mean_pairwise`` of rows a."""
        return float(np.sqrt(self.squares[np.ix_(a, a)]).sum()) / (len(a) * (len(a) - 1))

    def nearest(self, a: Indices, b: Indices, groups: NDArray[np.int64] | None = None) -> Rows:
        """Return the distance of each row of a to the nearest of b.

        groups: a code for every row of the table; rows of one's own group are passed over, and the
        distance is infinite where no other is left.
        """
        squares = self.squares[np.ix_(a, b)]
        if groups is not None:
            squares[groups[a][:, None] == groups[b]] = np.inf
        return np.asarray(np.sqrt(squares.min(axis=1)))

    def _limits(self, a: Indices, k: int) -> Rows:
        """Return the squared distance of each row of a to its k-th nearest other one of a."""
        squares = self.squares[np.ix_(a, a)]
        np.fill_diagonal(squares, np.inf)
        return np.asarray(np.partition(squares, k - 1, axis=1)[:, k - 1])


def _products(own: Rows, other: Rows) -> Rows:
    return np.block([[own @ own.T, own @ other.T], [other @ own.T, other @ other.T]])
