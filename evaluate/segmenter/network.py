"""The network: a U-Net of segmentation_models_pytorch, by default on Lite0's offline weights."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import segmentation_models_pytorch as smp  # type: ignore[import-untyped]
import timm
import torch
from torch import Tensor, nn

from flawsmith.errors import InputError
from flawsmith.evaluate.segmenter.settings import LITE0
from flawsmith.train.backbone import ARCHITECTURE, SMALLEST, lite0_tensors
from flawsmith.train.lite0_file import weights_file
from flawsmith.train.starting import starting_from
from flawsmith.train.weights import load_into

# The library's names of timm's networks begin so.
TIMM = "tu-"
# An untrained network calls so many pixels defective: few are, and without that the first hundred
# steps do nothing but learn it (Lin et al. 2017, "Focal loss", section 3.3).
PRIOR = 0.02
MEND = f"encoder {LITE0} needs no download; weights none start from noise"


@dataclass(frozen=True)
class Scaling:
    """What an encoder wants to see: (x - mean) / std a colour, for x in [-1, 1]."""

    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)


class Segmenter(nn.Module):
    """The U-Net: x (N, 3, H, W) float RGB in [-1, 1] -> (N, K, H, W) logits, a plane a class.

    H and W are at least 32, not necessarily a multiple of it. Planes may overlap: each takes a
    sigmoid of its own. How the encoder wants its pictures scaled is kept among the weights.
    """

    def __init__(self, unet: nn.Module, scaling: Scaling) -> None:
        super().__init__()
        self.unet = unet
        self.register_buffer("mean", torch.tensor(scaling.mean)[None, :, None, None])
        self.register_buffer("std", torch.tensor(scaling.std)[None, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[1] != 3 or min(x.shape[2:]) < SMALLEST:
            raise ValueError(
                f"found {tuple(x.shape)}; wanted (N, 3, H, W) with H and W at least {SMALLEST}"
            )
        scaled = (x - self.get_buffer("mean")) / self.get_buffer("std")
        return self.unet(scaled)  # type: ignore[no-any-return]


def build_segmenter(
    classes: int, seed: int, encoder: str = LITE0, weights: str = "imagenet"
) -> Segmenter:
    """Return an untrained segmenter on the CPU; what no weights give depends on the seed alone.

    encoder: ``lite0``, or a name of segmentation_models_pytorch, as ``resnet18`` or, for timm's,
    ``tu-convnext_tiny``. weights: ``imagenet`` (of others than lite0 downloaded, once) or ``none``.
    Raises InputError for an unknown encoder, and when its weights cannot be had.
    """
    loaded = weights != "none"
    if encoder == LITE0:
        unet = _unet(TIMM + ARCHITECTURE, None, classes, seed)
        if loaded:
            with starting_from(seed, "unused"):  # a network is built to name the tensors by
                _load_lite0(unet)
        return Segmenter(unet, Scaling())
    _check(encoder)
    wanted = (True if encoder.startswith(TIMM) else "imagenet") if loaded else None
    try:
        unet = _unet(encoder, wanted, classes, seed)
        scaling = _scaling(encoder) if loaded else Scaling()
    except InputError:
        raise
    except Exception as error:  # each library and protocol below has errors of its own
        what = f"the encoder {encoder!r} cannot be had with weights {weights}: {error}"
        raise InputError(what, mend=MEND) from error
    return Segmenter(unet, scaling)


def freeze(segmenter: Segmenter, halvings: int, side: int = 2 * SMALLEST) -> None:
    """Keep the encoder's weights as they are, down to its features of 1/2**halvings of the size.

    Its normalisations go on following the data. side: of pictures that the encoder takes. With 0
    halvings all is trained. Raises InputError for an encoder that takes no such pictures.

    What pretraining found there serves any picture, few defects would only bend it, and steps cost
    less (Yosinski et al. 2014, "How transferable are features in deep neural networks?").
    """
    if not halvings:
        return
    encoder = segmenter.unet.get_submodule("encoder")
    kept = list(encoder.parameters())
    encoder.eval()  # the picture below is none: running means stay
    try:
        features = encoder(torch.zeros(1, 3, side, side))[halvings]
    except Exception as error:  # each encoder has errors of its own
        raise InputError(
            f"the encoder takes no pictures of {side}x{side} pixels: {error}",
            mend="another crop, or another encoder",
        ) from error
    encoder.train()
    if features.requires_grad:
        reached = torch.autograd.grad(features.sum(), kept, allow_unused=True)
        for parameter, gradient in zip(kept, reached, strict=True):
            parameter.requires_grad_(gradient is None)


def _unet(encoder: str, weights: str | bool | None, classes: int, seed: int) -> nn.Module:
    with starting_from(seed, "segmenter", encoder):
        unet: nn.Module = smp.Unet(encoder, encoder_weights=weights, classes=classes)
    last = unet.get_submodule("segmentation_head.0").bias
    assert isinstance(last, Tensor)
    nn.init.constant_(last, -math.log((1 - PRIOR) / PRIOR))
    return unet


def _load_lite0(unet: nn.Module) -> None:
    """Give the encoder Lite0's weights; timm leaves the head out of a network of features."""
    backbone = unet.get_submodule("encoder.model")
    own = backbone.state_dict()
    tensors = {name: value for name, value in lite0_tensors().items() if name in own}
    load_into(backbone, tensors, weights_file())


def _check(encoder: str) -> None:
    name = encoder.removeprefix(TIMM)
    of_timm = name != encoder and timm.is_model(name.split(".")[0])
    if not of_timm and encoder not in smp.encoders.get_encoder_names():
        raise InputError(
            f"no encoder {encoder!r}",
            mend=f"{LITE0}, or a name of segmentation_models_pytorch, such as resnet18",
        )


def _scaling(encoder: str) -> Scaling:
    """Return what the library says of an encoder's pictures, in [0, 1] or [0, 255], as ours."""
    found = smp.encoders.get_preprocessing_params(encoder)
    if found["input_space"] != "RGB":
        raise InputError(f"the encoder {encoder!r} wants {found['input_space']}, not RGB")
    half = found["input_range"][1] / 2
    mean: Sequence[float] = found["mean"]
    std: Sequence[float] = found["std"]
    return Scaling(tuple(m / half - 1 for m in mean), tuple(s / half for s in std))
