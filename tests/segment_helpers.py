"""Marks on a textured surface for the downstream check: sets that help, hurt, or do nothing."""

import cv2
import numpy as np

from flawsmith.seeding import rng
from tests.segmenter_helpers import settings, write_set

SIDE = 64
SURFACE, BRIGHT, DARK = 110, 205, 20
QUICK = {"steps": 14, "seeds": 3, "rate": 4e-3, "mixing": "constant", "share": 0.8}


def quick(**changes):
    """Settings of a check of a few seconds a run."""
    return settings(**QUICK | changes)


def marked(stream, index, level):
    """Return a picture with a spot of this level, or none for a clean one, and its (1, H, W)."""
    generator = rng(index, "mark", stream)
    noise = cv2.GaussianBlur(generator.normal(0, 30, (SIDE, SIDE)), (0, 0), 1.5)
    image = SURFACE + noise
    rows, columns = np.mgrid[:SIDE, :SIDE]
    y, x = generator.integers(12, SIDE - 12, 2)
    inside = (np.hypot(rows - y, columns - x) <= generator.integers(6, 10))[None]
    if level is None:
        inside[:] = False
    else:
        image = np.where(inside[0], level + 0.5 * noise, image)
    return np.clip(image, 0, 255).astype(np.uint8), inside


def marks(root, stream, *levels):
    """Write a picture for each level; return the scan. Every picture is a group of its own."""
    pairs = [marked(stream, i, level) for i, level in enumerate(levels)]
    return write_set(root / stream, *zip(*pairs, strict=True), classes=("mark",))


def noise(root, stream, count):
    """Write bright marks that no mask shows, and masks of plain surface; return the scan."""
    pairs = [marked(stream, i, BRIGHT) for i in range(count)]
    images = [image for image, _ in pairs]
    masks = [scattered(i) & ~mark for i, (_, mark) in enumerate(pairs)]
    return write_set(root / stream, images, masks, classes=("mark",))


def scattered(index):
    """Return (1, H, W) bool: random blobs over a third of the picture."""
    values = cv2.GaussianBlur(rng(index, "noise").normal(size=(SIDE, SIDE)), (0, 0), 4)
    return (values > np.quantile(values, 2 / 3))[None]
