"""Candidates and real images as the page shows them: small, cropped, whole, with outlines."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from flawsmith.data.images import encode_jpeg
from flawsmith.data.thumbnails import Box, defect_box, thumbnail
from flawsmith.sample import Image, Masks, Sample

# Widths in pixels: a tile of the list, a crop, a whole picture.
TILE = 168
CROP = 1200
WHOLE = 1600
# Points of all outlines of a picture; a speckled mask is drawn coarser.
POINTS = 20_000


def tile(sample: Sample) -> bytes:
    """Return a small JPEG of the sample's defect."""
    return encode_jpeg(thumbnail(sample, width=TILE, zoom_to_defect=True).image, 80)


def shrunk(image: Image, width: int) -> Image:
    """Return the picture at most so wide, and at most so high."""
    scale = width / max(image.shape[:2])
    if scale >= 1:
        return image
    size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def cropped(image: Image, box: Box, width: int = CROP) -> bytes:
    """Return a box (x, y, width, height) of the picture as a JPEG."""
    x, y, w, h = box
    return encode_jpeg(shrunk(image[y : y + h, x : x + w], width), 92)


def box_of(sample: Sample) -> Box:
    """Return what to show large of a sample: its defect with surroundings, or all of it."""
    return defect_box(sample.union) if sample.masks.any() else (0, 0, *sample.size)


def outlines(masks: Masks, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return an SVG path around each class's marks, in pixels of the picture.

    masks: (K, H, W) bool. A path runs along the outer pixels' centres, holes with it.
    """
    found = []
    for name, plane in zip(names, masks, strict=True):
        if plane.any():
            lines, _ = cv2.findContours(
                plane.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE
            )
            found.append({"class": name, "path": _path([line[:, 0] for line in lines])})
    return found


def _path(lines: Sequence[np.ndarray[Any, Any]]) -> str:
    coarse = -(-sum(map(len, lines)) // POINTS)
    parts = []
    for line in lines:
        points = " ".join(f"{x}.5,{y}.5" for x, y in line[::coarse].tolist())
        parts.append(f"M{points}Z")
    return "".join(parts)
