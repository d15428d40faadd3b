"""anomalib's detectors behind the one interface: patchcore, padim, dfm (this module) and others.

The extra ``detect``; nothing of anomalib is loaded before one of them is asked for. Its networks
are used without Lightning. ``BACKBONES`` says which backbones each of them takes.
"""

from abc import abstractmethod
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from flawsmith.errors import InputError
from flawsmith.evaluate.detectors.base import Detector, DetectorSettings, exactly
from flawsmith.evaluate.detectors.coreset import greedy_k_center
from flawsmith.evaluate.detectors.frames import Form, Pictures
from flawsmith.seeding import rng
from flawsmith.train.backbone import ARCHITECTURE, lite0_tensors
from flawsmith.train.starting import starting_from
from flawsmith.train.weights import read_tensors

LITE0 = "lite0"
INSTALL = "pip install 'anomalib>=2.7'"
# Of ImageNet, for values in [0, 1]: what most of timm's networks were trained on.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Which backbones the networks of anomalib 2.7 take: any of timm's, or these.
BACKBONES: dict[str, tuple[str, ...]] = {
    "patchcore": (),
    "padim": (),
    "dfm": (),
    "stfpm": (),
    "fastflow": ("resnet18", "wide_resnet50_2"),
    "reverse_distillation": ("resnet18", "resnet50", "wide_resnet50_2"),
}


class WrappedSettings(DetectorSettings):
    """Which network the features come from, and with which weights."""

    backbone: str = Field(LITE0, description="lite0, or a name of timm's")
    weights: str = Field(
        "offline",
        description="offline (lite0's alone), download, random, or a safetensors file of timm's",
    )


def torch_model(name: str) -> Any:
    """Return the module of anomalib with a method's network; raises InputError without anomalib."""
    if find_spec("anomalib") is None:
        raise InputError(f"{name} needs anomalib, which is not installed", mend=INSTALL)
    return import_module(f"anomalib.models.image.{name}.torch_model")


def check_backbone(name: str, backbone: str, weights: str) -> None:
    """Raise InputError for a backbone that the method does not take, or weights it cannot have."""
    allowed = BACKBONES[name]
    if allowed and backbone not in allowed:
        raise InputError(
            f"{name} does not take the backbone {backbone!r}", mend=f"one of {', '.join(allowed)}"
        )
    if weights == "offline" and backbone != LITE0:
        raise InputError(
            f"there are no offline weights of {backbone}",
            mend="weights download, random, or a safetensors file with timm's names",
        )


def timm_name(backbone: str) -> str:
    """Return timm's name of a backbone."""
    return ARCHITECTURE if backbone == LITE0 else backbone


def fill(network: nn.Module, backbone: str, weights: str) -> None:
    """Give a feature network of timm, inside a wrapped one, its weights; random ones stay.

    What the file has beyond the network's (deeper stages, the classifier) is left out. Raises
    InputError if it lacks any of them.
    """
    if weights in ("random", "download"):
        return
    if weights == "offline" and backbone == LITE0:
        tensors = lite0_tensors()
    else:
        tensors = read_tensors(Path(weights), {})
    own = network.state_dict()
    missing = [n for n in own if n not in tensors and not n.endswith("num_batches_tracked")]
    if missing:
        raise InputError(
            f"no weights of {backbone}: {len(missing)} are missing, such as {missing[0]}",
            where=weights,
        )
    network.load_state_dict({name: tensors.get(name, value) for name, value in own.items()})


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


def told(found: Any) -> tuple[Tensor, Tensor | None]:
    """Return (N,) scores and (N, H, W) maps or None of anomalib's ``InferenceBatch``."""
    where = found.anomaly_map
    return found.pred_score.flatten(), None if where is None else where.reshape(
        where.shape[0], *where.shape[-2:]
    )


def buffers_of(network: nn.Module) -> dict[str, Any]:
    """Return the kind of number and the shape of a network's buffers: some change in fitting."""
    return {
        name: [str(buffer.dtype).removeprefix("torch."), *buffer.shape]
        for name, buffer in network.named_buffers()
    }


def grow(network: nn.Module, buffers: dict[str, Any]) -> None:
    """Give a fresh network's buffers the kinds and shapes of a fitted one's."""
    own = buffers_of(network)
    for name, (kind, *shape) in buffers.items():
        if name in own and own[name] != [kind, *shape]:
            owner, _, last = name.rpartition(".")
            made = torch.zeros(shape, dtype=getattr(torch, kind))
            setattr(network.get_submodule(owner), last, made)


