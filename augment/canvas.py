"""A clean surface while defects are painted on it: what is taken, what changed, where from."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from flawsmith.augment.region import Regions
from flawsmith.augment.settings import AugmentSettings
from flawsmith.data.cache import SampleCache
from flawsmith.data.surfaces import GENERATED, Surface, showing
from flawsmith.data.visibility import is_visible
from flawsmith.sample import Image, Masks, Sample

View = tuple[slice, slice]
# What the provenance keeps of one painted defect: its class, and where its look and mask are from.
Defect = dict[str, str]
# How often a defect is redrawn when it does not fit or cannot be seen.
ATTEMPTS = 25
# Sides in pixels that a region of a defective image should have where no image is clean.
SIDE = 64


def pick_background(
    generator: np.random.Generator,
    samples: SampleCache,
    surfaces: tuple[Surface, ...],
    regions: Regions,
    planes: Mapping[int, str],
) -> tuple[Sample, Masks, tuple[int, ...]]:
    """Draw a surface; return it as a clean sample, where defects may lie, and of what classes.

    planes: the classes to paint, by name. The place is (H, W) bool. Any class may be painted on a
    clean image. Of regions, the class is drawn first, so that each comes as often, then one of an
    image that shows it; if no image does, any.
    """
    allowed = tuple(planes)
    if surfaces[0].box is not None:
        plane = allowed[generator.integers(len(allowed))]
        names = samples.dataset.classes
        own = {names.index(planes[plane])} if planes[plane] in names else set()
        surfaces, allowed = showing(surfaces, own), (plane,)
    surface = surfaces[generator.integers(len(surfaces))]
    whole = samples[surface.sample]
    return surface.of(whole), regions.of(surface, whole.image), allowed


class Canvas:
    """The image being painted, with its (K, H, W) masks and the holes of the defects so far.

    region: (H, W) bool, where defects may lie on the background.
    """

    def __init__(self, background: Sample, classes: int, region: Masks) -> None:
        self.background = background
        self.image: Image = background.image.copy()
        self.masks: Masks = np.zeros((classes, *self.image.shape[:2]), bool)
        self.taken: Masks = np.zeros(self.image.shape[:2], bool)
        self.region = region

    def overlap(self, shape: tuple[int, ...], corner: tuple[int, int]) -> tuple[View, View]:
        """Return where a patch of (h, w) at a corner (row, column) meets the image: in each."""
        view, own = [], []
        for start, length, full in zip(corner, shape[:2], self.taken.shape, strict=True):
            low, high = max(0, start), min(full, start + length)
            view.append(slice(low, high))
            own.append(slice(low - start, high - start))
        return (view[0], view[1]), (own[0], own[1])

    def clean(self, view: View) -> Masks:
        """Return where the view shows the part's plain surface."""
        return self.region[view] & ~self.taken[view]

    def paint(self, plane: int, view: View, painted: Image, mask: Masks, hole: Masks) -> bool:
        """Take over the painted view inside the hole; refuse (False) what could not be seen.

        All arrays have the view's size. Pixels outside of the hole keep their bytes.
        """
        before = self.image[view]
        if not mask.any() or not is_visible(before, painted, mask):
            return False
        before[hole] = painted[hole]
        self.masks[plane][view] |= mask
        self.taken[view] |= hole
        return True

    def finish(
        self, sample_id: str, method: str, settings: AugmentSettings, meta: dict[str, Any]
    ) -> Sample:
        """Return the painted sample; it belongs to its background's group.

        meta: what the method adds to the provenance. A background that is a region of its image
        names it there, as [x, y, width, height]; one that was generated, the run and its weights.
        """
        known = self.background.meta
        provenance = {
            "method": method,
            "background": self.background.id,
            **{name: known[name] for name in ("region", GENERATED) if name in known},
            "mask_source": settings.mask_source,
            "hole_px": settings.feather,
            "seed": settings.seed,
            **meta,
        }
        group = self.background.group
        return Sample(sample_id, self.image, self.masks, "defective", group, provenance)


def fill(
    generator: np.random.Generator,
    planes: tuple[int, ...],
    settings: AugmentSettings,
    add: Callable[[int], Defect | str],
) -> tuple[list[Defect], Counter[str]]:
    """Add as many defects as an image is to have; return them, and what was drawn again and why.

    add: tries one defect of a class, and returns it, or what hindered it.
    """
    defects: list[Defect] = []
    redrawn: Counter[str] = Counter()
    for _ in range(int(generator.integers(*settings.per_image, endpoint=True))):
        # The class is drawn once: redrawing it would favour those that fit easily.
        plane = planes[generator.integers(len(planes))]
        for _ in range(ATTEMPTS):
            result = add(plane)
            if not isinstance(result, str):
                defects.append(result)
                break
            redrawn[result] += 1
    return defects, redrawn
