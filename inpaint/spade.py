"""``spade``: everything known modulates the layers, the latent vector starts them (Park 2019).

Different from it: what is known is not only the class masks but also the hole and the surface
around it; groups of channels are normalised, not batches, and so the constant start survives; the
two modulations of a block share their embedding.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.inpaint.blocks import (
    GROUPS,
    HALVED,
    NOISE_STRENGTH,
    SLOPE,
    Conv,
    Generator,
    Mapping,
    StyledConv,
    doubled,
)
from flawsmith.inpaint.noise import LATENT, STRIDES, Noise

WIDTHS = (1, 2, 4, 4, 4)


class Modulation(nn.Module):
    """Normalise, then scale and shift every place by what is known of it (Park 2019, eq. 1)."""

    def __init__(self, channels: int, embedded: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels, affine=False)
        self.scale_shift = nn.Conv2d(embedded, 2 * channels, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.scale_shift(embedding).chunk(2, dim=1)
        return F.leaky_relu(torch.addcmul(shift, self.norm(x), 1 + scale), SLOPE)


class Block(nn.Module):
    """A residual block of two modulated convolutions, noise added before (Park 2019, fig. 4)."""

    def __init__(self, inputs: int, outputs: int, known: int) -> None:
        super().__init__()
        self.embed = Conv(known, outputs, norm=False)
        self.strength = nn.Parameter(torch.full((inputs, 1, 1), NOISE_STRENGTH))
        self.before = Modulation(inputs, outputs)
        self.first = Conv(inputs, outputs, norm=False, active=False)
        self.between = Modulation(outputs, outputs)
        self.second = Conv(outputs, outputs, norm=False, active=False)
        self.past = (
            Conv(inputs, outputs, 1, norm=False, active=False)
            if inputs != outputs
            else nn.Identity()
        )

    def forward(self, x: Tensor, known: Tensor, noise: Tensor) -> Tensor:
        embedding = self.embed(known)
        x = torch.addcmul(x, self.strength, noise)
        y = self.first(self.before(x, embedding))
        y = self.second(self.between(y, embedding))
        return (self.past(x) + y) * HALVED  # type: ignore[no-any-return]


class Spade(Generator):
    """Five scales from stride 16 to 1, of 4, 4, 4, 2, 1 times ``width`` channels."""

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        known = channels + 1 + classes
        wide = [width * factor for factor in WIDTHS]
        self.start = nn.Linear(LATENT, wide[-1])
        inputs = [*wide[1:], wide[-1]]
        self.blocks = nn.ModuleList(
            Block(above, own, known) for above, own in zip(inputs, wide, strict=True)
        )
        self.mapping = Mapping()
        # The last layers see the masks and the surface itself, at full size.
        self.finish = StyledConv(wide[0] + known, wide[0])
        self.leave = nn.Conv2d(wide[0], channels, 3, padding=1)

    def propose(self, seen: Tensor, noise: Noise) -> Tensor:
        coarsest = noise.at(STRIDES[-1])
        x = self.start(noise.z)[..., None, None].expand(-1, -1, *coarsest.shape[-2:])
        for level in reversed(range(len(STRIDES))):
            stride = STRIDES[level]
            known = F.avg_pool2d(seen, stride) if stride > 1 else seen
            x = self.blocks[level](x, known, noise.at(stride))
            x = doubled(x) if level else x
        style = self.mapping(noise.z)
        x = self.finish(torch.cat([x, seen], dim=1), style, noise.at(1))
        return self.leave(x)  # type: ignore[no-any-return]
