"""``projected``: a frozen network's features judged by small heads (Sauer 2021, arXiv 2111.01007).

Different from it: the network is Lite0; masks and hole are told to the heads; the random mixing is
off unless asked for.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.inpaint.judging import Discriminator, head
from flawsmith.train.backbone import CHANNELS

# Strides 4, 8 and 16: deeper maps see more than a crop.
MAPS = 3


class Frozen(Protocol):
    """What is asked of the frozen network: Lite0's interface."""

    def maps(self, x: Tensor, count: int) -> tuple[Tensor, ...]:
        """Return ``count`` feature maps of CHANNELS channels, for x (N, 3, H, W) in [-1, 1]."""
        ...

    def _apply(self, fn: Callable[[Tensor], Tensor]) -> Any: ...


class Projected(Discriminator):
    """Heads on Lite0's maps at strides 4, 8, 16; images need at least 32x32 pixels.

    The frozen network is held in a tuple, where torch does not look: it is no submodule, so it is
    in neither ``parameters()`` nor ``state_dict()``; it follows the heads to their device.
    Gradients flow through it to the image.

    frozen: Lite0; mixing: mix the maps by fixed random convolutions before the heads.
    """

    def __init__(self, frozen: Frozen, classes: int, width: int, mixing: bool = False) -> None:
        channels = CHANNELS[:MAPS]
        super().__init__([head(c, classes + 1, width) for c in channels], channels)
        self._outside = (frozen,)
        self.mixing = Mixing(channels) if mixing else None

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the frozen maps; a grey image repeats its plane."""
        return list(self._outside[0].maps(image.expand(-1, 3, -1, -1), MAPS))

    def prepared(self, maps: list[Tensor]) -> list[Tensor]:
        return maps if self.mixing is None else self.mixing(maps)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Projected":
        # torch moves a module's tensors through this method; it cannot find the frozen ones itself.
        self._outside[0]._apply(fn)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


class Mixing(nn.Module):
    """Fixed random mixing across channels and scales (Sauer 2021, section 3.2, CCM and CSM).

    Buffers, not parameters: never trained, yet saved, so that a resumed run keeps its projection.
    Enlarging repeats values where the paper interpolates, whose backward pass varies on a GPU.
    """

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        for level, count in enumerate(channels):
            self.register_buffer(f"across{level}", _random(count, count, 1))
        for level, (own, below) in enumerate(pairwise(channels)):
            self.register_buffer(f"up{level}", _random(below, own, 3))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        mixed = [F.conv2d(x, self.get_buffer(f"across{i}")) for i, x in enumerate(maps)]
        for level in reversed(range(len(maps) - 1)):
            deeper = F.interpolate(mixed[level + 1], mixed[level].shape[-2:], mode="nearest")
            risen = F.conv2d(deeper, self.get_buffer(f"up{level}"), padding=1)
            mixed[level] = mixed[level] + risen
        return mixed


def _random(inputs: int, outputs: int, kernel: int) -> Tensor:
    """Return weights by He's initialisation (2015), which keeps the size of what passes."""
    return nn.init.kaiming_normal_(
        torch.empty(outputs, inputs, kernel, kernel), nonlinearity="linear"
    )
