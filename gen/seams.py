"""Where two parts of a plate meet: blending the step between them, and measuring what is left.

A plate (H, W) or (H, W, 3) stacks its parts from the top. A seam is named by its row: the first of
the lower part. The line across it is the difference of that row and the one above.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.sample import Image, Masks

# Pixels along the seam (standard deviation) over which the step is averaged: grain stays.
SMOOTH = 6.0
NEAR = 8  # lines on either side that the seam's own is compared with
# Grey levels added to both sides of the score's ratio, so that flat pictures have one.
FLAT = 0.1
Field = NDArray[np.float32]


def blend_seam(plate: Image, row: int, width: int, marked: Masks) -> Image:
    """Return the plate with the step at ``row`` spread over ``width`` pixels of both parts.

    plate: (H, W[, 3]) uint8; marked: (H, W) bool, pixels that keep their bytes (defects). All
    outside of rows ``row - width`` to ``row + width - 1`` keeps its bytes too.

    Poisson image editing (Perez 2003) across the seam alone: both parts keep their gradients up
    to a constant that closes the gap, and the outer rows stay. In the gap itself the wanted
    gradient is not 0 but the mean of those just above and below: where anode and glass meet, a
    real plate has a step too, and a seam flatter than real ones would be as telling.
    """
    step = _excess(plate.astype(np.float32), row, marked)
    # The strip has 2 * width + 1 gaps, and each is to take an equal share.
    shares = np.arange(1, width + 1, dtype=np.float32) / (2 * width + 1)
    shift = np.concatenate([shares, -shares[::-1]])[(..., *[None] * (plate.ndim - 1))] * step
    strip = slice(row - width, row + width)
    moved = np.clip(np.rint(plate[strip] + shift), 0, 255).astype(np.uint8)
    blended = plate.copy()
    free = ~marked[strip]
    blended[strip][free] = moved[free]
    return blended


def _excess(plate: Field, row: int, marked: Masks) -> Field:
    """Return (W[, 3]) the step at the seam beyond the gradients beside it, smooth along it.

    Columns with a marked pixel there are left out of the average; far from any other it is 0.
    """
    above, upper, lower, below = plate[row - 2 : row + 2]
    step = (lower - upper) - ((upper - above) + (below - lower)) / 2
    clean = np.asarray(~marked[row - 2 : row + 2].any(axis=0), np.float32)
    columns = clean.reshape(-1, *[1] * (plate.ndim - 2))
    weight = _along(clean).reshape(columns.shape)
    return np.asarray(_along(step * columns) / np.maximum(weight, 1e-6), np.float32)


def _along(values: Field) -> Field:
    """Smooth (W[, C]) along its first axis."""
    blurred = cv2.GaussianBlur(values[None], (0, 0), sigmaX=SMOOTH, sigmaY=1e-3)
    return np.asarray(blurred, np.float32).reshape(values.shape)


def seam_score(plate: Image, row: int, marked: Masks) -> float | None:
    """Return how much steeper the line across the seam is than the ``NEAR`` on either side.

    The mean absolute gradient of that line over the mean of the others: about 1 on one texture,
    more where a real joint lies, far more at a cut edge. plate: (H, W[, 3]) uint8; marked: (H, W)
    bool. Columns with a marked pixel among these lines are left out; None if none remains.
    """
    top = max(0, row - 1 - NEAR)
    lines = plate[top : row + 1 + NEAR].astype(np.float32)
    free = ~marked[top : row + 1 + NEAR].any(axis=0)
    if not free.any():
        return None
    gradients = np.abs(np.diff(lines[:, free], axis=0)).reshape(len(lines) - 1, -1).mean(axis=1)
    seam = row - 1 - top
    around = np.delete(gradients, seam).mean()
    return float((gradients[seam] + FLAT) / (around + FLAT))
