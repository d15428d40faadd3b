"""What the tests of the generators and critics share."""

import pytest
import torch

from flawsmith.gen.shapes import Shape
from tests.feature_helpers import one_thread  # noqa: F401

SHAPES = [
    Shape(1, 240, 400),
    Shape(3, 400, 240, 2),
    Shape(3, 37, 61),
    Shape(1, 61, 37, 1),
    Shape(1, 8, 9),
]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"{s.total}x{s.height}x{s.width}")


def latents(count, size, seed=0):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def pictures(count, shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, shape.total, *shape.size, generator=generator) * 2 - 1


def dead_parameters(network, value):
    """Return the names of parameters that a scalar's gradient does not reach."""
    value.backward()
    return [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]


def learns_to_tell(critic, shape, steps=40):
    """Return by how much real pictures, with a bright square, score above those without."""
    optimiser = torch.optim.Adam(critic.parameters(), 2e-3, (0.0, 0.99))
    for step in range(steps + 1):
        fake = pictures(4, shape, step) * 0.3
        real = fake.clone()
        row, column = step * 5 % (shape.height - 8), step * 3 % (shape.width - 8)
        real[..., row : row + 8, column : column + 8] += 0.6
        # Compared within a batch, as in training: real and fake by themselves.
        right, wrong = critic(real), critic(fake)
        loss = (1 - right).relu().mean() + (1 + wrong).relu().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return float((right.mean() - wrong.mean()).detach())
