"""knn: how far a picture's patches are from those of clean pictures, in features of Lite0.

PatchCore's idea (Roth et al. 2022, "Towards total recall in industrial anomaly detection",
arXiv 2106.08265) on the backbone that needs no download. Differences: the distance to the nearest
patch is not weighed again (eq. 7), and a bank has an upper size, for CPUs.
"""

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.evaluate.detectors.base import Detector, DetectorSettings, exactly
from flawsmith.evaluate.detectors.coreset import greedy_k_center
from flawsmith.evaluate.detectors.frames import Form, Pictures
from flawsmith.seeding import rng
from flawsmith.train.backbone import SMALLEST, Lite0, lite0

# Distances held at a time.
BLOCK = 8_000_000


class KnnSettings(DetectorSettings):
    """Which patches are kept."""

    share: float = Field(0.1, gt=0, le=1, description="of the clean patches, kept in the bank")
    most: int = Field(2048, ge=1, le=2**20, strict=True, description="patches in the bank at most")
    pool: int = Field(
        32768, ge=1, le=2**24, strict=True, description="patches to choose from at most"
    )
    blur: float = Field(
        4.0, ge=0, le=256, description="deviation, in pixels, by which maps are smoothed"
    )


class Bank(nn.Module):
    """The clean patches, (B, D) float32."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.register_buffer("patches", torch.zeros(rows, columns))
        self.patches: Tensor


class Knn(Detector):
    """Distances of patches to the nearest clean one; the image's score is the largest of them."""

    name: ClassVar[str] = "knn"
    maps: ClassVar[bool] = True

    def __init__(self, settings: KnnSettings, device: str = "auto") -> None:
        super().__init__(settings, device)
        self.settings = settings
        self._lite0: Lite0 | None = None

    def features(self, x: Tensor) -> Tensor:
        """Return (N, D, h, w) patch features of (N, C, H, W) in [-1, 1], h and w an eighth.

        Maps at strides 8 and 16 (40 and 112 channels), each averaged over 3x3 places and brought to
        the finer grid (PatchCore, section 3.1).
        """
        if min(x.shape[2:]) < SMALLEST:
            x = F.interpolate(x, scale_factor=SMALLEST / min(x.shape[2:]), mode="bilinear")
        if self._lite0 is None:
            self._lite0 = lite0().to(self.device)
        found = self._lite0.maps(x.expand(-1, 3, -1, -1), 3)[1:]
        smooth = [F.avg_pool2d(one, 3, stride=1, padding=1) for one in found]
        fine = smooth[0].shape[2:]
        coarse = F.interpolate(smooth[1], size=fine, mode="bilinear", align_corners=False)
        return torch.cat([smooth[0], coarse], dim=1)

    def _fit(self, clean: Pictures, form: Form, counted: int) -> nn.Module:
        settings = self.settings
        each = -(-settings.pool // len(clean))
        kept: list[Tensor] = []
        seen = 0
        with torch.no_grad(), exactly():
            for x in self._portions(clean, form):
                for patches in self.features(x).permute(0, 2, 3, 1).flatten(1, 2):
                    # By the picture, not the portion: how many are looked at at once is free.
                    order = rng(settings.seed, "knn", len(kept)).permutation(len(patches))[:each]
                    kept.append(patches[torch.from_numpy(order).to(patches.device)])
                    seen += len(patches)
            pool = torch.cat(kept)
            count = min(settings.most, len(pool), max(1, round(settings.share * seen)))
            first = int(rng(settings.seed, "coreset").integers(len(pool)))
            chosen = greedy_k_center(pool, count, first)
        bank = Bank(count, pool.shape[1]).to(self.device)
        bank.patches.copy_(pool[chosen.to(pool.device)])
        return bank

    def _score(self, network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None]:
        assert isinstance(network, Bank)
        found = self.features(x)
        patches = found.permute(0, 2, 3, 1).reshape(-1, found.shape[1])
        away = nearest(patches, network.patches).view(len(x), 1, *found.shape[2:])
        maps = F.interpolate(away, size=x.shape[2:], mode="bilinear", align_corners=False)
        return away.flatten(1).amax(dim=1), blurred(maps, self.settings.blur)[:, 0]

    def _check(self, form: Form) -> None:
        """Any form will do."""

    def _layout(self, network: nn.Module) -> dict[str, Any]:
        assert isinstance(network, Bank)
        return {"rows": network.patches.shape[0], "columns": network.patches.shape[1]}

    def _empty(self, form: Form, layout: dict[str, Any]) -> nn.Module:
        return Bank(int(layout["rows"]), int(layout["columns"]))


def nearest(points: Tensor, bank: Tensor) -> Tensor:
    """Return (P,) the Euclidean distance of each point (P, D) to the nearest of the bank (B, D)."""
    found = []
    for part in torch.split(points, max(1, BLOCK // len(bank))):
        # By products, which is quick; they cancel, so the distance to the chosen one is exact.
        rough = bank.square().sum(dim=1) - 2 * part @ bank.T
        found.append((part - bank[rough.argmin(dim=1)]).square().sum(dim=1).sqrt())
    return torch.cat(found)


def blurred(maps: Tensor, deviation: float) -> Tensor:
    """Return (N, 1, H, W) maps smoothed by a Gaussian; a map's edge is repeated outwards."""
    reach = round(3 * deviation)
    if reach < 1:
        return maps
    places = torch.arange(-reach, reach + 1, device=maps.device, dtype=maps.dtype)
    kernel = (-(places**2) / (2 * deviation**2)).exp()
    kernel = kernel / kernel.sum()
    maps = F.pad(maps, (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(F.conv2d(maps, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
