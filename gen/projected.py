"""The projected critic: a frozen network's features of whole pictures, judged by small heads.

Projected GAN (Sauer 2021, arXiv 2111.01007). Different from it: the network is Lite0, its maps are
not mixed, and mask planes are told to the heads.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.gen.shapes import Shape
from flawsmith.train.backbone import CHANNELS
from flawsmith.train.heads import BesideFrozen, Frozen, head

# Strides 4, 8 and 16. On small pictures the next, 32, has next to no cells.
MAPS = 3
# From this side on that one is judged too.
LARGE = 128
# A map's cells deviate from their mean by a norm of 30 to 50, planes by less than 1: heads of
# bounded gain would not hear them.
LOUD = 10.0


class ProjectedCritic(BesideFrozen):
    """(N, C + K, H, W) in [-1, 1] to (N, maps, h, w) logits; h, w are of the finest map.

    Logits of coarser maps are repeated, so that in the mean each map counts as much as another.
    The frozen network sees the image's channels, the heads also the planes, as means over a cell.

    frozen: Lite0, held outside of ``parameters()`` and ``state_dict()``; gradients flow through it
    to the picture. shape: at least 32 a side. width: channels of the heads.
    """

    frozen = True

    def __init__(self, frozen: Frozen, shape: Shape, width: int) -> None:
        super().__init__()
        self.hold(frozen)
        self.channels = shape.channels
        self.count = MAPS + (min(shape.size) >= LARGE)
        self.heads = nn.ModuleList(head(c, shape.planes, width) for c in CHANNELS[: self.count])

    def compile(self, *words: Any, **more: Any) -> None:
        """Compile both halves: torch's own method compiles ``forward`` alone."""
        self.features = torch.compile(self.features, *words, **more)  # type: ignore[method-assign]
        self.judge = torch.compile(self.judge, *words, **more)  # type: ignore[method-assign]

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the frozen maps with the planes' means beside them.

        They stay the same while the heads are trained, so those of generated pictures serve both
        halves of a step: detached the critic's, as they are the generator's.
        """
        maps = self.frozen_maps(x[:, : self.channels], self.count)
        planes = x[:, self.channels :]
        if not planes.shape[1]:
            return maps
        told = [F.adaptive_avg_pool2d(LOUD * planes, (m.shape[-2], m.shape[-1])) for m in maps]
        return [torch.cat(pair, dim=1) for pair in zip(maps, told, strict=True)]

    def judge(self, maps: list[Tensor]) -> Tensor:
        """Return the logits of maps that ``features`` gave."""
        logits = [head(m) for head, m in zip(self.heads, maps, strict=True)]
        size = (logits[0].shape[-2], logits[0].shape[-1])
        return torch.cat([F.interpolate(x, size) for x in logits], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.judge(self.features(x))
