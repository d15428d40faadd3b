"""All random numbers of one painting in one bundle: a latent vector and a noise map a scale.

Each sample's numbers come from its own generator, so what is painted depends on (seed, index) only
and not on the batch that it was painted in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

LATENT = 64
STRIDES = (1, 2, 4, 8, 16)
STEP = STRIDES[-1]
# What is no larger than so many pixels is grain, not shape.
GRAIN = 4
Size = tuple[int, int]


@dataclass(frozen=True)
class Noise:
    """Standard normal numbers for a batch.

    z: (N, LATENT) float32, the defect's look as a whole; maps: per stride of STRIDES (N, 1, H', W')
    float32, for what differs from place to place.
    """

    z: Tensor
    maps: tuple[Tensor, ...]

    def to(self, device: torch.device) -> "Noise":
        """Return the bundle on a device."""
        return Noise(self.z.to(device), tuple(m.to(device) for m in self.maps))

    def at(self, stride: int) -> Tensor:
        """Return the map of one stride of STRIDES."""
        return self.maps[STRIDES.index(stride)]

    def part(self, part: slice) -> "Noise":
        """Return the bundle of some samples of the batch."""
        return Noise(self.z[part], tuple(m[part] for m in self.maps))

    def with_grain(self, other: "Noise") -> "Noise":
        """Return the bundle with another's finest maps, up to strides of GRAIN."""
        pairs = zip(STRIDES, self.maps, other.maps, strict=True)
        return Noise(self.z, tuple(theirs if s <= GRAIN else own for s, own, theirs in pairs))

    @staticmethod
    def of(flat: Tensor, size: Size) -> "Noise":
        """Cut a (N, noise_length(size)) tensor into the bundle for crops of ``size`` (H, W).

        Raises ValueError for another length.
        """
        if flat.ndim != 2 or flat.shape[1] != noise_length(size):
            raise ValueError(f"noise is {tuple(flat.shape)}; wanted (N, {noise_length(size)})")
        shapes = _shapes(size)
        z, *maps = torch.split(flat, [LATENT, *(h * w for h, w in shapes)], dim=1)
        return Noise(z, tuple(m.reshape(-1, 1, *s) for m, s in zip(maps, shapes, strict=True)))


def padded_size(size: Size) -> Size:
    """Return (H, W) rounded up to what every stride divides."""
    height, width = size
    return height + -height % STEP, width + -width % STEP


def noise_length(size: Size) -> int:
    """Return how many numbers a sample of ``size`` (H, W) takes."""
    return LATENT + sum(h * w for h, w in _shapes(size))


def draw_noise(generators: Sequence[np.random.Generator], size: Size) -> Noise:
    """Draw the noise of a batch, on the CPU: sample j's from ``generators[j]`` alone.

    size: (H, W) of the crops.
    """
    length = noise_length(size)
    drawn = np.stack([g.standard_normal(length, np.float32) for g in generators])
    return Noise.of(torch.from_numpy(drawn), size)


def _shapes(size: Size) -> list[Size]:
    height, width = padded_size(size)
    return [(height // stride, width // stride) for stride in STRIDES]
