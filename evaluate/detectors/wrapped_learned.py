"""anomalib's detectors that learn by gradient, on flawsmith's loop: fastflow, stfpm and others.

The sixth, truncated name in the glass report's list is taken for Reverse Distillation: of the
models that anomalib had then it is the one with the longest name, and the others are known.
"""

from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

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
from flawsmith.evaluate.detectors.frames import Form
from flawsmith.evaluate.detectors.learned import DetectorTask, Learned, LearnedSettings
from flawsmith.evaluate.detectors.wrapped import Layers, told
from flawsmith.train.task import Context


class WrappedLearnedSettings(LearnedSettings):
    """Which network the features come from, and with which weights."""

    backbone: str = Field("resnet18", description="a name of timm's; see backbones.BACKBONES")
    weights: str = Field(
        "download", description="offline (lite0's alone), download, random, or a safetensors file"
    )


class WrappedTask(DetectorTask):
    """The method's own loss on its network's outputs."""

    def __init__(
        self,
        network: nn.Module,
        stack: Tensor,
        optimizer: torch.optim.Optimizer,
        loss: Callable[..., Tensor],
        backbone: str,
        frozen: str,
    ) -> None:
        super().__init__(network, stack, {"network": optimizer})
        self.loss = loss
        self.backbone = backbone
        self.frozen = frozen

    def step(self, context: Context) -> dict[str, Tensor]:
        self.network.get_submodule(self.frozen).eval()
        x = shown(self.batch(context), self.backbone)
        with context.autocast():
            found = self.network(x)
        loss = self.loss(*found)
        context.backward_and_step("network", loss)
        return {"loss": loss.detach()}


class WrappedLearned(Learned):
    """One method. frozen: the submodule with the pretrained features, inner its timm network."""

    maps: ClassVar[bool] = True
    frozen: ClassVar[str]
    inner: ClassVar[str]

    def __init__(
        self, settings: WrappedLearnedSettings, device: str = "auto", folder: Path | None = None
    ) -> None:
        super().__init__(settings, device, folder)
        self.wrapped = settings
        check_backbone(self.name, settings.backbone, settings.weights)

    @abstractmethod
    def _network(self, form: Form, pretrained: bool) -> nn.Module:
        """Return anomalib's network. pretrained: timm downloads the feature network's weights."""

    @abstractmethod
    def _optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """Return the optimiser with the method's settings."""

    @abstractmethod
    def _loss(self) -> Callable[..., Tensor]:
        """Return the method's loss."""

    def _build(self, form: Form) -> nn.Module:
        with building(self.name, self.wrapped.backbone):
            network = self._network(form, self.wrapped.weights == "download")
        inner = network.get_submodule(self.inner)
        fill(inner, self.wrapped.backbone, self.wrapped.weights)
        network.get_submodule(self.frozen).requires_grad_(False)
        return network

    def _empty(self, form: Form, layout: dict[str, Any]) -> nn.Module:
        with building(self.name, self.wrapped.backbone):
            return self._network(form, False)

    def _check(self, form: Form) -> None:
        check_weights(self.wrapped.weights)
        with self._weightless():
            check_takes(self.name, self._empty(form, {}), form, self.wrapped.backbone)

    def _task(self, network: nn.Module, stack: Tensor) -> DetectorTask:
        optimizer, backbone = self._optimizer(network), self.wrapped.backbone
        return WrappedTask(network, stack, optimizer, self._loss(), backbone, self.frozen)

    def _score(self, network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None]:
        return told(network(shown(x, self.wrapped.backbone)))


class FastflowSettings(WrappedLearnedSettings):
    """Of FastFlow (Yu 2021)."""

    rate: float = Field(1e-3, gt=0, description="learning rate of Adam")
    flows: int = Field(8, ge=1, le=64, description="steps of the flow")


