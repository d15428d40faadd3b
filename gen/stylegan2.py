"""``stylegan2``: a mapping to styles, modulated convolutions with noise, a residual critic.

Karras 2020, arXiv 1912.04958. Different from it: small, and any size; the first convolution of a
level works before the map is doubled, which costs a quarter; a tanh bounds the picture; noise comes
from the latent, so that the same latent gives the same picture; styles are not mixed, and path
lengths are not evened out, both of which are for long trainings.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.gen.blocks import (
    SLOPE,
    EqualConv,
    EqualLinear,
    cut,
    noise_maps,
    sizes_of,
    widths_of,
)
from flawsmith.gen.modulated import EPSILON, ModulatedConv
from flawsmith.gen.shapes import Shape
from flawsmith.seeding import rng

# Makes up for what a leaky ReLU takes from the deviation.
GAIN = math.sqrt(2)
HALVED = math.sqrt(0.5)
# Eight layers are for large data; StyleGAN2-ADA (arXiv 2006.06676) took two for small pictures.
MAPPING_LAYERS = 2
MAPPING_PACE = 0.01
# Above 0, so that noise matters from the first step on.
NOISE_STRENGTH = 0.1
# Latents whose mean style is what truncation pulls towards.
AVERAGED = 1024
GROUP = 4


class Mapping(nn.Module):
    """The latent, (N, latent), to a style, (N, latent) (StyleGAN, Karras 2019, section 2)."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            EqualLinear(latent, latent, GAIN, pace=MAPPING_PACE) for _ in range(MAPPING_LAYERS)
        )

    def forward(self, z: Tensor) -> Tensor:
        z = z.float()
        x = z * (z.square().mean(dim=1, keepdim=True) + EPSILON).rsqrt()
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE)
        return x


class StyledConv(nn.Module):
    """A modulated convolution, noise of a learned strength, leaky ReLU (Karras 2020, fig. 2d)."""

    def __init__(self, inputs: int, outputs: int, styles: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, styles, gain=GAIN)
        self.strength = nn.Parameter(torch.tensor(NOISE_STRENGTH))

    def forward(self, x: Tensor, styles: Tensor, noise: Tensor) -> Tensor:
        """Return (N, outputs, h, w); noise (N, 1, h, w) may be up to twice as large as x is."""
        x = self.conv(x, styles)
        if noise.shape[-2:] != x.shape[-2:]:
            x = doubled(x, noise)
        x = x + (self.strength * noise).to(x.dtype)
        return F.leaky_relu(x, SLOPE, inplace=True)


