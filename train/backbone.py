"""Lite0: a small frozen network that gives features of any picture, without a download.

EfficientNet-Lite0 (EfficientNet, arXiv 1905.11946, without squeeze-and-excitation and with ReLU6),
built by timm. The weights were trained in TensorFlow, so strided convolutions pad as it does
("same": more below and to the right), and pictures are scaled to [-1, 1].
"""

from collections.abc import Iterator
from pathlib import Path

import timm
from timm.models.efficientnet import EfficientNet
from torch import Tensor, nn

from flawsmith.train.lite0_file import SHA256, TRUSTED, weights_file
from flawsmith.train.weights import file_sha256, load_into, read_tensors

ARCHITECTURE = "tf_efficientnet_lite0"
# The last stage at each stride; timm's stages count from 0.
STAGES = (1, 2, 4, 6)
STRIDES = (4, 8, 16, 32)
CHANNELS = (24, 40, 112, 320)
POOLED = 1280
SMALLEST = 32


class Lite0(nn.Module):
    """The frozen network: no parameter asks for a gradient, and ``train()`` leaves it as it is.

    Gradients flow through it to its input. Every method takes x: (N, 3, H, W) float RGB in
    [-1, 1], H and W at least 32, and raises ValueError for another shape.
    """

    def __init__(self, network: EfficientNet) -> None:
        super().__init__()
        self.network = network
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "Lite0":
        """Stay in evaluation mode whatever ``mode`` says: BatchNorm's statistics are frozen too."""
        super().train(False)
        return self

    def maps(self, x: Tensor, count: int = 4) -> tuple[Tensor, ...]:
        """Return the first ``count`` feature maps, (N, C, ceil(H / stride), ceil(W / stride)).

        Of 24, 40, 112, 320 channels at strides 4, 8, 16, 32. What lies deeper is not computed.
        """
        stages = self._stages(x, STAGES[count - 1])
        return tuple(found for stage, found in enumerate(stages) if stage in STAGES)

    def pooled(self, x: Tensor) -> Tensor:
        """Return (N, 1280): the head's activations (0 to 6), averaged over places."""
        deepest = x
        for found in self._stages(x, STAGES[-1]):
            deepest = found
        return self.network.bn2(self.network.conv_head(deepest)).mean(dim=(2, 3))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, 1000): the scores of ImageNet's classes, before the softmax."""
        return self.network.classifier(self.pooled(x))  # type: ignore[no-any-return]

    def _stages(self, x: Tensor, last: int) -> Iterator[Tensor]:
        if x.ndim != 4 or x.shape[1] != 3 or min(x.shape[2:]) < SMALLEST:
            raise ValueError(
                f"found {tuple(x.shape)}; wanted (N, 3, H, W) with H and W at least {SMALLEST}"
            )
        x = self.network.bn1(self.network.conv_stem(x))
        for stage in self.network.blocks[: last + 1]:
            x = stage(x)
            yield x


def lite0_tensors(weights: Path | None = None) -> dict[str, Tensor]:
    """Return Lite0's weights under timm's names: the package's, or those of a safetensors file.

    Raises InputError if the file is missing, damaged or an unknown pickle.
    """
    path = weights_file(weights)
    tensors = read_tensors(path, TRUSTED)
    if path.suffix == ".safetensors" or file_sha256(path) != SHA256:
        return tensors
    # The package's file names its tensors otherwise, but holds them in timm's order; the kernels
    # still lie in memory as TensorFlow had them.
    ordered = (tensor.contiguous() for tensor in tensors.values())
    return dict(zip(_build().state_dict(), ordered, strict=True))


def lite0(weights: Path | None = None) -> Lite0:
    """Return the frozen Lite0, on the CPU.

    weights: a safetensors file with timm's names; None is the installed package's file.
    Raises InputError if the file is missing, damaged, an unknown pickle or of another network.
    """
    network = _build()
    load_into(network, lite0_tensors(weights), weights_file(weights))
    return Lite0(network)


def _build() -> EfficientNet:
    network = timm.create_model(ARCHITECTURE, pretrained=False)
    assert isinstance(network, EfficientNet)
    return network
