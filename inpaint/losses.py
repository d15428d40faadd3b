"""The losses: each a mean over a sample's own cells of the hole, then over the batch.

Outside of the hole real and painted are the same pixels, so cells there only dilute the loss; and
the mean a sample first makes the loss, and so its gradient, the same on one process and on several.
A sample without a cell counts as 0. All return a scalar float32 tensor; weights are the caller's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from flawsmith.inpaint.judging import Judgement, cells_of

Judgements = Sequence[Judgement]
EPSILON = 1e-5
# Pixels a side of what counts as one tone.
COARSE = 4


def cell_mean(values: Tensor, cells: Tensor) -> Tensor:
    """Return (N,) float32: each sample's mean of its values, (N, C, h, w), weighted by cells.

    cells: (N, 1, h, w), at least 0. The mean of a sample without cells is 0.
    """
    total = (values.float().mean(dim=1, keepdim=True) * cells).sum(dim=(1, 2, 3))
    weight = cells.float().sum(dim=(1, 2, 3))
    return total / torch.where(weight > 0, weight, 1.0)


def scores(judgements: Judgements) -> Tensor:
    """Return (N,) float32: each sample's mean logit over its cells, averaged over the maps."""
    return torch.stack([cell_mean(j.logits, j.cells) for j in judgements]).mean(dim=0)


def hinge_real(judgements: Judgements) -> Tensor:
    """Return E max(0, 1 - D), the discriminator's on real pairs (Zhang 2019, eq. 4)."""
    return _mean([cell_mean(F.relu(1 - j.logits.float()), j.cells) for j in judgements])


def hinge_fake(judgements: Judgements) -> Tensor:
    """Return E max(0, 1 + D), the discriminator's on painted or mismatched pairs (ibid.)."""
    return _mean([cell_mean(F.relu(1 + j.logits.float()), j.cells) for j in judgements])


def hinge_generator(judgements: Judgements) -> Tensor:
    """Return -E D, the generator's with the hinge (ibid.)."""
    return -scores(judgements).mean()


def logistic_real(judgements: Judgements) -> Tensor:
    """Return -E log sigmoid(D): the discriminator's on real pairs (Goodfellow 2014, eq. 1)."""
    return _mean([cell_mean(F.softplus(-j.logits.float()), j.cells) for j in judgements])


def logistic_fake(judgements: Judgements) -> Tensor:
    """Return -E log(1 - sigmoid(D)): the discriminator's on painted pairs (ibid.)."""
    return _mean([cell_mean(F.softplus(j.logits.float()), j.cells) for j in judgements])


def logistic_generator(judgements: Judgements) -> Tensor:
    """Return -E log sigmoid(D): the generator's, which does not saturate (ibid., section 3)."""
    return logistic_real(judgements)


@dataclass(frozen=True)
class Adversarial:
    """A pair of opposed losses: the discriminator's on real and on painted, the generator's."""

    real: Callable[[Judgements], Tensor]
    fake: Callable[[Judgements], Tensor]
    generator: Callable[[Judgements], Tensor]


ADVERSARIAL = {
    "hinge": Adversarial(hinge_real, hinge_fake, hinge_generator),
    "logistic": Adversarial(logistic_real, logistic_fake, logistic_generator),
}


def r1(judgements: Judgements, image: Tensor) -> Tensor:
    """Return E |dD/dx|^2 on real pairs (Mescheder 2018, eq. 9, without its factor gamma / 2).

    image: (N, C, H, W), which the judgements were computed from and which asks for a gradient. D is
    a sample's mean over its cells: of a sum over patches the gradient grows with their number, its
    square with the number squared, and the penalty would silence the discriminator. Call it outside
    of autocast.
    """
    (slope,) = torch.autograd.grad(scores(judgements).sum(), image, create_graph=True)
    return slope.float().square().sum(dim=(1, 2, 3)).mean()


