"""What every generator makes and every critic sees, and how any size comes from a small grid.

One interface holds for all. A generator is an ``nn.Module`` with ``latent: int``; ``forward(z)``
takes (N, latent) and returns (N, channels + planes, height, width) float in [-1, 1], the image's
channels first. A plane marks its class where ``marked`` says so: that is the rule that makes masks
binary. The same z gives the same picture. A critic's ``forward`` takes such a batch and returns
(N, ...) logits, without a sigmoid, positive for real. It may also have a method
``reconstruction(x)``, a scalar loss on real pictures that trains it beside its judgement (FastGAN).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.errors import InputError

# A generator's smallest picture and critic's smallest input; what is below shows nothing.
SMALLEST = 8
LARGEST = 4096


@dataclass(frozen=True)
class Shape:
    """The form of one picture: image channels (1 grey, 3 RGB), pixels, and mask planes K or 0.

    Raises InputError for anything that no network here can make.
    """

    channels: int
    height: int
    width: int
    planes: int = 0

    def __post_init__(self) -> None:
        if self.channels not in (1, 3) or self.planes < 0:
            raise InputError(
                f"{self.channels} channels and {self.planes} mask planes; wanted 1 or 3, and 0 up"
            )
        if not SMALLEST <= min(self.height, self.width) <= max(self.height, self.width) <= LARGEST:
            raise InputError(
                f"images of {self.width}x{self.height} pixels",
                mend=f"sides of {SMALLEST} to {LARGEST} pixels; see --resize and --crop",
            )

    @property
    def total(self) -> int:
        """Channels of the image and its mask planes together."""
        return self.channels + self.planes

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def values(self) -> int:
        """Numbers that one picture consists of, its planes counted."""
        return self.total * self.height * self.width

    def grid(self, stride: int) -> tuple[int, int]:
        """Return the (height, width) of the smallest grid that covers the picture, at a stride."""
        return math.ceil(self.height / stride), math.ceil(self.width / stride)

    def doublings(self, smallest: int = 4) -> int:
        """Return how often the short side can be halved, rounded up, and stay ``smallest``."""
        count = 0
        while min(self.grid(2 ** (count + 1))) >= smallest:
            count += 1
        return count


def marked(planes: Tensor) -> Tensor:
    """Return (N, K, H, W) bool: where the mean of a generator's plane over 3x3 pixels is above 0.

    Beyond the border a plane goes on as it ends. A single pixel of a network's says little: near
    the edge of a mask planes are about 0, and noise would strew dots.
    """
    if not planes.shape[1]:
        return planes > 0
    around = F.pad(planes.float(), (1, 1, 1, 1), mode="replicate")
    return F.avg_pool2d(around, 3, stride=1) > 0


def cropped(x: Tensor, shape: Shape) -> Tensor:
    """Return the middle of x, (N, C, H, W) at least as large, in the shape's height and width.

    Cut, never stretched: a stretched pixel is not as sharp as a camera's.
    """
    top, left = (x.shape[-2] - shape.height) // 2, (x.shape[-1] - shape.width) // 2
    return x[..., top : top + shape.height, left : left + shape.width]


def score(logits: Tensor) -> Tensor:
    """Return (N,) float32: a critic's mean logit a sample."""
    return logits.float().flatten(1).mean(dim=1) if logits.ndim > 1 else logits.float()


def sampled(generator: nn.Module, z: Tensor, truncation: float = 1.0) -> Tensor:
    """Return the generator's pictures of latents (N, latent), nearer to the mean below 1.

    By its own method ``sample(z, truncation)`` if it has one (StyleGAN2 truncates its styles,
    Karras 2019, appendix B); otherwise the latents are scaled. float32.
    """
    own = getattr(generator, "sample", None)
    pictures: Tensor = own(z, truncation) if own is not None else generator(z * truncation)
    return pictures.to(torch.float32)
