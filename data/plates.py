"""Battery plates in raw photos: find the plate by its edges, crop it upright, divide it.

A plate is 1:5 (width : height) and lies on a bench, turned by up to 15 degrees. Photos are taken
the right way up: whether anode or cathode is at the top cannot be told here and is not guessed.
``locate_plate`` reads as: edges, rectangles of edges at every angle, the one that is left,
its sides to a fraction of a pixel, contrast of inside and outside.
"""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.data.plate_box import Box, Edges, find_boxes
from flawsmith.data.plate_pose import PLATE_SIZE, PlatePose, pose_of, rectify, rectify_masks
from flawsmith.errors import InputError
from flawsmith.sample import Image, Masks

__all__ = [
    "PARTS",
    "PLATE_SIZE",
    "PlatePose",
    "divide",
    "divide_masks",
    "locate_plate",
    "rectify",
    "rectify_masks",
]

PARTS = ("anode", "glass", "cathode")  # from the top, each a third of the height
Points = NDArray[np.float64]


class Finder(NamedTuple):
    """Settings of the plate finder; lengths in pixels of the shrunken photo or plate widths."""

    coarse_side: int = 450  # px, long side of the copy that rectangles are searched in
    fine_side: int = 1500  # px, long side of the copy that the sides are measured in
    smooth: float = 0.7  # px, standard deviation of the blur before gradients are taken
    reach: float = 0.025  # plate widths, how far from the found side its true place may be
    clear_step: float = 0.55  # of the strongest step across a piece of a side
    pieces: int = 10  # of a side, averaged along it so that grain drops out and the side stays
    band: float = 0.1  # plate widths, the band inside and outside that contrast is taken from
    contrast: float = 8.0  # grey levels between inside and outside, in any channel
    contrast_share: float = 0.6  # of all sides must reach that contrast
    side_share: float = 0.3  # of each side
    samples: int = 80  # places along each side
    aspect_slack: float = 0.04  # the measured plate's height over five widths, at most this off
    shape_slack: float = 0.05  # by how much opposite sides may differ
    border: float = 0.1  # plate widths of bench that must show all around, to tell it from plate


FINDER = Finder()


# Pixels of the photo: a narrower "plate" would be blown up more than four times.
LEAST_WIDTH = PLATE_SIZE[0] / 4


def locate_plate(photo: Image) -> PlatePose | None:
    """Find the one plate of a photo, (H, W) or (H, W, 3) uint8, by its edges.

    None when it is not sure: no plate, a plate cut by the photo's border, two plates, a plate under
    60 pixels wide, too little contrast. Nothing is guessed. Made for photos from 512x750 to
    4096x6000. A seam of the bench that runs just along an end of the plate may be taken for it:
    1.5 percent of the height off.
    """
    coarse, shrink = _shrunk(photo, FINDER.coarse_side)
    boxes = find_boxes(Edges.of(coarse))
    if not boxes:
        return None
    best = boxes[0]
    if any(best.is_apart_from(box) for box in boxes[1:]):
        return None
    fine, fine_shrink = _shrunk(photo, FINDER.fine_side)
    corners = _measure(fine, best, shrink / fine_shrink)
    if corners is None or not _is_whole_plate(corners, fine):
        return None
    corners = corners * fine_shrink
    if np.linalg.norm(corners[1] - corners[0]) < LEAST_WIDTH:
        return None
    return pose_of(corners)


def _shrunk(photo: Image, side: int) -> tuple[NDArray[np.float32], float]:
    """A lightly smoothed float32 copy, (H, W, C), of long side at most ``side``; its shrinkage."""
    shrink = max(1.0, max(photo.shape[:2]) / side)
    colour = photo if photo.ndim == 3 else photo[..., None]
    size = (round(photo.shape[1] / shrink), round(photo.shape[0] / shrink))
    small = cv2.resize(colour, size, interpolation=cv2.INTER_AREA) if shrink > 1 else colour
    smooth = cv2.GaussianBlur(np.asarray(small, dtype=np.float32), (0, 0), FINDER.smooth)
    return np.asarray(smooth, np.float32).reshape(size[1], size[0], -1), shrink


def _measure(image: NDArray[np.float32], box: Box, zoom: float) -> Points | None:
    """Corners (4, 2) in ``image``, a ``zoom`` larger copy of the one ``box`` was found in."""
    corners = box.corners() * zoom
    width = box.width * zoom
    # One coarse pixel of doubt, plus what perspective may bend.
    reach = max(FINDER.reach * width, 1.6 * zoom)
    lines, contrasts = [], []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        line, contrast = _side(image, start, end, reach, FINDER.band * width)
        lines.append(line)
        contrasts.append(contrast)
    shares = [float(np.mean(contrast > FINDER.contrast)) for contrast in contrasts]
    if np.mean(shares) < FINDER.contrast_share or min(shares) < FINDER.side_share:
        return None
    found = [_crossing(lines[n - 1], lines[n]) for n in range(4)]
    return np.array(found)