def feature_matching(real: Sequence[Tensor], painted: Sequence[Tensor], hole: Tensor) -> Tensor:
    """Return E |s(f(real)) - s(f(painted))|: the statistics of each map's cells in the hole.

    s: each feature's mean and deviation over those cells. pix2pixHD (Wang 2018, eq. 4) compares
    cell by cell; then a grain that differs from the real one's costs as much as a wrong one, and
    the cheapest is none. real, painted: maps (N, C, h, w) of one discriminator or backbone; hole:
    (N, 1, H, W). No gradient goes to the real maps.
    """
    return _mean([_apart(r.detach(), p, hole) for r, p in zip(real, painted, strict=True)])


def statistics(maps: Tensor, cells: Tensor) -> Tensor:
    """Return (N, 2 C) float32: each feature's mean and deviation over cells (N, 1, h, w)."""
    count = cells.sum(dim=(2, 3)).clamp(min=1)
    mean = (maps.float() * cells).sum(dim=(2, 3)) / count
    gap = (maps.float() - mean[..., None, None]) * cells
    deviation = (gap.square().sum(dim=(2, 3)) / count + EPSILON).sqrt()
    return torch.cat([mean, deviation], dim=1)


def coarse_l1(real: Tensor, painted: Tensor, weight: Tensor) -> Tensor:
    """Return E |real - painted| at a quarter of the size, within the weight.

    pix2pix's (Isola 2017, eq. 3), kept to the hole and to what is coarser than the surface's grain:
    pixel by pixel the best guess of a grain is none. real, painted: (N, C, H, W), H and W at least
    COARSE; weight: (N, 1, H, W), the hole or its soft version.
    """
    shares = F.avg_pool2d(weight, COARSE)
    gap = F.avg_pool2d((real - painted) * weight, COARSE).abs()
    return (gap.mean(dim=(1, 2, 3)) / shares.mean(dim=(1, 2, 3)).clamp(min=EPSILON)).mean()


def perceptual(
    first: Sequence[Tensor], second: Sequence[Tensor], cells: Sequence[Tensor]
) -> Tensor:
    """Return (N,) float32: how different two pictures look, 0 (alike) to 4, over some cells.

    LPIPS (Zhang 2018, eq. 1) without learned weights: features of unit length at each place, their
    squared difference, averaged over a map's cells, then over the maps. Unrelated features are
    about 2 apart. first, second: maps (N, C, h, w); cells: (N, 1, h, w) a map.
    """
    gaps = [
        cell_mean((_unit(a) - _unit(b)).square(), c) * a.shape[1]
        for a, b, c in zip(first, second, cells, strict=True)
    ]
    return torch.stack(gaps).mean(dim=0)


def diversity(
    first: Sequence[Tensor], second: Sequence[Tensor], hole: Tensor, bound: float
) -> Tensor:
    """Return E max(0, bound - d): what two noises paint has to differ by ``bound``, d as above.

    Mode seeking (Mao 2019, section 3.2) with the bound of Yang 2019 (section 4): without it the
    term would pay for ever stranger pictures. hole: (N, 1, H, W).
    """
    cells = [cells_of(hole, m) for m in first]
    return F.relu(bound - perceptual(first, second, cells)).mean()


def _unit(maps: Tensor) -> Tensor:
    """Return the maps with features of length 1 at each place; no NaN where all are 0."""
    maps = maps.float()
    return maps * (maps.square().sum(dim=1, keepdim=True) + EPSILON).rsqrt()


def _apart(first: Tensor, second: Tensor, hole: Tensor) -> Tensor:
    """Return (N,): the mean absolute difference of two maps' statistics in the hole."""
    cells = cells_of(hole, first)
    return (statistics(first, cells) - statistics(second, cells)).abs().mean(dim=1)


def _mean(samples: Sequence[Tensor]) -> Tensor:
    """Return the mean over the maps and the batch of (N,) values a map."""
    return torch.stack(list(samples)).mean()
