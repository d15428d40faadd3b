"""What the three generators are built of.

Normalisation is by groups of a sample's own channels: no BatchNorm, so that neither the batch nor
the number of processes matters. With normalised weights instead, a U-Net learned half as fast. The
first layer does without: its values shift with the hole's size, and the surface's tone must pass.
"""

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.inpaint.noise import LATENT, Noise, padded_size

STYLE = 64
SLOPE = 0.2
GROUPS = 4
# The sum of two maps of unit size keeps that size.
HALVED = math.sqrt(0.5)
NOISE_STRENGTH = 0.3
STYLE_STRENGTH = 0.1
EPSILON = 1e-8


class Generator(nn.Module):
    """The one interface of all generators."""

    def forward(self, image: Tensor, hole: Tensor, masks: Tensor, noise: Noise) -> Tensor:
        """Return the raw proposal, (N, C, H, W) in [-1, 1]; the caller composes it.

        image: (N, C, H, W) in [-1, 1], of which only what lies outside of the hole is seen; hole:
        (N, 1, H, W) and masks: (N, K, H, W), 0 or 1; noise: drawn for this size (H, W).
        Any size works: inside, it is padded by reflection to a multiple of 16.
        """
        size = (image.shape[-2], image.shape[-1])
        seen = padded(torch.cat([image * (1 - hole), hole, masks], dim=1))
        if noise.at(1).shape[-2:] != seen.shape[-2:]:
            found, wanted = tuple(noise.at(1).shape[-2:]), tuple(seen.shape[-2:])
            raise ValueError(f"noise is for {found}; wanted {wanted}")
        return torch.tanh(self.propose(seen, noise))[..., : size[0], : size[1]]

    @abstractmethod
    def propose(self, seen: Tensor, noise: Noise) -> Tensor:
        """Return (N, C, H, W), before the tanh, from (N, C + 1 + K, H, W): image, hole, masks."""


def padded(x: Tensor) -> Tensor:
    """Return x, reflected to the right and below to a size that every stride divides."""
    height, width = x.shape[-2:]
    tall, wide = padded_size((height, width))
    below, right = tall - height, wide - width
    if not below and not right:
        return x
    # Reflection needs as many pixels as it adds; tiny pictures repeat their edge.
    mode = "reflect" if below < height and right < width else "replicate"
    return F.pad(x, (0, right, 0, below), mode)


class Conv(nn.Module):
    """Convolution, GroupNorm (Wu 2018, eq. 7), leaky ReLU; each step but the first can be left out.

    Borders are filled with zeros: it is the quickest, and its backward pass is deterministic.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        stride: int = 1,
        norm: bool = True,
        active: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=not norm)
        nn.init.kaiming_normal_(
            self.conv.weight, SLOPE, nonlinearity="leaky_relu" if active else "linear"
        )
        self.norm = nn.GroupNorm(GROUPS, outputs) if norm else nn.Identity()
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return F.leaky_relu(x, SLOPE) if self.active else x


class StyledConv(nn.Module):
    """The same with a style and noise before the ReLU.

    The style scales and shifts whole channels (FiLM, Perez 2018, eq. 2), at first by little: a
    random style of full size drowned what the other layers had to learn. The noise map is added
    with a learned strength a channel (StyleGAN, Karras 2019, section 3.2), which starts above 0 so
    that noise matters from the first step on.
    """

    def __init__(self, inputs: int, outputs: int, norm: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, SLOPE)
        self.norm = nn.GroupNorm(GROUPS, outputs, affine=False) if norm else nn.Identity()
        self.style = nn.Linear(STYLE, 2 * outputs)
        nn.init.normal_(self.style.weight, std=STYLE_STRENGTH / math.sqrt(STYLE))
        nn.init.zeros_(self.style.bias)
        self.strength = nn.Parameter(torch.full((outputs, 1, 1), NOISE_STRENGTH))

    def forward(
        self, x: Tensor, style: Tensor, noise: Tensor, beside: Tensor | None = None
    ) -> Tensor:
        """Return (N, outputs, H, W); ``beside`` is added to what the convolution gives."""
        x = self.conv(x) if beside is None else self.conv(x) + beside
        scale, shift = self.style(style)[..., None, None].chunk(2, dim=1)
        x = torch.addcmul(shift, self.norm(x), 1 + scale)
        return F.leaky_relu(torch.addcmul(x, self.strength, noise), SLOPE)


class Mapping(nn.Module):
    """The latent vector, (N, LATENT), to a style of unit mean square, (N, STYLE)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(LATENT, STYLE)
        self.second = nn.Linear(STYLE, STYLE)

    def forward(self, z: Tensor) -> Tensor:
        return pixel_norm(self.second(F.leaky_relu(self.first(pixel_norm(z)), SLOPE)))


def pixel_norm(x: Tensor) -> Tensor:
    """Divide each place's channels by their root mean square (Karras 2018, section 4.2)."""
    return x * (x.square().mean(dim=1, keepdim=True) + EPSILON).rsqrt()


def doubled(x: Tensor) -> Tensor:
    """Return x at twice the size, each value repeated.

    A convolution follows: unlike a transposed one it leaves no checkerboard (Odena 2016).
    """
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
