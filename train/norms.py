"""Batch normalisation over all processes, and dropout that draws from generators it is given.

torch's own do neither: each process would normalise by its own slice of the batch, and dropout
draws from global state. (torch.nn.SyncBatchNorm is for GPUs alone.)
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F


class _Summed(torch.autograd.Function):
    """The sum over processes; its derivative is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        return _Summed.apply(slopes[0])


class BatchNorm(nn.BatchNorm2d):
    """BatchNorm (Ioffe 2015, algorithm 1) by the statistics of the whole batch of all processes.

    So a training on two processes is the one on one. Alone it is torch's. A channel keeps 4 values:
    2 that are trained and 2 running statistics. Those belong to the weights of the last few steps;
    with averaged weights go averages of theirs (as with ``use_buffers`` of torch's own average).
    """

    averaged_buffers = ("running_mean", "running_var")

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and dist.is_initialized() and dist.get_world_size() > 1):
            return super().forward(input)
        x = input.float()  # sums of squares in bfloat16 would be noise
        each = x.numel() // x.shape[1]
        sums = torch.cat([x.sum(dim=(0, 2, 3)), x.square().sum(dim=(0, 2, 3))])
        count = each * dist.get_world_size()  # slices are of one size
        summed: Tensor = _Summed.apply(sums)
        mean, square = (summed / count).chunk(2)
        variance = (square - mean.square()).clamp(min=0)
        self._follow(mean.detach(), variance.detach() * count / max(count - 1, 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        done = torch.addcmul(shift[:, None, None], x, scale[:, None, None])
        return done.to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


class Dropout(nn.Module):
    """Dropout (Srivastava 2014) whose draws are each sample's own: (seed, step, place) decides.

    rate: share of values that become 0 while training. Before each step ``seed`` gives it one
    generator a sample; passes of that step go on drawing from them.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self._generators: list[torch.Generator] = []

    def seed(self, generators: Sequence[torch.Generator], device: torch.device) -> None:
        """Take the generators of a step's samples; on a GPU, ones of it with the same seeds."""
        self._generators = [
            torch.Generator(device).manual_seed(one.initial_seed()) for one in generators
        ]

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.rate:
            return x
        if len(self._generators) != len(x):
            raise ValueError(f"{len(self._generators)} generators for {len(x)} samples; see seed()")
        kept = torch.empty_like(x)
        for one, generator in zip(kept, self._generators, strict=True):
            one.bernoulli_(1 - self.rate, generator=generator)
        return x * kept / (1 - self.rate)


def seed_dropout(
    model: nn.Module, generators: Sequence[torch.Generator], device: torch.device
) -> None:
    """Give every dropout of a model the generators of a step."""
    for module in model.modules():
        if isinstance(module, Dropout):
            module.seed(generators, device)


def layer_norm(channels: int) -> nn.Module:
    """Return LayerNorm (Ba 2016) over a sample's channels and places, a scale and shift a channel.

    WGAN-GP (Gulrajani 2017, section 4) recommends it in place of BatchNorm: the penalty is on each
    input by itself, so a critic's judgement must not depend on the rest of the batch.
    """
    return nn.GroupNorm(1, channels)


def leaky(x: Tensor) -> Tensor:
    """Return the leaky ReLU with DCGAN's slope (Radford 2015, section 3)."""
    return F.leaky_relu(x, 0.2)
