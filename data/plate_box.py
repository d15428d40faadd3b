"""Search for plate-shaped rectangles of edges, at every angle a plate may lie in.

The edge maps are turned upright angle by angle. There a rectangle's sides are straight runs of
rows and columns, and how much of a side is edge is a difference of two running sums.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Sums = NDArray[np.int32]  # cv2.integral: entry (y, x) is the sum above and left of it


class Search(NamedTuple):
    """Settings of the search; lengths in pixels of the shrunken photo."""

    aspect: float = 5.0  # height over width
    aspect_slack: float = 0.07
    turn: float = 16.0  # degrees either way
    turn_step: float = 0.8
    least_width: float = 0.07  # of the photo's long side
    edge_noise: float = 2.5  # an edge exceeds this many median gradients
    edge_levels: float = 3.5  # and this many grey levels a pixel
    lean: float = 26.0  # degrees an edge may be off the side it belongs to
    long_cover: float = 0.62  # share of each long side that must be edge
    short_cover: float = 0.62
    mean_cover: float = 0.75  # of all four sides
    overrun: float = 0.08  # heights: an upright line that runs on beyond the ends is the bench's
    overrun_cover: float = 0.6
    most_lines: int = 40


SEARCH = Search()
NO_EDGE = 255


@dataclass(frozen=True)
class Edges:
    """direction: (H, W) uint8, the gradient's degrees 0 to 179, ``NO_EDGE`` where there is none."""

    direction: NDArray[np.uint8]

    @staticmethod
    def of(image: Array) -> "Edges":
        """Edges of ``image`` (H, W, C) float32, at each pixel of the channel that changes most."""
        across, down = (
            np.asarray(cv2.Sobel(image, cv2.CV_32F, x, y, scale=1 / 8)).reshape(image.shape)
            for x, y in ((1, 0), (0, 1))
        )
        strength = np.hypot(across, down)
        most = strength.argmax(axis=2)[..., None]
        across, down, strength = (
            np.take_along_axis(a, most, axis=2)[..., 0] for a in (across, down, strength)
        )
        limit = max(SEARCH.edge_noise * float(np.median(strength)), SEARCH.edge_levels)
        degrees = np.rint(np.degrees(np.arctan2(down, across))).astype(np.int64) % 180
        return Edges(np.where(strength > limit, degrees, NO_EDGE).astype(np.uint8))


@dataclass(frozen=True)
class Box:
    """A rectangle in the turned frame about the photo's middle, and how sure it is."""

    left: float
    top: float
    right: float
    bottom: float
    angle: float  # degrees clockwise from upright
    middle: tuple[float, float]  # of the photo, px
    score: float  # mean share of the sides that is edge

    @property
    def width(self) -> float:
        """Width in px."""
        return self.right - self.left

    def corners(self) -> NDArray[np.float64]:
        """(4, 2) corners in the photo, top-left first, clockwise."""
        turn = np.radians(self.angle)
        right, down = (
            np.array([np.cos(turn), np.sin(turn)]),
            np.array([-np.sin(turn), np.cos(turn)]),
        )
        flat = [
            (self.left, self.top),
            (self.right, self.top),
            (self.right, self.bottom),
            (self.left, self.bottom),
        ]
        return np.array([self.middle + u * right + v * down for u, v in flat])

    def is_apart_from(self, other: "Box") -> bool:
        """Whether the two are different plates rather than two readings of one."""
        away = other.corners().mean(axis=0) - self.corners().mean(axis=0)
        turn = np.radians(self.angle)
        across = away @ np.array([np.cos(turn), np.sin(turn)])
        down = away @ np.array([-np.sin(turn), np.cos(turn)])
        height = self.bottom - self.top
        return bool(abs(across) > 0.5 * self.width or abs(down) > 0.5 * height)


def find_boxes(edges: Edges) -> list[Box]:
    """All plate-shaped rectangles of edges, the surest first."""
    boxes: list[Box] = []
    steps = round(SEARCH.turn / SEARCH.turn_step)
    for step in range(-steps, steps + 1):
        boxes += _boxes_at(edges, step * SEARCH.turn_step)
    return sorted(boxes, key=lambda box: -box.score)