class WrappedFitted(Detector):
    """A method of anomalib that takes one look at the clean pictures, without gradients."""

    def __init__(self, settings: WrappedSettings, device: str = "auto") -> None:
        super().__init__(settings, device)
        self.wrapped = settings
        check_backbone(self.name, settings.backbone, settings.weights)

    @abstractmethod
    def _build(self, pretrained: bool) -> nn.Module:
        """Return anomalib's network, its feature network under ``feature_extractor``.

        pretrained: timm downloads the feature network's weights.
        """

    @abstractmethod
    def _conclude(self, network: Any) -> None:
        """Fit what was collected."""

    def _made(self, *, filled: bool) -> nn.Module:
        with starting_from(self.wrapped.seed, self.name):
            network = self._build(filled and self.wrapped.weights == "download")
        if filled:
            inner: Any = network.get_submodule("feature_extractor.feature_extractor")
            fill(inner, self.wrapped.backbone, self.wrapped.weights)
        return network

    def _fit(self, clean: Pictures, form: Form, counted: int) -> nn.Module:
        network = self._made(filled=True).to(self.device).train()
        network.get_submodule("feature_extractor").eval()
        seeded = starting_from(self.wrapped.seed, self.name, "fit")
        with torch.no_grad(), exactly(), seeded:
            for x in self._portions(clean, form):
                network(shown(x, self.wrapped.backbone))
            self._conclude(network)
        return network.eval()

    def _score(self, network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None]:
        return told(network(shown(x, self.wrapped.backbone)))

    def _layout(self, network: nn.Module) -> dict[str, Any]:
        return {"buffers": buffers_of(network)}

    def _empty(self, form: Form, layout: dict[str, Any]) -> nn.Module:
        network = self._made(filled=False)
        grow(network, dict(layout["buffers"]))
        return network


class PatchcoreSettings(WrappedSettings):
    """Of PatchCore (Roth 2022)."""

    layers: tuple[int, ...] = Field((2, 3), description="depths of timm's feature maps, 1 at 1/4")
    share: float = Field(0.1, gt=0, le=1, description="of the clean patches, kept")
    neighbours: int = Field(9, ge=1, description="that weigh the image's score (eq. 7)")


class Patchcore(WrappedFitted):
    """anomalib's PatchCore."""

    name: ClassVar[str] = "patchcore"
    maps: ClassVar[bool] = True

    def __init__(self, settings: PatchcoreSettings, device: str = "auto") -> None:
        super().__init__(settings, device)
        self.settings = settings

    def _build(self, pretrained: bool) -> nn.Module:
        own = self.settings
        made: nn.Module = torch_model(self.name).PatchcoreModel(
            list(own.layers), timm_name(own.backbone), pretrained, own.neighbours
        )
        return made

    def _conclude(self, network: Any) -> None:
        """Keep a coreset: flawsmith's own, as anomalib's draws from NumPy's global state.

        And anomalib's is found on random projections; here it is the features' own.
        """
        found = torch.vstack(network.embedding_store)
        network.embedding_store.clear()
        count = max(1, round(self.settings.share * len(found)))
        first = int(rng(self.settings.seed, "coreset").integers(len(found)))
        chosen = greedy_k_center(found, count, first)
        network.memory_bank = found[chosen.to(found.device)]


class PadimSettings(WrappedSettings):
    """Of PaDiM (Defard 2021)."""

    layers: tuple[int, ...] = Field((1, 2, 3), description="depths of timm's feature maps")
    features: int = Field(100, ge=1, description="channels kept, drawn at random")


class Padim(WrappedFitted):
    """anomalib's PaDiM; it wants more clean pictures than kept channels, or is singular."""

    name: ClassVar[str] = "padim"
    maps: ClassVar[bool] = True

    def __init__(self, settings: PadimSettings, device: str = "auto") -> None:
        super().__init__(settings, device)
        self.settings = settings

    def _build(self, pretrained: bool) -> nn.Module:
        own = self.settings
        made: nn.Module = torch_model(self.name).PadimModel(
            timm_name(own.backbone), list(own.layers), pretrained, own.features
        )
        return made

    def _conclude(self, network: Any) -> None:
        network.fit()


class DfmSettings(WrappedSettings):
    """Of DFM (Ahuja 2019)."""

    layer: int = Field(3, ge=0, description="depth of timm's feature map")
    pooling: int = Field(2, ge=1, description="places that are averaged along each side")
    kept: float = Field(0.97, gt=0, lt=1, description="share of the variance that PCA keeps")


class Dfm(WrappedFitted):
    """anomalib's DFM, scored by the feature reconstruction error ("fre")."""

    name: ClassVar[str] = "dfm"
    maps: ClassVar[bool] = True

    def __init__(self, settings: DfmSettings, device: str = "auto") -> None:
        super().__init__(settings, device)
        self.settings = settings

    def _build(self, pretrained: bool) -> nn.Module:
        own = self.settings
        made: nn.Module = torch_model(self.name).DFMModel(
            timm_name(own.backbone), own.layer, pretrained, own.pooling, own.kept
        )
        return made

    def _conclude(self, network: Any) -> None:
        network.fit()