class StyleGenerator(nn.Module):
    """(N, latent) normal values to (N, C + K, H, W) in [-1, 1].

    width: channels at the picture's size; each level above has twice as many, up to 8 times.
    """

    def __init__(self, shape: Shape, latent: int, width: int) -> None:
        super().__init__()
        self.shape, self.latent = shape, latent
        self.sizes = sizes_of(shape)
        widths = widths_of(len(self.sizes), width)
        self.mapping = Mapping(latent)
        self.start = nn.Parameter(torch.randn(widths[0], *self.sizes[0]))
        self.first = nn.ModuleList(StyledConv(a, b, latent) for a, b in pairwise(widths))
        self.second = nn.ModuleList(StyledConv(a, a, latent) for a in widths)
        # The colours of all levels add up.
        gain = 1 / math.sqrt(len(widths))
        self.colours = nn.ModuleList(
            ModulatedConv(a, shape.total, latent, 1, demodulate=False, gain=gain) for a in widths
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.made(self.mapping(z), z)

    def sample(self, z: Tensor, truncation: float = 1.0) -> Tensor:
        """Return pictures of latents z (N, latent), their styles moved towards the mean style.

        truncation: 1 leaves styles as they are, 0 gives all pictures the mean (Karras 2019,
        appendix B); their noise stays each one's own.
        """
        styles = self.mapping(z)
        if truncation != 1:
            styles = torch.lerp(self.mean_style(), styles, truncation)
        return self.made(styles, z)

    def mean_style(self) -> Tensor:
        """Return the mean style, (1, latent), of fixed latents: no average to keep and save."""
        fixed = rng(0, "mean style").standard_normal((AVERAGED, self.latent), "float32")
        styles: Tensor = self.mapping(torch.from_numpy(fixed).to(self.start.device))
        return styles.mean(dim=0, keepdim=True)

    def made(self, styles: Tensor, z: Tensor) -> Tensor:
        """Return pictures of styles (N, latent) with the noise that latents z give."""
        noises = noise_maps(z, [*self.sizes, *self.sizes[1:]])
        fine, up = noises[: len(self.sizes)], noises[len(self.sizes) :]
        x = self.start.expand(len(z), -1, -1, -1)
        x = self.second[0](x, styles, fine[0])
        picture = self.colours[0](x, styles)
        for level in range(1, len(self.sizes)):
            x = self.first[level - 1](x, styles, up[level - 1])
            x = self.second[level](x, styles, fine[level])
            picture = doubled(picture, x) + self.colours[level](x, styles)
        return torch.tanh(picture)


def doubled(x: Tensor, like: Tensor) -> Tensor:
    """Return x at twice the size, cut to another tensor's; filtered by (1, 3, 3, 1) each way.

    That is what linear interpolation between the places of a doubled grid is.
    """
    twice = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    return cut(twice, (like.shape[-2], like.shape[-1]))


class StyleCritic(nn.Module):
    """(N, C + K, H, W) to (N, 1) logits, by residual blocks (Karras 2020, fig. 7).

    width: channels at the picture's size; each level below has twice as many, up to 8 times. No
    sample is judged quite by itself: groups of 4 neighbours are compared, so batches are to be
    multiples of 4 (or 2, or 3).
    """

    def __init__(self, shape: Shape, width: int) -> None:
        super().__init__()
        sizes = sizes_of(shape)
        widths = widths_of(len(sizes), width)
        deepest = widths[0]
        self.enter = EqualConv(shape.total, widths[-1], 1, GAIN)
        self.blocks = nn.ModuleList(Block(a, b) for a, b in pairwise(reversed(widths)))
        self.last = EqualConv(deepest + 1, deepest, gain=GAIN)
        self.dense = EqualLinear(deepest * math.prod(sizes[0]), deepest, GAIN)
        self.leave = EqualLinear(deepest, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.enter(x), SLOPE)
        for block in self.blocks:
            x = block(x)
        x = F.leaky_relu(self.last(with_deviation(x)), SLOPE)
        x = F.leaky_relu(self.dense(x.flatten(1)), SLOPE)
        logits: Tensor = self.leave(x)
        return logits


class Block(nn.Module):
    """Two convolutions and a way past them; half the size, rounded up.

    Means over 2x2 places come before the second convolution, which so costs a quarter.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        # The square roots of a half that a sum of two needs are in the gains.
        self.past = EqualConv(inputs, outputs, 1, HALVED)
        self.first = EqualConv(inputs, inputs, gain=GAIN)
        self.second = EqualConv(inputs, outputs, gain=GAIN * HALVED)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.first(x), SLOPE)
        y = F.leaky_relu(self.second(_halved(y)), SLOPE)
        return y + self.past(_halved(x))  # type: ignore[no-any-return]


def _halved(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2, ceil_mode=True)


def with_deviation(x: Tensor) -> Tensor:
    """Return (N, C + 1, h, w): one more channel says how much a group's samples differ.

    The deviation over the group of each feature at each place, averaged (PGGAN, Karras 2018,
    section 3): a critic sees by it that all pictures are one. Groups are of neighbours in the
    batch, as many as divide it, at most 4; so processes whose slices are groups judge alike.
    """
    group = next(size for size in range(GROUP, 0, -1) if len(x) % size == 0)
    groups = x.float().reshape(-1, group, *x.shape[1:])
    deviation = (groups.var(dim=1, unbiased=False) + EPSILON).sqrt().mean(dim=(1, 2, 3))
    plane = deviation.repeat_interleave(group)[:, None, None, None].to(x.dtype)
    return torch.cat([x, plane.expand(-1, 1, *x.shape[-2:])], dim=1)
