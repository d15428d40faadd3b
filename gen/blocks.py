"""What StyleGAN2 and FastGAN share: levels of sizes, equalised layers, noise that a latent gives.

Levels run from the coarsest grid to the picture's own size. Each is half of the next one, rounded
up, so what is doubled is cut by one row or column at most, and nothing is made that is thrown away.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.gen.shapes import Shape

SLOPE = 0.2
# Of the widest level, as a multiple of the finest one's channels.
WIDEST = 8
WORD = 0xFFFFFFFF
HALF_WORD = 0xFFFF
# Odd numbers below 2**31: a product with 32 bits stays within an int64.
MIX = 0x45D9F3B
STRIDE = 0x1E3779B1


def sizes_of(shape: Shape) -> list[tuple[int, int]]:
    """Return (height, width) a level; the first has at least 4 a side, the last is the shape's."""
    return [shape.grid(2**k) for k in reversed(range(shape.doublings() + 1))]


def widths_of(levels: int, width: int) -> list[int]:
    """Return the channels of each level: ``width`` at the finest, twice as many a level above."""
    return [width * min(WIDEST, 2**k) for k in reversed(range(levels))]


def cut(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Return x without the row and column by which doubling made it larger than ``size``."""
    return x[..., : size[0], : size[1]]


@torch.no_grad()
def noise_maps(z: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Return standard normal noise, (N, 1, h, w) float32 a size, that depends on a latent alone.

    A random generator by counting (Salmon 2011, "Parallel random numbers: as easy as 1, 2, 3"): a
    sample's bits are hashed to a seed, seed and place to a number. So the same z has the same noise
    in any batch and on any device, without a generator a sample. z: (N, latent) float32.
    """
    bits = z.detach().float().contiguous().view(torch.int32).long() & WORD
    seeds = _mixed(_mixed(bits) + _counted(z.shape[1], z.device) & WORD).sum(dim=1, keepdim=True)
    lengths = [height * width for height, width in sizes]
    places = _mixed(_counted((sum(lengths) + 1) // 2, z.device))
    words = _mixed(places ^ (seeds & WORD))
    # Two uniform halves of a word give two normal numbers (Box and Muller 1958).
    radius = (((words >> 16).float() + 0.5) / (HALF_WORD + 1)).log().mul(-2).sqrt()
    angle = (words & HALF_WORD).float() * (2 * math.pi / (HALF_WORD + 1))
    numbers = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)
    parts = torch.split(numbers[:, : sum(lengths)], lengths, dim=1)
    return [part.view(-1, 1, *size) for part, size in zip(parts, sizes, strict=True)]


def _counted(count: int, device: torch.device) -> Tensor:
    return torch.arange(count, device=device) * STRIDE & WORD


def _mixed(x: Tensor) -> Tensor:
    """Return 32-bit numbers, held as int64, scrambled one to one."""
    x = ((x >> 16) ^ x) * MIX & WORD
    x = ((x >> 16) ^ x) * MIX & WORD
    return (x >> 16) ^ x


class EqualLinear(nn.Module):
    """A dense layer with an equalised learning rate (PGGAN, Karras 2018, section 4.1).

    Weights are of unit size and scaled as they are used, so a step of Adam moves each layer by the
    same share. pace: multiplies the learning rate, as of StyleGAN's mapping (Karras 2019, C).
    """

    def __init__(
        self, inputs: int, outputs: int, gain: float = 1.0, bias: float = 0.0, pace: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / pace)
        self.bias = nn.Parameter(torch.full((outputs,), bias / pace))
        self.scale = gain * pace / math.sqrt(inputs)
        self.pace = pace

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs) from (N, inputs)."""
        return F.linear(x, self.weight * self.scale, self.bias * self.pace)


class EqualConv(nn.Module):
    """A convolution with an equalised learning rate; the size stays.

    gain: the deviation of what comes out, for inputs of deviation 1.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs * kernel**2)
        self.padding = kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class DoublingConv(nn.Module):
    """Each value repeated to twice the size, then a 3x3 convolution without bias: both in one.

    Repeating is a convolution by ones, so the two are one transposed convolution of 4x4 and stride
    2. It needs four ninths of the products and no large map between: three times as quick on a CPU.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3) / math.sqrt(9 * inputs))

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Return (N, outputs, *size) from (N, inputs, h, w) with size at most (2 h, 2 w)."""
        kernel = self.weight.transpose(0, 1).flip(2, 3)
        rows = F.pad(kernel, (0, 0, 0, 1)) + F.pad(kernel, (0, 0, 1, 0))
        kernel = F.pad(rows, (0, 1)) + F.pad(rows, (1, 0))
        return cut(F.conv_transpose2d(x, kernel, stride=2, padding=1), size)
