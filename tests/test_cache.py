"""The cache gives what the data set gives, and keeps within its limit."""

import pickle

import numpy as np

from flawsmith.data.cache import SampleCache
from tests.augment_helpers import make_parts, write_scan


def test_same_samples_first_and_later(tmp_path) -> None:
    dataset = write_scan(tmp_path / "set", make_parts()).dataset
    cache = SampleCache(dataset)
    for _ in range(2):
        for index, sample in enumerate(dataset):
            again = cache[index]
            assert np.array_equal(again.image, sample.image)
            assert np.array_equal(again.masks, sample.masks)
            assert again.masks.dtype == np.bool_
            assert (again.id, again.label, again.group) == (sample.id, sample.label, sample.group)


def test_kept_samples_are_not_decoded_again_and_the_limit_holds(tmp_path, monkeypatch) -> None:
    dataset = write_scan(tmp_path / "set", make_parts()).dataset
    decoded: list[int] = []
    inner = type(dataset).__getitem__
    monkeypatch.setattr(
        type(dataset), "__getitem__", lambda self, i: (decoded.append(i), inner(self, i))[1]
    )
    size = dataset[0].image.nbytes
    cache = SampleCache(dataset, limit=3 * size)
    decoded.clear()
    for _ in range(3):
        for index in range(5):
            _ = cache[index]
    # Two samples with their masks' bits fit; the other three are decoded each time.
    assert decoded.count(0) == decoded.count(1) == 1
    assert decoded.count(4) == 3


def test_it_travels_empty(tmp_path) -> None:
    cache = SampleCache(write_scan(tmp_path / "set", make_parts()).dataset)
    _ = cache[0]
    assert len(pickle.dumps(cache)) < len(cache[0].image.tobytes()) * len(cache.dataset)
