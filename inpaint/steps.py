"""What one training step sees: crops, the defects painted over and moved, wrong masks, noise."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from flawsmith.inpaint.crops import Batch, Crop, Crops, batch_of
from flawsmith.inpaint.noise import Noise, noise_length
from flawsmith.inpaint.settings import InpaintSettings
from flawsmith.seeding import rng
from flawsmith.train.diffaugment import Augmentation, Policy, draw
from flawsmith.train.task import Context

# Crops drawn in search of masks that are wrong for another.
TRIES = 8


@dataclass(frozen=True)
class Step:
    """The batches of one step: what is painted (real crops first), wrong masks of these."""

    ground: Batch
    wrong: Batch
    noise: Noise
    change: Augmentation

    @property
    def count(self) -> int:
        return len(self.wrong.image)

    @property
    def real(self) -> Batch:
        return self.ground_of(slice(self.count))

    @property
    def parts(self) -> list[slice]:
        """What is painted, a batch at a time: real crops repainted, then defects moved."""
        return [slice(i, i + self.count) for i in range(0, len(self.ground.image), self.count)]

    def ground_of(self, part: slice) -> Batch:
        return self.ground.map(lambda planes: planes[part])


@dataclass(frozen=True)
class Steps:
    """Draws steps from crops: what a place of a batch gets depends on (seed, step, place) alone.

    channels: of the pictures, 1 or 3; policy: how they are augmented.
    """

    crops: Crops
    channels: int
    settings: InpaintSettings
    policy: Policy

    def draw(self, context: Context, strength: float) -> Step:
        """Return the step's batches; strength: the probability of each augmentation."""
        settings = self.settings
        real, moved, wrong = [], [], []
        for index, place in zip(context.indices, context.places, strict=True):
            generator = rng(context.seed, "crop", context.step, place)
            real.append(self.crops.defect(index, generator)[0])
            if settings.moved:
                moved.append(self.crops.moved(int(generator.integers(len(self.crops))), generator))
            wrong.append(self._wrong(real[-1], generator))
        size = (settings.size, settings.size)
        change = draw(context.generators("augment"), size, self.policy, strength, context.device)
        ground, mistaken = (
            batch_of(crops, self.channels).map(context.to_device)
            for crops in ([*real, *moved], wrong)
        )
        noise = self.noise(context, *(("repaint", "moved") if moved else ("repaint",)))
        return Step(ground, mistaken, noise, change)

    def noise(self, context: Context, *streams: str) -> Noise:
        """Draw noise for the batch of each stream, one after the other."""
        size = (self.settings.size, self.settings.size)
        drawn = [context.noise(noise_length(size), stream=stream) for stream in streams]
        return Noise.of(torch.cat(drawn), size)

    def _wrong(self, crop: Crop, generator: np.random.Generator) -> Crop:
        """Return masks that do not belong to the crop: another class, or another place."""
        classes = len(crop.masks)
        if classes > 1 and generator.random() < 0.5:
            rolled = np.roll(crop.masks, int(generator.integers(1, classes)), axis=0)
            if not np.array_equal(rolled, crop.masks):
                return replace(crop, masks=rolled)
        for _ in range(TRIES):
            other = int(generator.integers(len(self.crops)))
            drawn = self.crops.defect(other, generator)[0]
            # Rare classes' sites are repeated, and small pictures leave a window no room.
            if not np.array_equal(drawn.masks, crop.masks):
                return drawn
        return replace(crop, masks=np.zeros_like(crop.masks))  # it says that nothing is here
