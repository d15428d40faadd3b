"""Small judges of feature maps, and a frozen network that gives such maps.

A head looks at one map and says of each of its cells how real it looks; what a network has learned
elsewhere is thus judged without being trained (Projected GAN, Sauer 2021, arXiv 2111.01007).
"""

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2


class Frozen(Protocol):
    """What is asked of the frozen network: Lite0's interface."""

    def maps(self, x: Tensor, count: int) -> tuple[Tensor, ...]:
        """Return ``count`` feature maps of CHANNELS channels, for x (N, 3, H, W) in [-1, 1]."""
        ...

    def _apply(self, fn: Callable[[Tensor], Tensor]) -> Any: ...


class BesideFrozen(nn.Module):
    """A module that uses a frozen network without owning it.

    The network is held in a tuple, where torch does not look: it is no submodule, so it is in
    neither ``parameters()`` nor ``state_dict()``; it follows the module to its device.
    """

    _outside: tuple[Frozen]

    def hold(self, frozen: Frozen) -> None:
        """Take the frozen network; once, after ``nn.Module``'s own ``__init__``."""
        self._outside = (frozen,)

    def frozen_maps(self, image: Tensor, count: int) -> list[Tensor]:
        """Return the first ``count`` maps; a grey image repeats its plane.

        image: (N, 1 or 3, H, W) in [-1, 1], to which gradients flow.
        """
        return list(self._outside[0].maps(image.expand(-1, 3, -1, -1), count))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "BesideFrozen":
        # torch moves a module's tensors through this method; it cannot find the frozen ones itself.
        self._outside[0]._apply(fn)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


def head(inputs: int, told: int, width: int, spectral: bool = True) -> nn.Sequential:
    """Return a small judge of one map: (N, inputs + told, h, w) to logits (N, 1, h, w).

    spectral: bound each layer's gain by spectral normalisation (Miyato 2018).
    """
    return nn.Sequential(
        conv(inputs + told, width, spectral=spectral),
        nn.LeakyReLU(SLOPE),
        conv(width, width, spectral=spectral),
        nn.LeakyReLU(SLOPE),
        conv(width, 1, kernel=1, spectral=spectral),
    )


def conv(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, spectral: bool = True
) -> nn.Module:
    """Return a convolution, with spectral normalisation or plain.

    The normalisation's vectors are buffers, saved and loaded as plain tensors. A forward pass in
    training mode moves them by one step of the power method, without random numbers, so processes
    that call it equally often stay equal.
    """
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2)
    return spectral_norm(layer) if spectral else layer
