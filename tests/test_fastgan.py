"""FastGAN: gates by hand, sizes, repeatability, live gradients, and what the critic draws."""

from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from flawsmith.gen.fastgan import Excitation, FastCritic, FastGenerator
from flawsmith.gen.fastgan_critic import missed, quarter_of
from flawsmith.gen.shapes import Shape
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
SMALL = Shape(3, 37, 61, 1)
WIDTH = 4


def generator(shape=SMALL, latent=16):
    with starting_from(0, "test"):
        return FastGenerator(shape, latent, WIDTH)


def critic(shape=SMALL, width=WIDTH):
    with starting_from(0, "test"):
        return FastCritic(shape, width)


def test_a_gate_by_hand():
    gate = Excitation(1, 2)
    with torch.no_grad():
        gate.first.weight.fill_(1 / 16)  # the mean of the 4x4 grid
        gate.first.bias.copy_(torch.tensor([0.0, -4.0]))
        gate.second.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 10.0]])[..., None, None])
        gate.second.bias.zero_()
    coarse = torch.full((1, 1, 8, 5), 3.0)
    fine = torch.ones(1, 2, 2, 2)
    shares = gate(coarse, fine)[0, :, 0, 0]
    # 3 stays; 3 - 4 leaks a tenth, times 10.
    torch.testing.assert_close(shares, torch.tensor([3.0, -1.0]).sigmoid())
    torch.testing.assert_close(gate(coarse, 5 * fine), 5 * gate(coarse, fine))


@shapes
def test_any_size(shape):
    made = generator(shape)(latents(2, 16))
    assert made.shape == (2, shape.total, *shape.size)
    assert made.abs().max() <= 1
    assert made.std() > 0.05
    judged = critic(shape)
    logits, loss = judged.judged_and_drawn(made.detach())
    assert logits.shape[:2] == (2, 1)
    assert min(logits.shape[2:]) >= 3
    assert loss.ndim == 0
    assert 0 < loss < 4


@pytest.mark.parametrize(
    ("size", "gated"), [((256, 300), [3, 2, 1]), ((128, 128), [2, 1]), ((64, 64), [2, 1])]
)
def test_which_levels_are_gated(size, gated):
    """From 8x8 to 128x128 on; on small pictures from the coarsest, so that two remain."""
    with torch.device("meta"):
        network = FastGenerator(Shape(1, *size), 16, WIDTH)
    assert [g.second.out_channels // WIDTH for g in network.gates] == [
        min(8, 2 ** (n - 1)) for n in gated
    ]


def test_the_same_latent_gives_the_same_picture():
    network, z = generator().eval(), latents(6, 16)
    first = network(z)
    assert torch.equal(first, network(z))
    torch.testing.assert_close(network(z[2:3]), first[2:3], rtol=0, atol=1e-5)
    assert all((a - b).abs().mean() > 0.02 for a, b in pairwise(first))
    assert torch.equal(generator().eval()(z), first)


def test_shorter_latents_are_nearer_to_each_other():
    """That is what truncation does to a generator without styles."""
    network, z = generator(), latents(16, 16)
    network(z)  # BatchNorm's statistics
    network.eval()
    spreads = [network(z * t).std(dim=0).mean().item() for t in (1.0, 0.5, 0.1)]
    assert spreads[0] > spreads[1] > spreads[2]


def test_every_parameter_of_the_generator_lives():
    network = generator()
    made = network(latents(3, 16))
    assert not dead_parameters(network, (made * pictures(3, SMALL)).sum())


@pytest.mark.parametrize("shape", [SMALL, Shape(1, 8, 9)])
def test_every_parameter_of_the_critic_lives(shape):
    network = critic(shape)
    image = pictures(5, shape).requires_grad_()
    logits, loss = network.judged_and_drawn(image)
    assert not dead_parameters(network, F.relu(1 + logits).mean() + loss)
    assert image.grad.any(dim=1).float().mean() > 0.9


def test_judging_alone_is_the_same():
    network, image = critic().eval(), pictures(5, SMALL)
    logits, loss = network.judged_and_drawn(image)
    assert torch.equal(network(image), logits)
    assert torch.equal(network.reconstruction(image), loss)


def test_a_judgement_is_a_samples_own():
    network, image = critic().eval(), pictures(3, SMALL)
    alone = torch.cat([network(one[None]) for one in image])
    torch.testing.assert_close(alone, network(image), rtol=1e-4, atol=1e-5)


def test_quarters_by_hand():
    x = torch.arange(15.0).reshape(1, 1, 3, 5)
    corners = [quarter_of(x, i)[0, 0].tolist() for i in range(4)]
    assert corners[0] == [[0, 1, 2], [5, 6, 7]]
    assert corners[1] == [[2, 3, 4], [7, 8, 9]]
    assert corners[2] == [[5, 6, 7], [10, 11, 12]]
    assert corners[3] == [[7, 8, 9], [12, 13, 14]]


def test_what_is_missed_by_hand():
    x = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]])[None, None]
    assert missed(torch.tensor([[[[0.0, 1.0]]]]), x).tolist() == [0.0]
    assert missed(torch.tensor([[[[0.5, 0.0]]]]), x).tolist() == [0.75]


def test_the_critic_learns_to_draw():
    shape = Shape(1, 32, 32)
    network, image = critic(shape, 8), pictures(4, shape)
    image = F.interpolate(F.avg_pool2d(image, 8), scale_factor=8.0) * 3
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    found = []
    for _ in range(40):
        loss = network.reconstruction(image)
        found.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert found[-1] < 0.6 * found[0]


def test_half_precision():
    network, z = generator().eval(), latents(2, 16)
    exact = network(z)
    with torch.autocast("cpu", torch.bfloat16):
        rough, (logits, loss) = network(z), critic().judged_and_drawn(exact)
    assert (rough.float() - exact).abs().mean() < 0.05
    assert logits.isfinite().all()
    assert loss.isfinite()


def test_the_critic_learns():
    shape = Shape(1, 24, 16)
    assert learns_to_tell(critic(shape, 8), shape) > 1
