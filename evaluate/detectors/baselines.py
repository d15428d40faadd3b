"""What needs no detector: brightness, and the nearest clean picture. Who does not beat them, fails.

On much inspection data defects are simply darker, or each picture has a near twin; a figure means
little before these two are known.
"""

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.evaluate.detectors.base import Detector, DetectorSettings
from flawsmith.evaluate.detectors.frames import Form, Pictures
from flawsmith.evaluate.detectors.knn import Bank, nearest


class BrightnessSettings(DetectorSettings):
    """Nothing beyond what every detector can be told."""


class Brightness(Detector):
    """How far a picture's mean lies from that of the clean ones, in their standard deviations."""

    name: ClassVar[str] = "brightness"
    maps: ClassVar[bool] = False

    def __init__(self, settings: BrightnessSettings, device: str = "auto") -> None:
        super().__init__(settings, device)

    def _fit(self, clean: Pictures, form: Form, counted: int) -> nn.Module:
        means = torch.cat([_mean(x) for x in self._portions(clean, form)])
        kept = Bank(1, 2).to(self.device)
        # Of equal pictures the deviation is 0: half a grey level stands for it.
        kept.patches[0] = torch.stack([means.mean(), means.std().clamp(min=1 / 255)])
        return kept

    def _score(self, network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None]:
        assert isinstance(network, Bank)
        mean, deviation = network.patches[0]
        return (_mean(x) - mean).abs() / deviation, None

    def _empty(self, form: Form, layout: dict[str, Any]) -> nn.Module:
        return Bank(1, 2)


class PixelsSettings(DetectorSettings):
    """How coarsely pictures are compared."""

    side: int = Field(32, ge=1, le=256, strict=True, description="pictures are averaged to this")


class Pixels(Detector):
    """The distance to the nearest clean picture, both averaged to a small square."""

    name: ClassVar[str] = "pixels"
    maps: ClassVar[bool] = False

    def __init__(self, settings: PixelsSettings, device: str = "auto") -> None:
        super().__init__(settings, device)
        self.settings = settings

    def _small(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, self.settings.side).flatten(1)

    def _fit(self, clean: Pictures, form: Form, counted: int) -> nn.Module:
        rows = torch.cat([self._small(x) for x in self._portions(clean, form)])
        bank = Bank(*rows.shape).to(self.device)
        bank.patches.copy_(rows)
        return bank

    def _score(self, network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None]:
        assert isinstance(network, Bank)
        return nearest(self._small(x), network.patches), None

    def _check(self, form: Form) -> None:
        """Any form will do."""

    def _layout(self, network: nn.Module) -> dict[str, Any]:
        assert isinstance(network, Bank)
        return {"rows": network.patches.shape[0], "columns": network.patches.shape[1]}

    def _empty(self, form: Form, layout: dict[str, Any]) -> nn.Module:
        return Bank(int(layout["rows"]), int(layout["columns"]))


def _mean(x: Tensor) -> Tensor:
    return x.flatten(1).mean(dim=1)
