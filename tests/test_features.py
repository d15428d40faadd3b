"""Features: order, batches, copies, the store, resuming, and no torch where none is needed."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from flawsmith.data.scan import pixel_digest
from flawsmith.errors import InputError
from flawsmith.evaluate import features
from flawsmith.evaluate.feature_store import FeatureStore
from flawsmith.evaluate.features import extract, open_extractor
from flawsmith.train.backbone import lite0
from tests.feature_helpers import keyed, one_thread, pictures  # noqa: F401

WITHOUT_TORCH = """
import sys
from pathlib import Path
import numpy as np
from flawsmith.data.scan import pixel_digest
from flawsmith.evaluate.feature_store import FeatureStore
from flawsmith.evaluate.features import extract, open_extractor
extractor = open_extractor("lite0")
store = FeatureStore(Path(sys.argv[1]), extractor.version)
picture = np.full((9, 9), 7, np.uint8)
wanted = np.arange(1280, dtype=np.float32)[None]
store.put([pixel_digest(picture)], wanted)
assert (extract(extractor, [pixel_digest(picture)] * 2, None, store=store) == wanted).all()
sys.exit("torch" in sys.modules)
"""


@pytest.fixture(scope="module")
def extractor():
    return open_extractor("lite0")


@pytest.fixture(scope="module")
def wanted(extractor):
    return extract(extractor, *keyed(pictures(6)), device="cpu")


@pytest.fixture
def runs(extractor, monkeypatch):
    """The number of pictures in each batch that a network ran."""
    network = type(extractor.network("cpu"))
    inner, counts = network.run, []

    def counted(self, prepared):
        counts.append(len(prepared))
        return inner(self, prepared)

    monkeypatch.setattr(network, "run", counted)
    return counts


def test_what_the_extractor_says(extractor):
    assert extractor.dimension == 1280
    assert extractor.genuine
    assert extractor.distance_name == "FD (lite0)"
    assert "224x224" in extractor.resize
    assert extractor.version == "lite0-579344248a93e230-bilinear224-antialias-1"
    with pytest.raises(InputError, match=r"no such features: 'vgg'.*lite0, inception"):
        open_extractor("vgg")


def test_the_features_are_the_network_s(wanted):
    network = lite0()
    for image, found in zip(pictures(6), wanted, strict=True):
        coloured = image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
        x = torch.from_numpy(coloured).permute(2, 0, 1)[None] / 127.5 - 1
        x = torch.nn.functional.interpolate(x, (224, 224), mode="bilinear", antialias=True)
        np.testing.assert_allclose(found, network.pooled(x)[0].numpy(), rtol=1e-4, atol=1e-5)
    assert wanted.dtype == np.float32
    assert wanted.std(axis=0).mean() > 0.05


@pytest.mark.parametrize("batch", [1, 4, 32])
def test_neither_batches_nor_order_matter(extractor, wanted, batch):
    order = [4, 1, 5, 0, 3, 2]
    images = pictures(6)
    found = extract(extractor, *keyed([images[i] for i in order]), device="cpu", batch=batch)
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(found, wanted[order], rtol=0, atol=1e-5 * scale)


def test_copies_are_computed_once(extractor, wanted, runs):
    images = pictures(3)
    found = extract(extractor, *keyed([images[0], *images, images[1]]), device="cpu", batch=2)
    assert sum(runs) == 3
    np.testing.assert_allclose(found, wanted[[0, 0, 1, 2, 1]], atol=1e-5)


def test_no_picture(extractor):
    assert extract(extractor, *keyed([])).shape == (0, 1280)


def test_other_arrays_are_refused(extractor):
    for image in (np.zeros((8, 8), np.float32), np.zeros((8, 8, 4), np.uint8), np.zeros((0, 8))):
        with pytest.raises(ValueError, match="wanted uint8"):
            extract(extractor, ["0" * 32], [image].__getitem__)


def test_known_pictures_come_from_the_store(extractor, wanted, runs, tmp_path):
    store = FeatureStore(tmp_path, extractor.version)
    extract(extractor, *keyed(pictures(4)), device="cpu", store=store)
    again = FeatureStore(tmp_path, extractor.version)
    runs.clear()
    found = extract(extractor, *keyed(pictures(6)), device="cpu", store=again)
    assert runs == [2]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert np.array_equal(extract(extractor, *keyed(pictures(6)), device="cpu", store=again), found)
    assert runs == [2]


def test_another_version_has_its_own_store(extractor, runs, tmp_path):
    image = pictures(1)
    extract(extractor, *keyed(image), device="cpu", store=FeatureStore(tmp_path, extractor.version))
    extract(extractor, *keyed(image), device="cpu", store=FeatureStore(tmp_path, "another"))
    assert runs == [1, 1]


def test_a_job_that_fails_keeps_what_it_computed(extractor, runs, tmp_path, monkeypatch):
    monkeypatch.setattr(features, "SAVE_EVERY", 2)

    keys, load = keyed(pictures(6))

    def broken(place):
        if place == 5:
            assert len(list((tmp_path / extractor.version).glob("*.safetensors"))) == 2
            raise InputError("truncated", where="x.png")
        return load(place)

    store = FeatureStore(tmp_path, extractor.version)
    with pytest.raises(InputError, match="truncated"):
        extract(extractor, keys, broken, device="cpu", batch=2, store=store)
    runs.clear()
    again = FeatureStore(tmp_path, extractor.version)
    extract(extractor, *keyed(pictures(6)), device="cpu", store=again)
    assert runs == [2]


def test_pictures_are_taken_as_they_are_needed(extractor, runs):
    keys, load = keyed(pictures(5))

    def watched(place):
        assert sum(runs) == place // 2 * 2
        return load(place)

    extract(extractor, keys, watched, device="cpu", batch=2)
    assert runs == [2, 2, 1]


def test_no_torch_without_a_new_picture(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_weights_that_give_no_finite_features(extractor, monkeypatch):
    network = extractor.network("cpu")
    image = pictures(1)[0]
    broken = type(network)(lambda x: x.mean((2, 3)) * torch.nan, network.device, 32, True)
    with pytest.raises(InputError, match="not finite"):
        broken.run([broken.prepare(image)])


def test_weights_changed_after_they_were_hashed(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"first")
    extractor = open_extractor("lite0", path)
    assert extractor.distance_name == "FD (lite0, other weights)"
    path.write_bytes(b"second")
    with pytest.raises(InputError, match="changed while in use"):
        extract(extractor, *keyed(pictures(1)))


def test_a_device_that_is_not_there():
    with pytest.raises(InputError, match="no such device here: 'tpu'"):
        extract(open_extractor("lite0"), *keyed(pictures(1)), device="tpu")


def test_a_known_picture_is_not_loaded(extractor, wanted, tmp_path):
    store = FeatureStore(tmp_path, extractor.version)
    image = pictures(1)[0]
    store.put([pixel_digest(image)], wanted[3:4])
    found = extract(extractor, [pixel_digest(image)], [].__getitem__, store=store)
    assert np.array_equal(found, wanted[3:4])
