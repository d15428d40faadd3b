"""The running average of weights, against hand-worked numbers."""

import pytest
import torch
from torch import nn

from flawsmith.train.ema import Ema


def constant(value):
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, value)
    return model


def test_the_warm_up_then_the_decay():
    model = constant(0.0)
    ema = Ema(model, 0.5)
    nn.init.constant_(model.weight, 1.0)
    ema.update(model, 0)  # a tenth is kept
    assert ema.model.weight.item() == pytest.approx(0.9)
    ema.update(model, 1)  # two elevenths
    assert ema.model.weight.item() == pytest.approx(1 - 0.1 * 2 / 11)
    nn.init.constant_(ema.model.weight, 0.0)
    ema.update(model, 1000)  # half, as asked
    assert ema.model.weight.item() == pytest.approx(0.5)


def test_buffers_are_copied_and_the_model_is_left_alone():
    model = nn.BatchNorm1d(2)
    ema = Ema(model, 0.9)
    model.train()
    model(torch.tensor([[1.0, 2.0], [3.0, 8.0]]))
    ema.update(model, 500)
    assert torch.equal(ema.model.running_mean, model.running_mean)
    assert ema.model.num_batches_tracked == 1
    assert model.training
    assert not ema.model.training
    assert all(p.requires_grad for p in model.parameters())
    assert not any(p.requires_grad for p in ema.model.parameters())


def test_buffers_that_a_module_names_are_averaged():
    class Followed(nn.BatchNorm1d):
        averaged_buffers = ("running_mean",)

    model = nn.Sequential(Followed(1), nn.BatchNorm1d(1))
    ema = Ema(model, 0.5)
    for norm in model:
        norm.running_mean.fill_(8.0)
        norm.running_var.fill_(3.0)
    for means in (4.0, 6.0):
        ema.update(model, 1000)
        averaged, copied = ema.model
        assert (averaged.running_mean.item(), copied.running_mean.item()) == (means, 8.0)
        assert (averaged.running_var.item(), copied.running_var.item()) == (3.0, 3.0)


def test_a_constant_stays_and_nothing_is_shared():
    model = constant(3.0)
    ema = Ema(model, 0.999)
    for step in range(20):
        ema.update(model, step)
    assert ema.model.weight.item() == 3.0
    nn.init.constant_(model.weight, 7.0)
    assert ema.model.weight.item() == 3.0


def test_a_model_without_weights():
    ema = Ema(nn.Identity(), 0.5)
    ema.update(nn.Identity(), 3)
    assert not ema.model.state_dict()
