"""The adaptive strength of augmentation, against hand-worked numbers."""

import json

import pytest
import torch

from flawsmith.errors import InputError
from flawsmith.train.adaptive import AdaptiveStrength


def fed(adaptive, sign, steps, images=8):
    for _ in range(steps):
        adaptive.add(torch.tensor(sign), images)
    return adaptive


def test_overfitting_raises_it_and_its_absence_lowers_it():
    adaptive = AdaptiveStrength(images=320, interval=4)
    assert fed(adaptive, 1.0, 3).strength == 0
    assert fed(adaptive, 1.0, 1).strength == pytest.approx(32 / 320)
    assert adaptive.measure == 1.0
    assert fed(adaptive, 0.61, 4).strength == pytest.approx(0.2)
    assert fed(adaptive, 0.0, 4).strength == pytest.approx(0.1)
    assert fed(adaptive, -1.0, 40).strength == 0


def test_from_none_to_all_in_so_many_images_and_no_further():
    adaptive = AdaptiveStrength(images=320, interval=2, limit=1.0)
    assert fed(adaptive, 1.0, 38).strength == pytest.approx(304 / 320)
    assert fed(adaptive, 1.0, 2).strength == pytest.approx(1.0)
    assert fed(adaptive, 1.0, 10).strength == 1.0
    assert fed(AdaptiveStrength(images=100), 1.0, 100).strength == 0.85


def test_the_mean_over_the_interval_counts():
    adaptive = AdaptiveStrength(images=100, interval=2, start=0.5)
    fed(adaptive, 1.0, 1)
    fed(adaptive, 0.0, 1)
    assert adaptive.measure == 0.5
    assert adaptive.strength == pytest.approx(0.5 - 16 / 100)


def test_exactly_on_target_it_stays():
    assert fed(AdaptiveStrength(target=0.5, start=0.3, interval=1), 0.5, 9).strength == 0.3


def test_it_survives_a_stop_between_two_updates():
    signs = [0.9, 0.1, 0.7, 0.65, 0.3, 1.0, 0.2, 0.8, 0.77]
    whole, half = AdaptiveStrength(images=300), AdaptiveStrength(images=300)
    for i, sign in enumerate(signs):
        whole.add(torch.tensor(sign), 8)
        half.add(torch.tensor(sign), 8)
        state = json.loads(json.dumps(half.state()))
        half = AdaptiveStrength(images=300)
        half.load(state)
        assert half.state() == whole.state(), i


@pytest.mark.parametrize("state", [{}, {"strength": "x"}, {"signs": 3, "strength": 1, "seen": 1}])
def test_states_of_something_else(state):
    adaptive = AdaptiveStrength(start=0.2)
    with pytest.raises(InputError, match="no state of an augmentation"):
        adaptive.load(state)
    assert adaptive.strength == 0.2


@pytest.mark.parametrize("wrong", [{"start": 0.9}, {"limit": 1.1}, {"images": 0}, {"target": 1.0}])
def test_settings_out_of_range(wrong):
    with pytest.raises(ValueError, match="wanted 0 <= start"):
        AdaptiveStrength(**wrong)
