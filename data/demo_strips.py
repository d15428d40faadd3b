"""Demo steel strips in the manner of the Severstal data set: 1600 wide, 256 high, grey.

A strip is rolled texture under uneven light, on some images with the dark beyond the strip's edge
at one side. What is painted and what is labelled come from ``demo_strip_defects``.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from flawsmith.data.demo_strip_defects import PAINTERS, paint
from flawsmith.data.demo_texture import Field, Span, blobs, blur, fractal, grain, profile, ribbon
from flawsmith.sample import Image, Masks

STRIP_SHAPE = (256, 1600)
STRIP_CLASSES = ("1", "2", "3", "4")
# Images of the real training set: 6666 of 12568 carry a defect, 897, 247, 5150 and 801 carry
# class 1, 2, 3 and 4, and 427 carry two of them.
DEFECTIVE_SHARE = 6666 / 12568
CLASS_SHARES = tuple(n / 7095 for n in (897, 247, 5150, 801))
SECOND_CLASS_SHARE = 427 / 6666


class Finish(NamedTuple):
    """How strips differ from one another; amplitudes are shares of the local brightness."""

    level: Span = Span(66, 142)  # mean grey
    across: Span = Span(0.1, 0.3)  # illumination along the width
    dimmest: float = 0.4  # of the mean brightness
    cloud: Span = Span(0.03, 0.1)  # slow two-dimensional unevenness
    streak: Span = Span(0.008, 0.034)  # rolling streaks, down the strip
    speckle: Span = Span(0.035, 0.075)  # fine grain
    ripple: Span = Span(0.025, 0.06)  # fine wavy lines across the strip
    ripple_chance: float = 0.3
    drip_chance: float = 0.3
    margin_chance: float = 0.22
    margin: Span = Span(40, 750)  # px of dark beyond the strip's edge
    margin_level: float = 3.0  # grey


FINISH = Finish()


def draw_strip(
    generator: np.random.Generator, *, defective: bool, classes: Sequence[int] | None = None
) -> tuple[Image, Masks]:
    """Draw one strip: image (256, 1600) uint8 grey and masks (4, 256, 1600) bool.

    classes: the defect classes, 1 to 4, of a defective strip; None draws them in the real shares.
    Outside the masks a defective strip is, byte for byte, the clean strip of the same generator.
    """
    clean, steel = _clean(generator)
    masks: Masks = np.zeros((len(STRIP_CLASSES), *STRIP_SHAPE), dtype=np.bool_)
    if not defective:
        return _grey(clean), masks
    chosen = draw_classes(generator) if classes is None else tuple(classes)
    image = clean
    for number in chosen:
        # A draw may land where nothing shows (a dull spot, a thin line): then it is drawn anew.
        while not masks[number - 1].any():
            image, masks[number - 1] = paint(generator, image, steel, PAINTERS[number])
    return _grey(image), masks


def draw_classes(generator: np.random.Generator) -> tuple[int, ...]:
    """One class, on some images two, drawn in the shares of the real training set."""
    count = 2 if generator.random() < SECOND_CLASS_SHARE else 1
    order = generator.choice(len(CLASS_SHARES), size=count, replace=False, p=CLASS_SHARES)
    return tuple(sorted(int(c) + 1 for c in order))


def _grey(field: Field) -> Image:
    return np.clip(np.rint(field), 0, 255).astype(np.uint8)


def _clean(generator: np.random.Generator) -> tuple[Field, Masks]:
    """A clean strip in grey levels and (256, 1600) bool: where there is steel."""
    finish = FINISH
    light = np.clip(1 + _light(generator), finish.dimmest, None)
    surface = 1 + _rolled(generator)
    if generator.random() < finish.ripple_chance:
        surface += finish.ripple.draw(generator) * _ripples(generator)
    if generator.random() < finish.drip_chance:
        surface += _drips(generator)
    surface += _specks(generator)
    image = np.float32(finish.level.draw(generator)) * light * np.clip(surface, 0, None)
    steel: Masks = np.ones(STRIP_SHAPE, dtype=np.bool_)
    if generator.random() < finish.margin_chance:
        image, steel = _with_margin(generator, image)
    # The camera's own noise lies on steel and on darkness alike.
    image += grain(generator, STRIP_SHAPE, (0.5, 0.5)) * np.float32(0.8)
    return image, steel


def _light(generator: np.random.Generator) -> Field:
    height, width = STRIP_SHAPE
    along = profile(generator, width, width / 3)[None, :]
    tilt = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None] * generator.normal(0, 0.18)
    light = FINISH.across.draw(generator) * along + tilt
    light = light + FINISH.cloud.draw(generator) * fractal(generator, STRIP_SHAPE, (140, 420), 3)
    return np.asarray(light, dtype=np.float32)


def _rolled(generator: np.random.Generator) -> Field:
    """Streaks of several lengths and widths down the strip, and grain that is longer than wide."""
    streak, speckle = FINISH.streak.draw(generator), FINISH.speckle.draw(generator)
    out = streak * 0.9 * blobs(generator, STRIP_SHAPE, (700, 22))
    out += streak * 0.7 * blobs(generator, STRIP_SHAPE, (300, 5))
    out += streak * 0.8 * blobs(generator, STRIP_SHAPE, (60, 2))
    patchy = 1 + 0.25 * blobs(generator, STRIP_SHAPE, (120, 200))
    out += speckle * patchy * grain(generator, STRIP_SHAPE, (0.75, 0.5))
    out += 0.35 * speckle * grain(generator, STRIP_SHAPE, (2.0, 1.2))
    return np.asarray(out, dtype=np.float32)


def _ripples(generator: np.random.Generator) -> Field:
    """Wavy lines across the strip, strong in some regions: the print of a worn roll."""
    height, width = STRIP_SHAPE
    rows = np.arange(height, dtype=np.float32)[:, None]
    bend = 9 * blobs(generator, STRIP_SHAPE, (200, 260)) + 2.5 * blobs(
        generator, STRIP_SHAPE, (30, 90)
    )
    slope = np.arange(width, dtype=np.float32)[None, :] * generator.normal(0, 0.015)
    phase = (rows + bend + slope) / Span(6, 10).draw(generator)
    lines = np.cos(2 * np.pi * phase) + 0.6 * np.cos(2 * np.pi * 1.73 * phase + bend / 3)
    where = np.clip(blobs(generator, STRIP_SHAPE, (70, 240)) + 0.2, 0, 1.3)
    return np.asarray(lines * where, dtype=np.float32)


def _drips(generator: np.random.Generator) -> Field:
    """Pale stains that run down from the upper edge: part of a clean strip, not a defect."""
    out = np.zeros(STRIP_SHAPE, dtype=np.float32)
    start, reach = generator.uniform(0, 1400), Span(120, 420).draw(generator)
    for _ in range(int(generator.integers(8, 22))):
        length = int(generator.uniform(30, 230))
        centre = start + generator.uniform(0, reach) + 0.8 * profile(generator, length, 40)
        half = np.clip(Span(1.5, 4).draw(generator) + 0.7 * profile(generator, length, 18), 0.8, 6)
        fade = np.sqrt(np.linspace(1, 0, length, dtype=np.float32))
        stain = ribbon(STRIP_SHAPE, int(generator.integers(-40, 60)), centre, half, fade)
        out = np.maximum(out, np.clip(2 * stain, 0, 1))
    texture = 1 + 0.4 * grain(generator, STRIP_SHAPE, (1.0, 1.0))
    return np.asarray(0.09 * out * texture, dtype=np.float32)


def _specks(generator: np.random.Generator) -> Field:
    """A few dust grains, dark or bright, of one to two pixels: below what anyone labels."""
    out = np.zeros(STRIP_SHAPE, dtype=np.float32)
    count = int(generator.integers(10, 70))
    rows, columns = (generator.integers(0, n, count) for n in STRIP_SHAPE)
    out[rows, columns] = generator.choice([-1.2, 1.4], count, p=[0.6, 0.4]) * generator.random(
        count
    )
    return blur(out, (0.6, 0.6)) * np.float32(1.3)


def _with_margin(generator: np.random.Generator, image: Field) -> tuple[Field, Masks]:
    """Darkness beyond the strip's edge at one side, and the bands that run along the edge."""
    height, width = STRIP_SHAPE
    column = np.arange(width, dtype=np.float32)[None, :]
    tilt = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * generator.normal(0, 2)
    inward = column - FINISH.margin.draw(generator) - tilt  # px inside the strip
    inward = inward + 0.5 * profile(generator, height, 12)[:, None]
    band, wide = Span(8, 40).draw(generator), Span(30, 90).draw(generator)
    edge = 0.22 * np.exp(-(((inward - 4) / 4) ** 2)) + generator.normal(0, 0.14) * np.exp(
        -(((inward - band) / (0.4 * band)) ** 2)
    )
    edge = edge - 0.28 * np.exp(-inward / wide)
    lit = image * (1 + edge) / (1 + np.exp(-2.2 * np.clip(inward, -20, 20)))
    out = lit + FINISH.margin_level
    steel = inward > 3
    if generator.random() < 0.5:
        out, steel = out[:, ::-1], steel[:, ::-1]
    return np.ascontiguousarray(out, dtype=np.float32), np.ascontiguousarray(steel)
