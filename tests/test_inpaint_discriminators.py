"""Discriminators: shapes, independence, live gradients, what is saved, and that they learn."""

import copy

import pytest
import torch

from flawsmith.inpaint import losses
from flawsmith.inpaint.discriminators import DISCRIMINATORS, build_discriminator
from tests.feature_helpers import one_thread  # noqa: F401
from tests.inpaint_helpers import WIDTH, inputs, pairs

judges = pytest.mark.parametrize("kind", DISCRIMINATORS)


@judges
@pytest.mark.parametrize(("size", "channels", "classes"), [((64, 64), 1, 1), ((50, 70), 3, 4)])
def test_judgements(kind, size, channels, classes):
    image, hole, masks, _ = inputs(2, channels, classes, size)
    network = build_discriminator(kind, channels, classes, WIDTH, 0)
    judged = network(image, masks, hole)
    maps = network.features(image)
    assert len(judged) == len(maps) == (3 if "projected" in kind else 2)
    for judgement, found in zip(judged, maps, strict=True):
        assert judgement.logits.shape == judgement.cells.shape == (2, 1, *found.shape[-2:])
        assert set(judgement.cells.unique().tolist()) == {0, 1}
    # Rows 6 to 21 and columns 8 to 27 of the first sample are its hole, but for the corners.
    if size == (64, 64):
        first = judged[0].cells[0, 0]
        assert first.sum() == first[1:6, 2:7].sum() == 25


@judges
def test_a_sample_is_judged_by_itself(kind):
    image, hole, masks, _ = inputs(3)
    network = build_discriminator(kind, 1, 3, WIDTH, 0).eval()
    both = network(image, masks, hole)
    for index in range(3):
        i = slice(index, index + 1)
        for one, all_three in zip(network(image[i], masks[i], hole[i]), both, strict=True):
            torch.testing.assert_close(one.logits, all_three.logits[i], rtol=1e-4, atol=1e-5)


@judges
def test_every_parameter_of_a_discriminator_lives(kind):
    image, hole, masks, _ = inputs()
    network = build_discriminator(kind, 1, 3, WIDTH, 0)
    image.requires_grad_()
    losses.logistic_fake(network(image, masks, hole)).backward()
    dead = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not dead
    assert image.grad[hole > 0].abs().min() > 0
    masks.requires_grad_()
    (slope,) = torch.autograd.grad(losses.scores(network(image, masks, hole)).sum(), masks)
    assert slope.abs().sum() > 0


def test_the_frozen_network_stays_outside():
    network = build_discriminator("projected", 1, 3, WIDTH, 0)
    (frozen,) = network._outside
    assert all(name.startswith("heads.") for name in network.state_dict())
    before = copy.deepcopy(frozen.state_dict())
    network.train()
    image, hole, masks, _ = inputs()
    losses.hinge_fake(network(image, masks, hole)).backward()
    assert all(p.grad is None for p in frozen.parameters())
    assert all(torch.equal(before[name], t) for name, t in frozen.state_dict().items())
    network.to("meta")
    assert {p.device.type for p in frozen.parameters()} == {"meta"}


@pytest.mark.parametrize("kind", ["projected", "patch"])
def test_spectral_buffers_are_plain_and_repeat(kind):
    image, hole, masks, _ = inputs()
    first, second = (build_discriminator(kind, 1, 3, WIDTH, 0) for _ in range(2))
    first(image, masks, hole)
    assert all(type(t) is torch.Tensor for t in first.state_dict().values())
    assert any(
        not torch.equal(a, b)
        for a, b in zip(first.buffers(), second.buffers(), strict=True)  # the power method's step
    )
    other = build_discriminator(kind, 1, 3, WIDTH, 1)
    other.load_state_dict(first.state_dict())
    for a, b in zip(first(image, masks, hole), other(image, masks, hole), strict=True):
        assert torch.equal(a.logits, b.logits)


def test_r1_reaches_the_plain_discriminator():
    image, hole, masks, _ = inputs()
    network = build_discriminator("patch-plain", 1, 3, WIDTH, 0)
    image.requires_grad_()
    losses.r1(network(image, masks, hole), image).backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)
    assert network.near[0].weight.grad.any()


@judges
def test_compiling_reaches_what_a_step_calls(kind, monkeypatch):
    """Not ``forward`` alone, which no step calls."""
    image, hole, masks, _ = inputs()
    network = build_discriminator(kind, 1, 3, WIDTH, 0).eval()
    plain = network(image, masks, hole)
    calls = []

    def traced(function):
        def call(*words):
            calls.append(function.__name__)
            return function(*words)

        return call

    monkeypatch.setattr(torch, "compile", traced)
    network.compile()
    again = network.judge(network.features(image), masks, hole)
    assert calls == ["features", "judge"]
    for a, b in zip(plain, again, strict=True):
        assert torch.equal(a.logits, b.logits)
    assert (
        network.state_dict().keys() == build_discriminator(kind, 1, 3, WIDTH, 0).state_dict().keys()
    )


@judges
def test_a_discriminator_tells_squares_from_noise(kind):
    network = build_discriminator(kind, 1, 2, 16, 0)
    optimiser = torch.optim.Adam(network.parameters(), 2e-3, (0.0, 0.99))
    for step in range(40):
        real, fake, masks, hole = pairs(step)
        loss = losses.hinge_real(network(real, masks, hole))
        loss = loss + losses.hinge_fake(network(fake, masks, hole))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    real, fake, masks, hole = pairs(1000, count=16)
    with torch.no_grad():
        right = losses.scores(network(real, masks, hole)) > 0
        wrong = losses.scores(network(fake, masks, hole)) > 0
    assert right.float().mean() - wrong.float().mean() > 0.9
