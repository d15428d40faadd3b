"""Heads on frozen maps: bounded gains, plain judgement by hand, the frozen network kept outside."""

import copy

import pytest
import torch
from torch import nn

from flawsmith.train.heads import BesideFrozen, conv, head


class Doubler(nn.Module):
    """A frozen network of two maps: the picture times a weight, and that at half the size."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0), requires_grad=False)

    def maps(self, x, count):
        return tuple(x[..., :: 2**k, :: 2**k] * self.weight for k in range(count))


class Judge(BesideFrozen):
    def __init__(self):
        super().__init__()
        self.hold(Doubler())
        self.own = nn.Linear(2, 2)


def test_a_spectral_convolution_has_gain_one():
    torch.manual_seed(0)
    layer = conv(3, 5, kernel=1)
    for _ in range(50):
        layer(torch.zeros(1, 3, 1, 1))
    matrix = layer.weight.detach().flatten(1)
    assert torch.linalg.matrix_norm(matrix, 2) == pytest.approx(1, abs=1e-3)
    plain = conv(3, 5, kernel=1, spectral=False)
    assert type(plain) is nn.Conv2d


@pytest.mark.parametrize("spectral", [True, False])
def test_a_head_judges_each_cell(spectral):
    network = head(4, 2, 8, spectral)
    assert network(torch.randn(3, 6, 5, 7)).shape == (3, 1, 5, 7)
    assert network[0].weight.shape == (8, 6, 3, 3)


def test_the_frozen_network_is_beside():
    judge = Judge()
    (frozen,) = judge._outside
    assert set(judge.state_dict()) == {"own.weight", "own.bias"}
    assert all(p is not frozen.weight for p in judge.parameters())
    assert judge.double().own.weight.dtype == frozen.weight.dtype == torch.float64
    judge.to("meta")
    assert frozen.weight.device.type == "meta"


def test_grey_is_repeated_and_gradients_reach_the_picture():
    judge = Judge()
    before = copy.deepcopy(judge._outside[0].state_dict())
    image = torch.randn(2, 1, 4, 6, requires_grad=True)
    near, far = judge.frozen_maps(image, 2)
    assert torch.equal(near, (2 * image).expand(-1, 3, -1, -1))
    assert far.shape == (2, 3, 2, 3)
    (near.sum() + far.sum()).backward()
    assert image.grad[..., ::2, ::2].unique().tolist() == [12.0]
    assert image.grad[..., 1::2, 1::2].unique().tolist() == [6.0]
    judge.train()
    assert torch.equal(judge._outside[0].weight, before["weight"])
