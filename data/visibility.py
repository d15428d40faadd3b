"""Is a painted change visible? The finished contrast against that of the untouched surface."""

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.sample import Image, Masks

# A change is visible when the contrast exceeds the surface's own by some grey levels and by this
# factor. Chosen on magnetic_tile: clean surface pasted onto clean surface passes in 16 of 100
# cases (real streaks and stains), real blowholes and cracks in 97 to 99. A mean absolute change
# would not do: two draws of the same noise differ by more than its standard deviation.
MIN_GAIN = 3.0
MIN_RATIO = 1.5
RING = (2, 16)
MIN_RING_PIXELS = 8


def visibility(before: Image, after: Image, mask: Masks) -> tuple[float, float]:
    """Return the contrast inside the mask, after and before the change, in grey levels 0 to 255.

    before, after: (H, W[, 3]) uint8; mask: (H, W) bool, not empty. Contrast is the mean distance
    of the pixels (smoothed over 3x3, so that single-pixel noise counts little) from the median of
    the surface 2 to 16 pixels around the mask.
    """
    box = window(mask, RING[1])
    inside = mask[box]
    distance = distance_outside(inside)
    around = (distance > RING[0]) & (distance <= RING[1])
    if around.sum() < MIN_RING_PIXELS:
        around = np.ones_like(inside)
    old, new = (cv2.blur(to_grey(a[box]).astype(np.float32), (3, 3)) for a in (before, after))
    level = np.median(old[around])
    return float(np.abs(new[inside] - level).mean()), float(np.abs(old[inside] - level).mean())


def is_visible(before: Image, after: Image, mask: Masks) -> bool:
    """Tell whether the change inside the mask stands out of the surface."""
    made, surface = visibility(before, after, mask)
    return made - surface >= MIN_GAIN and made >= MIN_RATIO * (surface + 1)


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
