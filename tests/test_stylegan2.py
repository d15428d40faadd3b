"""StyleGAN2: modulation against a loop, unit size, sizes, repeatability, truncation, deviation."""

import math
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from flawsmith.gen.modulated import ModulatedConv, by_values, by_weights, demodulation
from flawsmith.gen.shapes import Shape
from flawsmith.gen.stylegan2 import StyleCritic, StyleGenerator, doubled, with_deviation
from flawsmith.train.starting import starting_from
from tests.gen_network_helpers import (
    dead_parameters,
    latents,
    learns_to_tell,
    one_thread,
    pictures,
    shapes,
)

__all__ = ["one_thread"]
SMALL = Shape(3, 19, 30, 1)
WIDTH = 4


def generator(shape=SMALL, latent=16):
    with starting_from(0, "test"):
        return StyleGenerator(shape, latent, WIDTH)


def critic(shape=SMALL, width=WIDTH):
    with starting_from(0, "test"):
        return StyleCritic(shape, width)


@pytest.mark.parametrize("convolved", [by_values, by_weights])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("demodulated", [True, False])
def test_modulation_is_a_loop_over_samples(convolved, kernel, demodulated):
    torch.manual_seed(0)
    wide = {"dtype": torch.float64}
    x, weight = torch.randn(3, 4, 6, 5, **wide), torch.randn(7, 4, kernel, kernel, **wide)
    style, bias = torch.randn(3, 4, **wide), torch.randn(7, **wide)
    factors = torch.rand(3, 7, **wide) if demodulated else None
    made = convolved(x, weight, style, factors, bias)
    for i in range(3):
        own = weight * style[i][:, None, None]
        if demodulated:
            own = own * factors[i][:, None, None, None]
        wanted = F.conv2d(x[i : i + 1], own, bias, padding=kernel // 2)
        torch.testing.assert_close(made[i : i + 1], wanted)


def test_demodulated_weights_have_unit_length():
    """Equation 3 by itself: the sum of squares of each output's weights is 1."""
    torch.manual_seed(0)
    weight, style = torch.randn(7, 4, 3, 3), torch.randn(5, 4)
    factors = demodulation(weight, style)
    for i in range(5):
        own = weight * style[i][:, None, None] * factors[i][:, None, None, None]
        torch.testing.assert_close(own.square().sum(dim=(1, 2, 3)), torch.ones(7))
    torch.testing.assert_close(demodulation(weight, style, 3.0), 3 * factors)


@pytest.mark.parametrize("size", [(64, 64), (5, 7)], ids=["by weights", "by values"])
def test_demodulation_keeps_the_size_whatever_the_style(size):
    torch.manual_seed(0)
    layer = ModulatedConv(32, 24, 8)
    styles = torch.randn(3, 8) * torch.tensor([0.01, 1.0, 100.0])[:, None]
    with torch.no_grad():
        y = layer(torch.randn(3, 32, *size), styles)
    inner = y[..., 1:-1, 1:-1]
    assert inner.std(dim=(1, 2, 3)).tolist() == pytest.approx([1, 1, 1], rel=0.1)
    assert y.shape == (3, 24, *size)


def test_colours_follow_the_style():
    torch.manual_seed(0)
    layer = ModulatedConv(8, 3, 4, 1, demodulate=False)
    with torch.no_grad():
        layer.style.weight.zero_()
        x = torch.randn(2, 8, 5, 5)
        first = layer(x, torch.zeros(2, 4))
        layer.style.bias.fill_(2.0)  # a style of 2 everywhere instead of 1
        torch.testing.assert_close(layer(x, torch.zeros(2, 4)), 2 * first)


def test_doubling_is_the_filter_of_the_paper():
    """(1, 3, 3, 1) / 4 each way, of values put between zeros."""
    torch.manual_seed(0)
    x = torch.randn(1, 1, 6, 5)
    spread = torch.zeros(1, 1, 12, 10)
    spread[..., ::2, ::2] = x
    row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    wanted = F.conv2d(F.pad(spread, (2, 1, 2, 1)), torch.outer(row, row)[None, None])
    made = doubled(x, torch.empty(12, 10))
    assert made.shape == (1, 1, 12, 10)
    torch.testing.assert_close(made[..., 1:-1, 1:-1], wanted[..., 1:-1, 1:-1])
    assert doubled(x, torch.empty(11, 9)).shape == (1, 1, 11, 9)


@shapes
def test_any_size(shape):
    made = generator(shape)(latents(2, 16))
    assert made.shape == (2, shape.total, *shape.size)
    assert made.abs().max() <= 1
    assert 0.05 < made.std() < 0.9
    assert critic(shape)(made).shape == (2, 1)


def test_the_same_latent_gives_the_same_picture():
    network, z = generator(), latents(6, 16)
    first = network(z)
    assert torch.equal(first, network(z))
    for part in (slice(2, 3), slice(1, 5)):
        torch.testing.assert_close(network(z[part]), first[part], rtol=0, atol=1e-5)
    assert all((a - b).abs().mean() > 0.02 for a, b in pairwise(first))
    assert torch.equal(generator()(z), first)


def test_style_and_noise_both_matter():
    network = generator()
    z, other = latents(1, 16), latents(1, 16, seed=1)
    styles = network.mapping(z)
    first = network.made(styles, z)
    assert (network.made(styles, other) - first).abs().mean() > 0.005
    assert (network.made(network.mapping(other), z) - first).abs().mean() > 0.02


def test_truncation_pulls_towards_the_mean():
    network, z = generator(), latents(8, 16)
    styles, mean = network.mapping(z), network.mean_style()
    assert torch.equal(network.sample(z, 1.0), network(z))
    assert torch.equal(network.sample(z, 0.0), network.made(mean.expand(8, -1), z))
    spreads = [(network.sample(z, t).std(dim=0)).mean().item() for t in (1.0, 0.5, 0.0)]
    assert spreads[0] > spreads[1] > spreads[2] > 0
    many = network.mapping(latents(4096, 16, seed=3)).mean(dim=0)
    assert (many - mean).norm() < 0.1 * (styles - mean).norm(dim=1).mean()


def test_every_parameter_of_the_generator_lives():
    network = generator()
    made = network(latents(2, 16))
    assert not dead_parameters(network, (made * pictures(2, SMALL)).sum())


def test_every_parameter_of_the_critic_lives():
    network = critic()
    image = pictures(4, SMALL).requires_grad_()
    assert not dead_parameters(network, F.softplus(network(image)).mean())
    assert image.grad.any(dim=1).float().mean() > 0.99


def test_r1_reaches_the_critic():
    network = critic()
    image = pictures(4, SMALL).requires_grad_()
    (slope,) = torch.autograd.grad(network(image).sum(), image, create_graph=True)
    slope.square().sum().backward()
    weights = [p for name, p in network.named_parameters() if name.endswith("weight")]
    assert all(p.grad.isfinite().all() and p.grad.any() for p in weights)


def test_the_deviation_by_hand():
    x = torch.zeros(4, 2, 1, 1)
    x[:, 0, 0, 0] = torch.tensor([0.0, 2.0, 0.0, 2.0])  # deviation 1; the other channel's is 0
    made = with_deviation(x)
    assert torch.equal(made[:, :2], x)
    assert made[:, 2].flatten().tolist() == pytest.approx([0.5] * 4, abs=1e-3)


def test_the_deviation_is_a_groups_own():
    x = torch.randn(8, 3, 2, 5, generator=torch.Generator().manual_seed(0))
    made = with_deviation(x)
    assert torch.equal(with_deviation(x[4:]), made[4:])
    wanted = [g.std(dim=0, unbiased=False).mean().item() for g in x.split(4)]
    assert made[::4, 3, 0, 0].tolist() == pytest.approx(wanted, abs=1e-4)
    assert len(made[:, 3].unique()) == 2


@pytest.mark.parametrize(("count", "group"), [(1, 1), (5, 1), (6, 3), (9, 3), (10, 2), (12, 4)])
def test_groups_divide_any_batch(count, group):
    x = torch.randn(count, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    wanted = [float(g.std(dim=0, unbiased=False).mean()) for g in x.split(group)]
    assert with_deviation(x)[::group, 3, 0, 0].tolist() == pytest.approx(wanted, abs=1e-3)


def test_the_critic_starts_at_unit_size():
    """Gains are such that a smooth picture neither fades nor grows with depth."""
    network = critic(Shape(1, 128, 128), 8)
    x = F.interpolate(pictures(4, Shape(1, 8, 8)), scale_factor=16.0) * math.sqrt(3)
    y = F.leaky_relu(network.enter(x), 0.2)
    for block in network.blocks:
        y = block(y)
    assert 0.3 < float(y.detach().square().mean().sqrt()) < 3


def test_half_precision():
    network, z = generator(), latents(2, 16)
    exact = network(z)
    with torch.autocast("cpu", torch.bfloat16):
        rough, judged = network(z), critic()(exact)
    assert (rough.float() - exact).abs().mean() < 0.05
    assert judged.isfinite().all()


def test_the_critic_learns():
    shape = Shape(1, 24, 16)
    assert learns_to_tell(critic(shape, 8), shape) > 1
