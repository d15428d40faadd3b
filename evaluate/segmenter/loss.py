"""The segmenter's losses: cross entropy and Dice, each class a yes or no of its own.

All take logits, masks and counted, (N, K, H, W) float32; masks hold 0 or 1, counted holds each
pixel's weight (0: not judged). What several processes compute of equal slices is the loss of the
whole batch: cross entropy is a mean of samples' means, Dice pools its sums over the processes.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

# Pixels a sample added to numerator and denominator of Dice: a batch with few defective pixels is
# no all or nothing.
SMOOTH = 0.1

OverAll = Callable[[Tensor], Tensor]


def cross_entropy(logits: Tensor, masks: Tensor, counted: Tensor) -> Tensor:
    """Return the mean binary cross entropy over a sample's counted pixels and classes, scalar.

    A sample without any counted pixel has the loss 0.
    """
    each = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    total = (each * counted).sum(dim=(1, 2, 3))
    return (total / counted.sum(dim=(1, 2, 3)).clamp(min=1e-6)).mean()


def soft_dice(
    logits: Tensor, masks: Tensor, counted: Tensor, over_all: OverAll = lambda mean: mean
) -> Tensor:
    """Return 1 - Dice of the probabilities, the mean over the classes a batch shows, in 0 to 1.

    Milletari et al. 2016, "V-Net", section 3, with plain sums instead of squares, and pooled over
    the batch: so a false alarm on a clean crop counts too, as it does in the check's pooled IoU. A
    sample's own Dice cannot tell one wrong pixel from thousands where it shows no defect; trained
    with it, the network alarmed on nearly every clean image (docs/decisions.md).

    over_all: makes a mean over this process's samples one over all processes'; the gradients of
    what it returns are averaged over them by the loop. 0 if the batch shows no class.
    """
    chance = logits.sigmoid() * counted
    true = masks * counted
    # Of samples, not of pixels: the same values for any number of processes.
    both, either, area = (
        over_all(part.sum(dim=(2, 3)).mean(dim=0)) for part in (chance * masks, chance + true, true)
    )
    shown = area > 0
    missed = (1 - (2 * both + SMOOTH) / (either + SMOOTH)) * shown
    return missed.sum() / shown.sum().clamp(min=1)


@torch.no_grad()
def iou(logits: Tensor, masks: Tensor, counted: Tensor) -> Tensor:
    """Return the intersection over union of the pixels told at 0.5, a scalar in 0 to 1.

    All classes' pixels of a sample together; 1 where nothing is marked and nothing told. For the
    log: the check itself pools over images (DESIGN section 8).
    """
    judged = counted > 0
    told, true = (logits >= 0) & judged, (masks > 0) & judged
    both = (told & true).sum(dim=(1, 2, 3))
    either = (told | true).sum(dim=(1, 2, 3))
    return torch.where(either > 0, both / either.clamp(min=1), 1.0).mean()
