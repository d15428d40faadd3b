"""What a step tells beside its losses: the logits, the estimate of the distance, the diversity."""

import torch
from torch import Tensor
from torch.nn import functional as F

from flawsmith.gen.shapes import Shape
from flawsmith.train.task import Context

# Pictures are compared at so many cells of their short side: grain alone is no diversity.
CELLS = 16
# Fewer pictures over all processes say nothing of how much they differ.
FEWEST = 4
EPSILON = 1e-8


def diversity(context: Context, real: Tensor, fake: Tensor, shape: Shape) -> Tensor:
    """Return how much generated pictures differ from one another, as a share of what real ones do.

    The root of the ratio of their variances, a cell of a coarse picture each; the mean squared
    distance of pairs is twice that variance. By the moments of the batch of all processes, so that
    it does not depend on their number; every process must call it alike.
    """
    grid = shape.grid(max(1, min(shape.size) // CELLS))
    halves = [F.adaptive_avg_pool2d(x[:, : shape.channels].float(), grid) for x in (real, fake)]
    moments = [part for x in halves for part in (x.mean(dim=0), x.square().mean(dim=0))]
    real_mean, real_square, fake_mean, fake_square = context.mean(torch.stack(moments))
    known = (real_square - real_mean.square()).clamp(min=0).sum()
    made = (fake_square - fake_mean.square()).clamp(min=0).sum()
    share: Tensor = made / known.clamp(min=EPSILON)
    return share.sqrt()


def measurable(context: Context) -> bool:
    """Tell whether the batch of all processes is large enough for ``diversity``."""
    return len(context.places) * context.world >= FEWEST
