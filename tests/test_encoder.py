"""The encoder: what it reads from a look, and what it is asked to keep."""

import pytest
import torch

from flawsmith.inpaint.encoder import Encoder, kl_divergence, sampled
from flawsmith.inpaint.noise import LATENT


def maps_of(generator, count=3):
    return [torch.randn(count, c, side, side, generator=generator) for c, side in ((4, 8), (6, 4))]


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return Encoder((4, 6))


def small_hole():
    hole = torch.zeros(3, 1, 32, 32)
    hole[:, :, 8:16, 8:16] = 1
    return hole


def test_the_look_is_relative_to_the_surroundings(encoder):
    maps = maps_of(torch.Generator().manual_seed(1))
    mean, log_variance = encoder(maps, small_hole())
    assert mean.shape == log_variance.shape == (3, LATENT)
    # A surface of another tone under the same defect is the same look ...
    assert torch.allclose(encoder([m + 5 for m in maps], small_hole())[0], mean, atol=1e-4)
    # ... another tone in the hole alone is another, and so is one around it alone.
    for inside in (True, False):
        changed = [m.clone() for m in maps]
        for m in changed:
            cells = m[:, :, m.shape[2] // 4, m.shape[3] // 4]
            if inside:
                cells += 5
            else:
                m += 5
                cells -= 5
        assert not torch.allclose(encoder(changed, small_hole())[0], mean, atol=1e-2)


def test_places_do_not_count(encoder):
    """A look is the same wherever it lies: the same values turned around give the same latents."""
    maps = maps_of(torch.Generator().manual_seed(2))
    turned = [m.flip(2, 3) for m in maps]
    here = encoder(maps, small_hole())[0]
    assert torch.allclose(here, encoder(turned, small_hole().flip(2, 3))[0], atol=1e-5)
    assert not torch.allclose(here, encoder(turned, small_hole())[0], atol=1e-2)


def test_a_hole_without_surroundings_has_no_look(encoder):
    maps = maps_of(torch.Generator().manual_seed(3))
    whole = torch.ones(3, 1, 32, 32)
    assert torch.equal(encoder(maps, whole)[0], encoder([2 * m for m in maps], whole)[0])


def test_an_empty_hole_is_finite(encoder):
    maps = [m.requires_grad_() for m in maps_of(torch.Generator().manual_seed(3))]
    mean, log_variance = encoder(maps, torch.zeros(3, 1, 32, 32))
    (mean.sum() + log_variance.sum()).backward()
    assert mean.isfinite().all()
    assert all(m.grad.isfinite().all() for m in maps)


def test_divergence_by_hand():
    zero = torch.zeros(2, 4)
    assert kl_divergence(zero, zero) == 0
    assert kl_divergence(zero + 2, zero).item() == pytest.approx(2.0)
    # Variance e: (e - 1 - 1) / 2.
    assert kl_divergence(zero, zero + 1).item() == pytest.approx(0.35914, rel=1e-4)
    normal = torch.distributions.Normal
    wanted = torch.distributions.kl_divergence(normal(0.3, 0.5), normal(0.0, 1.0))
    found = kl_divergence(zero + 0.3, zero + 2 * torch.tensor(0.5).log())
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_sampled_by_hand():
    mean, log_variance = torch.tensor([[1.0]]), torch.tensor([[4.0]]).log()
    assert sampled(mean, log_variance, torch.tensor([[1.5]])).item() == pytest.approx(4.0)
