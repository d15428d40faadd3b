"""The segmenter's losses, schedules and settings: values by hand and from other libraries."""

import math

import pytest
import segmentation_models_pytorch as smp
import torch
from pydantic import ValidationError

from flawsmith.evaluate.segmenter.loss import cross_entropy, iou, soft_dice
from flawsmith.evaluate.segmenter.schedule import Schedule, rate_at
from flawsmith.evaluate.segmenter.settings import SegmentSettings

# Two samples of two classes on 2x2 pixels; the second sample shows only the first class.
MASKS = torch.tensor([[[[1, 1], [0, 0]], [[0, 0], [0, 1]]], [[[1, 0], [0, 0]], [[0, 0], [0, 0]]]])
MASKS = MASKS.float()
ALL = torch.ones_like(MASKS)
NOTHING_KNOWN = torch.zeros_like(MASKS)


def random_case(number=6, planes=3, side=8):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(number, planes, side, side, generator=generator)
    masks = (torch.rand(logits.shape, generator=generator) < 0.3).float()
    counted = (torch.rand(logits.shape, generator=generator) < 0.8).float()
    return logits, masks, counted


def test_cross_entropy_by_hand():
    assert cross_entropy(NOTHING_KNOWN, MASKS, ALL).item() == pytest.approx(math.log(2))
    # Logit log 3 is the probability 3/4. Sample 0 counts one marked and one unmarked pixel, sample
    # 1 one unmarked pixel only.
    logits = torch.full_like(MASKS, math.log(3))
    counted = torch.zeros_like(MASKS)
    counted[0, 0, 0, 0] = counted[0, 0, 1, 0] = counted[1, 1, 0, 0] = 1
    wanted = ((-math.log(3 / 4) - math.log(1 / 4)) / 2 - math.log(1 / 4)) / 2
    assert cross_entropy(logits, MASKS, counted).item() == pytest.approx(wanted)


def test_dice_by_hand():
    # Probability 1/2 everywhere, means over two samples, 0.1 pixels of smoothing. Class 0: both
    # (1 + 1/2)/2, either (4 + 3)/2; class 1, in sample 0 alone: both (1/2 + 0)/2, either (3 + 2)/2.
    wanted = ((1 - (2 * 0.75 + 0.1) / (3.5 + 0.1)) + (1 - (2 * 0.25 + 0.1) / (2.5 + 0.1))) / 2
    assert soft_dice(NOTHING_KNOWN, MASKS, ALL).item() == pytest.approx(wanted)
    sure = (2 * MASKS - 1) * 40
    assert soft_dice(sure, MASKS, ALL).item() == pytest.approx(0, abs=1e-6)
    assert soft_dice(sure, torch.zeros_like(MASKS), ALL).item() == 0


def test_an_alarm_on_a_clean_crop_costs_dice():
    quiet = (2 * MASKS - 1) * 40
    alarmed = quiet.clone()
    alarmed[1, 1] = 40.0  # the second sample does not show that class
    assert soft_dice(alarmed, MASKS, ALL) > soft_dice(quiet, MASKS, ALL) + 0.3


def test_dice_agrees_with_the_library():
    logits, masks, _ = random_case()
    # Its sums are over the batch, its smoothing counts for numerator and denominator in halves.
    theirs = smp.losses.DiceLoss("multilabel", smooth=0.1 * len(logits) / 2)
    ours = soft_dice(logits, masks, torch.ones_like(masks))
    torch.testing.assert_close(ours, theirs(logits, masks))


def test_dice_of_slices_pooled_has_the_value_and_gradient_of_the_whole():
    case = random_case()
    whole = case[0].clone().requires_grad_()
    soft_dice(whole, *case[1:]).backward()
    halves = [tuple(tensor[part] for tensor in case) for part in (slice(0, 3), slice(3, 6))]
    told: list[list[torch.Tensor]] = [[], []]
    for own, half in zip(told, halves, strict=True):
        soft_dice(*half, over_all=lambda mean, own=own: own.append(mean) or mean)
    gradients, values = [], []
    for i, half in enumerate(halves):
        others = iter(told[1 - i])
        logits = half[0].clone().requires_grad_()

        def over_all(mean, others=others):
            # Of two processes: half of this one's mean, half of the other's, without gradient.
            return mean + ((mean.detach() + next(others)) / 2 - mean.detach())

        loss = soft_dice(logits, *half[1:], over_all=over_all)
        loss.backward()
        values.append(loss.item())
        gradients.append(logits.grad / 2)  # the loop averages gradients over processes
    assert values == [pytest.approx(soft_dice(*case).item())] * 2
    torch.testing.assert_close(torch.cat(gradients), whole.grad)


