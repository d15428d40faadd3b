"""The projected critic: what it returns, the frozen network beside it, planes, live gradients."""

import copy

import pytest
import torch
from torch.nn import functional as F

from flawsmith.gen.projected import LOUD, ProjectedCritic
from flawsmith.gen.shapes import Shape
from flawsmith.train.backbone import lite0
from flawsmith.train.starting import starting_from
from tests.gen_network_helpers import (
    dead_parameters,
    learns_to_tell,
    one_thread,
    pictures,
)

__all__ = ["one_thread"]
SMALL = Shape(1, 37, 61, 2)
WIDTH = 8


@pytest.fixture(scope="module")
def frozen():
    return lite0()


def critic(frozen, shape=SMALL):
    with starting_from(0, "test"):
        return ProjectedCritic(frozen, shape, WIDTH)


@pytest.mark.parametrize(
    ("shape", "maps"),
    [(SMALL, 3), (Shape(3, 32, 32), 3), (Shape(3, 61, 37, 1), 3), (Shape(1, 240, 400), 4)],
)
def test_logits(frozen, shape, maps):
    rows, columns = shape.grid(4)
    logits = critic(frozen, shape)(pictures(2, shape))
    assert logits.shape == (2, maps, rows, columns)


def test_each_map_counts_alike(frozen):
    """The mean over all logits is the mean over the maps of a map's mean."""
    shape = Shape(3, 64, 96)
    network = critic(frozen, shape).eval()
    maps = network.features(pictures(2, shape))
    own = [h(m).mean(dim=(1, 2, 3)) for h, m in zip(network.heads, maps, strict=True)]
    torch.testing.assert_close(
        network.judge(maps).mean(dim=(1, 2, 3)), torch.stack(own).mean(dim=0)
    )


def test_the_frozen_network_stays_outside_and_untouched(frozen):
    network = critic(frozen)
    assert all(name.startswith("heads.") for name in network.state_dict())
    before = copy.deepcopy(frozen.state_dict())
    network.train()
    image = pictures(2, SMALL).requires_grad_()
    optimiser = torch.optim.Adam(network.parameters())
    assert not dead_parameters(network, F.relu(1 + network(image)).mean())
    optimiser.step()
    assert image.grad.abs().amin(dim=(0, 2, 3)).min() > 0  # also of the planes
    assert all(p.grad is None for p in frozen.parameters())
    assert all(torch.equal(before[name], t) for name, t in frozen.state_dict().items())
    twin = critic(copy.deepcopy(frozen)).to("meta")
    assert {p.device.type for p in twin._outside[0].parameters()} == {"meta"}


def test_planes_are_told_as_means_and_kept_from_the_frozen_network(frozen):
    network, image = critic(frozen).eval(), pictures(2, SMALL)
    other = image.clone()
    other[:, 1:] *= -1
    near, far = (network.features(x)[0] for x in (image, other))
    assert torch.equal(near[:, :-2], far[:, :-2])
    torch.testing.assert_close(near[:, -2:], -far[:, -2:])
    told = LOUD * float(image[0, 1, :4, :4].mean())
    assert near[0, -2, 0, 0] == pytest.approx(told, abs=0.2 * LOUD)
    assert (network(image) - network(other)).abs().max() > 0.01


def test_features_and_judge_are_forward(frozen, monkeypatch):
    network, image = critic(frozen).eval(), pictures(2, SMALL)
    plain = network(image)
    calls = []

    def traced(function):
        calls.append(function.__name__)
        return function

    monkeypatch.setattr(torch, "compile", traced)
    network.compile()
    assert calls == ["features", "judge"]
    assert torch.equal(network.judge(network.features(image)), plain)


def test_a_judgement_is_a_samples_own(frozen):
    network, image = critic(frozen).eval(), pictures(3, SMALL)
    alone = torch.cat([network(one[None]) for one in image])
    torch.testing.assert_close(alone, network(image), rtol=1e-4, atol=1e-5)


def test_the_critic_learns(frozen):
    shape = Shape(1, 32, 40)
    assert learns_to_tell(critic(frozen, shape), shape) > 1