class Fastflow(WrappedLearned):
    """anomalib's FastFlow; it takes resnet18 and wide_resnet50_2 (and two transformers, unused)."""

    name: ClassVar[str] = "fastflow"
    frozen: ClassVar[str] = "feature_extractor"
    inner: ClassVar[str] = "feature_extractor"

    def __init__(
        self, settings: FastflowSettings, device: str = "auto", folder: Path | None = None
    ) -> None:
        super().__init__(settings, device, folder)
        self.settings = settings

    def _network(self, form: Form, pretrained: bool) -> nn.Module:
        size = (form.height, form.width)
        made: nn.Module = torch_model(self.name).FastflowModel(
            size, self.settings.backbone, pretrained, self.settings.flows
        )
        return made

    def _weightless(self) -> AbstractContextManager[object]:
        # Its constructor asks for a CPU tensor by name, which a meta device does not turn.
        from torch._subclasses.fake_tensor import FakeTensorMode

        return FakeTensorMode()

    def _optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        trained = [p for p in network.parameters() if p.requires_grad]
        return torch.optim.Adam(trained, self.settings.rate, weight_decay=1e-5)

    def _loss(self) -> Callable[..., Tensor]:
        from anomalib.models.image.fastflow.loss import FastflowLoss

        loss: Callable[..., Tensor] = FastflowLoss()
        return loss


class StfpmSettings(WrappedLearnedSettings):
    """Of STFPM (Wang 2021)."""

    backbone: str = Field(LITE0, description="lite0, or a name of timm's")
    weights: str = Field(
        "offline", description="the teacher's: offline (lite0's alone), download, random, or a file"
    )
    rate: float = Field(0.4, gt=0, description="learning rate of SGD, momentum 0.9")
    layers: Layers = Field((1, 2, 3), description="depths of timm's feature maps")


class Stfpm(WrappedLearned):
    """anomalib's STFPM, put together here: its own constructor always downloads a teacher."""

    name: ClassVar[str] = "stfpm"
    frozen: ClassVar[str] = "teacher_model"
    inner: ClassVar[str] = "teacher_model.feature_extractor"

    def __init__(
        self, settings: StfpmSettings, device: str = "auto", folder: Path | None = None
    ) -> None:
        super().__init__(settings, device, folder)
        self.settings = settings

    def _network(self, form: Form, pretrained: bool) -> nn.Module:
        module = torch_model(self.name)
        own, backbone = self.settings, timm_name(self.settings.backbone)
        made: Any = module.STFPMModel.__new__(module.STFPMModel)
        nn.Module.__init__(made)
        made.tiler, made.backbone = None, backbone
        extractor, layers = module.TimmFeatureExtractor, list(own.layers)
        made.teacher_model = extractor(backbone, layers, pre_trained=pretrained).eval()
        made.student_model = extractor(backbone, layers, pre_trained=False, requires_grad=True)
        made.anomaly_map_generator = module.AnomalyMapGenerator()
        network: nn.Module = made
        return network

    def _optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        student = network.get_submodule("student_model").parameters()
        return torch.optim.SGD(student, self.settings.rate, 0.9, weight_decay=1e-3)

    def _loss(self) -> Callable[..., Tensor]:
        from anomalib.models.image.stfpm.loss import STFPMLoss

        loss: Callable[..., Tensor] = STFPMLoss()
        return loss


class ReverseDistillationSettings(WrappedLearnedSettings):
    """Of Reverse Distillation (Deng 2022)."""

    rate: float = Field(5e-3, gt=0, description="learning rate of Adam")


class ReverseDistillation(WrappedLearned):
    """anomalib's Reverse Distillation; its decoders mirror ResNets alone."""

    name: ClassVar[str] = "reverse_distillation"
    frozen: ClassVar[str] = "encoder"
    inner: ClassVar[str] = "encoder.feature_extractor"

    def __init__(
        self,
        settings: ReverseDistillationSettings,
        device: str = "auto",
        folder: Path | None = None,
    ) -> None:
        super().__init__(settings, device, folder)
        self.settings = settings

    def _network(self, form: Form, pretrained: bool) -> nn.Module:
        from anomalib.models.image.reverse_distillation.anomaly_map import AnomalyMapGenerationMode

        made: nn.Module = torch_model(self.name).ReverseDistillationModel(
            self.settings.backbone,
            (form.height, form.width),
            [1, 2, 3],
            AnomalyMapGenerationMode.ADD,
            pretrained,
        )
        return made

    def _optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        trained = [p for p in network.parameters() if p.requires_grad]
        return torch.optim.Adam(trained, self.settings.rate, (0.5, 0.99))

    def _loss(self) -> Callable[..., Tensor]:
        from anomalib.models.image.reverse_distillation.loss import ReverseDistillationLoss

        loss: Callable[..., Tensor] = ReverseDistillationLoss()
        return loss
