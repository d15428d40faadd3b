"""A real defect's look under a mask that is not its own."""

from dataclasses import replace

import cv2
import numpy as np

from flawsmith.augment.bank import Cutout
from flawsmith.data.visibility import distance_outside, window
from flawsmith.sample import Image, Masks

# A defect stretched further than this in either direction turns into smears and blocks.
MOST_STRETCH = 4.0


def fits(cutout: Cutout, mask: Masks) -> bool:
    """Tell whether the defect is enough of the size and shape of a tight (h, w) mask."""
    own = cutout.mask[window(cutout.mask, 0)].shape
    factors = [new / old for new, old in zip(mask.shape, own, strict=True)]
    return all(1 / MOST_STRETCH <= factor <= MOST_STRETCH for factor in factors)


def reshape(cutout: Cutout, mask: Masks, margin: int) -> Cutout:
    """Return the cutout stretched to a tight (h, w) mask, with ``margin`` pixels of surface around.

    Pixels of the mask that the stretched defect does not cover take the nearest defect pixel.
    """
    box = window(cutout.mask, 0)
    size = (mask.shape[1], mask.shape[0])
    shrinks = mask.size < cutout.mask[box].size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    image = cv2.resize(cutout.image[box], size, interpolation=method)
    own = cv2.resize(cutout.mask[box].view(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    filled = _continue(np.asarray(image, np.uint8), np.asarray(own) > 0)
    padded = np.pad(mask, margin)
    tone = np.median(cutout.image[cutout.clean], axis=0) if cutout.clean.any() else 0
    surface = np.empty((*padded.shape, *cutout.image.shape[2:]), np.uint8)
    surface[:] = tone
    inner = surface[margin:-margin, margin:-margin]
    inner[mask] = filled[mask]
    clean = distance_outside(padded) > 3
    # The seam fades from the defect's edge, not from the flat surface around it.
    edge = _continue(surface, padded)
    surface[~clean] = edge[~clean]
    return replace(cutout, image=surface, mask=padded, clean=clean, touches=frozenset())


def _continue(image: Image, known: Masks) -> Image:
    """Return the image with each unknown pixel set to the nearest known one."""
    if known.all() or not known.any():
        return image
    _, labels = cv2.distanceTransformWithLabels(
        (~known).view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    lookup = np.zeros((int(labels.max()) + 1, *image.shape[2:]), np.uint8)
    lookup[labels[known]] = image[known]
    return np.asarray(lookup[labels], np.uint8)


def as_channels(image: Image, dimensions: int) -> Image:
    """Return the image as grey (2 dimensions) or RGB (3), as the surface it goes into."""
    if image.ndim == dimensions:
        return image
    code = cv2.COLOR_RGB2GRAY if dimensions == 2 else cv2.COLOR_GRAY2RGB
    return np.asarray(cv2.cvtColor(image, code), np.uint8)
