"""Which samples a step takes, and the noise they get."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.errors import InputError
from flawsmith.train.batches import Batches, noise, sample_generators, slice_of

CPU = torch.device("cpu")


@given(st.integers(1, 40), st.integers(1, 16), st.integers(0, 5))
def test_every_sample_once_an_epoch(size, batch, seed):
    batches = Batches(size, batch, seed)
    stream = [i for step in range(2 * size) for i in batches.indices(step)]
    for epoch in range(2 * batch):
        assert Counter(stream[epoch * size : (epoch + 1) * size]) == Counter(range(size))


def test_a_step_depends_on_nothing_but_seed_and_step():
    forth = [Batches(37, 8, 3).indices(step) for step in range(30)]
    again = Batches(37, 8, 3)
    assert [again.indices(step) for step in reversed(range(30))] == forth[::-1]
    assert [Batches(37, 8, 4).indices(step) for step in range(30)] != forth
    # Epochs differ from one another.
    assert Batches(37, 37, 3).indices(0) != Batches(37, 37, 3).indices(1)


def test_no_samples():
    with pytest.raises(InputError, match="no samples to train on"):
        Batches(0, 8, 0)


@given(st.integers(1, 8), st.integers(1, 8))
def test_slices_share_the_batch(each, world):
    parts = [list(slice_of(each * world, rank, world)) for rank in range(world)]
    assert sum(parts, []) == list(range(each * world))  # noqa: RUF017
    assert {len(part) for part in parts} == {each}


def test_batches_that_cannot_be_shared():
    with pytest.raises(InputError, match=r"shared evenly by 4 .*a batch of 12 or 8\)"):
        slice_of(10, 0, 4)
    with pytest.raises(InputError, match=r"a batch of 4\)"):
        slice_of(3, 0, 4)


def drawn(step=5, places=range(8), seed=1, stream="noise", shape=(3, 4)):
    return noise(sample_generators(seed, stream, step, places), shape, CPU)


def test_noise_of_a_sample_is_its_own():
    whole = drawn()
    assert whole.shape == (8, 3, 4)
    assert whole.dtype == torch.float32
    halves = torch.cat([drawn(places=range(4)), drawn(places=range(4, 8))])
    assert torch.equal(whole, halves)
    for other in (drawn(step=6), drawn(seed=2), drawn(stream="jitter")):
        assert not (whole == other).any()
    assert len({tuple(sample.flatten().tolist()) for sample in whole}) == 8


def test_noise_is_standard_normal():
    values = drawn(places=range(40), shape=(50, 20)).numpy().ravel()
    assert abs(values.mean()) < 0.02
    assert abs(values.std() - 1) < 0.02
    # Neither within a sample nor between neighbours is there a pattern.
    samples = values.reshape(40, -1)
    together = np.corrcoef(samples)[~np.eye(40, dtype=bool)]
    assert abs(together).max() < 0.15


def test_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    drawn()
    assert torch.equal(torch.get_rng_state(), state)
