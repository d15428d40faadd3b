"""Joining a patch into a surface: tone, then the seam. All arrays of a call share one window."""

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.data.visibility import distance_outside
from flawsmith.sample import Image, Masks

# Limits on the contrast gain between two surfaces; beyond, noise would be amplified, not defects.
GAIN = (0.5, 2.0)
MIN_RING_PIXELS = 8
CLONE_EROSION = 3


def match_tone(patch: Image, clean: Masks, target: Image, target_clean: Masks) -> Image:
    """Return the patch with the tone of the target's surface.

    patch, target: (h, w) or (h, w, 3) uint8; clean, target_clean: (h, w) bool, where each shows
    plain surface. Per channel, the patch's differences from its own surface's median are added to
    the target's median, scaled by the ratio of the two (exposure) within GAIN. Without enough
    surface in both the patch is returned as it is.
    """
    if min(clean.sum(), target_clean.sum()) < MIN_RING_PIXELS:
        return patch
    own = np.median(patch[clean], axis=0).astype(np.float32)
    theirs = np.median(target[target_clean], axis=0).astype(np.float32)
    gain = np.clip((theirs + 1) / (own + 1), *GAIN)
    toned = theirs + (patch.astype(np.float32) - own) * gain
    return np.asarray(np.clip(np.rint(toned), 0, 255), np.uint8)


def hole_of(mask: Masks, width: int) -> Masks:
    """Return the pixels that a seam of this width may change: within ``width`` of the mask."""
    return np.asarray(distance_outside(mask) <= width)


def feather(target: Image, patch: Image, mask: Masks, width: int) -> Image:
    """Return the target with the patch where the mask is, fading out over ``width`` pixels around.

    Outside of ``hole_of(mask, width)`` the target's bytes are kept.
    """
    distance = distance_outside(mask)
    alpha = np.clip(1 - distance / (width + 1), 0, 1) * (distance <= width)
    if target.ndim == 3:
        alpha = alpha[..., None]
    mixed = target + alpha * (patch.astype(np.float32) - target)
    return np.asarray(np.clip(np.rint(mixed), 0, 255), np.uint8)


def poisson(target: Image, patch: Image, mask: Masks, width: int) -> Image:
    """Return the target with the patch's gradients where the mask (grown by ``width``) is.

    Poisson image editing (Perez 2003) by OpenCV's seamlessClone. The mask is grown first: on the
    defect's own edge the seam would carry the defect's colour into the boundary and wash it out.
    Outside of ``hole_of(mask, width)`` the target's bytes are kept.
    """
    hole = hole_of(mask, width)
    # seamlessClone needs three channels, and erodes its mask by three pixels before it solves.
    pad = CLONE_EROSION + 2
    source, base = (_three(np.pad(a, _widths(a, pad), "edge")) for a in (patch, target))
    grown = cv2.dilate(np.pad(hole, pad).view(np.uint8), np.ones((3, 3)), iterations=CLONE_EROSION)
    region = np.asarray(grown, np.uint8) * 255
    x, y, w, h = cv2.boundingRect(region)
    cloned = cv2.seamlessClone(source, base, region, (x + w // 2, y + h // 2), cv2.NORMAL_CLONE)
    inner = cloned[pad:-pad, pad:-pad]
    result = target.copy()
    result[hole] = (inner if target.ndim == 3 else inner[..., 0])[hole]
    return result


def _three(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def _widths(image: Image, pad: int) -> list[tuple[int, int]]:
    return [(pad, pad), (pad, pad)] + [(0, 0)] * (image.ndim - 2)
