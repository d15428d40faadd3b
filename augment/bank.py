"""The bank: real defects by class, cut out of their photos, and changed as one draws them.

An entry is a cluster of a class's connected components that lie close together, so that a cloud of
pits stays a cloud.
"""

import math
from collections import defaultdict
from dataclasses import dataclass, replace

import cv2
import numpy as np

from flawsmith.augment.noise import wobble
from flawsmith.augment.settings import AugmentSettings
from flawsmith.data.cache import SampleCache
from flawsmith.data.clusters import clusters
from flawsmith.data.scan import Component, Scan
from flawsmith.data.visibility import distance_outside
from flawsmith.sample import Image, Masks

# Components of a class this close (in pixels, between boxes) count as one defect.
CLUSTER_GAP = 12
# Surface cut out with the defect on each side, at least, for its tone and its seam.
MARGIN = 12
# A wobble is measured on defects up to this size; larger ones keep its amplitude.
WOBBLED = 64
# Surface nearer than this to any defect may be part of it: annotations are a pixel or two off.
CLEARANCE = 3
MIN_AREA = 4


@dataclass(frozen=True)
class Entry:
    """A defect in the bank: sample index, plane, and its box (x0, y0, x1, y1) in pixels."""

    sample: int
    plane: int
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Cutout:
    """A defect with the surface around it.

    image: (h, w[, 3]) uint8; mask: (h, w) bool, the defect; clean: (h, w) bool, plain surface.
    touches: borders of its photo that cut the defect; centre: its relative (x, y) there.
    """

    image: Image
    mask: Masks
    clean: Masks
    touches: frozenset[str]
    centre: tuple[float, float]


Bank = dict[int, tuple[tuple[int, tuple[Entry, ...]], ...]]


def make_bank(scan: Scan, planes: tuple[int, ...]) -> Bank:
    """Return, a class, the (sample index, entries) of the samples that show it."""
    bank: dict[int, list[tuple[int, tuple[Entry, ...]]]] = defaultdict(list)
    for index, facts in enumerate(scan.facts):
        for plane in planes:
            parts = [c for c in facts.components if c.plane == plane]
            entries = tuple(
                Entry(index, plane, box) for box, area in _clusters(parts) if area >= MIN_AREA
            )
            if entries:
                bank[plane].append((index, entries))
    return {plane: tuple(entries) for plane, entries in bank.items()}


def draw_entry(generator: np.random.Generator, bank: Bank, plane: int) -> Entry:
    """Draw an image of the class, then one of its defects: no image crowds out the others."""
    images = bank[plane]
    _, entries = images[generator.integers(len(images))]
    return entries[generator.integers(len(entries))]


def _clusters(parts: list[Component]) -> list[tuple[tuple[int, int, int, int], int]]:
    """Return (box, area) of the groups of components whose boxes lie within CLUSTER_GAP."""
    boxes = [(c.x, c.y, c.width, c.height) for c in parts]
    return [
        ((x, y, x + w, y + h), sum(parts[i].area for i in members))
        for (x, y, w, h), members in clusters(boxes, CLUSTER_GAP)
    ]


def margin_for(settings: AugmentSettings) -> int:
    """Return the margin in pixels that holds the seam after the strongest wobble and shrinking.

    A seam cut short by the end of its patch would show as a straight edge.
    """
    # Cubic interpolation overshoots the drawn displacements by up to some 40%.
    wobbled = 1.4 * settings.elastic * WOBBLED / 2
    return max(MARGIN, math.ceil((settings.feather + 1 + wobbled) / min(1.0, settings.scale[0])))


