"""Where a plate lies in a photo, and cropping it (and its masks) upright.

Coordinates are continuous photo pixels, x to the right and y down; the first pixel spans 0 to 1.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.sample import Image, Masks

PLATE_SIZE = (240, 1200)  # width, height

Corners = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class PlatePose:
    """Where a plate lies in a photo.

    corners: (x, y) of top-left, top-right, bottom-right, bottom-left, in photo pixels.
    angle: degrees by which the plate is turned clockwise from upright.
    """

    corners: Corners
    angle: float


def pose_of(corners: NDArray[np.floating[Any]]) -> PlatePose:
    """The pose of (4, 2) corners, top-left first, clockwise."""
    points = np.asarray(corners, dtype=np.float64)
    down = points[2] + points[3] - points[0] - points[1]
    angle = float(np.degrees(np.arctan2(-down[0], down[1])))
    a, b, c, d = ((float(x), float(y)) for x, y in points)
    return PlatePose((a, b, c, d), angle)


def to_photo(pose: PlatePose, size: tuple[int, int]) -> NDArray[np.float64]:
    """(3, 3) homography from pixel centres of an upright plate of ``size`` to those of the photo.

    Pixel centres lie half a pixel inside the corners' coordinates, on both sides.
    """
    width, height = size
    plate = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32) - 0.5
    photo = np.asarray(pose.corners, dtype=np.float32) - np.float32(0.5)
    return np.asarray(cv2.getPerspectiveTransform(plate, photo), dtype=np.float64)


def shrinkage(pose: PlatePose, size: tuple[int, int]) -> float:
    """Photo pixels a plate pixel spans, the larger of the two directions; below 1: enlarged."""
    a, b, c, d = (np.array(p) for p in pose.corners)
    width = max(np.linalg.norm(b - a), np.linalg.norm(c - d))
    height = max(np.linalg.norm(d - a), np.linalg.norm(c - b))
    return float(max(width / size[0], height / size[1]))


def rectify(photo: Image, pose: PlatePose, size: tuple[int, int] = PLATE_SIZE) -> Image:
    """Crop the plate upright: (H, W) or (H, W, 3) uint8 photo to ``size`` (width, height).

    A plate larger than ``size`` is sampled at the photo's own pitch and then averaged by area, so
    that fine texture does not alias.
    """
    fold = max(1, int(np.ceil(shrinkage(pose, size))))
    fine = (size[0] * fold, size[1] * fold)
    upright = _warp(photo, pose, fine, cv2.INTER_LINEAR)
    if fold > 1:
        return np.asarray(cv2.resize(upright, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return upright


def rectify_masks(masks: Masks, pose: PlatePose, size: tuple[int, int] = PLATE_SIZE) -> Masks:
    """Crop masks (K, H, W) bool upright: (K, height, width) bool.

    Rule: a pixel is set where the mask covers at least ``0.5 / shrinkage`` of it. A line one photo
    pixel wide always covers that much of one of the two pixels it straddles, so no label vanishes,
    while the rim of a large mask grows by less than half a pixel. (A bare majority would lose thin
    scratches, any coverage at all would thicken everything.)
    """
    shrink = max(1.0, shrinkage(pose, size))
    fold = int(np.ceil(shrink))
    fine = (size[0] * fold, size[1] * fold)
    out = np.zeros((masks.shape[0], size[1], size[0]), dtype=np.bool_)
    for plane, mask in enumerate(masks):
        fine_mask = _warp(mask.astype(np.uint8) * 255, pose, fine, cv2.INTER_LINEAR)
        cover = cv2.resize(fine_mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) / 255
        # A hair of tolerance: 8-bit interpolation rounds.
        out[plane] = cover >= 0.5 / shrink - 0.004
    return out


def _warp(
    source: NDArray[np.uint8], pose: PlatePose, size: tuple[int, int], interpolation: int
) -> NDArray[np.uint8]:
    matrix = to_photo(pose, size)
    flags = interpolation | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(source, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, dtype=np.uint8)