def _boxes_at(edges: Edges, angle: float) -> list[Box]:
    height, width = edges.direction.shape
    side = int(np.ceil(np.hypot(height, width)))
    uprights, levels = (_turned(edges, angle, across, side) for across in (True, False))
    long_side = max(height, width)
    least = SEARCH.least_width * long_side
    by_column = np.diff(uprights[-1]).astype(np.float32)
    columns = _peaks(by_column, SEARCH.long_cover * SEARCH.aspect * least)
    found = []
    for i, left in enumerate(columns):
        for right in columns[i + 1 :]:
            if least <= right - left <= long_side / SEARCH.aspect:
                found += _ends(uprights, levels, int(left), int(right))
    middle = (width / 2, height / 2)
    shift = 0.5 - side / 2  # to continuous coordinates about the middle
    return [
        Box(a + shift, b + shift, c + shift, d + shift, angle, middle, score)
        for (a, b, c, d), score in found
    ]


def _turned(edges: Edges, angle: float, across: bool, side: int) -> Sums:
    """Running sums over the (side, side) map of edges in the frame turned by ``angle``.

    across: edges of upright lines, whose gradient runs across; otherwise of level ones. An edge is
    widened by one pixel either way: the angle's step moves a line's ends by as much.
    """
    own = angle if across else angle + 90
    away = np.abs((np.arange(180) - own + 90) % 180 - 90)
    table = np.zeros(256, dtype=np.uint8)
    table[:180] = np.where(away <= SEARCH.lean, 255, 0)
    marked = cv2.LUT(edges.direction, table)
    height, width = marked.shape
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    # From pixel centres of the turned map to the photo's.
    turn = np.array([[c, -s], [s, c]])
    shift = np.array([width, height]) / 2 - turn @ np.array([side - 1, side - 1]) / 2 - 0.5
    back = np.column_stack([turn, shift])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    turned = cv2.warpAffine(marked, back, (side, side), flags=flags)
    wide = cv2.dilate(turned, np.ones((1, 3) if across else (3, 1), np.uint8))
    return np.asarray(cv2.integral((np.asarray(wide) > 127).astype(np.uint8)), dtype=np.int32)


def _peaks(profile: Array, least: float) -> NDArray[np.intp]:
    """Places of the strongest local maxima of at least ``least``, in order."""
    spread = np.asarray(cv2.dilate(profile.reshape(1, -1), np.ones((1, 5), np.uint8))).ravel()
    places = np.flatnonzero((profile >= spread) & (profile >= least))
    strongest = places[np.argsort(-profile[places], kind="stable")[: SEARCH.most_lines]]
    return np.sort(strongest)


def _ends(
    uprights: Sums, levels: Sums, left: int, right: int
) -> list[tuple[tuple[int, int, int, int], float]]:
    """Boxes ((left, top, right, bottom), score) between two columns, one a pair of fitting ends."""
    wide = right - left
    level = (np.diff(levels[:, right] - levels[:, left]) / wide).astype(np.float32)
    rows = _peaks(level, SEARCH.short_cover)
    found = []
    for i, top in enumerate(map(int, rows)):
        for bottom in map(int, rows[i + 1 :]):
            if abs((bottom - top) / (SEARCH.aspect * wide) - 1) > SEARCH.aspect_slack:
                continue
            sides = [_cover(uprights, x, top, bottom) for x in (left, right)]
            score = float(np.mean([*sides, level[top], level[bottom]]))
            if min(sides) < SEARCH.long_cover or score < SEARCH.mean_cover:
                continue
            if not _runs_on(uprights, left, right, top, bottom):
                found.append(((left, top, right, bottom), score))
    return found


def _cover(uprights: Sums, column: int, top: int, bottom: int) -> float:
    """Share of a column's rows ``top`` to ``bottom`` that is edge."""
    top, bottom = max(top, 0), min(bottom, len(uprights) - 1)
    below, above = uprights[bottom], uprights[top]
    inside = below[column + 1] - below[column] - above[column + 1] + above[column]
    return float(inside) / max(bottom - top, 1)


def _runs_on(uprights: Sums, left: int, right: int, top: int, bottom: int) -> bool:
    """Whether both long sides go on beyond an end: then they are lines of the bench."""
    more = max(4, round(SEARCH.overrun * (bottom - top)))
    for start, end in ((top - more - 3, top - 3), (bottom + 3, bottom + more + 3)):
        if min(_cover(uprights, x, start, end) for x in (left, right)) > SEARCH.overrun_cover:
            return True
    return False
