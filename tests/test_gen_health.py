"""Warnings in plain words: divergence, a dead critic, mode collapse; none for a healthy run."""

import json

import pytest
import torch

from flawsmith.errors import InputError
from flawsmith.gen.health import Health

GOOD = {"d_loss": 1.2, "g_loss": 0.9, "real_score": 0.5, "fake_score": -0.4, "diversity": 0.9}


def run(health, windows, **changed):
    """Feed so many windows of two steps; return what was said."""
    said = []
    start = len(health.windows)
    for i in range(2 * windows):
        values = {k: torch.tensor(float(v)) for k, v in (GOOD | changed).items()}
        said += health.note(values, 2 * start + i)
    return said


def logistic():
    return Health(False, 50.0, window=2)


def test_a_healthy_run_says_nothing():
    assert run(logistic(), 20) == []
    assert run(Health(True, 50.0, window=2), 20, real_score=9, fake_score=-9, d_loss=-18) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"diversity": 0.12}, "mode collapse: the samples differ by 12% of what real pictures do"),
        ({"d_loss": 0.001, "g_loss": 12}, "the critic errs no more, so the generator learns nothi"),
        ({"real_score": 0.1, "fake_score": 0.0999}, "the critic sees no difference between real"),
        ({"g_loss": 45}, "the training diverges: the generator's loss is 45; lower rates"),
    ],
)
def test_each_fault_is_said_once(changed, words):
    health = logistic()
    assert run(health, 4) == []
    assert run(health, 2, **changed) == []  # two windows are no verdict yet
    (line,) = run(health, 1, **changed)
    assert line == next(iter(health.said.values()))
    assert line.startswith("at step 14: ")
    assert words in line
    assert run(health, 5, **changed) == []


def test_nothing_is_judged_early():
    assert run(logistic(), 5, diversity=0.0) == []


def test_a_wasserstein_estimate_beyond_any_distance():
    health = Health(True, 50.0, window=2)
    run(health, 5, real_score=20, fake_score=-20)
    (line,) = run(health, 3, real_score=200, fake_score=-200)
    assert "estimate of the distance is 400, and no two pictures are farther apart than 50" in line


def test_it_goes_on_after_a_stop():
    whole, first = logistic(), logistic()
    run(whole, 5, diversity=0.1)
    run(first, 5, diversity=0.1)
    half = {k: torch.tensor(v) for k, v in GOOD.items()}
    whole.note(half, 10)
    first.note(half, 10)
    second = logistic()
    second.load(json.loads(json.dumps(first.state())))
    assert second.note(half, 11) == whole.note(half, 11)
    assert second.state() == whole.state()
    with pytest.raises(InputError, match="no state of a training's health"):
        second.load({"windows": 3})
