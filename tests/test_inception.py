"""The Inception network against pytorch-fid's own class, and where its weights are looked for."""

import hashlib
import urllib.error

import numpy as np
import pytest
import pytorch_fid.inception
import torch
from safetensors.torch import save_file

from flawsmith.errors import InputError
from flawsmith.evaluate import inception_file
from flawsmith.evaluate.features import extract, open_extractor
from flawsmith.evaluate.inception import DIMENSION, inception
from flawsmith.evaluate.inception_file import NAME, hub_folder
from tests.feature_helpers import keyed, one_thread, pictures, random_inception, write_inception  # noqa: F401

CONTENT = b"the weights"


@pytest.fixture
def small_file(monkeypatch, tmp_path):
    """Stand in for the real file: another hash is known, and torch hub's folder is empty."""
    monkeypatch.setattr(inception_file, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.delenv("FLAWSMITH_INCEPTION", raising=False)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints" / NAME


@pytest.fixture
def offline(monkeypatch):
    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "urlopen", refuse)


def test_the_same_features_as_pytorch_fid(tmp_path, monkeypatch):
    weights = write_inception(tmp_path / "w.safetensors")
    monkeypatch.setattr(
        pytorch_fid.inception, "load_state_dict_from_url", lambda *a, **k: random_inception()
    )
    theirs = pytorch_fid.inception.InceptionV3().eval()
    images = pictures(5)
    wanted = []
    for image in images:
        coloured = image if image.ndim == 3 else np.stack([image] * 3, axis=2)
        x = torch.from_numpy(coloured).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            wanted.append(theirs(x)[0][0, :, 0, 0].numpy())
    found = extract(open_extractor("inception", weights), *keyed(images), device="cpu")
    assert found.shape == (5, DIMENSION)
    # They differ between pictures hundreds of times more than from pytorch-fid's.
    assert np.std(wanted, axis=0).mean() > 0.05
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)


def test_the_weights_of_another_network_are_refused(tmp_path):
    tensors = dict(random_inception())
    del tensors["Mixed_7c.branch1x1.conv.weight"]
    tensors["AuxLogits.fc.bias"] = torch.zeros(3)
    save_file(tensors, tmp_path / "w.safetensors")
    with pytest.raises(
        InputError,
        match=r"missing: Mixed_7c\.branch1x1\.conv\.weight; surplus: AuxLogits\.fc\.bias",
    ):
        inception(tmp_path / "w.safetensors")


def test_old_files_without_batch_counts_are_read(tmp_path):
    counted = random_inception()
    tensors = {n: t for n, t in counted.items() if not n.endswith("num_batches_tracked")}
    assert len(tensors) < len(counted)
    save_file(tensors, tmp_path / "w.safetensors")
    network = inception(tmp_path / "w.safetensors")
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_the_hub_s_folder_is_torch_s(monkeypatch):
    for home, cache in ((None, None), ("/a", None), (None, "/b"), ("~/c", "/b")):
        for name, value in (("TORCH_HOME", home), ("XDG_CACHE_HOME", cache)):
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        wanted = torch.hub.get_dir()
        assert str(hub_folder()) == wanted
        with monkeypatch.context() as patch:
            patch.delitem(inception_file.sys.modules, "torch")
            assert str(hub_folder()) == wanted


def test_where_the_file_is_looked_for(small_file, monkeypatch, tmp_path):
    small_file.parent.mkdir(parents=True)
    small_file.write_bytes(CONTENT)
    assert inception_file.inception_file() == small_file
    for name in ("named.pth", "given"):
        (tmp_path / name).write_bytes(CONTENT)
    monkeypatch.setenv("FLAWSMITH_INCEPTION", str(tmp_path / "named.pth"))
    assert inception_file.inception_file() == tmp_path / "named.pth"
    assert inception_file.inception_file(tmp_path / "given") == tmp_path / "given"
    with pytest.raises(InputError, match=r"release .fid_weights. of pytorch-fid.*--features lite0"):
        inception_file.inception_file(tmp_path / "missing")


def test_the_download(small_file, monkeypatch, tmp_path, capsys):
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    monkeypatch.setattr(pytorch_fid.inception, "FID_WEIGHTS_URL", source.as_uri())
    assert inception_file.inception_file().read_bytes() == CONTENT
    assert "downloading" in capsys.readouterr().err
    small_file.write_bytes(CONTENT[:4])  # damaged: fetched again
    assert inception_file.inception_file().read_bytes() == CONTENT
    assert [path.name for path in small_file.parent.iterdir()] == [NAME]


def test_a_download_that_fails(small_file, monkeypatch, tmp_path, offline):
    with pytest.raises(InputError) as caught:
        open_extractor("inception")
    message = str(caught.value)
    assert "\n" not in message
    for part in (NAME, "fid_weights", "--weights", "FLAWSMITH_INCEPTION", "--features lite0"):
        assert part in message
    assert not list(small_file.parent.iterdir())


def test_a_download_of_something_else(small_file, monkeypatch, tmp_path):
    (tmp_path / "source").write_bytes(b"an error page")
    url = (tmp_path / "source").as_uri()
    monkeypatch.setattr(pytorch_fid.inception, "FID_WEIGHTS_URL", url)
    with pytest.raises(InputError, match="invalid hash value"):
        inception_file.inception_file()
    assert not list(small_file.parent.iterdir())


def test_what_a_distance_may_be_called(small_file, tmp_path):
    small_file.parent.mkdir(parents=True)
    small_file.write_bytes(CONTENT)
    # Only the file of the known hash is opened as a pickle, and only that one gives a FID.
    inception_file.TRUSTED[inception_file.SHA256] = "stand-in"
    try:
        genuine = open_extractor("inception")
    finally:
        del inception_file.TRUSTED[inception_file.SHA256]
    assert genuine.genuine
    assert genuine.distance_name == "FID"
    (tmp_path / "other.safetensors").write_bytes(b"other")
    other = open_extractor("inception", tmp_path / "other.safetensors")
    assert not other.genuine
    assert other.distance_name == "FD (inception, other weights)"
    assert other.version != genuine.version
    (tmp_path / "other.pth").write_bytes(b"other")
    with pytest.raises(InputError, match=r"convert it to \.safetensors"):
        open_extractor("inception", tmp_path / "other.pth")
