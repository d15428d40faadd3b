"""The losses: each a scalar float32, the mean over a sample's logits, then over the batch.

Logits are (N, ...), positive for real. The penalties are taken in float32 whatever surrounds them:
of a slope in bfloat16 little is left after it is squared.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.gen.shapes import score

Loss = Callable[[Tensor], Tensor]


def hinge_real(logits: Tensor) -> Tensor:
    """Return E max(0, 1 - D(x)), the critic's on real pictures (Zhang 2019, eq. 4)."""
    return F.relu(1 - logits.float()).mean()


def hinge_fake(logits: Tensor) -> Tensor:
    """Return E max(0, 1 + D(G(z))), the critic's on generated pictures (ibid.)."""
    return F.relu(1 + logits.float()).mean()


def raised(logits: Tensor) -> Tensor:
    """Return -E D: the generator's with the hinge (ibid.) and with Wasserstein's loss, and the
    critic's on real pictures with the latter (Gulrajani 2017, eq. 3)."""
    return -logits.float().mean()


def lowered(logits: Tensor) -> Tensor:
    """Return E D(G(z)), the critic's on generated pictures with Wasserstein's loss (ibid.)."""
    return logits.float().mean()


def logistic_real(logits: Tensor) -> Tensor:
    """Return -E log sigmoid(D): the critic's on real pictures (Goodfellow 2014, eq. 1), and the
    generator's, which does not saturate (ibid., section 3)."""
    return F.softplus(-logits.float()).mean()


def logistic_fake(logits: Tensor) -> Tensor:
    """Return -E log(1 - sigmoid(D(G(z)))): the critic's on generated pictures (ibid., eq. 1)."""
    return F.softplus(logits.float()).mean()


@dataclass(frozen=True)
class Adversarial:
    """Opposed losses: the critic's on real and on generated pictures, the generator's."""

    real: Loss
    fake: Loss
    generator: Loss


ADVERSARIAL = {
    "logistic": Adversarial(logistic_real, logistic_fake, logistic_real),
    "hinge": Adversarial(hinge_real, hinge_fake, raised),
    "wasserstein": Adversarial(raised, lowered, raised),
}


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, shares: Tensor) -> Tensor:
    """Return E (|dD/dx| - 1)^2 between real and generated pictures (Gulrajani 2017, eq. 3).

    real, fake: (N, C, H, W); shares: (N,) in [0, 1], how far each pair is mixed. Without the factor
    lambda. A sum over processes' means is the whole batch's, since each sample's term is its own.
    """
    shares = shares.to(real.device, torch.float32)[:, None, None, None]
    mixed = torch.lerp(real.detach().float(), fake.detach().float(), shares).requires_grad_()
    norms: Tensor = torch.linalg.vector_norm(_slope(critic, mixed), dim=1)
    return (norms - 1).square().mean()


def r1(critic: nn.Module, real: Tensor) -> Tensor:
    """Return E |dD/dx|^2 on real pictures (Mescheder 2018, eq. 9, without its factor gamma / 2).

    D is a sample's mean logit: of a sum over patches the penalty would grow with their number.
    """
    return _slope(critic, real.detach().float().requires_grad_()).square().sum(dim=1).mean()


def _slope(critic: nn.Module, x: Tensor) -> Tensor:
    """Return (N, C H W) float32: the derivative of each sample's score by its own pixels."""
    with torch.autocast(x.device.type, enabled=False):
        (slope,) = torch.autograd.grad(score(critic(x)).sum(), x, create_graph=True)
    return slope.float().flatten(1)
