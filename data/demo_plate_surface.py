"""The face of a demo plate: anode, glass, cathode, and the scratches and dents on them.

Everything is measured in plate widths, so that a plate looks the same at every scale.
"""

from itertools import pairwise

import cv2
import numpy as np

from flawsmith.data.demo_texture import (
    Field,
    Shape,
    Span,
    blobs,
    blur,
    fractal,
    grain,
    profile,
    ribbon,
    tidy,
    visible_change,
)
from flawsmith.sample import Masks

PLATE_CLASSES = ("scratch", "dent")
TEXTURE = 240  # px: plate width that the texture's finest grain is tuned to

ANODE = (58, 59, 64)
GLASS = (194, 193, 182)
CATHODE = (146, 139, 128)
RIM = (172, 174, 178)
RIM_WIDTH = 0.012  # of the plate's width
SEAM_WIDTH = 0.016


def draw_surface(generator: np.random.Generator, width: int) -> Field:
    """An upright clean plate ``width`` px wide: (5 * width, width, 3) float32, 0 to 255."""
    height = 5 * width
    cuts = [0, round(height / 3), round(2 * height / 3), height]
    shapes = [(b - a, width) for a, b in pairwise(cuts)]
    parts = [
        draw(generator, shape)[..., None] * _tone(generator, colour)
        for draw, shape, colour in zip(
            (_anode, _glass, _cathode), shapes, (ANODE, GLASS, CATHODE), strict=True
        )
    ]
    plate = np.concatenate(parts).astype(np.float32)
    _seams(generator, plate, cuts[1:3])
    _rim(plate)
    return plate


def _tone(generator: np.random.Generator, colour: tuple[int, int, int]) -> Field:
    tone = np.array(colour, np.float32) * generator.normal(1, 0.05)
    return np.asarray(tone + generator.normal(0, 1, 3), dtype=np.float32)


def _anode(generator: np.random.Generator, shape: Shape) -> Field:
    """A dark coating: fine speckle, faint streaks of the doctor blade, a few pale grains."""
    unit = shape[1]
    fine = unit / TEXTURE
    out = 1 + 0.07 * fractal(generator, shape, (unit / 2, unit / 3), 3)
    out += 0.05 * blobs(generator, shape, (4 * unit, 4 * fine))
    out += 0.1 * grain(generator, shape, (0.9 * fine, 0.9 * fine))
    grains = np.clip(grain(generator, shape, (0.7 * fine, 0.7 * fine)) - 2.9, 0, 1)
    return np.asarray(out + 0.5 * grains, dtype=np.float32)


def _glass(generator: np.random.Generator, shape: Shape) -> Field:
    """A pale mat of glass fibre: many crossing threads, lighter and darker patches between."""
    unit = shape[1]
    threads = np.zeros(shape, dtype=np.float32)
    thick = max(1, round(unit / 260))
    for _ in range(420):
        a = generator.uniform(-0.1, 1.1, 2) * shape[::-1]
        turn, length = generator.uniform(0, np.pi), unit * generator.uniform(0.15, 0.6)
        bend = generator.normal(0, 0.5)
        t = np.linspace(0, 1, 12)
        heading = turn + bend * t
        path = a + length / 12 * np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1), axis=0)
        one = generator.choice([-1.0, 1.0]) * generator.uniform(0.3, 1.0)
        points = np.rint(path * 16).astype(np.int32)
        cv2.polylines(threads, [points], False, float(one), thick, cv2.LINE_AA, shift=4)
    fine = unit / TEXTURE
    out = 1 + 0.03 * fractal(generator, shape, (unit / 3, unit / 3), 4)
    out += 0.07 * blur(threads, (0.5 * fine, 0.5 * fine))
    return np.asarray(out + 0.018 * grain(generator, shape, (fine, fine)), dtype=np.float32)


def _cathode(generator: np.random.Generator, shape: Shape) -> Field:
    """Brushed metal: long marks across, a slow sheen, fine grain."""
    unit = shape[1]
    fine = unit / TEXTURE
    rows = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    sheen = 0.12 * np.exp(-(((rows - generator.uniform(-0.6, 0.6)) / 0.45) ** 2))
    out = 1 + sheen + 0.045 * blobs(generator, shape, (1.3 * fine, unit / 1.5))
    out += 0.05 * blobs(generator, shape, (3.5 * fine, 2 * unit))
    out += 0.03 * fractal(generator, shape, (unit / 2, unit / 2), 3)
    return np.asarray(out + 0.03 * grain(generator, shape, (0.8 * fine, fine)), dtype=np.float32)


