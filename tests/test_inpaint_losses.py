"""The losses: numbers worked by hand, and what must not depend on the rest of the batch."""

import math

import pytest
import torch

from flawsmith.inpaint import losses
from flawsmith.inpaint.judging import Judgement

# Two samples of 1x3 cells: the first has two cells in the hole, the second one.
LOGITS = torch.tensor([[[[2.0, -1.0, 9.0]]], [[[0.5, 9.0, 9.0]]]])
CELLS = torch.tensor([[[[1.0, 1.0, 0.0]]], [[[1.0, 0.0, 0.0]]]])
JUDGED = [Judgement(LOGITS, CELLS)]


def test_cells_outside_of_the_hole_do_not_count():
    assert losses.cell_mean(LOGITS, CELLS).tolist() == [0.5, 0.5]


def test_a_sample_without_cells_counts_as_nothing():
    none = torch.zeros_like(CELLS[:1])
    logits = LOGITS[:1].clone().requires_grad_()
    loss = losses.hinge_real([Judgement(logits, none)])
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()
    half = [Judgement(LOGITS, torch.cat([CELLS[:1], none]))]
    assert losses.hinge_real(half).item() == pytest.approx(1 / 2)


def test_hinge():
    # max(0, 1 - D): (0 + 2) / 2 = 1 and 0.5; max(0, 1 + D): (3 + 0) / 2 = 1.5 and 1.5.
    assert losses.hinge_real(JUDGED).item() == pytest.approx(0.75)
    assert losses.hinge_fake(JUDGED).item() == pytest.approx(1.5)
    assert losses.hinge_generator(JUDGED).item() == pytest.approx(-0.5)


def test_logistic():
    def soft(x):
        return math.log1p(math.exp(x))

    real = ((soft(-2) + soft(1)) / 2 + soft(-0.5)) / 2
    fake = ((soft(2) + soft(-1)) / 2 + soft(0.5)) / 2
    assert losses.logistic_real(JUDGED).item() == pytest.approx(real)
    assert losses.logistic_fake(JUDGED).item() == pytest.approx(fake)
    assert losses.logistic_generator(JUDGED).item() == pytest.approx(real)


def test_maps_weigh_alike_whatever_their_size():
    large = Judgement(torch.full((2, 1, 8, 8), 3.0), torch.ones(2, 1, 8, 8))
    assert losses.scores([*JUDGED, large]).tolist() == [1.75, 1.75]
    assert losses.hinge_fake([*JUDGED, large]).item() == pytest.approx((1.5 + 4) / 2)


def test_r1_by_hand():
    image = torch.tensor([1.0, 2.0]).reshape(1, 1, 1, 2).requires_grad_()
    # D = x^2 a cell, mean over two cells: the slope is x, its square 1 + 4.
    penalty = losses.r1([Judgement(image**2, torch.ones(1, 1, 1, 2))], image)
    assert penalty.item() == pytest.approx(5)
    penalty.backward()
    assert image.grad.flatten().tolist() == [2, 4]


@pytest.mark.parametrize("count", [1, 4, 64])
def test_r1_does_not_grow_with_the_number_of_patches(count):
    image = torch.ones(3, 1, 4, 4, requires_grad=True)
    each = (2 * image.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, count, count)
    penalty = losses.r1([Judgement(each, torch.ones(3, 1, count, count))], image)
    assert penalty.item() == pytest.approx(4 / 16)


def test_feature_matching_by_hand():
    """Means 1 and 5, deviations 1 and 3 in the two cells of the hole: (4 + 2) / 2 statistics."""
    hole = torch.tensor([[1.0, 1.0, 0.0]]).reshape(1, 1, 1, 3)
    real = [torch.tensor([0.0, 2.0, 50.0]).reshape(1, 1, 1, 3).requires_grad_()]
    painted = [torch.tensor([2.0, 8.0, -9.0]).reshape(1, 1, 1, 3).requires_grad_()]
    loss = losses.feature_matching(real, painted, hole)
    assert loss.item() == pytest.approx(3, rel=1e-3)
    loss.backward()
    assert real[0].grad is None
    assert painted[0].grad[0, 0, 0, 2] == 0
    both = losses.feature_matching(real * 2, [painted[0], real[0]], hole)
    assert both.item() == pytest.approx(1.5, rel=1e-3)


def test_another_grain_of_the_same_kind_costs_nothing():
    maps = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    shuffled = maps.flatten(2)[..., torch.randperm(16, generator=torch.Generator().manual_seed(1))]
    hole = torch.ones(2, 1, 8, 8)
    same = losses.feature_matching([maps], [shuffled.reshape(maps.shape)], hole)
    assert same == pytest.approx(0, abs=1e-5)
    smooth = maps.mean(dim=(2, 3), keepdim=True).expand_as(maps)
    assert losses.feature_matching([maps], [smooth], hole) > 0.2


