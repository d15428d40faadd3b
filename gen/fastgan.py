"""``fastgan``'s generator: one convolution a level, coarse levels that gate fine ones.

Liu 2021, "Towards faster and stabilized GAN training for high-fidelity few-shot image synthesis",
arXiv 2101.04775, section 3.1. Different from it: any size; noise comes from the latent, so that the
same latent gives the same picture, and every level has some. The critic is in ``fastgan_critic``.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.gen.blocks import DoublingConv, noise_maps, sizes_of, widths_of
from flawsmith.gen.fastgan_critic import FastCritic
from flawsmith.gen.shapes import Shape
from flawsmith.train.norms import BatchNorm

__all__ = ["FastCritic", "FastGenerator"]

# From the coarse level to the one it gates: 8x8 gates 128x128.
REACH = 4
GATE_SLOPE = 0.1
GATE_GRID = 4
# Above 0, so that noise matters from the first step on.
NOISE_STRENGTH = 0.1


class Excitation(nn.Module):
    """Skip-layer excitation: a coarse map says what share of a fine one's channels stay."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(coarse, fine, GATE_GRID)
        self.second = nn.Conv2d(fine, fine, 1)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Return ``fine``, (N, C, H, W), each channel times a share that ``coarse`` gives."""
        x = self.first(F.adaptive_avg_pool2d(coarse, GATE_GRID))
        shares: Tensor = self.second(F.leaky_relu(x, GATE_SLOPE)).sigmoid()
        return fine * shares


class Up(nn.Module):
    """Doubling, convolution, BatchNorm, noise, and a gated linear unit (GLU, Dauphin 2017, eq. 1).

    inputs, outputs: channels; the convolution makes twice the outputs, of which half are gates.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = DoublingConv(inputs, 2 * outputs)
        self.norm = BatchNorm(2 * outputs)
        self.strength = nn.Parameter(torch.full((2 * outputs, 1, 1), NOISE_STRENGTH))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """Return (N, outputs, H, W), as large as the noise, (N, 1, H, W)."""
        x = self.norm(self.conv(x, (noise.shape[-2], noise.shape[-1])))
        return F.glu(torch.addcmul(x, self.strength.to(x.dtype), noise.to(x.dtype)), dim=1)


class FastGenerator(nn.Module):
    """(N, latent) normal values to (N, C + K, H, W) in [-1, 1].

    width: channels at the picture's size; each level above has twice as many, up to 8 times.
    """

    def __init__(self, shape: Shape, latent: int, width: int) -> None:
        super().__init__()
        self.shape, self.latent = shape, latent
        self.sizes = sizes_of(shape)
        widths = widths_of(len(self.sizes), width)
        rows, columns = self.sizes[0]
        self.start = nn.Linear(latent, 2 * widths[0] * rows * columns, bias=False)
        self.start_norm = BatchNorm(2 * widths[0])
        self.ups = nn.ModuleList(Up(a, b) for a, b in pairwise(widths))
        # Small pictures have fewer levels; their gates reach less far, so that two remain.
        self.reach = max(1, min(REACH, len(widths) - 2))
        pairs = zip(widths, widths[self.reach :], strict=False)
        self.gates = nn.ModuleList(Excitation(coarse, fine) for coarse, fine in pairs)
        self.leave = nn.Conv2d(widths[-1], shape.total, 3, padding=1)
        nn.init.normal_(self.leave.weight, std=1 / math.sqrt(9 * widths[-1]))

    def forward(self, z: Tensor) -> Tensor:
        noises = noise_maps(z, self.sizes[1:])
        x = self.start(z).unflatten(1, (-1, *self.sizes[0]))
        maps = [F.glu(self.start_norm(x), dim=1)]
        for up, noise in zip(self.ups, noises, strict=True):
            x = up(maps[-1], noise)
            source = len(maps) - self.reach
            maps.append(self.gates[source](maps[source], x) if source >= 0 else x)
        return torch.tanh(self.leave(maps[-1]))
