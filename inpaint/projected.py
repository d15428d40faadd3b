"""``projected``: a frozen network's features judged by small heads (Sauer 2021, arXiv 2111.01007).

Different from it: the network is Lite0; masks and hole are told to the heads; nothing is mixed.
"""

from torch import Tensor

from flawsmith.inpaint.judging import Discriminator
from flawsmith.train.backbone import CHANNELS
from flawsmith.train.heads import BesideFrozen, Frozen, head

# Strides 4, 8 and 16: deeper maps see more than a crop.
MAPS = 3


class Projected(BesideFrozen, Discriminator):
    """Heads on Lite0's maps at strides 4, 8, 16; images need at least 32x32 pixels.

    frozen: Lite0. Gradients flow through it to the image.
    """

    frozen = True

    def __init__(self, frozen: Frozen, classes: int, width: int) -> None:
        channels = CHANNELS[:MAPS]
        super().__init__([head(c, classes + 1, width) for c in channels], channels)
        self.hold(frozen)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the frozen maps; a grey image repeats its plane."""
        return self.frozen_maps(image, MAPS)
