"""How strongly to augment: as much as keeps the discriminator from learning its samples by heart.

Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", section 3.
"""

from typing import Any

import torch
from torch import Tensor

from flawsmith.errors import InputError


class AdaptiveStrength:
    """The probability p of each augmentation, steered by the discriminator's overfitting.

    The measure is r_t = E[sign(D(x))] over real training samples (eq. 1): 0 without overfitting, 1
    when all are told apart with ease. Every ``interval`` steps p goes up by a fixed amount while
    r_t is above ``target`` and down while it is below. That amount lets p rise from 0 to 1 within
    ``images`` real samples: 500,000 in the paper, fewer for short runs. Unlike there, p ends at
    ``limit``: some transformations leak into the generator when they are always on (section 2.2).
    """

    def __init__(
        self,
        *,
        target: float = 0.6,
        images: int = 500_000,
        interval: int = 4,
        start: float = 0.0,
        limit: float = 0.85,
    ) -> None:
        if not (0 <= start <= limit <= 1 and -1 < target < 1 and images > 0 and interval > 0):
            raise ValueError(
                f"start {start}, limit {limit}, target {target}, images {images}, interval "
                f"{interval}; wanted 0 <= start <= limit <= 1, -1 < target < 1, the others > 0"
            )
        self.target = target
        self.images = images
        self.interval = interval
        self.limit = limit
        self.strength = start
        self.measure = 0.0
        self._signs: list[Tensor] = []
        self._seen = 0

    def add(self, sign: Tensor, images: int) -> None:
        """Note one step.

        sign: scalar, the mean sign of D on real samples, over all processes (``Context.mean``), so
        that they steer alike. It is read from the device only every ``interval`` steps. images: how
        many samples it is the mean of.
        """
        sign = sign.detach().float().reshape(())
        self._signs = [*(kept.to(sign.device) for kept in self._signs), sign]
        self._seen += images
        if len(self._signs) < self.interval:
            return
        self.measure = float(torch.stack(self._signs).mean())
        direction = (self.measure > self.target) - (self.measure < self.target)
        strength = self.strength + direction * self._seen / self.images
        self.strength = min(max(strength, 0.0), self.limit)
        self._signs, self._seen = [], 0

    def state(self) -> dict[str, Any]:
        """Return what must survive a stop, JSON-able and exact."""
        return {
            "strength": self.strength,
            "measure": self.measure,
            "signs": [float(sign) for sign in self._signs],
            "seen": self._seen,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take up what ``state`` returned; raises InputError if it is not that."""
        try:
            signs = [torch.tensor(float(sign)) for sign in state["signs"]]
            strength, seen = float(state["strength"]), int(state["seen"])
            self.measure = float(state["measure"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"no state of an augmentation's strength: {error!r}") from error
        self.strength, self._signs, self._seen = strength, signs, seen
