"""Windows around marked defects: what a segmenter is shown, and where it is judged."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from flawsmith.data.clusters import clusters
from flawsmith.data.scan import components
from flawsmith.evaluate.looks import REACH
from flawsmith.evaluate.segmenter.crops import crop_at
from flawsmith.sample import Image, Masks, Sample

# The windows of a sample and class that hold most of its marks: a speckled image costs no more.
MOST = 2
# Pixels around a mask within which what is told is held against it.
NEAR = 8


@dataclass(frozen=True)
class Window:
    """A square of S pixels around a defect of class ``plane``; beyond the picture it is mirrored.

    masks: (K, S, S) bool; near: (S, S) bool, the class's mask and what is near; far: (S, S) bool,
    what is near no mask. Neither holds mirrored pixels.
    """

    plane: int
    image: Image
    masks: Masks
    near: Masks
    far: Masks


def windows_of(sample: Sample, size: int) -> Iterator[Window]:
    """Yield the windows of a sample's classes, at most ``MOST`` a class."""
    for plane, mask in enumerate(sample.masks):
        if not mask.any():
            continue
        marked = [(_marks(mask, *start, size), start) for start in _starts(mask, size)]
        marked.sort(key=lambda found: -found[0])
        for count, (row, column) in marked[:MOST]:
            if count:
                yield _window(sample, plane, row, column, size)


def cover(sample: Sample, size: int) -> Iterator[tuple[Image, Masks]]:
    """Yield windows that cover all of a sample, as few as do, mirrored where it is smaller.

    Each comes with (S, S) bool: what lies inside of the picture.
    """
    height, width = sample.masks.shape[1:]
    for row in _along(0, height, height, size):
        for column in _along(0, width, width, size):
            crop = crop_at(sample, row, column, size)
            yield crop.image, _inside(row, column, height, width, size)


def covering(width: int, height: int, size: int) -> int:
    """Return how many windows ``cover`` yields of a picture of these sides."""
    return len(_along(0, height, height, size)) * len(_along(0, width, width, size))


def _starts(mask: Masks, size: int) -> list[tuple[int, int]]:
    """Return where windows begin (row, column) that cover each defect; no start occurs twice."""
    boxes = [(c.x, c.y, c.width, c.height) for c in components(mask[None])]
    found = []
    for (x, y, width, height), _ in clusters(boxes, REACH):
        rows = _along(y, height, mask.shape[0], size)
        columns = _along(x, width, mask.shape[1], size)
        found += [(row, column) for row in rows for column in columns]
    return list(dict.fromkeys(found))


def _along(start: int, length: int, full: int, size: int) -> list[int]:
    """Return the starts of windows that cover a part of a line, as few as do, in its middle."""
    count = -(-length // size)
    first = start + (length - count * size) // 2
    if full <= size:
        return [(full - size) // 2]
    return [min(max(0, first + i * size), full - size) for i in range(count)]


def _marks(mask: Masks, row: int, column: int, size: int) -> int:
    return int(np.count_nonzero(mask[max(0, row) : row + size, max(0, column) : column + size]))


def _window(sample: Sample, plane: int, row: int, column: int, size: int) -> Window:
    crop = crop_at(sample, row, column, size)
    height, width = sample.masks.shape[1:]
    inside = _inside(row, column, height, width, size)
    near, any_near = _around(crop.masks[plane]), _around(np.asarray(crop.masks.any(axis=0)))
    # Windows are kept for a while: as views they would keep their whole pictures.
    image, masks = crop.image.copy(), crop.masks.copy()
    return Window(plane, image, masks, near & inside, ~any_near & inside)


def _inside(row: int, column: int, height: int, width: int, size: int) -> Masks:
    rows, columns = np.arange(row, row + size), np.arange(column, column + size)
    return ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))


def _around(mask: Masks) -> Masks:
    square = np.ones((2 * NEAR + 1, 2 * NEAR + 1), np.uint8)
    return cv2.dilate(np.ascontiguousarray(mask).view(np.uint8), square) > 0
