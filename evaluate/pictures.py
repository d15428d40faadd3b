"""Pictures for the report: crops around defects, outlines beside them, and data URIs."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.data.manifest import class_colours
from flawsmith.sample import Image, Masks, Sample

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]

# A crop shows the defect's box, half as much again on each side, and never less than CONTEXT.
MARGIN = 0.5
CONTEXT = 96
ASPECT = 4 / 3
# From WIDE width:height on, a picture is shown above its outlined twin instead of beside it; below
# TALL, in a square.
WIDE = 1.9
TALL = 1.15
# Bytes of one picture, so that a report of a few hundred pictures stays below about 5 MB.
PICTURE_LIMIT = 24_000


@dataclass(frozen=True)
class Thumbnail:
    """A sample, cropped and scaled for display.

    image: (h, w) or (h, w, 3) uint8; masks: (K, h, w) bool at the same scale.
    box: x, y, width, height of what is shown, in pixels of the sample; whole: that is all of it.
    """

    image: Image
    masks: Masks
    box: Box
    whole: bool


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


def outlined(
    image: Image, masks: Masks, colours: Sequence[Colour], *, thickness: int, gap: int | None = None
) -> Image:
    """Return (H, W, 3) RGB with a line around each class mask, drawn outside of all masks.

    thickness: width of the line in pixels; gap: pixels left free between mask and line, so that
    the defect's edge stays visible (default: as many as the line is wide).
    """
    gap = thickness if gap is None else gap
    canvas = image.copy() if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    free = ~masks.any(axis=0)
    present = [(plane, colour) for plane, colour in zip(masks, colours, strict=True) if plane.any()]
    # A darker rim first: it keeps the line apart from a ground of its own colour.
    for plane, _ in present:
        rim = _ring(plane, gap + thickness, gap + thickness + 1) & free
        canvas[rim] //= 3
    for plane, colour in present:
        canvas[_ring(plane, gap, gap + thickness) & free] = colour
    return np.asarray(canvas, np.uint8)


def _ring(plane: NDArray[np.bool_], inner: int, outer: int) -> NDArray[np.bool_]:
    return _dilated(plane, outer) & ~_dilated(plane, inner)


def _dilated(plane: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.dilate(plane.astype(np.uint8), kernel) > 0)


def thumbnail(
    sample: Sample, *, width: int, zoom_to_defect: bool, plane: int | None = None
) -> Thumbnail:
    """Return the sample, or the crop around its defect, scaled to be ``width`` pixels wide.

    plane: the class to crop around; default: all. Portraits are made at most as high as
    ``width``, wide ones (see WIDE) twice as wide: the sizes at which they are shown.
    """
    full = (0, 0, *sample.size)
    mask = sample.union if plane is None else sample.masks[plane]
    box = defect_box(mask) if zoom_to_defect and mask.any() else full
    x, y, w, h = box
    scale = min((2 * width if w > WIDE * h else width) / w, width / h)
    target = (max(1, round(w * scale)), max(1, round(h * scale)))
    shrinks = scale < 1
    image = cv2.resize(
        sample.image[y : y + h, x : x + w],
        target,
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC,
    )
    planes = [_scaled_mask(p[y : y + h, x : x + w], target, shrinks) for p in sample.masks]
    masks = np.stack(planes) if planes else np.zeros((0, target[1], target[0]), bool)
    return Thumbnail(np.asarray(image, np.uint8), masks, box, box == full)


def _scaled_mask(
    plane: NDArray[np.bool_], target: tuple[int, int], shrinks: bool
) -> NDArray[np.bool_]:
    """Scale a mask; shrinking keeps every marked pixel, so that no small defect is lost."""
    values = plane.astype(np.float32)
    if shrinks:
        return np.asarray(cv2.resize(values, target, interpolation=cv2.INTER_AREA) > 0)
    return np.asarray(cv2.resize(values, target, interpolation=cv2.INTER_LINEAR) >= 0.5)


def defect_box(mask: NDArray[np.bool_]) -> Box:
    """Return x, y, width, height of a crop with margin around the marked pixels of (H, W).

    Marks scattered over more than half of the picture give way to the largest connected one; what
    would leave little out gives way to the whole picture.
    """
    height, width = mask.shape
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    box = _padded((x, y, w, h), width, height)
    if 2 * box[2] * box[3] > width * height:
        stats = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)[2][1:]
        largest = stats[stats[:, cv2.CC_STAT_AREA].argmax()]
        box = _padded(
            (int(largest[0]), int(largest[1]), int(largest[2]), int(largest[3])), width, height
        )
    return (0, 0, width, height) if box[2] * box[3] > 0.8 * width * height else box


def _padded(box: Box, width: int, height: int) -> Box:
    """Return the box with margin and, as far as the picture allows, in the shape of ASPECT."""
    x, y, w, h = box
    wide = max(w * (1 + 2 * MARGIN), CONTEXT * ASPECT)
    high = max(h * (1 + 2 * MARGIN), CONTEXT)
    wide, high = max(wide, high * ASPECT), max(high, wide / ASPECT)
    new_w, new_h = min(width, round(wide)), min(height, round(high))
    left = min(max(0, round(x + w / 2 - new_w / 2)), width - new_w)
    top = min(max(0, round(y + h / 2 - new_h / 2)), height - new_h)
    return left, top, new_w, new_h


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


def outline_thickness(width: int) -> int:
    """Return the line's width for a picture of this width: 2 pixels at 320, never under 1."""
    return max(1, round(width / 160))


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
