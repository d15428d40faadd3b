"""anomalib's detectors behind the one interface: patchcore, padim, dfm (this module) and others.

The extra ``detect``; nothing of anomalib is loaded before one of them is asked for. Its networks
are used without Lightning. ``backbones.BACKBONES`` says which backbones each of them takes.
"""

from abc import abstractmethod
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from flawsmith.evaluate.detectors.backbones import (
    LITE0,
    building,
    check_backbone,
    check_takes,
    check_weights,
    fill,
    shown,
    timm_name,
    torch_model,
)
from flawsmith.evaluate.detectors.base import Detector, DetectorSettings, exactly
from flawsmith.evaluate.detectors.coreset import greedy_k_center
from flawsmith.evaluate.detectors.frames import Form, Pictures
from flawsmith.seeding import rng
from flawsmith.train.starting import starting_from

# Depths of timm's feature maps: the first, 0, is at half the size or a quarter.
Layers = Annotated[
    tuple[Annotated[int, Field(ge=0, le=16)], ...], Field(min_length=1, max_length=8)
]
# Kinds of numbers that a saved network's buffers hold.
KINDS = {
    str(kind).removeprefix("torch."): kind
    for kind in (torch.float32, torch.float64, torch.float16, torch.int64, torch.bool)
}


class WrappedSettings(DetectorSettings):
    """Which network the features come from, and with which weights."""

    backbone: str = Field(LITE0, description="lite0, or a name of timm's")
    weights: str = Field(
        "offline",
        description="offline (lite0's alone), download, random, or a safetensors file of timm's",
    )


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
            made = torch.zeros(shape, dtype=KINDS[kind])
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
        own = self.wrapped
        with starting_from(own.seed, self.name), building(self.name, own.backbone):
            network = self._build(filled and own.weights == "download")
        if filled:
            inner: Any = network.get_submodule("feature_extractor.feature_extractor")
            fill(inner, own.backbone, own.weights)
        return network

    def _check(self, form: Form) -> None:
        check_weights(self.wrapped.weights)
        with self._weightless():
            check_takes(self.name, self._made(filled=False), form, self.wrapped.backbone)

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

    layers: Layers = Field((2, 3), description="depths of timm's feature maps, 1 at 1/4")
    share: float = Field(0.1, gt=0, le=1, description="of the clean patches, kept")
    neighbours: int = Field(9, ge=1, le=4096, description="that weigh the image's score (eq. 7)")


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

    layers: Layers = Field((1, 2, 3), description="depths of timm's feature maps")
    features: int = Field(100, ge=1, le=65536, description="channels kept, drawn at random")


class Padim(WrappedFitted):
    """anomalib's PaDiM.

    Of a place's kept channels it takes the covariance over the clean pictures, so it needs more of
    these than channels: else that is singular but for the 0.01 on its diagonal.
    """

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

    @property
    def fewest(self) -> int:
        return self.settings.features + 1

    def _conclude(self, network: Any) -> None:
        network.fit()


class DfmSettings(WrappedSettings):
    """Of DFM (Ahuja 2019)."""

    layer: int = Field(3, ge=0, le=16, description="depth of timm's feature map")
    pooling: int = Field(2, ge=1, le=1024, description="places that are averaged along each side")
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
