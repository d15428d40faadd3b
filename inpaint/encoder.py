"""The encoder: which latent vector stands for the look of a real defect.

As in BicycleGAN (Zhu 2017, arXiv 1711.11586, section 3): a real defect is painted over with the
latent that its own look gives, so that comparing the two does not teach the generator one look for
all, and latents drawn at random stand for looks that are real.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.inpaint.judging import cells_of
from flawsmith.inpaint.losses import statistics
from flawsmith.inpaint.noise import LATENT
from flawsmith.train.heads import SLOPE

HIDDEN = 128


class Encoder(nn.Module):
    """How a hole's features differ from its surroundings', to a normal distribution of latents.

    Not how they are: the look of a defect on a bright surface is to mean the same on a dark one.

    channels: of the maps that it will be given.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        known = 2 * sum(channels)
        self.norm = nn.LayerNorm(known)
        self.first = nn.Linear(known, HIDDEN)
        self.second = nn.Linear(HIDDEN, 2 * LATENT)

    def forward(self, maps: Sequence[Tensor], hole: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, (N, LATENT) float32 each.

        maps: (N, C, h, w) features of a picture; hole: (N, 1, H, W), 0 or 1.
        """
        x = torch.cat([_look(m, hole) for m in maps], dim=1)
        x = F.leaky_relu(self.first(self.norm(x)), SLOPE)
        mean, log_variance = self.second(x).float().chunk(2, dim=1)
        return mean, log_variance


def sampled(mean: Tensor, log_variance: Tensor, normal: Tensor) -> Tensor:
    """Return (N, LATENT): latents of the distribution, from standard normal numbers."""
    return mean + torch.exp(log_variance / 2) * normal


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return E KL(N(mean, variance) || N(0, 1)) a dimension (Kingma 2014, appendix B)."""
    return ((mean.square() + log_variance.exp() - 1 - log_variance) / 2).mean()


def _look(maps: Tensor, hole: Tensor) -> Tensor:
    """Return (N, 2 C) float32: how the features of the hole's cells differ from all others'.

    A hole that leaves no cell is compared with itself: there is nothing else to see.
    """
    inside = cells_of(hole, maps)
    around = 1 - inside
    around = torch.where(around.sum(dim=(2, 3), keepdim=True) > 0, around, inside)
    return statistics(maps, inside) - statistics(maps, around)
