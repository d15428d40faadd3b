"""``lama``: residual blocks of fast Fourier convolutions (Suvorov 2021, section 2.1; Chi 2020).

A global branch works on the spectrum, so each block sees the whole crop: right for surfaces with a
period, such as brushed or woven ones. Different from LaMa: two reductions and few blocks, for small
crops; groups are normalised, not batches; styles and noise, which LaMa has not.
"""

import torch
from torch import Tensor, nn

from flawsmith.inpaint.blocks import (
    GROUPS,
    HALVED,
    Conv,
    Generator,
    Mapping,
    StyledConv,
    doubled,
)
from flawsmith.inpaint.noise import Noise

BLOCKS = 4
STRIDE = 4
# Of a block's 4 times width channels three quarters are global, as in LaMa.
LOCAL, GLOBAL = 1, 3


class Spectral(nn.Module):
    """A 1x1 convolution of the spectrum: each output place sees every input place (Chi 2020)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = max(GROUPS, channels // 2 // GROUPS * GROUPS)
        self.enter = Conv(channels, half, 1)
        self.mix = Conv(2 * half, 2 * half, 1, norm=False)
        self.leave = Conv(half, channels, 1, norm=False, active=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        x = (x + self._through_spectrum(x).to(x.dtype)) * HALVED
        return self.leave(x)  # type: ignore[no-any-return]

    def _through_spectrum(self, x: Tensor) -> Tensor:
        # Half precision has no transform of every size, and too few digits for the sums.
        with torch.autocast(x.device.type, enabled=False):
            spectrum = torch.fft.rfft2(x.float(), norm="ortho")
            mixed = self.mix(torch.cat([spectrum.real, spectrum.imag], dim=1))
            real, imaginary = mixed.chunk(2, dim=1)
            size = (x.shape[-2], x.shape[-1])
            out: Tensor = torch.fft.irfft2(torch.complex(real, imaginary), s=size, norm="ortho")
            return out


class FourierConv(nn.Module):
    """A local and a global branch that exchange what they found (Chi 2020, fig. 2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.split = [LOCAL * width, GLOBAL * width]
        self.local = StyledConv(sum(self.split), self.split[0])
        # The global branch takes local features by a convolution, and its own by their spectrum.
        self.across = StyledConv(self.split[0], self.split[1])
        self.spectral = Spectral(self.split[1])

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        near, far = torch.split(x, self.split, dim=1)
        whole = self.across(near, style, noise, self.spectral(far))
        return torch.cat([self.local(x, style, noise), whole], dim=1)


class Block(nn.Module):
    """Two Fourier convolutions around which the input passes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = FourierConv(width)
        self.second = FourierConv(width)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        found = self.second(self.first(x, style, noise), style, noise)
        return (x + found) * HALVED  # type: ignore[no-any-return]


class Lama(Generator):
    """Full size to stride 4 and 4 times ``width`` channels, Fourier blocks there, and back."""

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        known = channels + 1 + classes
        self.mapping = Mapping()
        self.downs = nn.Sequential(
            Conv(known, width, 7, norm=False),
            Conv(width, 2 * width, stride=2),
            Conv(2 * width, 4 * width, stride=2),
        )
        self.blocks = nn.ModuleList(Block(width) for _ in range(BLOCKS))
        self.to_half = StyledConv(4 * width, 2 * width)
        self.to_full = StyledConv(2 * width, width)
        # The last layers see the masks and the surface itself, at full size.
        self.finish = StyledConv(width + known, width)
        self.leave = nn.Conv2d(width, channels, 3, padding=1)

    def propose(self, seen: Tensor, noise: Noise) -> Tensor:
        style = self.mapping(noise.z)
        x = self.downs(seen)
        for block in self.blocks:
            x = block(x, style, noise.at(STRIDE))
        x = self.to_half(doubled(x), style, noise.at(2))
        x = self.to_full(doubled(x), style, noise.at(1))
        x = self.finish(torch.cat([x, seen], dim=1), style, noise.at(1))
        return self.leave(x)  # type: ignore[no-any-return]
