"""The kernel distance (KID): unbiased at any number of samples, so small sets can be compared."""

from collections.abc import Iterator

import numpy as np

from flawsmith.evaluate.neighbours import BLOCK, Features, Indices, Rows, as_pair


def mmd2(a: Features, b: Features) -> float:
    """Return the unbiased squared maximum mean discrepancy with the kernel (x.y / D + 1)^3.

    a: (N, D), b: (M, D), finite. Binkowski et al. 2018, eq. 4 and section 3.1, for N and M that
    may differ. About 0, and often negative, between samples of one distribution.
    Raises ValueError below 2 samples, for different D, and for NaN or infinity.
    """
    first, second = as_pair(a, b, least=2)
    across = _kernel_sum(first, second) / (len(first) * len(second))
    return _mean_of_pairs(first) + _mean_of_pairs(second) - 2 * across


def kid(
    a: Features, b: Features, generator: np.random.Generator, subsets: int = 100, size: int = 1000
) -> tuple[float, float]:
    """Return the mean and the standard deviation of ``mmd2`` over random subsets of both sets.

    Each subset has min(size, N, M) samples a side, drawn without replacement. Where that is all
    of both sets, one evaluation says everything and the deviation is 0. The deviation is that of
    the subsets, not the error of the mean. Raises ValueError as ``mmd2`` does.
    """
    first, second = as_pair(a, b, least=2)
    values = [
        mmd2(first[i], second[j])
        for i, j in subset_pairs(len(first), len(second), generator, subsets, size)
    ]
    return float(np.mean(values)), float(np.std(values))


def subset_pairs(
    count: int, other: int, generator: np.random.Generator, subsets: int = 100, size: int = 1000
) -> Iterator[tuple[Indices, Indices]]:
    """Yield the places of each subset's samples in both sets: one pair if that is all of both.

    Raises ValueError for less than 1 subset, or subsets of less than 2.
    """
    if subsets < 1 or size < 2:
        raise ValueError(f"{subsets} subsets of {size}: at least 1 subset of 2 is needed")
    size = min(size, count, other)
    if count == other == size:
        yield np.arange(size), np.arange(size)
        return
    for _ in range(subsets):
        yield (
            generator.choice(count, size, replace=False),
            generator.choice(other, size, replace=False),
        )


def _mean_of_pairs(rows: Rows) -> float:
    """Return the mean kernel over ordered pairs of different samples."""
    own = cubed((rows * rows).sum(axis=1), rows.shape[1]).sum()
    return (_kernel_sum(rows, rows) - float(own)) / (len(rows) * (len(rows) - 1))


def _kernel_sum(a: Rows, b: Rows) -> float:
    step = max(1, BLOCK // len(b))
    parts = (a[start : start + step] @ b.T for start in range(0, len(a), step))
    return sum(float(cubed(products, a.shape[1]).sum()) for products in parts)


def cubed(products: Rows, dimensions: int) -> Rows:
    """Return the kernel of dot products; multiplied out, as a power takes three times as long."""
    base = products / dimensions + 1
    return base * base * base