def _side(
    image: NDArray[np.float32], start: Points, end: Points, reach: float, band: float
) -> tuple[tuple[Points, Points], NDArray[np.float32]]:
    """The straight side near ``start`` to ``end``: (a point, its direction), and the contrast.

    contrast: (samples,) grey levels between the bands inside and outside, largest over channels.
    """
    along = (end - start) / np.linalg.norm(end - start)
    inward = np.array([-along[1], along[0]])  # corners run clockwise, so the plate is to the right
    share = np.linspace(0.06, 0.94, FINDER.samples)
    foot = start + share[:, None] * (end - start)
    offsets = np.arange(-reach - 1, reach + 1.01, 0.5)
    values = _sample(image, foot[:, None] + offsets[None, :, None] * inward)
    pieces = values.reshape(FINDER.pieces, -1, *values.shape[1:]).mean(axis=1)
    steps = np.abs(pieces[:, 2:] - pieces[:, :-2]).max(axis=2)
    place = offsets[1:-1][np.argmax(_is_clear_peak(steps), axis=1)]
    points = foot.reshape(FINDER.pieces, -1, 2).mean(axis=1) + place[:, None] * inward
    line = cv2.fitLine(points.astype(np.float32), cv2.DIST_HUBER, 0, 0.01, 0.01).ravel()
    inside, outside = (
        _sample(image, foot[:, None] + (sign * np.linspace(0.4, 1, 6) * band)[:, None] * inward)
        for sign in (1, -1)
    )
    contrast = np.abs(inside.mean(axis=1) - outside.mean(axis=1)).max(axis=1)
    return (line[2:].astype(np.float64), line[:2].astype(np.float64)), contrast


def _is_clear_peak(steps: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(N, M) bool: local maxima along the second axis that are clear steps."""
    padded = np.pad(steps, ((0, 0), (1, 1)))
    peak = (steps >= padded[:, :-2]) & (steps >= padded[:, 2:])
    return np.asarray(peak & (steps >= FINDER.clear_step * steps.max(axis=1, keepdims=True)))


def _sample(image: NDArray[np.float32], points: NDArray[Any]) -> NDArray[np.float32]:
    """(..., C) bilinear values at (..., 2) continuous points."""
    at = np.asarray(points - 0.5, dtype=np.float32)
    got = cv2.remap(
        image,
        np.ascontiguousarray(at[..., 0]),
        np.ascontiguousarray(at[..., 1]),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(got, dtype=np.float32).reshape(*at.shape[:-1], image.shape[2])


def _crossing(one: tuple[Points, Points], other: tuple[Points, Points]) -> Points:
    (p, d), (q, e) = one, other
    t = np.linalg.solve(np.stack([d, -e], axis=1), q - p)[0]
    return np.asarray(p + t * d)


def _is_whole_plate(corners: Points, image: NDArray[np.float32]) -> bool:
    """Whether the measured corners are those of a plate wholly inside the photo."""
    top, right, bottom, left = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    border = FINDER.border * (top + bottom) / 2
    limit = np.array([image.shape[1], image.shape[0]]) - border
    if not ((corners >= border) & (corners <= limit)).all():
        return False
    if max(abs(top / bottom - 1), abs(right / left - 1)) > FINDER.shape_slack:
        return False
    aspect = PLATE_SIZE[1] / PLATE_SIZE[0]
    return bool(abs((left + right) / (aspect * (top + bottom)) - 1) <= FINDER.aspect_slack)


def divide(plate: Image) -> dict[str, Image]:
    """Cut an upright plate (H, W) or (H, W, 3) into its parts, each (H / 3, W[, 3])."""
    return dict(zip(PARTS, _thirds(plate, axis=0), strict=True))


def divide_masks(masks: Masks) -> dict[str, Masks]:
    """Cut masks (K, H, W) of an upright plate into its parts, each (K, H / 3, W)."""
    return dict(zip(PARTS, _thirds(masks, axis=1), strict=True))


def _thirds(array: NDArray[Any], axis: int) -> list[NDArray[Any]]:
    height = array.shape[axis]
    if height % len(PARTS):
        raise InputError(
            f"a plate {height} px high cannot be divided into {len(PARTS)} equal parts",
            mend=f"crop plates to {PLATE_SIZE[0]}x{PLATE_SIZE[1]}",
        )
    return [np.ascontiguousarray(part) for part in np.split(array, len(PARTS), axis=axis)]