@pytest.mark.parametrize("loss", [cross_entropy, iou])
def test_the_mean_of_slices_is_the_loss_of_the_batch(loss):
    case = random_case()
    slices = [loss(*(tensor[i : i + 2] for tensor in case)) for i in (0, 2, 4)]
    torch.testing.assert_close(loss(*case), torch.stack(slices).mean())


@pytest.mark.parametrize("loss", [cross_entropy, soft_dice])
def test_what_does_not_count_has_no_gradient(loss):
    logits, masks, counted = random_case()
    logits.requires_grad_()
    loss(logits, masks, counted).backward()
    assert (logits.grad[counted == 0] == 0).all()
    assert (logits.grad[counted == 1] != 0).float().mean() > 0.9
    changed = torch.where(counted == 0, 1 - masks, masks)
    assert torch.equal(loss(logits, changed, counted), loss(logits, masks, counted))
    assert loss(logits, masks, torch.zeros_like(counted)).item() == 0


def test_iou_by_hand():
    told = torch.full_like(MASKS, -1.0)
    told[0, 0, 0, 0] = told[0, 0, 1, 1] = 1.0  # one of three marked, one beside
    told[1, 1, 0, 0] = 1.0
    assert iou(told, MASKS, ALL).item() == pytest.approx((1 / 4 + 0) / 2)
    assert iou(told, MASKS, torch.zeros_like(ALL)).item() == 1


def test_shares():
    shares = {
        kind: [round(Schedule(kind, 0.8, 0.375).share_at(step, 800), 3) for step in (0, 299, 300)]
        for kind in ("none", "first", "constant", "falling")
    }
    assert shares == {
        "none": [0, 0, 0],
        "first": [0.8, 0.8, 0],
        "constant": [0.8, 0.8, 0.8],
        "falling": [0.8, 0.003, 0],
    }
    assert Schedule("falling", 0.8, 1.0).share_at(400, 800) == pytest.approx(0.4)
    assert Schedule("first", 0.8, 1.0).share_at(799, 800) == 0.8
    assert Schedule("constant", 0.8).share_at(0, 800, defect=False) == 0.8
    assert Schedule("constant", 0.8, negatives="real").share_at(0, 800, defect=False) == 0
    with pytest.raises(ValueError, match="share"):
        Schedule("first", 1.2)


@pytest.mark.parametrize("course", ["cosine", "one-cycle"])
@pytest.mark.parametrize("warm_up", [0.0, 0.05, 0.5])
def test_rates_rise_and_fall(course, warm_up):
    rates = [rate_at(course, step, 100, warm_up) for step in range(100)]
    top = rates.index(max(rates))
    assert abs(top - 100 * warm_up) <= 1
    assert 0.98 < rates[top] <= 1
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert 0 < rates[-1] < 1e-3
    # Three times the steps, the same course.
    assert [rate_at(course, 3 * i + 1, 300, warm_up) for i in range(100)] == pytest.approx(rates)


def test_rates_by_hand():
    assert rate_at("cosine", 0, 100, 0.05) == pytest.approx(0.1)  # 0.5 of 5 steps
    assert rate_at("cosine", 52, 100, 0.05) == pytest.approx(0.5)


def test_one_cycle_is_that_of_pytorch():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=500, pct_start=0.3)
    for step in range(499):
        assert rate_at("one-cycle", step, 500, 0.3) == pytest.approx(
            theirs.get_last_lr()[0], abs=0.02
        )
        optimizer.step()
        theirs.step()


def test_settings():
    plain = SegmentSettings()
    assert plain.schedule == Schedule("first", 0.8, 0.375)
    assert (plain.tiling.tile, plain.tiling.smallest) == (384, 128)
    loop = plain.loop(5, device="cpu")
    assert (loop.steps, loop.batch, loop.seed, loop.device) == (800, 12, 5, "cpu")
    # Real-only runs are the same whatever is mixed elsewhere, and however pictures are cut.
    other = SegmentSettings(mixing="constant", share=0.4, negatives="real", rim=2, tile=512)
    assert plain.deciding(real_only=True) == other.deciding(real_only=True)
    assert plain.deciding(real_only=False) != other.deciding(real_only=False)
    SegmentSettings(**other.deciding(real_only=False))
    for wrong in ({"crop": 100}, {"overlap": 200}, {"crop": 64, "tile": 64}, {"rates": 1}):
        with pytest.raises(ValidationError):
            SegmentSettings(**wrong)
