"""ALAD's five networks (Zenati et al. 2018, appendix), spectrally normalised (Miyato 2018)."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from flawsmith.evaluate.detectors.frames import Form
from flawsmith.evaluate.detectors.learned import halvings
from flawsmith.train.norms import BatchNorm, Dropout

SLOPE = 0.2


class Generator(nn.Module):
    """G: (N, latent) -> (N, C, H, W) in [-1, 1]."""

    def __init__(self, form: Form, width: int, latent: int) -> None:
        super().__init__()
        count = halvings(form)
        widths = [width * 2**level for level in reversed(range(count))]
        grid = (form.height >> count, form.width >> count)
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent, widths[0], grid, bias=False)]
        for before, after in pairwise([*widths, form.channels]):
            layers += [BatchNorm(before), nn.ReLU()]
            layers.append(nn.ConvTranspose2d(before, after, 4, 2, 1))
        self.body = nn.Sequential(*layers, nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        return self.body(z[:, :, None, None])  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """E: (N, C, H, W) -> (N, latent)."""

    def __init__(self, form: Form, width: int, latent: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*_halving(form.channels, form, width))
        count = halvings(form)
        grid = (form.height >> count, form.width >> count)
        self.head = spectral_norm(nn.Conv2d(width * 2 ** (count - 1), latent, grid))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x)).flatten(1)  # type: ignore[no-any-return]


class JudgeXZ(nn.Module):
    """D_xz: is a picture encoded, or was it made from the latent? -> (N,) logits."""

    def __init__(self, form: Form, width: int, latent: int, dropout: float) -> None:
        super().__init__()
        count = halvings(form)
        grid = (form.height >> count) * (form.width >> count)
        wide = width * 2 ** (count - 1)
        self.picture = nn.Sequential(*_halving(form.channels, form, width), nn.Flatten())
        self.latent = nn.Sequential(*_dense(latent, wide, dropout), *_dense(wide, wide, dropout))
        self.both = nn.Sequential(
            *_dense(wide * (grid + 1), 2 * wide, dropout), spectral_norm(nn.Linear(2 * wide, 1))
        )

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        joined = torch.cat([self.picture(x), self.latent(z)], dim=1)
        return self.both(joined)[:, 0]  # type: ignore[no-any-return]


class JudgeXX(nn.Module):
    """D_xx: is the second picture the first one, or its reconstruction? -> (N,) logits."""

    def __init__(self, form: Form, width: int, dropout: float) -> None:
        super().__init__()
        widths = [2 * form.channels, width, 2 * width]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers.append(spectral_norm(nn.Conv2d(before, after, 5, 2, 2)))
            layers += [nn.LeakyReLU(SLOPE), Dropout(dropout)]
        self.body = nn.Sequential(*layers, nn.Flatten())
        grid = -(-form.height // 4) * -(-form.width // 4)
        self.head = spectral_norm(nn.Linear(2 * width * grid, 1))

    def features(self, x: Tensor, other: Tensor) -> Tensor:
        """Return what lies before the logit, (N, F)."""
        return self.body(torch.cat([x, other], dim=1))  # type: ignore[no-any-return]

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        return self.head(self.features(x, other))[:, 0]  # type: ignore[no-any-return]


class JudgeZZ(nn.Module):
    """D_zz: is the second latent the first one, or what its picture is encoded as? -> (N,)."""

    def __init__(self, latent: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_dense(2 * latent, 64, dropout),
            *_dense(64, 32, dropout),
            spectral_norm(nn.Linear(32, 1)),
        )

    def forward(self, z: Tensor, other: Tensor) -> Tensor:
        return self.body(torch.cat([z, other], dim=1))[:, 0]  # type: ignore[no-any-return]


class AladNetwork(nn.Module):
    """The five networks together."""

    def __init__(self, form: Form, width: int, latent: int, dropout: float) -> None:
        super().__init__()
        self.generator = Generator(form, width, latent)
        self.encoder = Encoder(form, width, latent)
        self.xz = JudgeXZ(form, width, latent, dropout)
        self.xx = JudgeXX(form, width, dropout)
        self.zz = JudgeZZ(latent, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return G(E(x))."""
        return self.generator(self.encoder(x))  # type: ignore[no-any-return]


def _halving(channels: int, form: Form, width: int) -> list[nn.Module]:
    """Return 4x4 convolutions that halve, BatchNorm after all but the first."""
    widths = [channels, *(width * 2**level for level in range(halvings(form)))]
    layers: list[nn.Module] = []
    for level, (before, after) in enumerate(pairwise(widths)):
        layers.append(spectral_norm(nn.Conv2d(before, after, 4, 2, 1)))
        layers += [BatchNorm(after)] if level else []
        layers.append(nn.LeakyReLU(SLOPE))
    return layers


def _dense(before: int, after: int, dropout: float) -> list[nn.Module]:
    return [spectral_norm(nn.Linear(before, after)), nn.LeakyReLU(SLOPE), Dropout(dropout)]
