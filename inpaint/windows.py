"""Windows: the square of a picture that the generator sees, and the way back into the picture.

A window is at native resolution unless its defect is larger than that; then the window is larger
and seen at a lower scale, and what was painted comes back as an enlarged change.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.sample import Image, Masks

Box = tuple[int, int, int, int]
# The longer side of a window, in parts of its defect's: what surrounds the defect must be seen.
CONTEXT = 1.3
# A pixel of a scaled mask is marked if so much of it is covered; of a thin line, any.
COVERED = 0.25


@dataclass(frozen=True)
class Window:
    """A square of ``side`` pixels at column x, row y (it may stick out), seen as ``size`` pixels.

    side is ``size``, or more where the defect is larger.
    """

    x: int
    y: int
    side: int
    size: int

    @property
    def scaled(self) -> bool:
        return self.side != self.size

    def image(self, image: Image) -> Image:
        """Return the uint8 (size, size[, 3]) view; beyond the picture's edge it is mirrored."""
        view = self._cut(image, cv2.BORDER_REFLECT_101)
        if not self.scaled:
            return view
        scaled = cv2.resize(view, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return np.asarray(scaled, np.uint8)

    def masks(self, masks: Masks) -> Masks:
        """Return the (K, size, size) view of masks; beyond the picture's edge nothing is marked."""
        return np.stack([self._mask(plane) for plane in masks])

    def inside(self, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Return where the window lies in a picture of ``shape``, and which part of it that is."""
        rows = max(0, self.y), min(shape[0], self.y + self.side)
        columns = max(0, self.x), min(shape[1], self.x + self.side)
        return (slice(*rows), slice(*columns)), (
            slice(rows[0] - self.y, rows[1] - self.y),
            slice(columns[0] - self.x, columns[1] - self.x),
        )

    def enlarged(self, change: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a (size, size[, 3]) change at the picture's own scale, (side, side[, 3])."""
        if not self.scaled:
            return change
        full = cv2.resize(change, (self.side, self.side), interpolation=cv2.INTER_CUBIC)
        return np.asarray(full, np.float32)

    def _mask(self, plane: Masks) -> Masks:
        view = self._cut(plane.view(np.uint8), cv2.BORDER_CONSTANT)
        if self.scaled:
            size = (self.size, self.size)
            covered = cv2.resize(view.astype(np.float32), size, interpolation=cv2.INTER_AREA)
            return _marked(np.asarray(covered, np.float32))
        return np.asarray(view > 0)

    def _cut(self, plane: NDArray[np.uint8], border: int) -> NDArray[np.uint8]:
        (rows, columns), (own_rows, own_columns) = self.inside(plane.shape)
        view = plane[rows, columns]
        pads = (
            own_rows.start,
            self.side - own_rows.stop,
            own_columns.start,
            self.side - own_columns.stop,
        )
        if not any(pads):
            return view
        return np.asarray(cv2.copyMakeBorder(view, *pads, borderType=border), np.uint8)


def side_for(box: Box, size: int) -> int:
    """Return the side of the window for a hole of this box (x, y, width, height)."""
    return max(size, round(CONTEXT * max(box[2], box[3])))


def window_at(
    box: Box, shape: tuple[int, ...], size: int, shift: tuple[float, float] = (0.5, 0.5)
) -> Window:
    """Return a window that holds the whole box, inside of the picture as far as that has room.

    shape: (H, W, ...) of the picture; shift: (x, y) in 0 to 1, where the box lies in the window.
    """
    side = side_for(box, size)
    x = _start(box[0], box[2], side, shape[1], shift[0])
    y = _start(box[1], box[3], side, shape[0], shift[1])
    return Window(x, y, side, size)


def _marked(covered: NDArray[np.float32]) -> Masks:
    """Return which pixels a mask marks that covers so much of each, 0 to 1.

    Every touched pixel is marked or lies beside one that is, so that no line breaks or vanishes.
    """
    enough = np.asarray(covered >= COVERED)
    beside = cv2.dilate(enough.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return np.asarray(enough | ((covered > 0) & ~beside))


def _start(start: int, length: int, side: int, full: int, shift: float) -> int:
    if full <= side:
        return -((side - full) // 2)
    low, high = max(0, start + length - side), min(start, full - side)
    return low + round((high - low) * shift)
