"""Distances between features: the nearest sample, near copies, and how varied a set is."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.floating[Any]]
Rows = NDArray[np.float64]
Codes = NDArray[np.integer[Any]]
Indices = NDArray[np.int64]

# Numbers in one block of a distance table: 16 MiB an array, some five arrays at a time.
BLOCK = 1 << 21


def as_rows(features: Features, least: int = 1) -> Rows:
    """Return the features as float64, one sample a row.

    Raises ValueError unless they are finite, of shape (N, D) with D > 0 and N >= ``least``.
    """
    rows = np.ascontiguousarray(features, np.float64)
    if rows.ndim != 2 or not rows.shape[1]:
        raise ValueError(f"features must be of shape (N, D), found {rows.shape}")
    if len(rows) < least:
        raise ValueError(f"{len(rows)} samples where at least {least} are needed")
    if not np.isfinite(rows).all():
        raise ValueError("features hold NaN or infinity")
    return rows


def as_pair(a: Features, b: Features, least: int = 1) -> tuple[Rows, Rows]:
    """Return both as float64 rows; raises ValueError as ``as_rows``, or when their D differ."""
    first, second = as_rows(a, least), as_rows(b, least)
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"features of {first.shape[1]} and of {second.shape[1]} dimensions")
    return first, second


def blocks(queries: Rows, points: Rows) -> Iterator[tuple[slice, Rows, Rows]]:
    """Yield the table of squared distances a few rows at a time: (queries, squares, slack).

    squares: |q|^2 - 2 q.p + |p|^2, quick but rounded; slack bounds, entry by entry, how far
    rounding may have moved it. Closer calls are for ``squares_of``.
    """
    norms = _norms(points)
    rounding = 4 * np.finfo(np.float64).eps * (points.shape[1] + 8)
    rows = max(1, BLOCK // len(points))
    for start in range(0, len(queries), rows):
        part = slice(start, min(start + rows, len(queries)))
        scale = _norms(queries[part])[:, None] + norms
        squares = queries[part] @ points.T
        squares *= -2
        squares += scale
        yield part, np.maximum(squares, 0, out=squares), rounding * scale


def squares_of(queries: Rows, points: Rows, rows: Indices, columns: Indices) -> Rows:
    """Return the squared distances of queries[rows] and points[columns], differences first.

    Rounded alike wherever the same two vectors meet, in either order; 0 for identical ones.
    """
    found = np.empty(len(rows))
    step = max(1, BLOCK // points.shape[1])
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        difference = queries[rows[part]] - points[columns[part]]
        found[part] = (difference * difference).sum(axis=1)
    return found


def nearest(
    queries: Features, points: Features, groups: tuple[Codes, Codes] | None = None
) -> tuple[Rows, Indices]:
    """Return for each query the Euclidean distance to its nearest point, and that point's index.

    queries: (M, D); points: (N, D). groups: a code for each query (M,) and for each point (N,);
    points of the query's own group are passed over. A query without any point left gets
    (inf, -1). Of points equally near the first counts; identical rows are exactly 0 apart.
    """
    asked, known = as_pair(queries, points)
    if groups is not None and (len(groups[0]), len(groups[1])) != (len(asked), len(known)):
        raise ValueError(
            f"{len(groups[0])} and {len(groups[1])} group codes for {len(asked)} queries and"
            f" {len(known)} points"
        )
    distances, indices = np.full(len(asked), np.inf), np.full(len(asked), -1)
    for part, squares, slack in blocks(asked, known):
        if groups is not None:
            squares[np.asarray(groups[0])[part, None] == np.asarray(groups[1])] = np.inf
        best = squares.min(axis=1, keepdims=True)
        rows, columns = np.nonzero((squares <= best + slack) & np.isfinite(squares))
        rows += part.start
        exact = squares_of(asked, known, rows, columns)
        order = np.lexsort((columns, exact, rows))
        found, first = np.unique(rows[order], return_index=True)
        distances[found] = np.sqrt(exact[order][first])
        indices[found] = columns[order][first]
    return distances, indices


def mean_pairwise(features: Features) -> float:
    """Return the mean Euclidean distance over all pairs i < j: how varied the samples are.

    features: (N, D). Raises ValueError for fewer than 2.
    """
    rows = as_rows(features, least=2)
    # Distances stay; centred, the norms that cancel in each square are no larger than they are.
    rows = rows - rows.mean(axis=0)
    total = 0.0
    for part, squares, _ in blocks(rows, rows):
        own = np.arange(part.start, part.stop)
        squares[own - part.start, own] = 0
        total += float(np.sqrt(squares).sum())
    return total / (len(rows) * (len(rows) - 1))


def near_copies(distances: Rows, apart: Rows, share: float = 0.5) -> float:
    """Return the share of samples much closer to a real one than real parts are to one another.

    distances: (M,) of each sample to the nearest real one; apart: (N,) of each real sample to the
    nearest real one of another part. A near copy comes within ``share`` of the median of those:
    new samples hardly ever do. That distances must be taken relative to those among real samples
    is from Carlini et al. 2023 (extracting training data, section 4); why copies must be looked
    for apart from the other measures, from Stein et al. 2023 (dgm-eval).
    """
    return float((distances <= share * np.median(apart)).mean())


def _norms(rows: Rows) -> Rows:
    norms: Rows = np.einsum("nd,nd->n", rows, rows)
    return norms
