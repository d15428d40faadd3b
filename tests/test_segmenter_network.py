"""The segmenter's network: Lite0's features, its first weights, other encoders, bad names."""

import pytest
import segmentation_models_pytorch as smp
import torch

from flawsmith.errors import InputError
from flawsmith.evaluate.segmenter.network import (
    Scaling,
    Segmenter,
    _scaling,
    build_segmenter,
    freeze,
)
from flawsmith.train.backbone import lite0
from tests.feature_helpers import one_thread  # noqa: F401


def picture(height, width, number=1):
    generator = torch.Generator().manual_seed(5)
    return torch.rand(number, 3, height, width, generator=generator) * 2 - 1


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize(("height", "width"), [(64, 96), (101, 47)])
def test_the_encoder_is_lite0(height, width):
    network = build_segmenter(2, 0).eval()
    x = picture(height, width)
    with torch.no_grad():
        maps = network.unet.encoder((x - network.mean) / network.std)[2:]
        for ours, theirs in zip(maps, lite0().maps(x), strict=True):
            assert torch.equal(ours, theirs)
        assert network(x).shape == (1, 2, height, width)


def test_first_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one = weights(build_segmenter(2, 7))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = weights(build_segmenter(2, 7)), weights(build_segmenter(2, 8))
    assert all(torch.equal(one[name], again[name]) for name in one)
    differing = {name.split(".")[1] for name in one if not torch.equal(one[name], other[name])}
    assert differing == {"decoder", "segmentation_head"}
    bare = weights(build_segmenter(2, 7, weights="none"))
    assert not torch.equal(
        bare["unet.encoder.model.conv_stem.weight"], one["unet.encoder.model.conv_stem.weight"]
    )


def test_frozen_is_what_the_features_depend_on():
    network = build_segmenter(2, 0)
    before = weights(network)
    freeze(network, 3)
    fixed = {n for n, p in network.named_parameters() if not p.requires_grad}
    stages = {".".join(name.split(".")[3:5]) for name in fixed}
    assert stages == {
        "conv_stem.weight",
        "bn1.weight",
        "bn1.bias",
        "blocks.0",
        "blocks.1",
        "blocks.2",
    }
    # Nothing else has changed: neither weights nor running means.
    assert all(torch.equal(before[name], value) for name, value in weights(network).items())
    assert network.unet.encoder.training
    with torch.no_grad():
        maps = network.eval().unet.encoder(picture(64, 64))
        for name, value in network.named_parameters():
            if name not in fixed:
                value.add_(1)
        after = network.unet.encoder(picture(64, 64))
    assert torch.equal(maps[3], after[3])  # of an eighth of the size
    assert not torch.equal(maps[4], after[4])


@pytest.mark.parametrize("encoder", ["lite0", "vgg11"])
def test_nothing_frozen(encoder):
    network = build_segmenter(2, 0, encoder, weights="none")
    freeze(network, 0)
    assert all(value.requires_grad for value in network.parameters())


def test_an_encoder_that_takes_no_such_pictures_cannot_be_frozen(monkeypatch):
    def refuse(x):
        raise AssertionError("Input height (64) doesn't match model (224)")

    network = build_segmenter(2, 0, weights="none")
    monkeypatch.setattr(network.unet.encoder, "forward", refuse)
    with pytest.raises(InputError, match=r"no pictures of 64x64 pixels: .*\(224\)"):
        freeze(network, 3)


@pytest.mark.parametrize("encoder", ["resnet18", "tu-resnet10t"])
def test_other_encoders(encoder):
    network = build_segmenter(3, 0, encoder, "none").eval()
    with torch.no_grad():
        assert network(picture(64, 96)).shape == (1, 3, 64, 96)


def test_other_encoders_see_pictures_as_they_were_trained_on():
    x = picture(32, 40)
    scaling = _scaling("tu-resnet18")
    network = Segmenter(torch.nn.Identity(), scaling)
    prepare = smp.encoders.get_preprocessing_fn("tu-resnet18")
    theirs = prepare(((x[0].permute(1, 2, 0) + 1) / 2).double().numpy())
    torch.testing.assert_close(network(x)[0].permute(1, 2, 0).double(), torch.as_tensor(theirs))
    assert _scaling("tu-tf_efficientnet_lite0") == Scaling()
    # Kept among the weights, so that they are the same wherever those are loaded.
    assert {"mean", "std"} <= network.state_dict().keys()


def test_encoders_that_cannot_be_had(monkeypatch):
    for name in ("resnet1", "tu-resnet1", "", "tu-"):
        with pytest.raises(InputError, match=r"no encoder .*lite0"):
            build_segmenter(2, 0, name, "none")

    def no_route(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(smp.encoders, "hf_hub_download", no_route)
    with pytest.raises(InputError, match=r"resnet18.*no route to host.*lite0 needs no download"):
        build_segmenter(2, 0, "resnet18")
    with pytest.raises(InputError, match="vit_tiny_patch16_224"):
        build_segmenter(2, 0, "tu-vit_tiny_patch16_224", "none")


def test_other_shapes_are_refused():
    network = build_segmenter(1, 0)
    for shape in ((1, 1, 64, 64), (1, 3, 31, 64), (3, 64, 64)):
        with pytest.raises(ValueError, match="at least 32"):
            network(torch.zeros(shape))
