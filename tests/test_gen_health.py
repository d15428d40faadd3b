"""Warnings in plain words: divergence, a dead critic, mode collapse; none for a healthy run."""

import json
import math

import pytest
import torch

from flawsmith.errors import InputError
from flawsmith.gen.health import Health
from flawsmith.seeding import rng

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
        ({"real_score": 0.1, "fake_score": 0.0999}, "the critic cannot tell real from generated"),
        ({"real_score": -0.2, "fake_score": 0.3}, "the critic cannot tell real from generated"),
        ({"g_loss": 45}, "the training diverges: the losses are 45 (generator) and 1.2 (critic); "),
        ({"d_loss": 60, "g_loss": 0.1}, "the training diverges: the losses are 0.1 (generator)"),
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


def test_a_wasserstein_estimate_that_grows_and_grows():
    """Seen from the first judged window on: the usual is of the windows before."""
    health = Health(True, 1e6, window=2)
    assert run(health, 3, real_score=2, fake_score=0, d_loss=-2) == []
    (line,) = run(health, 3, real_score=300, fake_score=-200, d_loss=-500)
    assert "the critic's estimate of the distance is 500, more than 100 times what it was" in line


def noisy(health, steps, series):
    """Feed a series, a function of the step, with noise as of batches; return what was said."""
    generator, said = rng(5, "series"), []
    for step in range(steps):
        values = series(step)
        values = {k: torch.tensor(v + generator.normal(0, 0.35)) for k, v in values.items()}
        values["diversity"] = values["diversity"].clamp(min=0)
        said += health.note(values, step)
    return said


def test_series_as_trainings_give_them():
    """By the real windows of 100 updates: what is healthy stays silent, what is not is named."""

    def settling(step):
        left = math.exp(-step / 400)  # DCGAN: the critic ahead at first, then near to chance
        return {
            "d_loss": 1.1 - 0.8 * left, "g_loss": 1.0 + 3 * left, "real_score": 0.4 + 2 * left,
            "fake_score": -0.4 - 2 * left, "diversity": 0.95 - 0.9 * left,
        }  # fmt: skip

    def collapsing(step):
        return settling(step) | {"diversity": 0.9 if step < 1500 else 0.1}

    def dying(step):
        return settling(step) | ({"real_score": -0.3, "fake_score": -0.1} if step > 900 else {})

    def swinging(step):
        up = math.sin(step / 130)  # the two chase each other: no fault by itself
        return settling(step) | {"real_score": 0.6 + 0.5 * up, "fake_score": -0.6 - 0.5 * up}

    assert noisy(Health(False, 50.0), 3000, settling) == []
    assert noisy(Health(False, 50.0), 3000, swinging) == []
    (line,) = noisy(Health(False, 50.0), 3000, collapsing)
    assert line.startswith("at step 1800: mode collapse")
    (line,) = noisy(Health(False, 50.0), 3000, dying)
    assert line.startswith("at step 1200: the critic cannot tell")


def test_windows_are_of_the_critic_s_updates():
    """200 epochs of 207 parts are 259 steps of wgan-gp: judged, but young samples may be alike."""

    def series(step):
        distance = 8 * math.exp(-step / 100) + 2
        return {
            "d_loss": -distance, "g_loss": 1.0, "real_score": distance, "fake_score": 0.0,
            "diversity": 0.2,
        }  # fmt: skip

    def running(step):
        grown = 1.0 if step < 100 else 1000.0
        return {k: v * grown if k != "diversity" else v for k, v in series(step).items()}

    assert noisy(Health(True, 500.0, 5), 259, series) == []
    (line,) = noisy(Health(True, 500.0, 5), 259, running)
    assert line.startswith("at step 160: the training diverges")
    (line,) = noisy(Health(True, 500.0, 5), 700, series)
    assert line.startswith("at step 360: mode collapse")


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
