"""Training crops: windows around real defects, and clean surface under a real defect's masks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flawsmith.augment.region import foreground
from flawsmith.data.cache import SampleCache
from flawsmith.data.scan import Scan
from flawsmith.data.surfaces import showing, surfaces_of
from flawsmith.errors import InputError
from flawsmith.inpaint.geometry import Geometry
from flawsmith.inpaint.hole import hole_of, soft_of
from flawsmith.inpaint.sites import sites_of
from flawsmith.inpaint.windows import Box, Window, window_at
from flawsmith.progress import track
from flawsmith.sample import Image, Masks

# How far a window on clean surface strays from its defect's own place, as a share of the room.
STRAY = 0.1
# A site: the number of its sample, and its box.
Place = tuple[int, Box]


@dataclass(frozen=True)
class Crop:
    """What a network sees of one window of S pixels.

    image: uint8 (S, S) or (S, S, 3); masks: (K, S, S) bool; hole: (S, S) bool; soft: (S, S) float32
    in [0, 1].
    """

    image: Image
    masks: Masks
    hole: Masks
    soft: NDArray[np.float32]

    def flipped(self, *axes: int) -> "Crop":
        """Return the crop turned over: along axis 0 upside down, 1 left to right."""
        return Crop(
            np.flip(self.image, axes),
            np.flip(self.masks, tuple(axis + 1 for axis in axes)),
            np.flip(self.hole, axes),
            np.flip(self.soft, axes),
        )


def crop_of(image: Image, masks: Masks, window: Window, geometry: Geometry) -> Crop:
    """Return the window's crop of a picture (H, W[, 3]) with its masks (K, H, W)."""
    seen = window.masks(masks)
    if window.scaled:
        hole = hole_of(np.asarray(seen.any(axis=0)), geometry.grow)
        return Crop(window.image(image), seen, hole, soft_of(hole, geometry.feather))
    # With a margin around the window, so that marks beyond its edge reach in.
    margin = geometry.grow + geometry.feather + 2
    side = window.side + 2 * margin
    wide = Window(window.x - margin, window.y - margin, side, side)
    own = (slice(margin, -margin), slice(margin, -margin))
    hole = hole_of(wide.masks(np.asarray(masks.any(axis=0))[None])[0], geometry.grow)
    return Crop(window.image(image), seen, hole[own], soft_of(hole, geometry.feather)[own])


class Crops:
    """The crops of a scanned training set; place i of ``order`` is a site: a sample and a box.

    Rare classes' sites are repeated, so that each class is shown about as often as the commonest.
    ``places``: each class's places, none twice. Raises InputError when nothing is marked.
    """

    def __init__(self, found: Scan, geometry: Geometry, flips: tuple[bool, bool]) -> None:
        self.samples = SampleCache(found.dataset)
        self.geometry = geometry
        self.flips = flips
        surfaces = surfaces_of(found, geometry.size, part=foreground)
        # On a smaller region a window shows its own mirror image, which fewer real crops do.
        large = tuple(s for s in surfaces if min(s.size(found)) >= geometry.size)
        regions = any(s.box is not None for s in surfaces)
        self.clean = large if regions and 2 * len(large) >= len(surfaces) else surfaces
        defective = [i for i, fact in enumerate(found.facts) if fact.planes]
        if not defective:
            raise InputError(
                "no defect is marked", where=found.dataset.root, mend="add images with masks"
            )
        by_class: dict[int, list[Place]] = {}
        for index in track(defective, "sites", len(defective)):
            masks = self.samples[index].masks
            for site in sites_of(np.asarray(masks.any(axis=0)), geometry.grow):
                shown = (masks[(slice(None), *site.view)] & site.hole).any(axis=(1, 2))
                for plane in np.flatnonzero(shown):
                    by_class.setdefault(int(plane), []).append((index, site.box))
        self.order, self.places = _balanced(by_class)

    def __len__(self) -> int:
        return len(self.order)

    def defect(self, place: int, generator: np.random.Generator) -> tuple[Crop, Window]:
        """Return the crop around a site, its defect anywhere in the window, perhaps flipped."""
        crop, window, axes = self._drawn(place, generator)
        return crop.flipped(*axes), window

    def centred(self, place: int) -> Crop:
        """Return the crop around a site, its defect in the middle as far as the picture goes."""
        index, box = self.order[place]
        sample = self.samples[index]
        window = window_at(box, sample.image.shape, self.geometry.size)
        return crop_of(sample.image, sample.masks, window, self.geometry)

    def moved(self, place: int, generator: np.random.Generator) -> Crop:
        """Return clean surface under a site's masks, from about the same place of a clean picture.

        The place is kept relative to the borders, so that what breaks an edge still lies at one.
        Where no picture is clean, defect-free regions of the others serve as pictures; without any
        of these either this is the defect's own crop, to be painted over.
        """
        crop, window, axes = self._drawn(place, generator)
        if not self.clean:
            return crop.flipped(*axes)
        old = self.samples[self.order[place][0]].image.shape
        marked = np.flatnonzero(crop.masks.any(axis=(1, 2)))
        fitting = showing(self.clean, marked)
        surface = fitting[generator.integers(len(fitting))]
        image = surface.of(self.samples[surface.sample]).image
        x, y = (
            _relative(start, window.side, before, now, float(generator.normal(0, STRAY)))
            for start, before, now in (
                (window.x, old[1], image.shape[1]),
                (window.y, old[0], image.shape[0]),
            )
        )
        # Flipped with the masks: else what breaks a left edge would break the middle instead.
        return replace(crop, image=replace(window, x=x, y=y).image(image)).flipped(*axes)

    def _drawn(
        self, place: int, generator: np.random.Generator
    ) -> tuple[Crop, Window, tuple[int, ...]]:
        """Return a site's crop before any flip, its window, and the axes to flip it along."""
        index, box = self.order[place]
        sample = self.samples[index]
        shift = (generator.random(), generator.random())
        window = window_at(box, sample.image.shape, self.geometry.size, shift)
        crop = crop_of(sample.image, sample.masks, window, self.geometry)
        allowed = ((1, self.flips[0]), (0, self.flips[1]))
        return crop, window, tuple(a for a, may in allowed if generator.random() < 0.5 and may)


