"""Training crops of any data set: half of them hold a defect, half lie anywhere."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flawsmith.data.cache import SampleCache
from flawsmith.data.scan import Scan
from flawsmith.errors import InputError
from flawsmith.sample import Image, Masks, Sample


@dataclass(frozen=True)
class Crop:
    """A window of S pixels.

    image: uint8 (S, S) or (S, S, 3); masks: (K, S, S) bool; counted: (K, S, S) bool, whether a
    pixel's label can be trusted.
    """

    image: Image
    masks: Masks
    counted: Masks


class Pool:
    """The samples of a scanned data set, to cut crops of ``size`` pixels from.

    Samples labelled ``unknown`` have no part in it: what is not marked there may still be a defect.
    Clean ones do, as examples of what to leave alone. rim: labels within so many pixels of a mask's
    edge do not count; of a line thinner than twice that nothing is left to count. samples: those of
    ``found``, if they are decoded elsewhere, too. Raises InputError when no sample is left.
    """

    def __init__(
        self, found: Scan, size: int, rim: int = 0, samples: SampleCache | None = None
    ) -> None:
        self.classes = found.dataset.classes
        self.size = size
        self.rim = rim
        self.samples = samples or SampleCache(found.dataset)
        self.usable = [i for i, fact in enumerate(found.facts) if fact.label != "unknown"]
        if not self.usable:
            raise InputError(
                "no sample is clean or marked: there is nothing to learn from",
                where=found.dataset.root,
            )
        self.showing: dict[int, list[int]] = {}
        for index in self.usable:
            for plane in found.facts[index].planes:
                self.showing.setdefault(plane, []).append(index)

    def __len__(self) -> int:
        return len(self.usable)

    def draw(self, generator: np.random.Generator, *, defect: bool) -> Crop:
        """Return a crop, from the generator's numbers alone.

        defect: with a marked pixel of a class, each class as often, at any place of the crop; of a
        pool without marks, as without ``defect``: anywhere in any sample.
        """
        if defect and self.showing:
            return self._defect(generator)
        sample = self.samples[self.usable[int(generator.integers(len(self.usable)))]]
        rows, columns = (_anywhere(full, self.size, generator) for full in sample.masks.shape[1:])
        return crop_at(sample, rows, columns, self.size, self.rim)

    def _defect(self, generator: np.random.Generator) -> Crop:
        """Class, sample, pixel: so rare classes and small defects are seen as often as others."""
        planes = sorted(self.showing)
        plane = planes[int(generator.integers(len(planes)))]
        showing = self.showing[plane]
        sample = self.samples[showing[int(generator.integers(len(showing)))]]
        marked = np.flatnonzero(sample.masks[plane])
        pixel = divmod(int(marked[generator.integers(len(marked))]), sample.masks.shape[2])
        row, column = (
            _around(at, full, self.size, generator)
            for at, full in zip(pixel, sample.masks.shape[1:], strict=True)
        )
        return crop_at(sample, row, column, self.size, self.rim)


def crop_at(sample: Sample, row: int, column: int, size: int, rim: int = 0) -> Crop:
    """Return the crop that begins at a row and column; beyond the picture it is mirrored.

    So are its masks: a mirrored defect is a defect.
    """
    height, width = sample.masks.shape[1:]
    rows, columns = places(row, size, height), places(column, size, width)
    masks = sample.masks[:, rows][:, :, columns]
    return Crop(sample.image[rows][:, columns], masks, _counted(masks, rim))


def places(start: int, length: int, full: int) -> "slice | NDArray[np.int64]":
    """Return which pixels of a line of ``full`` a window shows; beyond the line it is mirrored."""
    within = start >= 0 and start + length <= full
    return slice(start, start + length) if within else mirrored(start, length, full)


def mirrored(start: int, length: int, full: int) -> NDArray[np.int64]:
    """Return (length,) int64: the pixel of a line of ``full`` that each place from start on shows.

    Outside of it the line is mirrored, its ends shown only once, as often as it takes.
    """
    places = np.arange(start, start + length)
    period = max(2 * (full - 1), 1)
    places %= period
    return np.minimum(places, period - places)


def _anywhere(full: int, size: int, generator: np.random.Generator) -> int:
    """Return the start of a window in a line, or around all of it if it is shorter."""
    low, high = sorted((0, full - size))
    return int(generator.integers(low, high + 1))


def _around(pixel: int, full: int, size: int, generator: np.random.Generator) -> int:
    """Return the start of a window that holds a pixel, at any place as far as there is room."""
    if full <= size:
        return _anywhere(full, size, generator)
    return min(max(0, pixel - int(generator.integers(size))), full - size)


def _counted(masks: Masks, rim: int) -> Masks:
    """Return (K, S, S) bool: all but the pixels within ``rim`` of an edge of their class's mask."""
    counted = np.ones(masks.shape, bool)
    if not rim:
        return counted
    square = np.ones((2 * rim + 1, 2 * rim + 1), np.uint8)
    for plane, inside in zip(counted, masks, strict=True):
        if inside.any():
            marked = np.ascontiguousarray(inside).view(np.uint8)
            plane[:] = cv2.dilate(marked, square) == cv2.erode(marked, square)
    return counted


@dataclass(frozen=True)
class Batch:
    """Crops as float32 tensors: image (N, 3, S, S) RGB in [-1, 1]; masks, counted (N, K, S, S)."""

    image: Tensor
    masks: Tensor
    counted: Tensor

    def map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """Return the batch with each tensor changed: moved to a device."""
        return Batch(change(self.image), change(self.masks), change(self.counted))


def batch_of(crops: Sequence[Crop]) -> Batch:
    """Return the crops as one batch on the CPU."""
    return Batch(
        pictures_of([crop.image for crop in crops]),
        torch.from_numpy(np.stack([crop.masks for crop in crops])).float(),
        torch.from_numpy(np.stack([crop.counted for crop in crops])).float(),
    )


def pictures_of(images: Sequence[Image]) -> Tensor:
    """Return (N, 3, H, W) float32 RGB in [-1, 1] of uint8 pictures of one size, grey or RGB."""
    colours = [np.broadcast_to(np.atleast_3d(image), (*image.shape[:2], 3)) for image in images]
    return torch.from_numpy(np.stack(colours)).permute(0, 3, 1, 2).contiguous() / 127.5 - 1
