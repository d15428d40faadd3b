"""The feature networks of anomalib's detectors: names, weights, how pictures are shown."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from flawsmith.errors import InputError
from flawsmith.evaluate.detectors.frames import Form
from flawsmith.train.backbone import ARCHITECTURE, lite0_tensors
from flawsmith.train.weights import load_into, read_tensors

LITE0 = "lite0"
# What weights can be, beside a file.
WORDS = ("offline", "download", "random")
INSTALL = "pip install 'anomalib>=2.7'"
# Of ImageNet, for values in [0, 1]: what most of timm's networks were trained on.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Which backbones the networks of anomalib 2.7 take, where not any of timm's.
BACKBONES: dict[str, tuple[str, ...]] = {
    "fastflow": ("resnet18", "wide_resnet50_2"),
    "reverse_distillation": ("resnet18", "resnet50", "wide_resnet50_2"),
}


def torch_model(name: str) -> Any:
    """Return the module of anomalib with a method's network; raises InputError without anomalib."""
    if find_spec("anomalib") is None:
        raise InputError(f"{name} needs anomalib, which is not installed", mend=INSTALL)
    return import_module(f"anomalib.models.image.{name}.torch_model")


def check_backbone(name: str, backbone: str, weights: str) -> None:
    """Raise InputError for a backbone that the method does not take, or weights it cannot have.

    A name of another place than timm's own list (``hf-hub:``, ``local-dir:``) is none of timm's:
    timm would fetch what it names.
    """
    allowed = BACKBONES.get(name, ())
    if allowed and backbone not in allowed:
        raise InputError(
            f"{name} does not take the backbone {backbone!r}", mend=f"one of {', '.join(allowed)}"
        )
    if backbone != LITE0 and not is_timms(backbone):
        raise InputError(
            f"timm has no network {backbone!r}", mend="lite0, or a name that timm.list_models() has"
        )
    if weights == "offline" and backbone != LITE0:
        raise InputError(
            f"there are no offline weights of {backbone}",
            mend="weights download, random, or a safetensors file with timm's names",
        )


def is_timms(backbone: str) -> bool:
    """Return whether timm itself builds a network of this name."""
    import timm

    return not set(":/\\") & set(backbone) and bool(timm.is_model(backbone))


def check_weights(weights: str) -> None:
    """Raise InputError if weights that are a file are not there."""
    if weights not in WORDS and not Path(weights).is_file():
        raise InputError("no such file of weights", where=weights, mend=", ".join(WORDS))


@contextmanager
def building(name: str, backbone: str) -> Iterator[None]:
    """Tell in one line what anomalib and timm cannot build, or timm cannot download."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except IndexError as error:
        raise InputError(
            f"{name}: {backbone} has no such layer", mend="layers that count from 0, fewer"
        ) from error
    except (RuntimeError, ValueError, AssertionError, OSError) as error:
        raise InputError(
            f"{name} cannot be built on {backbone}: {error}",
            mend="other settings; or weights random or a safetensors file, if it is the download",
        ) from error


def check_takes(name: str, network: nn.Module, form: Form, backbone: str) -> None:
    """Raise InputError unless a network learns from pictures of a form; no memory is needed.

    To be called where tensors have none, as the network's do not.
    """
    x = torch.empty(2, form.channels, form.height, form.width)
    try:
        with torch.no_grad():
            network.train()(shown(x, backbone))
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"{name} on {backbone} cannot take pictures of {form}: {error}",
            mend="larger pictures with sides that are multiples of 32, or other layers",
        ) from error


def timm_name(backbone: str) -> str:
    """Return timm's name of a backbone."""
    return ARCHITECTURE if backbone == LITE0 else backbone


def fill(network: nn.Module, backbone: str, weights: str) -> None:
    """Give a feature network of timm, inside a wrapped one, its weights; random ones stay.

    What the file has beyond the network's (deeper stages, the classifier) is left out. Raises
    InputError if it lacks any of them, or has them in other shapes.
    """
    if weights in ("random", "download"):
        return
    tensors = lite0_tensors() if weights == "offline" else read_tensors(Path(weights), {})
    own = network.state_dict()
    load_into(network, {name: value for name, value in tensors.items() if name in own}, weights)


@cache
def statistics(backbone: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation of a network of timm's inputs, values in [0, 1], a colour."""
    import timm

    known = timm.get_pretrained_cfg(backbone)
    return (MEAN, STD) if known is None else (tuple(known.mean), tuple(known.std))


def shown(x: Tensor, backbone: str) -> Tensor:
    """Return pictures (N, C, H, W) in [-1, 1] as the backbone wants them, three planes."""
    x = x.expand(-1, 3, -1, -1)
    if backbone == LITE0:
        return x
    mean, std = torch.tensor(statistics(backbone), device=x.device)[:, None, :, None, None].unbind()
    return ((x + 1) / 2 - mean) / std
