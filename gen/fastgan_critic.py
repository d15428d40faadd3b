"""``fastgan``'s critic: an encoder that also has to draw what it saw.

Liu 2021, arXiv 2101.04775, section 3.2. A critic of few pictures soon knows them by heart, by a few
traits; one that must keep enough to reconstruct real pictures keeps looking at all of them.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.gen.blocks import WIDEST, DoublingConv
from flawsmith.gen.shapes import Shape
from flawsmith.train.heads import SLOPE, conv

GROUPS = 4
# The last map has at least so many places a side, and less than twice as many.
DEEPEST = 8
# What is drawn is at most so many times as large as the map that it is drawn from.
MOST_DOUBLINGS = 2


class FastCritic(nn.Module):
    """(N, C + K, H, W) to (N, 1, h, w) logits.

    width: channels that the picture's size would have; each level below has twice as many, up to 8
    times. The first is at half the size. Spectral normalisation bounds each layer (Miyato 2018);
    groups of a sample's own channels are normalised, not batches, so a judgement is a sample's own.
    """

    def __init__(self, shape: Shape, width: int) -> None:
        super().__init__()
        count = max(1, (min(shape.size) // DEEPEST).bit_length() - 1)
        widths = [width * min(WIDEST, 2**k) for k in range(1, count + 1)]
        self.enter = conv(shape.total, widths[0], 4, 2)
        self.downs = nn.ModuleList(Down(a, b) for a, b in pairwise(widths))
        self.judge = nn.Sequential(*_layer(widths[-1], widths[-1], 1), conv(widths[-1], 1, 4))
        self.near_decoder = Decoder(widths[-2:][0], shape.total, max(1, count - 1))
        self.far_decoder = Decoder(widths[-1], shape.total, count)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.judge(self._maps(x)[1])
        return logits

    def reconstruction(self, x: Tensor) -> Tensor:
        """Return, for real pictures, how badly they are drawn from the critic's maps; a scalar."""
        return self._drawn(x, *self._maps(x))

    def judged_and_drawn(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits and the reconstruction's loss, for the price of one encoding."""
        near, far = self._maps(x)
        return self.judge(far), self._drawn(x, near, far)

    def _maps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the last map but one and the last (the same if there is only one)."""
        far = near = F.leaky_relu(self.enter(x), SLOPE)
        for down in self.downs:
            near, far = far, down(far)
        return near, far

    def _drawn(self, x: Tensor, near: Tensor, far: Tensor) -> Tensor:
        """Return E |G(f) - T(x)| (ibid.): all of x from the last map, a part from the one before.

        Which quarter that is goes by the place in the batch: batches are in random order.
        """
        parts = []
        for corner in range(min(4, len(x))):
            drawn = self.near_decoder(quarter_of(near[corner::4], corner))
            parts.append(missed(drawn, quarter_of(x[corner::4], corner)))
        return torch.cat(parts).mean() + missed(self.far_decoder(far), x).mean()


class Down(nn.Module):
    """Two convolutions and a way past them; half the size, rounded down."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.main = nn.Sequential(*_layer(inputs, outputs, 4, 2), *_layer(outputs, outputs, 3))
        self.past = nn.Sequential(nn.AvgPool2d(2), *_layer(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (self.main(x) + self.past(x)) / 2  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """A map drawn as a small picture: doublings with gated units, then a tanh (Liu 2021, fig. 4).

    inputs: the map's channels, halved at each doubling.
    """

    def __init__(self, inputs: int, outputs: int, doublings: int) -> None:
        super().__init__()
        count = min(doublings, MOST_DOUBLINGS)
        widths = [max(inputs // 2**k, GROUPS) for k in range(count + 1)]
        self.convs = nn.ModuleList(DoublingConv(a, 2 * b) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, 2 * b) for b in widths[1:])
        self.leave = nn.Conv2d(widths[-1], outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, 2**count * h, 2**count * w) in [-1, 1]."""
        for one, norm in zip(self.convs, self.norms, strict=True):
            size = (2 * x.shape[-2], 2 * x.shape[-1])
            x = F.glu(norm(one(x, size)), dim=1)
        return torch.tanh(self.leave(x))


def quarter_of(x: Tensor, corner: int) -> Tensor:
    """Return the quarter at a corner, 0 to 3 in reading order, of (N, C, H, W); halves round up."""
    rows, columns = (x.shape[-2] + 1) // 2, (x.shape[-1] + 1) // 2
    top, left = (x.shape[-2] - rows) * (corner // 2), (x.shape[-1] - columns) * (corner % 2)
    return x[..., top : top + rows, left : left + columns]


def missed(drawn: Tensor, x: Tensor) -> Tensor:
    """Return (N,) float32: the mean difference of what was drawn from x, shrunk to its size."""
    small = F.adaptive_avg_pool2d(x, (drawn.shape[-2], drawn.shape[-1]))
    return (drawn.float() - small.float()).abs().mean(dim=(1, 2, 3))


def _layer(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    groups = math.gcd(GROUPS, outputs // 2)  # a group of one channel would have no mean to tell
    return [
        conv(inputs, outputs, kernel, stride),
        nn.GroupNorm(groups, outputs),
        nn.LeakyReLU(SLOPE),
    ]
