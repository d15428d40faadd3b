"""The segmenter's losses: cross entropy and Dice, each class a yes or no of its own.

All take logits, masks and counted, (N, K, H, W) float32; masks hold 0 or 1, counted holds each
pixel's weight (0: not judged). All are means per sample first, then over the batch: so the mean of
equal slices' losses, which several processes compute, is the loss of the whole batch.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

# Pixels added to Dice's numerator and denominator: a defect of a few pixels is no all or nothing.
SMOOTH = 1.0


def cross_entropy(logits: Tensor, masks: Tensor, counted: Tensor) -> Tensor:
    """Return the mean binary cross entropy over a sample's counted pixels and classes, scalar.

    A sample without any counted pixel has the loss 0.
    """
    each = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    total = (each * counted).sum(dim=(1, 2, 3))
    return (total / counted.sum(dim=(1, 2, 3)).clamp(min=1e-6)).mean()


def soft_dice(logits: Tensor, masks: Tensor, counted: Tensor) -> Tensor:
    """Return 1 - Dice of the probabilities, a scalar in 0 to 1.

    Milletari et al. 2016, "V-Net", section 3, with plain sums instead of squares. A sample's is the
    mean over the classes it shows, 0 if it shows none: where a class is absent, Dice hardly tells
    one wrong pixel from thousands, so that is left to the cross entropy.
    """
    shown = (masks * counted).sum(dim=(2, 3)) > 0
    chance = logits.sigmoid() * counted
    both = (chance * masks).sum(dim=(2, 3))
    either = (chance + masks * counted).sum(dim=(2, 3))
    missed = (1 - (2 * both + SMOOTH) / (either + SMOOTH)) * shown
    return (missed.sum(dim=1) / shown.sum(dim=1).clamp(min=1)).mean()


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
