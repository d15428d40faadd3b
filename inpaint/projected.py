"""``projected``: a frozen network's features judged by small heads (Sauer 2021, arXiv 2111.01007).

Different from it: the network is Lite0; masks and hole are told to the heads; nothing is mixed.
"""

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

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

    frozen: Lite0.
    """

    frozen = True

    def __init__(self, frozen: Frozen, classes: int, width: int) -> None:
        channels = CHANNELS[:MAPS]
        super().__init__([head(c, classes + 1, width) for c in channels], channels)
        self._outside = (frozen,)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the frozen maps; a grey image repeats its plane."""
        return list(self._outside[0].maps(image.expand(-1, 3, -1, -1), MAPS))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Projected":
        # torch moves a module's tensors through this method; it cannot find the frozen ones itself.
        self._outside[0]._apply(fn)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self
