"""How much the noise matters: do paintings of one mask differ as real defects of a class do?

The distance is ``losses.perceptual``, that is LPIPS (Zhang 2018, arXiv 1801.03924) with Lite0's
maps, over the cells that both holes meet. Two real defects also differ in place, mask and surface,
so the noise alone need not, and cannot, give all of their variety.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from flawsmith.inpaint.crops import Batch, Crop, Crops, batch_of
from flawsmith.inpaint.generators import painted_by
from flawsmith.inpaint.judging import cells_of
from flawsmith.inpaint.losses import perceptual
from flawsmith.inpaint.noise import draw_noise
from flawsmith.inpaint.projected import MAPS
from flawsmith.seeding import rng
from flawsmith.train.backbone import Lite0

MASKS = 8
PAINTINGS = 10
DEFECTS = 40
# Pairs compared at once: their maps are held several times over.
PAIRS = 32
# Less than this share of the real defects' variety is a generator that hardly heeds its noise.
ENOUGH = 0.5


@dataclass(frozen=True)
class Variety:
    """The figures of one class.

    painted: mean distance between paintings of one mask on one background that differ in their
    noise alone, over ``masks`` of them with PAINTINGS each; real: mean distance between ``defects``
    real ones, over ``pairs`` of different groups; None without such a pair.
    """

    name: str
    painted: float
    masks: int
    real: float | None
    defects: int
    pairs: int

    @property
    def share(self) -> float | None:
        """Of the real defects' variety, how much the noise alone gives."""
        return self.painted / self.real if self.real else None

    def __str__(self) -> str:
        if self.share is None:
            return f"{self.name}: no two real defects of different groups to compare with"
        return f"{self.name}: {self.share:.2f} of real defects' ({self.pairs} pairs)"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "share": self.share}


@dataclass(frozen=True)
class Ruler:
    """What variety is measured with: crops and the groups of their samples, and a frozen Lite0."""

    crops: Crops
    groups: Sequence[str]
    classes: Sequence[str]
    channels: int
    frozen: Lite0

    def measure(self, model: nn.Module) -> tuple[Variety, ...]:
        """Return the figures of each class that the crops show; the same at each call.

        model: a generator in evaluation mode, on the same device as ``frozen``.
        """
        with torch.inference_mode():
            return tuple(
                self._of_class(plane, places, model)
                for plane, places in sorted(self.crops.places.items())
            )

    def _of_class(self, plane: int, places: Sequence[int], model: nn.Module) -> Variety:
        chosen = rng(0, "variety", plane).permutation(np.asarray(places))
        painted = [self._between_paintings(plane, int(place), model) for place in chosen[:MASKS]]
        real, pairs = self._between_real([int(place) for place in chosen[:DEFECTS]])
        name, defects = self.classes[plane], len(chosen[:DEFECTS])
        return Variety(name, float(np.mean(painted)), len(painted), real, defects, pairs)

    def _between_paintings(self, plane: int, place: int, model: nn.Module) -> float:
        ground = self._batch([self.crops.moved(place, rng(0, "variety", plane, place))])
        many = ground.map(lambda x: x.expand(PAINTINGS, -1, -1, -1))
        size = (many.image.shape[-2], many.image.shape[-1])
        noise = draw_noise([rng(0, "variety noise", plane, i) for i in range(PAINTINGS)], size)
        maps = self._maps(painted_by(model, many, noise.to(many.image.device)))
        one, other = torch.triu_indices(PAINTINGS, PAINTINGS, 1).to(many.image.device)
        cells = [cells_of(ground.hole, m) for m in maps]
        return float(perceptual([m[one] for m in maps], [m[other] for m in maps], cells).mean())

    def _between_real(self, places: list[int]) -> tuple[float | None, int]:
        """Return the mean distance between defects of different groups, and of how many pairs."""
        owner = np.array([self.groups[self.crops.order[place][0]] for place in places])
        one, other = np.triu_indices(len(places), 1)
        apart = owner[one] != owner[other]
        one, other = one[apart], other[apart]
        if not len(one):
            return None, 0
        batch = self._batch([self.crops.centred(place) for place in places])
        maps = self._maps(batch.image)
        cells = [cells_of(batch.hole, m) for m in maps]
        found = []
        for start in range(0, len(one), PAIRS):
            a, b = one[start : start + PAIRS], other[start : start + PAIRS]
            both = [c[a] * c[b] for c in cells]
            # A crescent's hole need not meet a bar's.
            meet = torch.stack([c.sum(dim=(1, 2, 3)) > 0 for c in both]).all(dim=0)
            found.append(perceptual([m[a] for m in maps], [m[b] for m in maps], both)[meet])
        distances = torch.cat(found)
        return (float(distances.mean()), len(distances)) if len(distances) else (None, 0)

    def _batch(self, crops: list[Crop]) -> Batch:
        device = next(self.frozen.parameters()).device
        return batch_of(crops, self.channels).map(lambda x: x.to(device))

    def _maps(self, image: Tensor) -> list[Tensor]:
        return list(self.frozen.maps(image.expand(-1, 3, -1, -1), MAPS))
