"""Masks as single polygons, holes included, so that filling them gives back the same pixels.

Vertices are pixel indices, filled by ``cv2.fillPoly``: even-odd inside, and every pixel on an edge
is filled too. An outline through a component's border pixels therefore fills it exactly. A hole is
cut by following its border as well, reached over a bridge that runs along one row of the component:
the bridge is walked there and back, so it cancels inside and its own pixels were filled anyway.
"""

from collections import defaultdict

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.int32]
Mask = NDArray[np.bool_]


def fill(points: Points, height: int, width: int) -> Mask:
    """Return the (height, width) bool mask of one polygon of (N, 2) x, y pixel indices."""
    canvas = np.zeros((height, width), np.uint8)
    cv2.fillPoly(canvas, [points], 1)
    return canvas.view(np.bool_)


def trace(mask: Mask) -> list[Points]:
    """Return a closed polygon, (N, 2) int32 x, y, for each 8-connected component of a mask.

    ``fill`` of each gives that component back, its holes cut out. N may be 1 or 2 for a pixel or a
    straight line.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    polygons = []
    for number in range(1, count):
        x, y, width, height = stats[number, :4]
        component = labels[y : y + height, x : x + width] == number
        polygons.append(_outline(component) + np.array([x, y], np.int32))
    return polygons


def _outline(component: Mask) -> Points:
    """Return the polygon of one 8-connected component, relative to its own box."""
    padded = np.pad(component, 1).view(np.uint8)
    found, hierarchy = cv2.findContours(padded, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    contours = [np.asarray(contour[:, 0], np.int32) for contour in found]
    parents = hierarchy[0, :, 3]
    outer = int(np.flatnonzero(parents < 0)[0])
    path = contours[outer]
    if len(contours) > 1:
        holes = [contours[i] for i in np.flatnonzero(parents >= 0)]
        path = _join(padded, path, holes)
    return _straighten(path) - 1


def _join(padded: NDArray[np.uint8], outer: Points, holes: list[Points]) -> Points:
    """Return one path through the outer border and all holes.

    From its leftmost border pixel each hole is bridged to the left along the row, up to the first
    border met: the outer one, or that of a hole that begins further left. So the bridges form a
    tree, and joining the rightmost hole first finds each hole complete when it is joined itself.
    """
    _, outside = cv2.connectedComponents(1 - padded, connectivity=4)
    starts = [int(np.argmin(hole[:, 0])) for hole in holes]
    # Right of its leftmost border pixel lies the hole itself.
    owner = {
        outside[hole[start, 1], hole[start, 0] + 1]: number
        for number, (hole, start) in enumerate(zip(holes, starts, strict=True))
    }
    branches: dict[int, dict[tuple[int, int], list[Points]]] = defaultdict(dict)
    for number in sorted(range(len(holes)), key=lambda n: -int(holes[n][starts[n], 0])):
        hole, start = holes[number], starts[number]
        x, y = map(int, hole[start])
        gap = x - int(np.flatnonzero(padded[y, :x] == 0)[-1])
        root = (x - gap + 1, y)
        parent = owner.get(outside[y, x - gap], -1)
        loop = _splice(np.roll(hole, -start, axis=0), branches.pop(number, {}))
        branches[parent].setdefault(root, []).append(np.concatenate([loop, hole[start][None]]))
    return _splice(outer, branches[-1])


def _splice(path: Points, branches: dict[tuple[int, int], list[Points]]) -> Points:
    """Return the path with its branches walked, there and back, from the points they grow at."""
    pieces = []
    left = dict(branches)
    for point in path:
        pieces.append(point[None])
        for branch in left.pop((int(point[0]), int(point[1])), []):
            pieces += [branch, point[None]]
    return np.concatenate(pieces)


def _straighten(path: Points) -> Points:
    """Return the closed path without the points inside of straight runs and without repeats."""
    path = path[np.any(path != np.roll(path, 1, axis=0), axis=1)] if len(path) > 1 else path
    arriving, leaving = path - np.roll(path, 1, axis=0), np.roll(path, -1, axis=0) - path
    return path[np.any(np.sign(arriving) != np.sign(leaving), axis=1)] if len(path) > 2 else path
