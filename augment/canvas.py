"""A clean surface while defects are painted on it: what is taken, what changed, where from."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flawsmith.augment.region import Regions
from flawsmith.augment.settings import AugmentSettings
from flawsmith.data.cache import SampleCache
from flawsmith.data.surfaces import Surface
from flawsmith.data.visibility import is_visible
from flawsmith.sample import Image, Masks, Sample

View = tuple[slice, slice]
# What the provenance keeps of one painted defect: its class, and where its look and mask are from.
Defect = dict[str, str]
# How often a defect is redrawn when it does not fit or cannot be seen.
ATTEMPTS = 25
# Sides in pixels that a region of a defective image should have where no image is clean.
SIDE = 64


@dataclass(frozen=True)
class Background:
    """A clean sample to paint on; region: (H, W) bool, where defects may lie on it.

    shown: names of the classes that the image shows which it is a region of; empty for a whole one.
    """

    sample: Sample
    region: Masks
    shown: frozenset[str] = frozenset()

    def suited(self, planes: Iterable[int], classes: Sequence[str]) -> tuple[int, ...]:
        """Return those of the planes whose class occurs on such surface, all if that is not known.

        A class may occur on one kind of surface only; a region's image tells which those are.
        """
        known = tuple(planes)
        return tuple(plane for plane in known if classes[plane] in self.shown) or known


def pick_background(
    generator: np.random.Generator,
    samples: SampleCache,
    surfaces: tuple[Surface, ...],
    regions: Regions,
) -> Background:
    """Draw a surface."""
    surface = surfaces[generator.integers(len(surfaces))]
    whole = samples[surface.sample]
    names = zip(samples.dataset.classes, whole.masks, strict=True)
    shown = frozenset(name for name, mask in names if surface.box is not None and mask.any())
    return Background(surface.of(whole), regions.of(surface, whole.image), shown)


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
        names it there, as [x, y, width, height].
        """
        region = self.background.meta.get("region")
        provenance = {
            "method": method,
            "background": self.background.id,
            **({} if region is None else {"region": region}),
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
