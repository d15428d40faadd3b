"""The four defect classes of the demo strips, and the rule that labels what was painted.

A painter returns a relative change of brightness (-0.5 darkens by half). The label is taken from
the painted picture, not from the plan: where the change can be seen against the local noise.
What cannot be seen is taken back, so no unlabelled trace stays.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flawsmith.data.demo_texture import (
    Field,
    Shape,
    Span,
    blobs,
    blur,
    fractal,
    grain,
    profile,
    relief,
    ribbon,
    tidy,
    visible_change,
)
from flawsmith.sample import Masks

LIGHT_SIGMA = 12.0  # px: a change scales with the brightness of this neighbourhood


class Painter(NamedTuple):
    """One class: how a mark is drawn, how many an image carries, how its label is cleaned.

    reach: columns either way of its middle that a mark may take, px.
    more: Poisson mean of the marks beyond the first, set so that the pieces an image come to the
    real data set's (3082, 321, 14622, 1902 pieces on 897, 247, 5150, 801 images).
    """

    mark: Callable[[np.random.Generator, Shape, float], Field]
    reach: int
    more: float
    join: int  # px: gaps up to twice this are closed, the slack of an annotator
    least: int  # px: smaller pieces are neither painted nor labelled


def paint(
    generator: np.random.Generator, image: Field, steel: Masks, painter: Painter
) -> tuple[Field, Masks]:
    """Paint one class into ``image`` (H, W, grey levels): the new image and its mask (H, W).

    Outside the mask the new image equals the old one exactly.
    """
    count = 1 + int(generator.poisson(painter.more))
    columns = np.flatnonzero(steel.any(axis=0))
    # Marks of one image tend to share a region of the strip; they need not.
    middle, spread = generator.choice(columns), generator.uniform(60, 700)
    change = np.zeros(image.shape, dtype=np.float32)
    for _ in range(count):
        column = generator.normal(middle, spread)
        if not columns[0] < column < columns[-1]:
            column = float(generator.choice(columns))
        window = slice(max(0, int(column) - painter.reach), int(column) + painter.reach)
        part = change[:, window]
        mark = painter.mark(generator, (part.shape[0], part.shape[1]), column - window.start)
        part[:] = np.where(np.abs(mark) > np.abs(part), mark, part)
    level = blur(image * steel, (LIGHT_SIGMA, LIGHT_SIGMA))
    painted = np.clip(image + change * level, 0, 255).astype(np.float32)
    mask = tidy(visible_change(image, painted) & steel, painter.join, painter.least) & steel
    return np.where(mask, painted, image), mask


def pits(generator: np.random.Generator, shape: Shape, column: float) -> Field:
    """A loose cluster of small dark pits on roughened ground, longer along the rolling."""
    spread = np.array([Span(10, 34).draw(generator), Span(5, 13).draw(generator)])
    middle = np.array([generator.uniform(10, shape[0] - 10), column])
    rows = np.arange(shape[0], dtype=np.float32)[:, None] - middle[0]
    columns = np.arange(shape[1], dtype=np.float32)[None, :] - middle[1]
    near = np.exp(-0.5 * ((rows / spread[0]) ** 2 + (columns / spread[1]) ** 2))
    rough = near + 0.3 * fractal(generator, shape, (16, 8), 3) * (near > 0.1) - 0.3
    rough = np.clip(2 * rough, 0, 1)
    out = rough * (-0.13 + 0.2 * grain(generator, shape, (1.3, 1.0)))
    for _ in range(int(spread.prod() * Span(0.1, 0.2).draw(generator)) + 8):
        out += _pit(generator, shape, generator.normal(middle, 0.9 * spread))
    return np.asarray(np.clip(out, -0.85, 0.8), dtype=np.float32)


def _pit(generator: np.random.Generator, shape: Shape, place: NDArray[np.float64]) -> Field:
    """One dark hole with the bright lip that the light from above leaves below it."""
    out = np.zeros(shape, dtype=np.float32)
    radius = float(np.clip(generator.lognormal(0.05, 0.38), 0.75, 3.0))
    reach = int(np.ceil(4 * radius)) + 1
    top, left = (max(int(p) - reach, 0) for p in place)
    bottom, right = (min(int(p) + reach + 1, n) for p, n in zip(place, shape, strict=True))
    if bottom <= top or right <= left:
        return out
    y = (np.arange(top, bottom, dtype=np.float32)[:, None] - place[0]) / radius
    x = (np.arange(left, right, dtype=np.float32)[None, :] - place[1]) / radius
    hole = np.exp(-0.5 * (y**2 / 1.6 + x**2))
    lip = np.exp(-0.5 * ((y - 1.9) ** 2 + (x - 0.5) ** 2) / 0.5)
    depth = generator.uniform(0.4, 0.85)
    out[top:bottom, left:right] = -depth * hole + 0.4 * depth * lip
    return out


def crack(generator: np.random.Generator, shape: Shape, column: float) -> Field:
    """A short, thin, dark line, about upright, with small kinks."""
    length = int(generator.uniform(35, 125))
    top = int(generator.uniform(2, max(3, shape[0] - length - 2)))
    step = np.arange(length, dtype=np.float32)
    kinks = 1.5 * profile(generator, length, 24) + 0.8 * profile(generator, length, 6)
    centre = column + generator.normal(0, 0.06) * step + kinks
    taper = np.sqrt(np.sin(np.pi * (step + 0.5) / length))
    width = np.clip(0.85 + 0.25 * profile(generator, length, 6), 0.65, 1.6) * (0.75 + 0.25 * taper)
    depth = Span(0.5, 0.75).draw(generator) * taper * (1 + 0.2 * profile(generator, length, 5))
    return ribbon(shape, top, centre, width, np.asarray(-depth, dtype=np.float32))


def scratch(generator: np.random.Generator, shape: Shape, column: float) -> Field:
    """A long, thin line, bright or dark, mostly along the rolling, on some strips across it."""
    if generator.random() < 0.14:
        row = generator.uniform(20, shape[0] - 20)
        length = int(generator.uniform(180, 900))
        start = int(column - length / 2)
        return _line(generator, (shape[1], shape[0]), float(row), start, length).T
    full = generator.random() < 0.6
    length = shape[0] + 40 if full else int(generator.uniform(60, 220))
    top = -20 if full else int(generator.uniform(-40, shape[0] - 60))
    return _line(generator, shape, column, top, length)


def _line(
    generator: np.random.Generator, shape: Shape, middle: float, top: int, length: int
) -> Field:
    step = np.arange(length, dtype=np.float32)
    base = float(np.clip(generator.lognormal(0.15, 0.4), 0.7, 2.6))
    slope = generator.normal(0, 0.012)
    wander = generator.uniform(0.1, 0.9) * profile(generator, length, 70)
    centre = middle + slope * (step - length / 2) + wander
    centre = centre + 0.25 * base * profile(generator, length, 6)
    width = base * np.clip(1 + 0.13 * profile(generator, length, 12), 0.6, 1.5)
    ends = np.clip(np.minimum(step, length - 1 - step) / 14, 0, 1)
    bright = generator.random() < 0.68
    peak = Span(0.5, 1.3).draw(generator) if bright else -Span(0.35, 0.65).draw(generator)
    beat = np.clip(1 + 0.25 * profile(generator, length, 40), 0.3, 2)
    rough = 1 + 0.14 * profile(generator, length, 2)
    line = ribbon(shape, top, centre, width, np.asarray(peak * ends * beat * rough, np.float32))
    if not bright:
        return line
    # The groove throws up a dull seam beside the bright cut.
    side = centre + generator.choice([-1, 1]) * 2.6 * base
    seam = ribbon(shape, top, side, 1.2 * width, np.asarray(-0.22 * ends, np.float32))
    return line + seam


def patch(generator: np.random.Generator, shape: Shape, column: float) -> Field:
    """A large, ragged scab rolled into the surface: relief, highlights, a dark lower rim."""
    half = np.array([Span(22, 95).draw(generator), Span(28, 150).draw(generator)])
    row = generator.uniform(0.1, 0.9) * shape[0]
    y = (np.arange(shape[0], dtype=np.float32)[:, None] - row) / half[0]
    x = (np.arange(shape[1], dtype=np.float32)[None, :] - column) / half[1]
    outline = 0.26 * fractal(generator, shape, (half[0] * 0.6, half[1] * 0.5), 3)
    outline += 0.1 * fractal(generator, shape, (14, 14), 3)
    body = 1 - np.sqrt(y**2 + x**2) + outline * (np.abs(x) < 2.2)
    inside = np.clip(body * 9, 0, 1)
    height = 2.4 * fractal(generator, shape, (30, 30), 5) + 9 * np.clip(body, 0, 0.3)
    shade = relief(blur(height, (0.9, 0.9)), 0.5)
    gloss = np.clip(blobs(generator, shape, (30, 45)) + 0.2, 0, 1.4)
    lit = -0.12 + 0.1 * blobs(generator, shape, (40, 60)) + 0.42 * shade
    lit += 0.7 * gloss * np.clip(shade - 0.1, 0, 1) + 0.12 * grain(generator, shape, (0.8, 0.7))
    rim = -0.4 * np.exp(-(((body - 0.04) / 0.05) ** 2)) * np.clip(y + 0.5, 0, 1)
    return np.asarray(np.clip(inside * lit + rim, -0.85, 1.1), dtype=np.float32)


PAINTERS = {
    1: Painter(pits, reach=90, more=2.0, join=3, least=45),
    2: Painter(crack, reach=60, more=0.2, join=2, least=25),
    3: Painter(scratch, reach=480, more=2.5, join=3, least=40),
    4: Painter(patch, reach=370, more=1.4, join=5, least=250),
}
