"""Is a painted change visible? Its size against the noise of the surface around it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.sample import Image, Masks

# A change is visible when its mean exceeds both: some grey levels, and the surface's own noise.
MIN_CHANGE = 4.0
MIN_NOISE_RATIO = 1.0
RING = 8


def visibility(before: Image, after: Image, mask: Masks) -> tuple[float, float]:
    """Return (mean absolute change inside the mask, noise around it), in grey levels 0 to 255.

    before, after: (H, W[, 3]) uint8; mask: (H, W) bool, not empty. Noise is the standard deviation
    of the surface about its local mean within 8 pixels of the mask, by the median absolute
    deviation, so that edges and other defects count little.
    """
    rows, columns = window(mask, 2 * RING)
    old, new, inside = before[rows, columns], after[rows, columns], mask[rows, columns]
    change = np.abs(new.astype(np.float32) - old)
    if change.ndim == 3:
        change = change.mean(axis=2)
    grey = to_grey(old).astype(np.float32)
    detail = grey - cv2.blur(grey, (9, 9))
    near = cv2.dilate(inside.view(np.uint8), np.ones((2 * RING + 1,) * 2, np.uint8)) > 0
    noise = 1.4826 * float(np.median(np.abs(detail[near])))
    return float(change[inside].mean()), noise


def is_visible(before: Image, after: Image, mask: Masks) -> bool:
    """Tell whether the change inside the mask can be seen against the surface."""
    change, noise = visibility(before, after, mask)
    return change >= max(MIN_CHANGE, MIN_NOISE_RATIO * noise)


def to_grey(image: Image) -> Image:
    """Return (H, W) uint8 luminance of a grey or RGB image."""
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def distance_outside(mask: Masks) -> NDArray[np.float32]:
    """Return each pixel's Euclidean distance to the mask, 0 inside; infinite if it is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    outside = (~mask).view(np.uint8)
    return np.asarray(
        cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32
    )


def window(mask: Masks, margin: int) -> tuple[slice, slice]:
    """Return the slices of a non-empty mask's box, widened by ``margin`` within the image."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )
