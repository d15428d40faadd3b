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


class Search(NamedTuple):
    """Settings of the search; lengths in pixels of the shrunken photo."""

    aspect: float = 5.0  # height over width
    aspect_slack: float = 0.07
    turn: float = 16.0  # degrees either way
    turn_step: float = 0.8
    least_width: float = 0.07  # of the photo's long side
    edge_noise: float = 2.5  # an edge exceeds this many median gradients
    edge_levels: float = 7.0  # and this many grey levels a pixel (Sobel units of 8)
    long_cover: float = 0.62  # share of each long side that must be edge
    short_cover: float = 0.62
    mean_cover: float = 0.75  # of all four sides
    overrun: float = 0.08  # heights: a line that runs on beyond the ends is the bench's
    overrun_cover: float = 0.6
    most_lines: int = 40


SEARCH = Search()


@dataclass(frozen=True)
class Edges:
    """Gradient of a picture: (H, W) across and down, grey levels a pixel, and the edge limit."""

    across: Array
    down: Array
    limit: float

    @staticmethod
    def of(image: Array) -> "Edges":
        """Gradient of ``image`` (H, W, C) float32, at each pixel of the channel that changes most."""
        across, down = (
            np.asarray(cv2.Sobel(image, cv2.CV_32F, x, y, scale=1 / 8)).reshape(image.shape)
            for x, y in ((1, 0), (0, 1))
        )
        strength = np.hypot(across, down)
        most = strength.argmax(axis=2)[..., None]
        across, down, strength = (
            np.take_along_axis(a, most, axis=2)[..., 0] for a in (across, down, strength)
        )
        limit = max(SEARCH.edge_noise * float(np.median(strength)), SEARCH.edge_levels / 2)
        return Edges(across, down, limit)


@dataclass(frozen=True)
class Box:
    """A rectangle in the turned frame about the photo's middle, and how sure its edges are."""

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
        right, down = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
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
    height, width = edges.across.shape
    side = int(np.ceil(np.hypot(height, width)))
    uprights, levels = _turned(edges, angle, side)
    # Running sums: down the columns for upright edges, along the rows for level ones.
    run_down = np.cumsum(np.pad(uprights, ((1, 0), (0, 0))), axis=0)
    run_along = np.cumsum(np.pad(levels, ((0, 0), (1, 0))), axis=1)
    long_side = max(height, width)
    least = SEARCH.least_width * long_side
    columns = _peaks(uprights.sum(axis=0), SEARCH.long_cover * SEARCH.aspect * least)
    boxes = []
    for i, left in enumerate(columns):
        for right in columns[i + 1 :]:
            if least <= right - left <= long_side / SEARCH.aspect:
                boxes += _ends(run_down, run_along, int(left), int(right))
    centre = (side / 2, side / 2)
    return [
        Box(a - centre[0] + 0.5, b - centre[1] + 0.5, c - centre[0] + 0.5, d - centre[1] + 0.5,
            angle, (width / 2, height / 2), score)
        for a, b, c, d, score in boxes
    ]


def _turned(edges: Edges, angle: float, side: int) -> tuple[Array, Array]:
    """(side, side) maps, 0 or 1, of upright and of level edges in the frame turned by ``angle``.

    Each edge is widened by one pixel either way: the angle's step moves a line's ends by as much.
    """
    turn = np.radians(angle)
    c, s = np.cos(turn), np.sin(turn)
    height, width = edges.across.shape
    # From turned pixel centres to the photo's.
    back = np.array([[c, -s, 0.0], [s, c, 0.0]])
    shift = np.array([width / 2, height / 2]) - back[:, :2] @ np.array([side / 2, side / 2])
    back[:, 2] = shift + back[:, :2] @ np.array([0.5, 0.5]) - 0.5
    normal = edges.across * c + edges.down * s
    along = -edges.across * s + edges.down * c
    maps = []
    for own, cross, kernel in ((normal, along, (1, 3)), (along, normal, (3, 1))):
        # 0.5: an edge of this direction leans less than about 27 degrees to the other.
        edge = (np.abs(own) > edges.limit) & (np.abs(cross) < 0.5 * np.abs(own))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        turned = cv2.warpAffine(edge.astype(np.float32), back, (side, side), flags=flags)
        wide = cv2.dilate(turned, np.ones(kernel, np.uint8))
        maps.append((np.asarray(wide) > 0.5).astype(np.float32))
    return maps[0], maps[1]


def _peaks(profile: Array, least: float) -> NDArray[np.intp]:
    """Places of the strongest local maxima of at least ``least``, in order."""
    spread = np.asarray(cv2.dilate(profile.reshape(1, -1), np.ones((1, 5), np.uint8))).ravel()
    places = np.flatnonzero((profile >= spread) & (profile >= least))
    strongest = places[np.argsort(-profile[places], kind="stable")[: SEARCH.most_lines]]
    return np.sort(strongest)


def _ends(
    run_down: Array, run_along: Array, left: int, right: int
) -> list[tuple[float, float, float, float, float]]:
    """Boxes (left, top, right, bottom, score) between two columns, one a pair of fitting ends."""
    wide = right - left
    level = (run_along[:, right] - run_along[:, left]) / wide
    rows = _peaks(level.astype(np.float32), SEARCH.short_cover)
    found = []
    for i, top in enumerate(rows):
        for bottom in rows[i + 1 :]:
            if abs((bottom - top) / (SEARCH.aspect * wide) - 1) > SEARCH.aspect_slack:
                continue
            sides = [_cover(run_down, x, int(top), int(bottom)) for x in (left, right)]
            covers = [*sides, float(level[top]), float(level[bottom])]
            if min(sides) < SEARCH.long_cover or np.mean(covers) < SEARCH.mean_cover:
                continue
            if not _runs_on(run_down, left, right, int(top), int(bottom)):
                score = float(np.mean(covers))
                found.append((float(left), float(top), float(right), float(bottom), score))
    return found


def _cover(run_down: Array, column: int, top: int, bottom: int) -> float:
    top, bottom = max(top, 0), min(bottom, len(run_down) - 1)
    return float(run_down[bottom, column] - run_down[top, column]) / max(bottom - top, 1)


def _runs_on(run_down: Array, left: int, right: int, top: int, bottom: int) -> bool:
    """Whether both long sides go on beyond an end: then they are lines of the bench."""
    more = max(4, round(SEARCH.overrun * (bottom - top)))
    for start, end in ((top - more - 3, top - 3), (bottom + 3, bottom + more + 3)):
        if min(_cover(run_down, x, start, end) for x in (left, right)) > SEARCH.overrun_cover:
            return True
    return False
