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
    with ``num_updates``. Buffers (statistics, a spectral norm's vectors) are copied, but for those
    that a module names in ``averaged_buffers``.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self._buffers = {
            f"{prefix}.{name}" if prefix else name
            for prefix, module in model.named_modules()
            for name in getattr(module, "averaged_buffers", ())
        }

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model after step ``step``, counted from 0."""
        decay = min(self.decay, (1 + step) / (WARM_UP + step))
        averaged = [p.detach() for p in self.model.parameters()]
        newest = [p.detach() for p in model.parameters()]
        pairs = zip(self.model.named_buffers(), model.buffers(), strict=True)
        for (name, kept), buffer in pairs:
            if name in self._buffers:
                averaged.append(kept)
                newest.append(buffer)
            else:
                kept.copy_(buffer)
        if averaged:
            torch._foreach_lerp_(averaged, newest, 1 - decay)
