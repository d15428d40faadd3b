"""Weights files: what is read, what is refused, and that nothing is half-loaded."""

import hashlib
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from flawsmith.errors import InputError
from flawsmith.train.devices import pick_device
from flawsmith.train.weights import file_sha256, load_into, read_tensors

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, -2])}


class Trap:
    """Makes a folder when unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def refusal(path, trusted=None):
    with pytest.raises(InputError) as caught:
        read_tensors(path, trusted or {})
    assert caught.value.where == str(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))


def test_the_hash_of_a_file(tmp_path):
    (tmp_path / "x").write_bytes(b"abc" * 700_000)
    assert file_sha256(tmp_path / "x") == hashlib.sha256(b"abc" * 700_000).hexdigest()
    with pytest.raises(InputError, match="No such file"):
        file_sha256(tmp_path / "none")


def test_safetensors_are_read(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(TENSORS, path)
    found = read_tensors(path, {})
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)
    assert found["b"].dtype == torch.int64


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".PTH"])
def test_a_pickle_is_read_only_if_known_by_its_hash(tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    torch.save(TENSORS, path)
    message = refusal(path, {"0" * 64: "the file of old"})
    assert "convert it to .safetensors" in message
    assert "the file of old" in message
    found = read_tensors(path, {file_sha256(path): "mine"})
    assert torch.equal(found["a"], TENSORS["a"])


def test_a_hostile_pickle_runs_nothing(tmp_path):
    path = tmp_path / "w.pth"
    path.write_bytes(pickle.dumps({"a": Trap(tmp_path / "trapped")}))
    refusal(path)
    # The same bytes under the safe format's name.
    path.rename(tmp_path / "w.safetensors")
    refusal(tmp_path / "w.safetensors")
    assert not (tmp_path / "trapped").exists()


def test_what_is_no_weights_file(tmp_path):
    whole = tmp_path / "whole.safetensors"
    save_file({"a": torch.zeros(100)}, whole)
    content = whole.read_bytes()
    for name, data in {
        "cut": content[:-40],
        "head": content[:20],
        "empty": b"",
        "noise": b"\xff" * 200,
        "longer": content + b"more",
    }.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(data)
        assert "no valid safetensors file" in refusal(path)
    assert "No such file" in refusal(tmp_path / "none.safetensors")
    assert "No such file" in refusal(tmp_path / "none.pth")
    (tmp_path / "folder.safetensors").mkdir()
    assert "directory" in refusal(tmp_path / "folder.safetensors")
    (tmp_path / "w.onnx").write_bytes(content)
    assert "unknown kind: .onnx" in refusal(tmp_path / "w.onnx")


def test_loading_into_a_module():
    module, other = small(), small()
    tensors = {name: torch.full_like(t, 3) for name, t in module.state_dict().items()}
    load_into(module, tensors, "w")
    assert all(bool((t == 3).all()) for t in module.state_dict().values())
    del tensors["1.num_batches_tracked"]
    load_into(other, tensors, "w")
    assert int(other.state_dict()["1.num_batches_tracked"]) == 0
    assert bool((other[0].weight == 3).all())


def test_wrong_weights_are_named_and_nothing_is_loaded():
    module = small()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    tensors = {name: torch.full_like(t, 3) for name, t in before.items()}
    tensors["0.bias"] = torch.zeros(4)
    tensors["1.weight"] = torch.zeros(3, dtype=torch.int64)
    tensors["1.bias"] = torch.tensor([0.0, float("nan"), 0.0])
    del tensors["1.running_var"]
    tensors |= {f"x{i}": torch.zeros(1) for i in range(5)}
    with pytest.raises(InputError) as caught:
        load_into(module, tensors, "file.safetensors")
    assert str(caught.value) == (
        "file.safetensors: these are not the weights of Sequential: missing: 1.running_var; "
        "surplus: x0, x1, x2 and 2 more; of another shape: 0.bias (4,), wanted (3,), "
        "1.weight torch.int64, wanted torch.float32; not finite: 1.bias"
    )
    assert all(torch.equal(t, before[name]) for name, t in module.state_dict().items())


def test_devices(monkeypatch):
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in {"cpu", "cuda", "mps"}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device() == torch.device("cuda")
    assert pick_device("cuda:1") == torch.device("cuda:1")
    for name in ("cuda:2", "gpu", "meta", "", "cuda:-1"):
        with pytest.raises(InputError, match="auto or one of cuda, cuda:0, cuda:1, "):
            pick_device(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device() == torch.device("mps")
    with pytest.raises(InputError, match="no such device here: 'cuda'"):
        pick_device("cuda")
