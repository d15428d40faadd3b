"""Samples as a person looks at them: crops around defects, outlines beside them."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

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


def outline_thickness(width: int) -> int:
    """Return the line's width for a picture of this width: 2 pixels at 320, never under 1."""
    return max(1, round(width / 160))