def cut_out(samples: SampleCache, entry: Entry, margin: int = MARGIN) -> Cutout:
    """Cut a defect out of its photo with its margin of surface.

    Where the photo ends within the margin, yet does not cut the defect, its edge is repeated.
    """
    sample = samples[entry.sample]
    height, width = sample.image.shape[:2]
    x0, y0, x1, y1 = entry.box
    rows = slice(max(0, y0 - margin), min(height, y1 + margin))
    columns = slice(max(0, x0 - margin), min(width, x1 + margin))
    # Only this cluster: another one of its class may reach into the margin.
    mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
    own = slice(y0 - rows.start, y1 - rows.start), slice(x0 - columns.start, x1 - columns.start)
    mask[own] = sample.masks[entry.plane, y0:y1, x0:x1]
    others = np.asarray(sample.masks[:, rows, columns].any(axis=0))
    sides = {"left": x0 == 0, "top": y0 == 0, "right": x1 == width, "bottom": y1 == height}
    missing = (_missing(margin, y0, height - y1), _missing(margin, x0, width - x1))
    colours = [(0, 0)] * (sample.image.ndim - 2)
    return Cutout(
        image=np.pad(sample.image[rows, columns], (*missing, *colours), "edge"),
        mask=np.pad(mask, missing),
        clean=np.pad(distance_outside(others) > CLEARANCE, missing),
        touches=frozenset(side for side, cut in sides.items() if cut),
        centre=((x0 + x1) / 2 / width, (y0 + y1) / 2 / height),
    )


def _missing(margin: int, before: int, after: int) -> tuple[int, int]:
    """Return how many pixels of margin the photo lacks on two opposite sides.

    before, after: pixels from the defect to its borders; a border that cuts the defect lacks none.
    """
    low, high = (max(0, margin - gap) if gap else 0 for gap in (before, after))
    return low, high


def vary(generator: np.random.Generator, cutout: Cutout, settings: AugmentSettings) -> Cutout:
    """Return the defect flipped, turned, scaled and wobbled by one smooth map for all its arrays.

    A defect cut by a border is only flipped: any turn would expose the cut.
    """
    flipped = _flip(cutout, *generator.random(2) < 0.5)
    angle = np.deg2rad(generator.uniform(-settings.rotate, settings.rotate))
    factor = float(np.exp(generator.uniform(*np.log(settings.scale))))
    if flipped.touches:
        return flipped
    h, w = flipped.mask.shape
    cos, sin = np.cos(angle) * factor, np.sin(angle) * factor
    out_h = int(np.ceil(abs(h * cos) + abs(w * sin)))
    out_w = int(np.ceil(abs(w * cos) + abs(h * sin)))
    size = max(np.ptp(np.argwhere(flipped.mask), axis=0).max(), 8)
    dx, dy = wobble(
        generator, (out_h, out_w), settings.elastic * min(size, WOBBLED) / 2, max(size / 2, 8)
    )
    # Inverse map: from each output pixel back to the cutout, about both centres.
    y, x = np.mgrid[:out_h, :out_w].astype(np.float32)
    x, y = x - (out_w - 1) / 2 + dx, y - (out_h - 1) / 2 + dy
    map_x = ((x * cos + y * sin) / factor**2 + (w - 1) / 2).astype(np.float32)
    map_y = ((y * cos - x * sin) / factor**2 + (h - 1) / 2).astype(np.float32)
    image = cv2.remap(
        flipped.image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    mask, clean = (
        cv2.remap(a.view(np.uint8), map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
        for a in (flipped.mask, flipped.clean)
    )
    return replace(
        flipped,
        image=np.asarray(image, np.uint8),
        mask=np.asarray(mask).view(np.bool_),
        clean=np.asarray(clean).view(np.bool_),
    )


def _flip(cutout: Cutout, across: bool, down: bool) -> Cutout:
    swaps = {"left": "right", "right": "left"} if across else {}
    swaps |= {"top": "bottom", "bottom": "top"} if down else {}
    axes = tuple(axis for axis, wanted in ((0, down), (1, across)) if wanted)
    x, y = cutout.centre
    return Cutout(
        image=np.ascontiguousarray(np.flip(cutout.image, axes)),
        mask=np.ascontiguousarray(np.flip(cutout.mask, axes)),
        clean=np.ascontiguousarray(np.flip(cutout.clean, axes)),
        touches=frozenset(swaps.get(side, side) for side in cutout.touches),
        centre=(1 - x if across else x, 1 - y if down else y),
    )
