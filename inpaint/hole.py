"""The hole: the pixels that painting may change, and how strongly. For training and painting alike.

The hole is cut where the picture is whole: in a crop of it, a mask beyond the crop's edge would no
longer reach in.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.data.visibility import distance_outside, window
from flawsmith.sample import Masks

# Up to this radius a dilation by the disc, as exact, is several times quicker than distances.
SMALL = 8


def hole_of(union: Masks, grow: int) -> Masks:
    """Return (H, W) bool: the pixels within ``grow`` pixels of the mask, the mask among them.

    union: (H, W) bool, the pixels of any class; grow: at least 0 (the mask itself).
    """
    hole = np.zeros(union.shape, bool)
    if union.any():
        # All else is farther away than ``grow``, and most of a picture is.
        box = window(union, grow)
        hole[box] = _grown(np.ascontiguousarray(union[box]), grow)
    return hole


def _grown(part: Masks, grow: int) -> Masks:
    if grow > SMALL:
        return np.asarray(distance_outside(part) <= grow)
    reach = np.arange(-grow, grow + 1)
    disc = np.add.outer(reach**2, reach**2) <= grow**2
    return np.asarray(cv2.dilate(part.view(np.uint8), disc.view(np.uint8)), np.uint8).view(bool)


def soft_of(hole: Masks, feather: int) -> NDArray[np.float32]:
    """Return (H, W) float32 in [0, 1]: how much of the painted pixel is taken.

    Exactly 0 outside of the hole, above 0 inside, and 1 from ``feather`` pixels deep on. With
    ``hole_of(union, grow)`` and ``grow >= feather`` it is exactly 1 on the mask: every pixel of the
    mask lies deeper than ``grow``. The picture's edge is no edge of the hole, so a defect that the
    picture cuts is not faded there. feather 0 or 1 gives the hole itself.
    """
    soft = np.zeros(hole.shape, np.float32)
    if hole.any():
        # The nearest pixel outside is never farther away than the box's own rim.
        box = window(hole, 1)
        soft[box] = _faded(np.ascontiguousarray(hole[box]), feather)
    return soft


def _faded(hole: Masks, feather: int) -> NDArray[np.float32]:
    if hole.all():
        return np.ones(hole.shape, np.float32)  # no edge to measure from
    deep = cv2.distanceTransform(hole.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    t = np.clip(np.asarray(deep, np.float32) / max(feather, 1), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