def test_matching_without_a_hole_is_finite():
    maps = torch.zeros(1, 2, 2, 2, requires_grad=True)
    losses.feature_matching([maps + 1], [maps], torch.zeros(1, 1, 4, 4)).backward()
    assert maps.grad.isfinite().all()


def test_coarse_l1_by_hand():
    real, painted = torch.zeros(1, 1, 4, 8), torch.zeros(1, 1, 4, 8)
    painted[..., :2], painted[..., 4:] = 1.0, -3.0
    weight = torch.ones(1, 1, 4, 8)
    # Tones: half of the first square differs by 1, all of the second by 3.
    assert losses.coarse_l1(real, painted, weight).item() == pytest.approx((0.5 + 3) / 2)
    weight[..., 4:] = 0
    assert losses.coarse_l1(real, painted, weight).item() == pytest.approx(0.5)
    assert losses.coarse_l1(real, painted, 0 * weight) == 0


def test_grain_has_no_tone():
    turns = (-1.0) ** torch.arange(8)
    grain = (turns[:, None] * turns)[None, None]
    assert losses.coarse_l1(torch.zeros(1, 1, 8, 8), grain, torch.ones(1, 1, 8, 8)) == 0


def test_perceptual_by_hand():
    """Features (3, 4) and (0, 2) are, at unit length, (0.6, 0.8) and (0, 1): 0.36 + 0.04 apart."""
    first = torch.tensor([[3.0, 7.0], [4.0, 7.0]]).reshape(1, 2, 1, 2)
    second = torch.tensor([[0.0, -5.0], [2.0, 5.0]]).reshape(1, 2, 1, 2)
    one = torch.tensor([[1.0, 0.0]]).reshape(1, 1, 1, 2)
    assert losses.perceptual([first], [second], [one]).item() == pytest.approx(0.4, rel=1e-4)
    both = torch.ones(1, 1, 1, 2)  # (1, 1) and (-1, 1) are orthogonal: 2 apart
    assert losses.perceptual([first], [second], [both]).item() == pytest.approx(1.2, rel=1e-4)
    twice = losses.perceptual([first, first], [second, first], [one, one])
    assert twice.item() == pytest.approx(0.2, rel=1e-4)


def test_perceptual_heeds_directions_only():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(3, 8, 4, 4, generator=generator)
    cells = torch.ones(3, 1, 4, 4)
    assert losses.perceptual([maps], [3 * maps], [cells]) == pytest.approx(0, abs=1e-4)
    assert losses.perceptual([maps], [-maps], [cells]) == pytest.approx(4, rel=1e-3)
    assert (losses.perceptual([maps], [-maps], [0 * cells]) == 0).all()


def test_diversity_by_hand():
    hole = torch.tensor([[1.0, 0.0]]).reshape(1, 1, 1, 2)
    first = torch.tensor([[3.0, 7.0], [4.0, 7.0]]).reshape(1, 2, 1, 2)
    second = torch.tensor([[0.0, -5.0], [2.0, 5.0]]).reshape(1, 2, 1, 2)
    assert losses.diversity([first], [second], hole, bound=1.0).item() == pytest.approx(
        0.6, rel=1e-4
    )
    assert losses.diversity([first], [second], hole, bound=0.3) == 0
    assert losses.diversity([first], [first], hole, bound=0.3).item() == pytest.approx(0.3)


def test_the_same_look_twice_is_finite():
    maps = torch.zeros(1, 2, 2, 2, requires_grad=True)
    loss = losses.diversity([maps], [maps * 1], torch.ones(1, 1, 2, 2), bound=1.0)
    loss.backward()
    assert loss == 1
    assert maps.grad.isfinite().all()


def batch(generator, n=4):
    logits = torch.randn(n, 1, 5, 5, generator=generator)
    return Judgement(logits, (torch.rand(n, 1, 5, 5, generator=generator) > 0.7).float())


@pytest.mark.parametrize(
    "loss",
    [
        losses.hinge_real,
        losses.hinge_fake,
        losses.hinge_generator,
        losses.logistic_real,
        losses.logistic_fake,
    ],
)
def test_one_process_or_two(loss):
    whole = batch(torch.Generator().manual_seed(1))
    parts = [[Judgement(whole.logits[s], whole.cells[s])] for s in (slice(0, 2), slice(2, 4))]
    halves = [loss(part).item() for part in parts]
    assert loss([whole]).item() == pytest.approx(sum(halves) / 2, rel=1e-6)
