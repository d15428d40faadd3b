"""The training pictures: which ones of a data set, and how a batch of them becomes a tensor."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flawsmith.data.cache import SampleCache
from flawsmith.data.scan import Scan
from flawsmith.errors import InputError
from flawsmith.gen.settings import GenSettings
from flawsmith.gen.shapes import Shape
from flawsmith.gen.sizes import fitted, size_of
from flawsmith.progress import track
from flawsmith.sample import Image, Label, Masks, Sample

# Decoded and scaled, so many bytes of pictures are kept, on the device that trains.
LIMIT = 1 << 30
# A mask's plane is graded within this share of the shorter side, in pixels at least and at most;
# its ends are this far from 0.
REACH, SHORTEST_REACH, LONGEST_REACH = 1 / 16, 2.0, 48.0
FULL = 0.9


def chosen(found: Scan, settings: GenSettings) -> tuple[Scan, Label]:
    """Return the samples to learn from, and the label of what is made without masks.

    Without masks clean pictures alone, if there are any: a generator of both would make defects
    that nothing marks. With masks those whose masks are known. Raises InputError if none is left.
    """
    clean = found.where("good")
    if settings.with_masks:
        kept = sorted(clean + found.where("defective"))
    elif settings.images == "all" or (settings.images == "auto" and not clean):
        kept = list(range(len(found.facts)))
    else:
        kept = clean
    if not kept:
        raise InputError(
            "no picture whose mask is known" if settings.with_masks else "no clean picture",
            where=found.dataset.root,
            mend="leave out --with-masks" if settings.with_masks else "images: all",
        )
    part = found.select(kept)
    every = all(fact.label == "good" for fact in part.facts)
    return part, "good" if every else "unknown"


def planes_of(found: Scan, settings: GenSettings) -> tuple[int, ...]:
    """Return the planes that are learned, by number; () without masks.

    Raises InputError for unknown classes, and for those that no picture marks.
    """
    if not settings.with_masks:
        return ()
    names = found.dataset.classes
    unknown = [name for name in settings.classes if name not in names]
    if unknown or not names:
        raise InputError(
            f"no class {', '.join(unknown)}" if unknown else "no class is marked",
            where=found.dataset.root,
            mend=f"some of {', '.join(names)}" if names else "leave out --with-masks",
        )
    wanted = [names.index(name) for name in settings.classes] or list(range(len(names)))
    marked = {plane for fact in found.facts for plane in fact.planes}
    empty = [names[plane] for plane in wanted if plane not in marked]
    full = [names[plane] for plane in wanted if plane in marked]
    if empty:
        rest = f"--classes {','.join(full)}, or leave" if full else "leave"
        raise InputError(
            f"no picture marks {', '.join(empty)}: its masks could not be learned",
            where=found.dataset.root,
            mend=f"{rest} out --with-masks",
        )
    return tuple(wanted)


def shape_of(found: Scan, settings: GenSettings) -> Shape:
    """Return the form of what is learned from these samples; raises InputError if none fits."""
    width, height = size_of(found, settings)
    channels = 3 if any(fact.channels == 3 for fact in found.facts) else 1
    return Shape(channels, height, width, len(planes_of(found, settings)))


class Pictures:
    """Training pictures with their mask planes, as tensors of one shape.

    Kept as uint8, where they fit, so that a step copies no file and converts one batch. windows:
    each draw cuts another window at full size, else pictures are scaled.
    """

    def __init__(self, found: Scan, settings: GenSettings, limit: int = LIMIT) -> None:
        self.samples = SampleCache(found.dataset)
        self.planes = planes_of(found, settings)
        self.shape = shape_of(found, settings)
        self.windows = settings.crop is not None
        self.count = len(found.facts)
        self.stack: Tensor | None = None
        if not self.windows and self.count * self.shape.values <= limit:
            pictures = (self._whole(i) for i in range(self.count))
            kept = np.stack(list(track(pictures, "pictures", self.count)))
            self.stack = torch.from_numpy(kept)

    def __len__(self) -> int:
        return self.count

    def to(self, device: torch.device) -> None:
        """Move what is kept to the device."""
        if self.stack is not None:
            self.stack = self.stack.to(device)

    def batch(
        self, indices: Sequence[int], generators: Sequence[np.random.Generator] = ()
    ) -> Tensor:
        """Return (N, C + K, H, W) float32 in [-1, 1], where the pictures are kept.

        generators: one a sample, to place its window; not needed without windows.
        """
        if self.stack is not None:
            picked = self.stack[torch.tensor(indices, device=self.stack.device)]
        elif self.windows:
            pairs = zip(indices, generators, strict=True)
            picked = torch.from_numpy(np.stack([self._window(i, g) for i, g in pairs]))
        else:
            picked = torch.from_numpy(np.stack([self._whole(i) for i in indices]))
        return picked.to(torch.float32) / 127.5 - 1

    def middle(self, indices: Sequence[int]) -> Tensor:
        """Return the same for pictures whose windows lie in the middle."""
        whole = torch.from_numpy(np.stack([self._whole(i) for i in indices]))
        return whole.to(torch.float32) / 127.5 - 1

    def _whole(self, index: int) -> NDArray[np.uint8]:
        sample = self.samples[index]
        size = (self.shape.width, self.shape.height)
        masks = sample.masks[list(self.planes)]
        if self.windows:
            left, top = (sample.size[0] - size[0]) // 2, (sample.size[1] - size[1]) // 2
            return self._cut(sample, masks, top, left)
        return as_bytes(*fitted(sample.image, masks, size), self.shape.channels)

    def _window(self, index: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        sample = self.samples[index]
        width, height = sample.size
        top = int(generator.integers(height - self.shape.height + 1))
        left = int(generator.integers(width - self.shape.width + 1))
        return self._cut(sample, sample.masks[list(self.planes)], top, left)

    def _cut(self, sample: Sample, masks: Masks, top: int, left: int) -> NDArray[np.uint8]:
        rows = slice(top, top + self.shape.height)
        columns = slice(left, left + self.shape.width)
        return as_bytes(sample.image[rows, columns], masks[:, rows, columns], self.shape.channels)


def as_bytes(image: Image, masks: Masks, channels: int) -> NDArray[np.uint8]:
    """Return (C + K, H, W) uint8: a picture (H, W[, 3]) and masks (K, H, W), as ``graded``."""
    planes = image[None] if image.ndim == 2 else np.moveaxis(image, 2, 0)
    if channels == 1 and len(planes) == 3:
        planes = np.rint(planes.mean(axis=0, keepdims=True))
    elif len(planes) < channels:
        planes = np.repeat(planes, channels, axis=0)
    return np.concatenate([planes.astype(np.uint8), graded(masks)])


def graded(masks: Masks) -> NDArray[np.uint8]:
    """Return masks (K, H, W) as bytes: the signed distance to the mask's edge, within a reach.

    Above 127.5 inside, below outside; a tenth short of either end. Planes of two values would drive
    the generator's tanh to -1 everywhere, where it learns no more; graded ones never do, and a
    defect of few pixels has a neighbourhood that counts.
    """
    reach = min(LONGEST_REACH, max(SHORTEST_REACH, min(masks.shape[1:]) * REACH))
    found = np.zeros(masks.shape, np.uint8)
    for plane, mask in zip(found, masks, strict=True):
        inside, outside = (
            cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            for part in (mask, ~mask)
        )
        signed = np.where(mask, inside - 0.5, 0.5 - outside)
        plane[:] = np.rint(127.5 * (1 + FULL * np.clip(signed / reach, -1, 1)))
    return found


def from_bytes(planes: NDArray[np.uint8], channels: int) -> Image:
    """Return the picture, (H, W) or (H, W, 3), of (C, H, W) or more planes."""
    picture = planes[0] if channels == 1 else np.moveaxis(planes[:3], 0, 2)
    return np.ascontiguousarray(picture)