def _relative(start: int, side: int, before: int, now: int, stray: float) -> int:
    """Return the start of a window in a picture of another size: borders stay borders."""
    if now <= side:
        return -((side - now) // 2)
    share = start / (before - side) if before > side else 0.5
    if 0 < share < 1:
        share = min(max(share + stray, 0.0), 1.0)
    return round(share * (now - side))


def _balanced(
    by_class: dict[int, list[Place]],
) -> tuple[tuple[Place, ...], dict[int, range]]:
    """Return the sites, rare classes' repeated, and where each class's lie among them."""
    most = max(map(len, by_class.values()))
    order: list[Place] = []
    places = {}
    for plane, sites in sorted(by_class.items()):
        places[plane] = range(len(order), len(order) + len(sites))
        order += sites * -(-most // len(sites))
    return tuple(order), places


@dataclass(frozen=True)
class Batch:
    """Crops as tensors: image (N, C, S, S) in [-1, 1], masks (N, K, S, S), hole, soft (N, 1, S, S).

    All float32; masks and hole are 0 or 1.
    """

    image: Tensor
    masks: Tensor
    hole: Tensor
    soft: Tensor

    def map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """Return the batch with each tensor changed: moved to a device, or cut."""
        return Batch(change(self.image), change(self.masks), change(self.hole), change(self.soft))


def batch_of(crops: Sequence[Crop], channels: int) -> Batch:
    """Return the crops as one batch on the CPU; pictures become grey (1) or RGB (3)."""
    pictures = np.stack([as_planes(crop.image, channels) for crop in crops])
    return Batch(
        torch.from_numpy(pictures),
        torch.from_numpy(np.stack([crop.masks for crop in crops]).astype(np.float32)),
        torch.from_numpy(np.stack([crop.hole for crop in crops])[:, None].astype(np.float32)),
        torch.from_numpy(np.stack([crop.soft for crop in crops])[:, None].astype(np.float32)),
    )


def as_planes(image: Image, channels: int) -> NDArray[np.float32]:
    """Return (C, H, W) float32 in [-1, 1] of a uint8 picture; colours average to grey."""
    planes = image[None] if image.ndim == 2 else np.moveaxis(image, 2, 0)
    scaled = planes.astype(np.float32) / 127.5 - 1
    if channels == 1 and len(planes) == 3:
        return np.asarray(scaled.mean(axis=0, keepdims=True), np.float32)
    return np.repeat(scaled, 3, axis=0) if channels == 3 and len(planes) == 1 else scaled
