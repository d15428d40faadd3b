"""``dcgan`` and ``wgan-gp``: the plates thesis' networks, at its sizes and at any other.

Its generator: 100 values, a dense layer to 5x3x512, five transposed 5x5 convolutions of strides 5,
2, 2, 2, 2, a picture of 400x240. Its critic: four 3x3 convolutions of strides 1, 2, 2, 2 and one
dense layer. The trained values of these layers, and of no other, are the thesis' table. After
DCGAN (Radford 2015, section 3) there is no normalisation before the first layer's activation in
the critic, nor in the generator's last; ReLU in the generator, leaky ReLU in the critic.
"""

import math
from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from flawsmith.errors import InputError
from flawsmith.gen.shapes import Shape, cropped
from flawsmith.train.norms import BatchNorm, Dropout, layer_norm, leaky

KERNEL = 5
# Of the widest layer, as a multiple of the narrowest.
WIDEST = 8
INITIAL_DEVIATION = 0.02
CRITIC_STRIDES = (1, 2, 2, 2)
NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": BatchNorm,
    "layer": layer_norm,
    "none": nn.Identity,
}


class DcganGenerator(nn.Module):
    """(N, latent) normal values to (N, C + K, H, W) in [-1, 1].

    width: channels before the last layer; each layer above has twice as many, up to 8 times.
    strides: of the transposed convolutions, 2 to 5; () takes as many of 2 as leave a grid of at
    least 4 a side. What the grid makes too large is cropped.
    """

    def __init__(
        self, shape: Shape, latent: int, width: int, strides: tuple[int, ...] = ()
    ) -> None:
        super().__init__()
        self.shape, self.latent = shape, latent
        strides = strides or (2,) * max(1, shape.doublings())
        if not all(2 <= stride <= KERNEL for stride in strides):
            raise InputError(f"strides {strides}", mend=f"each 2 to {KERNEL}")
        self.grid = shape.grid(math.prod(strides))
        widths = [width * min(WIDEST, 2 ** (len(strides) - 1 - i)) for i in range(len(strides))]
        layers = [*widths, shape.total]
        self.dense = nn.Linear(latent, widths[0] * math.prod(self.grid), bias=False)
        self.first_norm = BatchNorm(widths[0])
        self.convs = nn.ModuleList()
        self.norms = nn.ModuleList()
        for (inputs, outputs), stride in zip(pairwise(layers), strides, strict=True):
            self.convs.append(_enlarging(inputs, outputs, stride))
            self.norms.append(BatchNorm(outputs))
        del self.norms[-1]
        _start(self)

    def forward(self, z: Tensor) -> Tensor:
        x = self.dense(z).unflatten(1, (-1, *self.grid))
        x = F.relu(self.first_norm(x))
        for conv, norm in zip(self.convs[:-1], self.norms, strict=True):
            x = F.relu(norm(conv(x)))
        return cropped(self.convs[-1](x), self.shape).tanh()


class DcganCritic(nn.Module):
    """(N, C + K, H, W) to (N, 1) logits.

    width: channels of the first layer; the next ones have 2, 4 and 8 times as many. norm: "batch"
    (DCGAN) or "layer" (WGAN-GP). dropout: before the dense layer. spectral: normalise the weights
    (Miyato 2018) instead of the activations, whatever ``norm`` says.
    """

    def __init__(
        self,
        shape: Shape,
        width: int,
        norm: str = "batch",
        dropout: float = 0.0,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        widths = [shape.total, *(width * 2**i for i in range(len(CRITIC_STRIDES)))]
        self.convs = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1)
            for (inputs, outputs), stride in zip(pairwise(widths), CRITIC_STRIDES, strict=True)
        )
        make = NORMS["none" if spectral else norm]
        self.norms = nn.ModuleList(make(outputs) for outputs in widths[2:])
        self.dropout = Dropout(dropout)
        rows, columns = shape.grid(math.prod(CRITIC_STRIDES))
        self.dense = nn.Linear(widths[-1] * rows * columns, 1)
        _start(self)
        if spectral:
            for layer in (*self.convs, self.dense):
                spectral_norm(layer)

    def forward(self, x: Tensor) -> Tensor:
        x = leaky(self.convs[0](x))
        for conv, norm in zip(self.convs[1:], self.norms, strict=True):
            x = leaky(norm(conv(x)))
        logits: Tensor = self.dense(self.dropout(x.flatten(1)))
        return logits


def _enlarging(inputs: int, outputs: int, stride: int) -> nn.ConvTranspose2d:
    """Return the 5x5 transposed convolution that makes a map ``stride`` times as large, exactly."""
    padding = (KERNEL - stride + 1) // 2
    extra = stride - KERNEL + 2 * padding
    return nn.ConvTranspose2d(inputs, outputs, KERNEL, stride, padding, extra)


def _start(model: nn.Module) -> None:
    """Draw all weights from N(0, 0.02), as DCGAN does (Radford 2015, section 4)."""
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, std=INITIAL_DEVIATION)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
