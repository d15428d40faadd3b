"""StyleGAN2's convolution: weights that a style scales, outputs brought back to unit size.

Karras 2020, "Analyzing and improving the image quality of StyleGAN", arXiv 1912.04958, section 2.2.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.gen.blocks import EqualLinear

EPSILON = 1e-8


class ModulatedConv(nn.Module):
    """A convolution whose inputs' weights each sample's style scales; the size stays.

    demodulate: bring each output channel to deviation ``gain``, for inputs of deviation 1; a layer
    that makes colours does without (Karras 2020, fig. 2).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        styles: int,
        kernel: int = 3,
        demodulate: bool = True,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.style = EqualLinear(styles, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.demodulate, self.gain = demodulate, gain

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        """Return (N, outputs, H, W) from x (N, inputs, H, W) and styles (N, S)."""
        scale = self.gain / math.sqrt(self.weight[0].numel())
        with torch.autocast(x.device.type, enabled=False):
            style = self.style(styles.float())
            factors = demodulation(self.weight, style, self.gain) if self.demodulate else None
        weight = self.weight if self.demodulate else self.weight * scale
        # On a CPU whichever has fewer values is scaled; a GPU is slow at groups.
        many = x.shape[2] * x.shape[3] > weight[:, 0].numel()
        modulated = by_weights if many and x.device.type == "cpu" else by_values
        return modulated(x, weight, style, factors, self.bias)


def demodulation(weight: Tensor, style: Tensor, gain: float = 1.0) -> Tensor:
    """Return (N, O): what brings each output to deviation ``gain`` (ibid., eq. 3).

    weight: (O, I, k, k); style: (N, I), which scales the inputs (eq. 1).
    """
    powers = weight.float().square().sum(dim=(2, 3))
    return gain * (style.square() @ powers.T + EPSILON).rsqrt()


def by_values(
    x: Tensor, weight: Tensor, style: Tensor, factors: Tensor | None, bias: Tensor
) -> Tensor:
    """Scale a layer's inputs and outputs: the same as scaling its weights, which samples share.

    x: (N, I, H, W); weight: (O, I, k, k); style: (N, I); factors: (N, O) or None; bias: (O,).
    """
    scaled = x * style.to(x.dtype)[..., None, None]
    if factors is None:
        return F.conv2d(scaled, weight, bias, padding=weight.shape[-1] // 2)
    y = F.conv2d(scaled, weight, padding=weight.shape[-1] // 2)
    shift = bias.to(y.dtype)[:, None, None]
    return torch.addcmul(shift, y, factors.to(y.dtype)[..., None, None])


def by_weights(
    x: Tensor, weight: Tensor, style: Tensor, factors: Tensor | None, bias: Tensor
) -> Tensor:
    """Scale the weights, a set a sample, and convolve all samples at once, a group each."""
    count, outputs = len(x), len(weight)
    weights = weight * style[:, None, :, None, None]
    if factors is not None:
        weights = weights * factors[:, :, None, None, None]
    y = F.conv2d(
        x.flatten(0, 1)[None],
        weights.flatten(0, 1),
        bias.repeat(count),
        padding=weight.shape[-1] // 2,
        groups=count,
    )
    return y.view(count, outputs, *y.shape[2:])
