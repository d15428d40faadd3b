"""The Inception network of FID, built from pytorch-fid's own blocks and made quick on the CPU.

pytorch-fid's class downloads its weights whenever it is built; here they are read from a file. The
blocks differ from torchvision's in how they pool (see ``pytorch_fid.inception``).
"""

from pathlib import Path

from pytorch_fid.inception import (  # type: ignore[import-untyped]
    FIDInceptionA,
    FIDInceptionC,
    FIDInceptionE_1,
    FIDInceptionE_2,
)
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.inception import BasicConv2d, inception_v3  # type: ignore[import-untyped]

from flawsmith.evaluate.inception_file import TRUSTED
from flawsmith.train.weights import load_into, read_tensors

DIMENSION = 2048
# The layers up to the last pooling, in order, with the two poolings that the network has no name
# for; the classifier and the auxiliary head are left out.
TRUNK = (
    "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 pool Conv2d_3b_1x1 Conv2d_4a_3x3 pool "
    "Mixed_5b Mixed_5c Mixed_5d Mixed_6a Mixed_6b Mixed_6c Mixed_6d Mixed_6e "
    "Mixed_7a Mixed_7b Mixed_7c"
)


class Inception(nn.Module):
    """The trunk: x (N, 3, 299, 299) float RGB in [-1, 1] -> (N, 2048), not negative; frozen.

    Each BatchNorm is folded into its convolution. With channels last, 16 pictures then take 1.4 s
    instead of 3.3 s on two cores; features of size 2 differ by less than 1e-5.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        layers = (
            nn.MaxPool2d(3, stride=2) if name == "pool" else getattr(network, name)
            for name in TRUNK.split()
        )
        self.layers = nn.Sequential(*layers)
        self.requires_grad_(False)
        self.eval()
        for module in self.modules():
            if isinstance(module, BasicConv2d):
                module.conv = fuse_conv_bn_eval(module.conv, module.bn)
                module.bn = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.layers(x)
        return features.mean(dim=(2, 3))


def inception(weights: Path) -> Inception:
    """Return the network with the weights of a file, on the CPU.

    weights: pytorch-fid's file, known by its hash, or a safetensors file with its names and shapes.
    Raises InputError if the file is missing, damaged, an unknown pickle or of another network.
    """
    network = untrained()
    load_into(network, read_tensors(weights, TRUSTED), weights)
    return Inception(network)


def untrained() -> nn.Module:
    """Return torchvision's Inception v3 with pytorch-fid's blocks in place of its own."""
    network: nn.Module = inception_v3(
        weights=None, num_classes=1008, aux_logits=False, init_weights=False
    )
    for name, block in {
        "Mixed_5b": FIDInceptionA(192, pool_features=32),
        "Mixed_5c": FIDInceptionA(256, pool_features=64),
        "Mixed_5d": FIDInceptionA(288, pool_features=64),
        "Mixed_6b": FIDInceptionC(768, channels_7x7=128),
        "Mixed_6c": FIDInceptionC(768, channels_7x7=160),
        "Mixed_6d": FIDInceptionC(768, channels_7x7=160),
        "Mixed_6e": FIDInceptionC(768, channels_7x7=192),
        "Mixed_7b": FIDInceptionE_1(1280),
        "Mixed_7c": FIDInceptionE_2(2048),
    }.items():
        setattr(network, name, block)
    return network
