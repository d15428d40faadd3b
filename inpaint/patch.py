"""``patch``: a discriminator from scratch that judges overlapping patches.

As pix2pix's (Isola 2017, section 3.2.2); for data far from photographs, and for long runs. No layer
looks across the batch: neither BatchNorm nor the batch's deviation, so a sample's judgement is its
own.
"""

from torch import Tensor, nn

from flawsmith.inpaint.judging import Discriminator
from flawsmith.train.heads import SLOPE, conv, head


class Patch(Discriminator):
    """Heads on its own maps at strides 4 and 8, of 4 times ``width`` channels.

    spectral: spectral normalisation of every layer (with the hinge loss); plain otherwise (with the
    logistic loss and R1).
    """

    def __init__(self, channels: int, classes: int, width: int, spectral: bool = True) -> None:
        told = classes + 1
        heads = [head(4 * width, told, 2 * width, spectral) for _ in range(2)]
        super().__init__(heads, (4 * width, 4 * width))
        self.near = nn.Sequential(
            conv(channels, width, spectral=spectral),
            nn.LeakyReLU(SLOPE),
            conv(width, 2 * width, 4, 2, spectral),
            nn.LeakyReLU(SLOPE),
            conv(2 * width, 4 * width, 4, 2, spectral),
            nn.LeakyReLU(SLOPE),
        )
        self.far = nn.Sequential(conv(4 * width, 4 * width, 4, 2, spectral), nn.LeakyReLU(SLOPE))

    def features(self, image: Tensor) -> list[Tensor]:
        near = self.near(image)
        return [near, self.far(near)]
