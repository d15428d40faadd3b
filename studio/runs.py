"""Masks as the page sends them: run lengths inside a box, class numbers from 1."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from flawsmith.data.thumbnails import Box
from flawsmith.errors import InputError
from flawsmith.sample import Masks
from flawsmith.studio.answers import Asked

# Runs of one mask: far more than a hand draws.
MOST = 400_000


class DrawnMask(Asked):
    """What was drawn. box: x, y, width, height; runs: class number, pixels, row by row, in turn."""

    box: tuple[int, int, int, int]
    runs: list[int] = Field(max_length=2 * MOST)


@dataclass(frozen=True)
class BoxedMask:
    """Class planes inside a box of a picture: planes is (K, h, w) bool."""

    box: Box
    planes: Masks

    @property
    def union(self) -> Masks:
        return np.asarray(self.planes.any(axis=0))

    def within(self, view: Box) -> Masks:
        """Return (K, H, W): the planes in a view (x, y, width, height) that holds the box."""
        x, y, w, h = self.box
        left, top = x - view[0], y - view[1]
        masks = np.zeros((len(self.planes), view[3], view[2]), bool)
        masks[:, top : top + h, left : left + w] = self.planes
        return masks


def unpacked(drawn: DrawnMask, size: tuple[int, int], classes: int) -> BoxedMask:
    """Return the drawn mask of a picture of (width, height), cut to its marks.

    Raises InputError for a box that leaves the picture, runs that do not fill it, class numbers
    that there are not, and a mask without a mark.
    """
    x, y, w, h = drawn.box
    if min(x, y) < 0 or min(w, h) < 1 or x + w > size[0] or y + h > size[1]:
        raise InputError(f"the mask's box {list(drawn.box)} leaves the picture of {size}")
    pairs = np.asarray(drawn.runs, np.int64).reshape(-1, 2) if len(drawn.runs) % 2 == 0 else None
    if pairs is None or (pairs[:, 1] < 1).any() or pairs[:, 1].sum() != w * h:
        raise InputError("the mask's runs do not fill its box")
    if (pairs[:, 0] < 0).any() or (pairs[:, 0] > classes).any():
        raise InputError(f"the mask names a class that is not among {classes}")
    index = np.repeat(pairs[:, 0].astype(np.uint8), pairs[:, 1]).reshape(h, w)
    rows, columns = np.flatnonzero(index.any(axis=1)), np.flatnonzero(index.any(axis=0))
    if not len(rows):
        raise InputError("nothing is drawn", mend="draw where the defect shall be")
    top, left = int(rows[0]), int(columns[0])
    index = index[top : rows[-1] + 1, left : columns[-1] + 1]
    planes = np.stack([index == number for number in range(1, classes + 1)])
    return BoxedMask((x + left, y + top, index.shape[1], index.shape[0]), planes)


def packed(mask: NDArray[np.bool_]) -> list[int]:
    """Return (h, w) bool as runs of 0 and 1: value, pixels, in turn."""
    flat = mask.ravel().astype(np.int8)
    starts = np.append(0, np.flatnonzero(np.diff(flat)) + 1)
    lengths = np.diff(np.append(starts, flat.size))
    return [int(n) for pair in zip(flat[starts], lengths, strict=True) for n in pair]
