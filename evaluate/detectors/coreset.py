"""A few points that stand for many: greedy k-center."""

import torch
from torch import Tensor


def greedy_k_center(points: Tensor, count: int, first: int = 0) -> Tensor:
    """Return (count,) int64 indices of points so that every point is near to one of them.

    The farthest-first traversal of Gonzalez (1985, "Clustering to minimize the maximum intercluster
    distance"): each is the point that is farthest from those chosen before; the largest distance
    left is at most twice the smallest that is possible. PatchCore (Roth et al. 2022, algorithm 1)
    does the same on random projections of its features; here the features are few enough.

    points: (P, D) float; first: the index that it begins with. Raises ValueError unless
    1 <= count <= P.
    """
    if points.ndim != 2 or not 1 <= count <= len(points):
        raise ValueError(f"{count} of points {tuple(points.shape)}")
    chosen = torch.empty(count, dtype=torch.long)
    left = torch.full((len(points),), torch.inf, device=points.device)
    squares = points.square().sum(dim=1)
    index = first
    for place in range(count):
        chosen[place] = index
        # |p - c|^2 by products, several times quicker: only which is largest matters.
        away = squares - 2 * (points @ points[index]) + squares[index]
        left = torch.minimum(left, away)
        left[index] = -1  # also among points that are alike, none is chosen twice
        index = int(left.argmax())
    return chosen
