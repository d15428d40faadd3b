"""The running average of a model's weights, which is what a trained generator is used with."""

import copy

import torch
from torch import nn

# Of the warm-up: after s steps at most (1 + s) / (10 + s) of the average is kept.
WARM_UP = 10


class Ema:
    """A copy of a model that follows it slowly.

    An average over the last steps is less noisy than any one of them (Yazici et al. 2018, "The
    unusual effectiveness of averaging in GAN training", eq. 2). Early on the average must not
    remember the random start, so the decay begins low, as in TensorFlow's ExponentialMovingAverage
    with ``num_updates``. Buffers (statistics, a spectral norm's vectors) are copied, not averaged.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model after step ``step``, counted from 0."""
        decay = min(self.decay, (1 + step) / (WARM_UP + step))
        averaged = [p.detach() for p in self.model.parameters()]
        if averaged:
            torch._foreach_lerp_(averaged, [p.detach() for p in model.parameters()], 1 - decay)
        for kept, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            kept.copy_(buffer)
