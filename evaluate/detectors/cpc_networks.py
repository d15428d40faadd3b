"""The networks of contrastive predictive coding: encoder, context, one matrix a step."""

from itertools import pairwise
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.errors import InputError

# timm's names of the encoders of the course project; of ResNet50 three blocks, as in CPC.
TIMM = {"resnet18v2": "resnetv2_18", "resnet50v2": "resnetv2_50", "densenet": "densenet121"}
BLOCKS = {"resnet50v2": 3}
ENCODERS = ("small", *TIMM)


class Small(nn.Module):
    """(M, C, p, p) -> (M, 4 width): three halvings, the mean over places."""

    def __init__(self, channels: int, width: int = 24) -> None:
        super().__init__()
        widths = [channels, width, 2 * width, 4 * width]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.values = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).mean(dim=(2, 3))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """(M, C, p, p) patches in [-1, 1] -> (M, values) embeddings."""

    def __init__(self, name: str, channels: int, values: int) -> None:
        super().__init__()
        if name not in ENCODERS:
            raise InputError(f"no encoder {name!r}", mend=f"one of {', '.join(ENCODERS)}")
        self.body: nn.Module
        if name == "small":
            self.body = small = Small(channels)
            found = small.values
        else:
            network: Any = timm.create_model(TIMM[name], in_chans=channels, num_classes=0)
            found = int(network.num_features)
            if name in BLOCKS:
                network.stages = network.stages[: BLOCKS[name]]
                found = network.stages[-1].blocks[-1].conv3.out_channels
                network.norm = nn.Sequential(nn.BatchNorm2d(found), nn.ReLU())
            self.body = network
        self.head = nn.Identity() if found == values else nn.Linear(found, values)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))  # type: ignore[no-any-return]


class Context(nn.Module):
    """What the rows above tell: (N, D, g, g) -> (N, D, g, g), row r from rows up to r alone.

    The vertical stack of a PixelCNN (van den Oord 2016, arXiv 1606.05328): whole rows are predicted
    from those above, so nothing in a row needs to be hidden from its own context.
    """

    def __init__(self, values: int, layers: int = 3) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(values, values, (2, 3)) for _ in range(layers))

    def forward(self, z: Tensor) -> Tensor:
        for layer in self.layers:
            z = z + F.relu(layer(F.pad(z, (1, 1, 1, 0))))
        return z


class Direction(nn.Module):
    """One model: embeddings of a grid of patches, and what the upper rows predict of lower ones.

    steps: rows ahead that are predicted, one matrix W_k each (van den Oord 2018, eq. 3).
    """

    def __init__(
        self,
        channels: int,
        encoder: str,
        values: int,
        steps: tuple[int, ...],
        context: bool,
        bank: int,
    ) -> None:
        super().__init__()
        self.steps = steps
        self.encoder = Encoder(encoder, channels, values)
        self.context = Context(values) if context else None
        self.ahead = nn.ModuleList(nn.Linear(values, values, bias=False) for _ in steps)
        self.register_buffer("bank", torch.zeros(bank, values))
        self.bank: Tensor

    def embed(self, patches: Tensor) -> Tensor:
        """Return (N, D, g, g) of (N, g, g, C, p, p) patches."""
        n, rows, columns = patches.shape[:3]
        found = self.encoder(patches.flatten(0, 2)).view(n, rows, columns, -1)
        return found.permute(0, 3, 1, 2)  # type: ignore[no-any-return]

    def pairs(self, z: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return, a step k, what is predicted and what is there, (N, g - k, g, D) each.

        Row r of either belongs to the patches of row r + k.
        """
        told = z if self.context is None else self.context(z)
        found = []
        for k, matrix in zip(self.steps, self.ahead, strict=True):
            said = matrix(told[:, :, :-k].permute(0, 2, 3, 1))
            found.append((said, z[:, :, k:].permute(0, 2, 3, 1)))
        return found


def info_nce(said: Tensor, there: Tensor, others: Tensor) -> Tensor:
    """Return (N, P) the InfoNCE loss (van den Oord 2018, eq. 4), in nats.

    said, there: (N, P, D), what is predicted of P patches of a picture, and their embeddings;
    others: (B, D). The loss is -log of the true one's share of exp(said . embedding) among all
    patches of its picture and the others: those are its negatives.
    """
    own = (said @ there.transpose(1, 2)).float()
    scores = torch.cat([own, (said @ others.T).float()], dim=2)
    return scores.logsumexp(dim=2) - own.diagonal(dim1=1, dim2=2)


def patches_of(x: Tensor, side: int) -> Tensor:
    """Return (N, g, g, C, side, side), half overlapping, of square pictures (N, C, T, T)."""
    cut = x.unfold(2, side, side // 2).unfold(3, side, side // 2)
    return cut.permute(0, 2, 3, 1, 4, 5).contiguous()
