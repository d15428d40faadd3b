"""The bench under a demo plate: wood or a rubber mat, and what lies about on it."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.data.demo_texture import Field, Shape, Span, blobs, fractal, grain
from flawsmith.sample import Image

DETAIL = 1500  # px: the bench is drawn at most this high and enlarged; it is out of focus anyway
ITEM_CHANCE = 0.55
CLEARANCE = 0.03  # of the photo: how far things keep from the plate

Points = NDArray[np.floating[Any]]


def draw_bench(generator: np.random.Generator, shape: Shape, plate: Points) -> Image:
    """Draw a bench of ``shape`` (H, W): (H, W, 3) uint8 RGB.

    plate: (4, 2) corners in shares of width and height; things are laid beside it.
    """
    factor = min(1.0, DETAIL / shape[0])
    small = (max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor)))
    ground = _wood if generator.random() < 0.55 else _rubber
    bench = ground(generator, small)
    for draw, left in zip((_label, _clamp), generator.permutation([True, False]), strict=True):
        if generator.random() < ITEM_CHANCE:
            _place(generator, bench, plate, draw, bool(left))
    image = np.clip(np.rint(bench), 0, 255).astype(np.uint8)
    if factor < 1:
        enlarged = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_CUBIC)
        image = np.asarray(enlarged, dtype=np.uint8)
    return image


def _wood(generator: np.random.Generator, shape: Shape) -> Field:
    """Boards across the photo, each with its own tone and grain."""
    height, width = shape
    tone = np.array([168, 128, 88], np.float32) * generator.uniform(0.75, 1.1)
    out = np.empty((height, width), dtype=np.float32)
    top = -int(generator.integers(0, height // 6))
    while top < height:
        deep = int(height * Span(0.17, 0.26).draw(generator))
        rows = slice(max(top, 0), min(top + deep, height))
        out[rows] = _board(generator, (rows.stop - rows.start, width), height)
        seam = max(1, round(height / 500))
        if top > 0:
            out[rows.start : rows.start + seam] *= 0.45
            out[rows.start + seam : rows.start + 2 * seam] *= 1.1
        top += deep
    return np.asarray(out[..., None] * tone, dtype=np.float32)


def _board(generator: np.random.Generator, shape: Shape, unit: int) -> Field:
    """(H, W) brightness of one board: growth rings, fine pores. unit: height of the photo, px."""
    bend = 1.6 * blobs(generator, shape, (unit / 6, unit / 2))
    bend += 0.35 * blobs(generator, shape, (unit / 30, unit / 5))
    rings = np.sin(
        2 * np.pi * (bend * 2.2 + np.linspace(0, 2.5, shape[0], dtype=np.float32)[:, None])
    )
    fibre = blobs(generator, shape, (unit / 400, unit / 14))
    pores = np.clip(blobs(generator, shape, (unit / 500, unit / 40)) - 1.4, 0, 2)
    tone = 1 + generator.normal(0, 0.06) + 0.05 * rings + 0.035 * fibre - 0.1 * pores
    return np.asarray(tone, dtype=np.float32)


def _rubber(generator: np.random.Generator, shape: Shape) -> Field:
    """A matt rubber mat: fine speckle, rubbed places, a few pale scuffs."""
    colours = ((62, 88, 84), (74, 82, 98), (98, 66, 58), (92, 94, 92))
    tone = np.array(colours[int(generator.integers(len(colours)))], np.float32)
    unit = shape[0]
    out = 1 + 0.06 * fractal(generator, shape, (unit / 4, unit / 4), 4)
    out += 0.05 * grain(generator, shape, (unit / 1200, unit / 1200))
    for _ in range(int(generator.integers(3, 9))):
        a, b = (generator.uniform(0, 1, 2) * shape[::-1] for _ in range(2))
        b = a + (b - a) * generator.uniform(0.05, 0.25)
        line = np.zeros(shape, dtype=np.float32)
        cv2.line(line, a.astype(int).tolist(), b.astype(int).tolist(), 1.0, 1, cv2.LINE_AA)
        out += 0.12 * line
    return np.asarray(out[..., None] * tone, dtype=np.float32)


def _place(
    generator: np.random.Generator,
    bench: Field,
    plate: Points,
    draw: Callable[[np.random.Generator, Field, tuple[int, int], float], None],
    left: bool,
) -> None:
    """Draw a thing in the free ground left or right of the plate, if there is room."""
    height, width = bench.shape[:2]
    low, high = plate[:, 0].min() - CLEARANCE, plate[:, 0].max() + CLEARANCE
    start, end = (0.0, low) if left else (high, 1.0)
    reach = 0.09 * height  # half the largest extent of a thing
    if (end - start) * width < 2 * reach:
        return
    x = generator.uniform(start * width + reach, end * width - reach)
    y = generator.uniform(0.15, 0.85) * height
    draw(generator, bench, (int(x), int(y)), reach)


def _quad(middle: tuple[int, int], half: tuple[float, float], turn: float) -> NDArray[np.int32]:
    c, s = np.cos(turn), np.sin(turn)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    turned = corners @ np.array([[c, s], [-s, c]]) + middle
    return np.asarray(np.rint(turned), dtype=np.int32)


def _label(
    generator: np.random.Generator, bench: Field, middle: tuple[int, int], reach: float
) -> None:
    """A paper label with a code bar and lines of writing."""
    turn = generator.normal(0, 0.15)
    half = (0.92 * reach, 0.5 * reach)
    shade = _quad((middle[0] + 2, middle[1] + 3), half, turn)
    cv2.fillConvexPoly(bench, shade, (45, 42, 40), cv2.LINE_AA)
    cv2.fillConvexPoly(bench, _quad(middle, half, turn), (206, 203, 194), cv2.LINE_AA)
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    for row in (-0.2, 0.15, 0.5):
        bars = 22 if row < 0 else 9
        for column in np.linspace(-0.8, 0.8, bars):
            if generator.random() < 0.3:
                continue
            bar = (0.025, 0.4) if row < 0 else (0.07, 0.06)
            place = np.array([column * half[0], (row - 0.15) * half[1]]) @ turned + middle
            size = (bar[0] * half[0], bar[1] * half[1])
            quad = _quad((int(place[0]), int(place[1])), size, turn)
            cv2.fillConvexPoly(bench, quad, (52, 50, 54), cv2.LINE_AA)


def _clamp(
    generator: np.random.Generator, bench: Field, middle: tuple[int, int], reach: float
) -> None:
    """A steel clamp: a bar with a screw head."""
    turn = generator.uniform(0, np.pi)
    bar = (0.85 * reach, 0.2 * reach)
    cv2.fillConvexPoly(bench, _quad((middle[0] + 4, middle[1] + 6), bar, turn), (38, 36, 36))
    cv2.fillConvexPoly(bench, _quad(middle, bar, turn), (122, 126, 132), cv2.LINE_AA)
    ridge = (0.8 * reach, 0.05 * reach)
    cv2.fillConvexPoly(bench, _quad(middle, ridge, turn), (168, 172, 178), cv2.LINE_AA)
    head = int(0.3 * reach)
    cv2.circle(bench, middle, head, (70, 72, 76), -1, cv2.LINE_AA)
    cv2.circle(bench, middle, int(0.82 * head), (140, 144, 150), -1, cv2.LINE_AA)
    slot = (0.7 * head, max(1.0, 0.12 * head))
    cv2.fillConvexPoly(bench, _quad(middle, slot, turn + 0.6), (48, 48, 50), cv2.LINE_AA)
