"""Prediction by tiles: as if the picture had been seen whole, and of any size."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from flawsmith.errors import InputError
from flawsmith.evaluate.segmenter.crops import pictures_of
from flawsmith.evaluate.segmenter.network import build_segmenter
from flawsmith.evaluate.segmenter.predict import Predictor, load_predictor
from flawsmith.evaluate.segmenter.tiles import Tiling
from flawsmith.seeding import rng
from flawsmith.train.checkpoint import save_weights
from tests.feature_helpers import one_thread  # noqa: F401

CPU = torch.device("cpu")
KERNEL = torch.from_numpy(rng(0, "kernel").normal(0, 1, (2, 3, 5, 5)).astype(np.float32))


def convolve(x):
    return F.conv2d(x, KERNEL, padding=2)


def picture(*shape, seed=0):
    return rng(seed, "picture").integers(0, 256, shape).astype(np.uint8)


def stub(network=convolve, **tiling):
    given = {"tile": 64, "overlap": 16, "smallest": 32} | tiling
    return Predictor(network, ("a", "b"), CPU, Tiling(**given))


@pytest.mark.parametrize("shape", [(160, 224), (65, 300, 3), (128, 129), (64, 32)])
def test_tiles_tell_what_the_whole_picture_tells(shape):
    image = picture(*shape)
    whole = convolve(pictures_of([image]))[0].numpy()
    np.testing.assert_allclose(stub().logits(image), whole, atol=1e-4)
    assert np.array_equal(stub().masks(image), stub().logits(image) >= 0)


def test_below_a_tile_it_is_mirrored_out():
    image = picture(37, 50)
    found = stub(smallest=64).logits(image)
    whole = convolve(pictures_of([np.pad(image, ((0, 27), (0, 14)), mode="reflect")]))[0].numpy()
    np.testing.assert_allclose(found, whole[:, :37, :50], atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (33, 500), (200, 31, 3)])
def test_any_size(shape):
    masks = stub().masks(picture(*shape))
    assert masks.shape == (2, *shape[:2])
    assert masks.dtype == bool


@pytest.mark.parametrize("tiling", [Tiling(64, 16, 32), Tiling(64, 32, 64), Tiling(96, 9, 128)])
def test_every_pixel_is_told_by_somebody(tiling):
    for full in range(1, 400):
        weight = np.zeros(full, np.float32)
        for span in tiling.spans(full):
            assert span.length % 32 == 0
            assert span.start + span.length <= full or full < span.length <= tiling.tile
            inside = weight[span.start : span.start + span.length]
            inside += span.weights[: len(inside)]
        assert weight.min() > 0.05


def test_no_tile_of_a_picture_as_large_as_a_crop_reaches_beyond_it():
    tiling = Tiling(384, 64, 128)
    told = {
        full: [(s.start, s.length) for s in tiling.spans(full)] for full in (100, 256, 300, 800)
    }
    assert told == {
        100: [(0, 128)],
        256: [(0, 256)],
        300: [(0, 192), (108, 192)],
        800: [(0, 320), (240, 320), (480, 320)],
    }
    for full in range(128, 2000):
        spans = tiling.spans(full)
        assert spans[-1].start + spans[-1].length == full


def test_the_number_of_tiles_at_once_changes_nothing():
    network = build_segmenter(2, 0).eval()
    image = picture(100, 150)
    one = stub(network, batch=1, smallest=64).logits(image)
    np.testing.assert_allclose(stub(network, batch=5, smallest=64).logits(image), one, atol=1e-4)
    assert np.array_equal(stub(network, batch=1, smallest=64).logits(image), one)
    # Grey is RGB with three planes alike.
    colour = np.repeat(image[..., None], 3, axis=2)
    assert np.array_equal(stub(network, batch=1, smallest=64).logits(colour), one)


def test_what_cannot_be_predicted():
    for image in (picture(5, 5, 4), picture(0, 5), picture(40, 40).astype(np.float32)):
        with pytest.raises(InputError, match="uint8"):
            stub().masks(image)
    broken = replace(stub(), network=lambda x: convolve(x) * float("nan"))
    with pytest.raises(InputError, match="not finite"):
        broken.masks(picture(40, 40))
    for wrong in ({"tile": 50}, {"overlap": 40}, {"overlap": 0}, {"batch": 0}):
        with pytest.raises(ValueError, match="tile"):
            stub(**wrong)


def test_what_cannot_be_loaded(tmp_path):
    with pytest.raises(InputError, match="no trained weights"):
        load_predictor(tmp_path)
    path = tmp_path / "model.safetensors"
    layer = torch.nn.Linear(2, 2)
    for facts, told in (
        ({"kind": "inpaint"}, "'inpaint', not of a segmenter"),
        ({"kind": "segment", "config": {"classes": ["a"]}}, "train it again"),
        ({"kind": "segment", "config": {"classes": ["a"], "settings": {}}}, "no segmenter of"),
    ):
        save_weights(path, layer, facts)
        with pytest.raises(InputError, match=told):
            load_predictor(tmp_path, "cpu")
