"""The losses against closed forms, in float32 whatever surrounds them."""

import math

import pytest
import torch
from torch import nn

from flawsmith.gen import losses
from flawsmith.gen.losses import ADVERSARIAL, gradient_penalty, r1

LOGITS = torch.tensor([[-2.0], [0.5]])


class Linear(nn.Module):
    """D(x) = w x, as a map of two logits whose mean that is."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x):
        value = (x * self.weight).sum(dim=(1, 2, 3))
        return torch.stack([value + 3, value - 3], dim=1)


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(4, 2, 5, 3, generator=generator) for _ in range(2)]


@pytest.mark.parametrize(
    ("name", "real", "fake", "made"),
    [
        ("hinge", (3 + 0.5) / 2, (0 + 1.5) / 2, 0.75),
        ("wasserstein", 0.75, -0.75, 0.75),
        (
            "logistic",
            (math.log(1 + math.e**2) + math.log(1 + math.e**-0.5)) / 2,
            (math.log(1 + math.e**-2) + math.log(1 + math.e**0.5)) / 2,
            (math.log(1 + math.e**2) + math.log(1 + math.e**-0.5)) / 2,
        ),
    ],
)
def test_the_adversarial_losses_by_hand(name, real, fake, made):
    pair = ADVERSARIAL[name]
    told = [float(loss(LOGITS)) for loss in (pair.real, pair.fake, pair.generator)]
    assert told == pytest.approx([real, fake, made], rel=1e-6)
    assert pair.real(LOGITS.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("size", [0.3, 1.0, 4.0])
def test_the_penalty_of_a_linear_critic(pair, size):
    """Its slope is w everywhere, so the penalty is (|w| - 1)^2 and its slope 2 (|w| - 1) w/|w|."""
    weight = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(2))
    weight = weight * size / weight.norm()
    critic = Linear(weight.clone())
    value = gradient_penalty(critic, *pair, torch.tensor([0.0, 0.3, 0.9, 1.0]))
    assert value.item() == pytest.approx((size - 1) ** 2, abs=1e-6)
    value.backward()
    torch.testing.assert_close(critic.weight.grad, 2 * (size - 1) * weight / size)


def test_r1_of_a_linear_critic(pair):
    weight = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(2))
    critic = Linear(weight.clone())
    value = r1(critic, pair[0])
    assert value.item() == pytest.approx(weight.square().sum().item(), rel=1e-5)
    value.backward()
    torch.testing.assert_close(critic.weight.grad, 2 * weight)


def test_the_penalty_is_taken_between_the_pictures(pair):
    """Of D = |x|^2 / 2 the slope is x itself: at share s it is the mixture's norm."""

    class Square(nn.Module):
        def forward(self, x):
            return x.square().sum(dim=(1, 2, 3)) / 2

    shares = torch.tensor([0.0, 0.25, 0.5, 1.0])
    mixed = pair[0] + shares[:, None, None, None] * (pair[1] - pair[0])
    wanted = (mixed.flatten(1).norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(gradient_penalty(Square(), *pair, shares), wanted)


@pytest.mark.parametrize("penalty", [lambda c, a, b: gradient_penalty(c, a, b, torch.rand(4)), r1])
def test_penalties_stay_in_float32_under_autocast(pair, penalty):
    seen = []

    class Watched(nn.Sequential):
        def forward(self, x):
            y = super().forward(x)
            seen.append((x.dtype, y.dtype, torch.is_autocast_enabled("cpu")))
            return y

    torch.manual_seed(0)
    critic = Watched(nn.Conv2d(2, 4, 3), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(12, 1))
    given = (critic, *pair) if penalty is not r1 else (critic, pair[0].bfloat16())
    torch.manual_seed(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = penalty(*given)
    assert seen == [(torch.float32, torch.float32, False)]
    assert value.dtype == torch.float32
    torch.manual_seed(1)
    plain = penalty(*given)
    assert torch.equal(value, plain)
    assert losses.score(critic(pair[0])).dtype == torch.float32
