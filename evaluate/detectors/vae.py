"""The encoder and decoder of the plates thesis' variational autoencoders, at any size.

Stages of two 3x3 convolutions with ELU, halved between them by max-pooling, a dense layer of four
times the latent, then mean and log-variance; the decoder mirrors it with transposed convolutions.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from flawsmith.errors import InputError
from flawsmith.evaluate.detectors.frames import Form

# Of the dense layer, as a multiple of the latent's: 512 for 128 in the thesis.
DENSE = 4
# Log-variances beyond this are cut, or a bad step overflows.
LARGEST = 10.0
STAGES = 4


def grid_of(form: Form) -> tuple[int, int]:
    """Return (height, width) of the deepest stage; raises InputError if sides do not halve so."""
    unit = 2 ** (STAGES - 1)
    if form.height % unit or form.width % unit:
        raise InputError(
            f"the network cannot take pictures of {form}",
            mend=f"sides that are multiples of {unit}",
        )
    return form.height // unit, form.width // unit


def widths_of(width: int) -> list[int]:
    """Return the channels of the four stages."""
    return [width * 2**stage for stage in range(STAGES)]


class Encoder(nn.Module):
    """(N, C, H, W) -> mean and log-variance, (N, latent) each."""

    def __init__(self, form: Form, width: int, latent: int) -> None:
        super().__init__()
        height, across = grid_of(form)
        widths = widths_of(width)
        layers: list[nn.Module] = []
        for stage, (before, after) in enumerate(pairwise([form.channels, *widths])):
            layers += [*_conv(before, after), *_conv(after, after)]
            layers += [nn.MaxPool2d(2)] if stage < STAGES - 1 else []
        dense = DENSE * latent
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.dense = nn.Sequential(nn.Linear(widths[-1] * height * across, dense), nn.ELU())
        self.head = nn.Linear(dense, 2 * latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.head(self.dense(self.body(x))).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-LARGEST, LARGEST)


class Decoder(nn.Module):
    """(N, latent) -> (N, C, H, W) in [-1, 1]."""

    def __init__(self, form: Form, width: int, latent: int) -> None:
        super().__init__()
        height, across = grid_of(form)
        widths = widths_of(width)[::-1]
        self.dense = nn.Sequential(
            nn.Linear(latent, DENSE * latent),
            nn.ELU(),
            nn.Linear(DENSE * latent, widths[0] * height * across),
            nn.ELU(),
            nn.Unflatten(1, (widths[0], height, across)),
        )
        layers = [*_conv(widths[0], widths[0]), *_conv(widths[0], widths[0])]
        for before, after in pairwise(widths):
            layers.append(nn.ConvTranspose2d(before, after, 3, 2, 1, output_padding=1))
            layers += [nn.ELU(), *_conv(after, after)]
        layers += [nn.Conv2d(widths[-1], form.channels, 3, padding=1), nn.Tanh()]
        self.body = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        return self.body(self.dense(z))  # type: ignore[no-any-return]


def _conv(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, padding=1), nn.ELU()]


def drawn(known: tuple[Tensor, Tensor], noise: Tensor) -> Tensor:
    """Return a latent of N(mean, variance) from standard normal noise (Kingma 2013, 2.4).

    known: mean and log-variance.
    """
    mean, log_variance = known
    return mean + (log_variance / 2).exp() * noise


def kl_to_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return (N,) KL(N(mean, variance) || N(0, 1)), summed over the latent (Kingma 2013, B)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)


def kl_between(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Tensor:
    """Return (N,) KL of one diagonal normal from another, (mean, log-variance) each."""
    (mean, log_variance), (other, log_other) = first, second
    ratio = (log_variance - log_other).exp()
    shift = (mean - other).square() / log_other.exp()
    return 0.5 * (ratio + shift - 1 - log_variance + log_other).sum(dim=1)


def squared_error(x: Tensor, other: Tensor) -> Tensor:
    """Return (N,) the squared differences, summed over all values of a picture."""
    return (x.float() - other.float()).square().flatten(1).sum(dim=1)


def error_maps(x: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Return (N,) mean squared errors and (N, H, W) squared errors, averaged over colours."""
    maps = (x.float() - other.float()).square().mean(dim=1)
    return maps.flatten(1).mean(dim=1), maps


def fixed_noise(count: int, latent: int, seed: int, device: torch.device) -> Tensor:
    """Return (count, latent) standard normal values that depend on the seed alone."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, latent, generator=generator).to(device)
