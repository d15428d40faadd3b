"""Pictures for the report: tiles of real and made samples, as data URIs."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from flawsmith.data.manifest import class_colours
from flawsmith.data.thumbnails import (
    TALL,
    WIDE,
    Colour,
    outline_thickness,
    outlined,
    thumbnail,
)
from flawsmith.sample import Image, Sample

# Bytes of one picture, so that a report of a few hundred pictures stays below about 5 MB.
PICTURE_LIMIT = 24_000


@dataclass(frozen=True)
class Tile:
    """One sample in the grid: data URIs of the plain and the outlined picture, and the words."""

    id: str
    origin: str
    classes: tuple[str, ...]
    detail: str
    plain: str
    outlined: str
    width: int
    height: int

    @property
    def shape(self) -> str:
        """How the pair is laid out: ``wide``, ``tall``, or empty for the usual 4:3."""
        ratio = self.width / self.height
        return "wide" if ratio > WIDE else "tall" if ratio < TALL else ""


@dataclass(frozen=True)
class ClassRows:
    """The real and the made samples of one class, to be shown side by side."""

    name: str
    colour: Colour
    real: tuple[Tile, ...]
    made: tuple[Tile, ...]


def data_uri(image: Image, *, quality: int = 82, limit: int = PICTURE_LIMIT) -> str:
    """Return the picture as a JPEG data URI of at most about ``limit`` bytes.

    A picture over the limit loses quality first (down to 40), then size.
    """
    while True:
        content = _jpeg(image, quality)
        if len(content) <= limit or min(image.shape[:2]) < 32:
            return "data:image/jpeg;base64," + base64.b64encode(content).decode("ascii")
        if quality > 40:
            quality = max(40, quality - 14)
        else:
            image = np.asarray(cv2.resize(image, None, fx=0.75, fy=0.75), np.uint8)


def _jpeg(image: Image, quality: int) -> bytes:
    pixels = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    # Full colour resolution: with the usual halved one, a thin line bleeds into its surroundings.
    options = [
        *(cv2.IMWRITE_JPEG_QUALITY, quality),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ]
    return cv2.imencode(".jpg", pixels, options)[1].tobytes()


def tile(
    sample: Sample, classes: Sequence[str], *, origin: str, plane: int | None, width: int
) -> Tile:
    """Return the sample's tile; ``plane`` is the class it is shown for, ``width`` in pixels."""
    thumb = thumbnail(sample, width=width, zoom_to_defect=True, plane=plane)
    colours = class_colours(len(classes))
    drawn = outlined(thumb.image, thumb.masks, colours, thickness=outline_thickness(width))
    size = f"{sample.size[0]} × {sample.size[1]}"
    crop = f"{thumb.box[2]} × {thumb.box[3]} of {size}"
    return Tile(
        id=sample.id,
        origin=origin,
        classes=tuple(n for n, p in zip(classes, sample.masks, strict=True) if p.any()),
        detail=f"whole, {size}\N{NO-BREAK SPACE}px"
        if thumb.whole
        else f"crop, {crop}\N{NO-BREAK SPACE}px",
        plain=data_uri(thumb.image),
        outlined=data_uri(drawn),
        width=thumb.image.shape[1],
        height=thumb.image.shape[0],
    )


def pair_rows(
    real: Iterable[Sample],
    made: Iterable[Sample],
    classes: Sequence[str],
    *,
    method: str,
    limit: int = 3,
    width: int = 320,
) -> list[ClassRows]:
    """Return, for each class that occurs, up to ``limit`` real and made samples that show it.

    Samples are taken in order, one a group as long as there are groups enough. ``width`` is that
    of one picture, in pixels.
    """
    chosen_real = _choose(real, len(classes), limit)
    chosen_made = _choose(made, len(classes), limit)
    rows = []
    for plane, (name, colour) in enumerate(zip(classes, class_colours(len(classes)), strict=True)):
        sides = [
            tuple(tile(s, classes, origin=origin, plane=plane, width=width) for s in chosen[plane])
            for chosen, origin in ((chosen_real, "real"), (chosen_made, method))
        ]
        if any(sides):
            rows.append(ClassRows(name, colour, sides[0], sides[1]))
    return rows


def _choose(samples: Iterable[Sample], classes: int, limit: int) -> list[list[Sample]]:
    """Return up to ``limit`` samples a class, of different groups first."""
    chosen: list[list[Sample]] = [[] for _ in range(classes)]
    spare: list[list[Sample]] = [[] for _ in range(classes)]
    for sample in samples:
        for plane in np.flatnonzero(sample.masks.any(axis=(1, 2))):
            fresh = all(other.group != sample.group for other in chosen[plane])
            shelf = (chosen if fresh else spare)[plane]
            if len(shelf) < limit:
                shelf.append(sample)
        if all(len(shelf) == limit for shelf in chosen):
            break
    return [(a + b)[:limit] for a, b in zip(chosen, spare, strict=True)]
