"""What every discriminator shares: feature maps of an image, and a head a map that judges it.

The masks and the hole enter at the heads, so the maps of an image serve any mask: a mismatched
pair costs a head, not a network.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Judgement:
    """How real each cell of one feature map looks.

    logits: (N, 1, h, w), positive for real; cells: (N, 1, h, w), 1 where the cell meets the hole,
    else 0. Only those cells can tell real from painted: elsewhere both are the same pixels.
    """

    logits: Tensor
    cells: Tensor


class Discriminator(nn.Module):
    """The one interface of all discriminators.

    heads: one a map; channels: of those maps. frozen: the maps of a picture stay the same while
    the heads are trained.
    """

    frozen = False

    def __init__(self, heads: Sequence[nn.Module], channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.heads = nn.ModuleList(heads)

    def compile(self, *words: Any, **more: Any) -> None:
        """Compile what a step calls: torch's own method compiles ``forward`` alone."""
        self.features = torch.compile(self.features, *words, **more)  # type: ignore[method-assign]
        self.judge = torch.compile(self.judge, *words, **more)  # type: ignore[method-assign]

    @abstractmethod
    def features(self, image: Tensor) -> list[Tensor]:
        """Return the maps of an image, (N, C, H, W) in [-1, 1]: for matching features."""

    def judge(self, maps: list[Tensor], masks: Tensor, hole: Tensor) -> list[Judgement]:
        """Judge maps that ``features`` gave, so that they need not be computed twice."""
        found = []
        for head, x in zip(self.heads, maps, strict=True):
            size = (x.shape[-2], x.shape[-1])
            # Area means tell a head how much of each cell a class covers.
            told = F.adaptive_avg_pool2d(torch.cat([masks, hole], dim=1), size)
            found.append(Judgement(head(torch.cat([x, told], dim=1)), cells_of(hole, x)))
        return found

    def forward(self, image: Tensor, masks: Tensor, hole: Tensor) -> list[Judgement]:
        """Judge images under masks, a judgement a map.

        image: (N, C, H, W) in [-1, 1]; masks: (N, K, H, W) and hole: (N, 1, H, W), 0 or 1.
        """
        return self.judge(self.features(image), masks, hole)


def cells_of(hole: Tensor, maps: Tensor) -> Tensor:
    """Return (N, 1, h, w): 1 for each cell of maps (N, C, h, w) that meets the hole."""
    return F.adaptive_max_pool2d(hole, (maps.shape[-2], maps.shape[-1]))