def _seams(generator: np.random.Generator, plate: Field, cuts: list[int]) -> None:
    """A dark joint with a thin highlight where two parts meet, a little wavy, in place."""
    height, width = plate.shape[:2]
    rows = np.arange(height, dtype=np.float32)[:, None]
    for cut in cuts:
        wave = cut + 0.004 * width * profile(generator, width, width / 4)[None, :]
        away = (rows - wave) / (SEAM_WIDTH * width)
        plate *= (1 - 0.5 * np.exp(-(away**2)))[..., None]
        plate += 28 * np.exp(-((2 * (away - 1.4)) ** 2))[..., None]


def _rim(plate: Field) -> None:
    """A bare metal rim, lit from above and the left, in place."""
    height, width = plate.shape[:2]
    y, x = (np.arange(n, dtype=np.float32) + 0.5 for n in (height, width))
    bright = np.minimum(x[None, :], y[:, None])
    dull = np.minimum((width - x)[None, :], (height - y)[:, None])
    inward, lit = np.minimum(bright, dull), np.where(bright < dull, 1.08, 0.82)
    cover = np.clip(RIM_WIDTH * width + 0.5 - inward, 0, 1)[..., None]
    plate[:] = plate * (1 - cover) + np.array(RIM, np.float32) * lit[..., None] * cover


def draw_defects(generator: np.random.Generator, surface: Field) -> tuple[Field, Masks]:
    """Paint scratches, dents or both: the new surface (H, W, 3) and masks (2, H, W) bool.

    Outside the masks the surface is unchanged; what cannot be seen is not painted.
    """
    shape: Shape = (surface.shape[0], surface.shape[1])
    masks: Masks = np.zeros((len(PLATE_CLASSES), *shape), dtype=np.bool_)
    kinds = [(0,), (1,), (0, 1)][int(generator.choice(3, p=[0.45, 0.3, 0.25]))]
    for kind in kinds:
        draw = (_scratch, _dent)[kind]
        change = np.zeros(shape, dtype=np.float32)
        for _ in range(1 + int(generator.poisson(0.9))):
            change += draw(generator, shape, surface)
        painted = np.clip(surface + change[..., None], 0, 255).astype(np.float32)
        seen = visible_change(surface.mean(axis=2), painted.mean(axis=2))
        unit = shape[1] / TEXTURE
        join, least = ((2, 30), (7, 150))[kind]
        masks[kind] = tidy(seen, max(1, round(join * unit)), max(6, round(least * unit * unit)))
        surface = np.where(masks[kind][..., None], painted, surface)
    return surface, masks


def _scratch(generator: np.random.Generator, shape: Shape, surface: Field) -> Field:
    """A thin cut, bright where it bares metal under a dark coating, dark on pale ground."""
    height, width = shape
    lying = generator.random() < 0.3
    long, across = (width, height) if lying else (height, width)
    length = int(width * (Span(0.3, 0.85) if lying else Span(0.35, 1.7)).draw(generator))
    top = int(generator.uniform(0.02 * long, max(0.98 * long - length, 0.03 * long)))
    step = np.arange(length, dtype=np.float32)
    middle = generator.uniform(0.12, 0.88) * across
    lean = generator.normal(0, 0.16) * (step - length / 2)
    centre = middle + lean + 0.012 * width * profile(generator, length, 0.4 * width)
    half = width * Span(0.0035, 0.008).draw(generator)
    wide = half * np.clip(1 + 0.2 * profile(generator, length, 0.1 * width), 0.5, 2)
    ends = np.clip(np.minimum(step, length - 1 - step) / (0.08 * width), 0, 1)
    strength = 78 * ends * np.clip(1 + 0.25 * profile(generator, length, 0.15 * width), 0.4, 1.6)
    canvas = (width, height) if lying else (height, width)
    line = ribbon(canvas, top, centre, wide, np.asarray(strength, dtype=np.float32))
    line = line.T if lying else line
    ground = blur(surface.mean(axis=2), (0.05 * width, 0.05 * width))
    return np.asarray(line * np.where(ground > 165, -1, 1), dtype=np.float32)


def _dent(generator: np.random.Generator, shape: Shape, surface: Field) -> Field:
    """A shallow hollow: shadow on the lit side, highlight opposite, a soft dark floor."""
    height, width = shape
    half = width * np.array([Span(0.05, 0.13).draw(generator) for _ in range(2)])
    y = np.arange(height, dtype=np.float32)[:, None] - generator.uniform(0.04, 0.96) * height
    x = np.arange(width, dtype=np.float32)[None, :] - generator.uniform(0.15, 0.85) * width
    y, x = y / half[0], x / half[1]
    r = np.sqrt(x**2 + y**2) * (1 + 0.08 * blobs(generator, shape, (width / 8, width / 8)))
    hollow = np.exp(-(r**4))
    lit = (0.75 * y + 0.55 * x) * np.exp(-((r / 0.85) ** 4))
    level = 0.35 * blur(surface.mean(axis=2), (0.05 * width, 0.05 * width)) + 40
    return np.asarray(level * (0.95 * lit - 0.07 * hollow), dtype=np.float32)
