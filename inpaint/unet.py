"""``unet``: an encoder and a decoder with skips, as pix2pix's (Isola 2017, section 3.2.1).

Different from it: groups are normalised, not batches; enlarging repeats pixels and convolves;
what rises is narrowed first, where it is still small; the noise enters every level of the decoder,
where pix2pix had dropout.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from flawsmith.inpaint.blocks import Conv, Generator, Mapping, StyledConv, doubled
from flawsmith.inpaint.noise import STRIDES, Noise

WIDTHS = (1, 2, 4, 4, 4)


class Rise(nn.Module):
    """One level of the decoder: the level below, enlarged, and the encoder's map of this level."""

    def __init__(self, below: int, own: int) -> None:
        super().__init__()
        self.narrow = Conv(below, own, 1, norm=False, active=False)
        self.conv = StyledConv(2 * own, own)

    def forward(self, x: Tensor, skip: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        x = torch.cat([doubled(self.narrow(x)), skip], dim=1)
        return self.conv(x, style, noise)  # type: ignore[no-any-return]


class UNet(Generator):
    """Five scales, of 1, 2, 4, 4, 4 times ``width`` channels at strides 1, 2, 4, 8, 16."""

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        wide = [width * factor for factor in WIDTHS]
        known = channels + 1 + classes
        self.mapping = Mapping()
        self.enter = Conv(known, width, norm=False)
        self.downs = nn.ModuleList(Conv(own, below, stride=2) for own, below in pairwise(wide))
        self.middle = StyledConv(wide[-1], wide[-1])
        self.rises = nn.ModuleList(Rise(below, own) for own, below in pairwise(wide))
        # The last layers see the masks and the surface itself, at full size.
        self.finish = StyledConv(width + known, width)
        self.leave = nn.Conv2d(width, channels, 3, padding=1)

    def propose(self, seen: Tensor, noise: Noise) -> Tensor:
        style = self.mapping(noise.z)
        skips = [self.enter(seen)]
        for down in self.downs:
            skips.append(down(skips[-1]))
        x = self.middle(skips.pop(), style, noise.at(STRIDES[-1]))
        for level in reversed(range(len(self.rises))):
            x = self.rises[level](x, skips.pop(), style, noise.at(STRIDES[level]))
        x = self.finish(torch.cat([x, seen], dim=1), style, noise.at(1))
        return self.leave(x)  # type: ignore[no-any-return]
