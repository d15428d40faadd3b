"""The torch half of the features: pictures prepared for a network, batches run through it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from flawsmith.errors import InputError
from flawsmith.evaluate.inception import inception
from flawsmith.sample import Image
from flawsmith.train.backbone import lite0
from flawsmith.train.devices import pick_device

Features = NDArray[np.float32]


@dataclass(frozen=True)
class Network:
    """A network on its device, with the rule by which pictures are brought to its size."""

    embed: Callable[[Tensor], Tensor]
    device: torch.device
    side: int
    antialias: bool

    def prepare(self, image: Image) -> Tensor:
        """Return (3, side, side) float32 in [-1, 1] of (H, W) or (H, W, 3) uint8, on the CPU.

        Resized as pytorch-fid does it: scaled to [0, 1], then bilinear, corners not aligned.
        """
        planes = torch.from_numpy(np.ascontiguousarray(np.atleast_3d(image).transpose(2, 0, 1)))
        small = interpolate(
            planes[None].to(torch.float32).div_(255),
            (self.side, self.side),
            mode="bilinear",
            align_corners=False,
            antialias=self.antialias,
        )
        return small[0].mul_(2).sub_(1).expand(3, -1, -1)

    def run(self, prepared: Sequence[Tensor]) -> Features:
        """Return the (N, D) features of N prepared pictures.

        Raises InputError when they are not finite: weights of another scale, or a broken device.
        """
        batch = torch.stack(list(prepared)).contiguous(memory_format=torch.channels_last)
        # With TF32 the digits of a feature would depend on the kind of GPU.
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), exact:
            found = self.embed(batch.to(self.device)).to("cpu", torch.float32).numpy()
        if not np.isfinite(found).all():
            raise InputError("the network gives features that are not finite", mend="check weights")
        return found


def open_network(name: str, weights: Path, side: int, antialias: bool, device: str) -> Network:
    """Return ``lite0`` or ``inception`` with the weights of a file, on the named device."""
    place = pick_device(device)
    if name == "inception":
        trunk = inception(weights).to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return Network(trunk, place, side, antialias)
    backbone = lite0(weights).to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Network(backbone.pooled, place, side, antialias)
