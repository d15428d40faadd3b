"""The inpainting GAN as a task of the training loop."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from flawsmith.inpaint import losses
from flawsmith.inpaint.crops import Batch, Crop, Crops, batch_of
from flawsmith.inpaint.discriminators import build_discriminator
from flawsmith.inpaint.generators import build_generator, compose
from flawsmith.inpaint.noise import Noise, noise_length
from flawsmith.inpaint.preview import preview_of
from flawsmith.inpaint.settings import InpaintSettings
from flawsmith.sample import Image
from flawsmith.seeding import rng
from flawsmith.train.diffaugment import Augmentation, Policy, draw
from flawsmith.train.task import Context

BETAS = (0.0, 0.99)
# The diversity term pays for two looks that differ by up to so much for each unit that their
# latents differ by (about 29 of 255 grey levels in the mean): more would be strange, not diverse.
DIVERSITY_BOUND = 0.2


@dataclass(frozen=True)
class Step:
    """The batches of one step: real crops, what is painted (real ones first), wrong masks."""

    real: Batch
    ground: Batch
    wrong: Batch
    noise: Noise
    change: Augmentation

    @property
    def count(self) -> int:
        return len(self.real.image)

    @property
    def parts(self) -> list[slice]:
        """What is painted, a batch at a time: real crops repainted, then defects moved."""
        return [slice(i, i + self.count) for i in range(0, len(self.ground.image), self.count)]

    def ground_of(self, part: slice) -> Batch:
        return self.ground.map(lambda planes: planes[part])


class InpaintTask:
    """Generator against discriminator on crops; see DESIGN section 7, "inpaint".

    A step paints real defects over (which L1 and feature matching can compare) and, on clean
    surface, defects that were never there (which only the discriminator can judge). Real crops
    under wrong masks count as painted: masks must be obeyed.
    """

    kind = "inpaint"
    fixed_length = True
    ema_of = "generator"

    def __init__(
        self, crops: Crops, channels: int, classes: int, settings: InpaintSettings, seed: int
    ) -> None:
        self.crops = crops
        self.settings = settings
        self.channels = channels
        self.size = len(crops)
        generator = build_generator(settings.generator, channels, classes, settings.width, seed)
        discriminator = build_discriminator(
            settings.discriminator, channels, classes, settings.heads, seed
        )
        self.generator, self.discriminator = generator, discriminator
        self.models: dict[str, nn.Module] = {"generator": generator, "discriminator": discriminator}
        rates = {
            "generator": settings.generator_rate,
            "discriminator": settings.discriminator_rate,
        }
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(model.parameters(), rates[name], BETAS)
            for name, model in self.models.items()
        }
        flips = (crops.flips[1], crops.flips[0])
        self.policy = Policy(flips, translation=0.125, cutout=0.0, brightness=0.4, contrast=0.4)

    def prepare(self, device: torch.device) -> None:
        """Nothing else has to move."""

    def step(self, context: Context) -> dict[str, Tensor]:
        now = self._gather(context)
        with context.autocast():
            painted = self.paint(now.ground, now.noise)
        return self._judge(context, now, painted.detach()) | self._improve(context, now, painted)

    def paint(self, ground: Batch, noise: Noise) -> Tensor:
        """Return the composed crops, (N, C, S, S) in [-1, 1]."""
        raw = self.generator(ground.image, ground.hole, ground.masks, noise)
        return compose(ground.image, raw.float(), ground.soft)

    def _gather(self, context: Context) -> Step:
        settings = self.settings
        real, moved, wrong = [], [], []
        for index, place in zip(context.indices, context.places, strict=True):
            generator = rng(context.seed, "crop", context.step, place)
            real.append(self.crops.defect(index, generator)[0])
            if settings.moved:
                moved.append(self.crops.moved(int(generator.integers(self.size)), generator))
            wrong.append(self._wrong(real[-1], generator))
        size = (settings.size, settings.size)
        change = draw(
            context.generators("augment"), size, self.policy, settings.augment, context.device
        )
        shown, ground, mistaken = (
            batch_of(crops, self.channels).map(context.to_device)
            for crops in (real, [*real, *moved], wrong)
        )
        noise = self._noise(context, *(("repaint", "moved") if moved else ("repaint",)))
        return Step(shown, ground, mistaken, noise, change)

    def _noise(self, context: Context, *streams: str) -> Noise:
        """Draw noise for the batch of each stream, one after the other."""
        size = (self.settings.size, self.settings.size)
        drawn = [context.noise(noise_length(size), stream=stream) for stream in streams]
        return Noise.of(torch.cat(drawn), size)

    def _wrong(self, crop: Crop, generator: np.random.Generator) -> Crop:
        """Return masks that do not belong to the crop: another class, or another place."""
        classes = len(crop.masks)
        if classes > 1 and generator.random() < 0.5:
            turn = int(generator.integers(1, classes))
            return Crop(crop.image, np.roll(crop.masks, turn, axis=0), crop.hole, crop.soft)
        return self.crops.defect(int(generator.integers(self.size)), generator)[0]

    def _judge(self, context: Context, now: Step, painted: Tensor) -> dict[str, Tensor]:
        """Improve the discriminator."""
        with context.autocast():
            maps = self._maps(now.real.image, now.change)
            real = losses.hinge_real(self._judged(maps, now.real, now.change))
            wrong = losses.hinge_fake(self._judged(maps, now.wrong, now.change))
            fakes = []
            for part in now.parts:
                maps = self._maps(painted[part], now.change)
                fakes.append(losses.hinge_fake(self._judged(maps, now.ground_of(part), now.change)))
        fake = torch.stack(fakes).mean()
        context.backward_and_step("discriminator", real + fake + self.settings.mismatch * wrong)
        return {"d_real": real, "d_fake": fake, "d_wrong": wrong}

    def _improve(self, context: Context, now: Step, painted: Tensor) -> dict[str, Tensor]:
        """Improve the generator."""
        settings = self.settings
        with torch.no_grad(), context.autocast():
            known = self._maps(now.real.image, now.change)
        with context.autocast():
            maps = [self._maps(painted[part], now.change) for part in now.parts]
            adversarial = [
                losses.hinge_generator(self._judged(m, now.ground_of(part), now.change))
                for m, part in zip(maps, now.parts, strict=True)
            ]
            hole = now.change.geometry(now.real.hole)
            matching = losses.feature_matching(known, maps[0], hole)
        weights = torch.tensor([1.0, settings.moved][: len(adversarial)], device=context.device)
        fooled = (torch.stack(adversarial) * weights).sum() / weights.sum()
        near = losses.l1_in(now.real.image, painted[: now.count], now.real.soft)
        loss = fooled + settings.matching * matching + self._l1_weight(context) * near
        told = {"g_adversarial": fooled, "g_matching": matching, "g_l1": near}
        if settings.diversity:
            told["g_diversity"] = self._diversity(context, now, painted)
            loss = loss + settings.diversity * told["g_diversity"]
        context.backward_and_step("generator", loss)
        return told

    def _l1_weight(self, context: Context) -> float:
        """Return the weight of L1, which falls in a line to 0: it blurs if it stays."""
        assert context.total is not None  # the task is of fixed length
        until = self.settings.l1_until * context.total
        return self.settings.l1 * max(0.0, 1 - context.step / until)

    def _diversity(self, context: Context, now: Step, painted: Tensor) -> Tensor:
        """Paint once more with other noise, where nothing real says what the defect looks like."""
        part = now.parts[-1]
        noise = self._noise(context, "diversity")
        with context.autocast():
            again = self.paint(now.ground_of(part), noise)
        latents = now.noise.z[part], noise.z
        hole = now.ground_of(part).hole
        return losses.diversity([painted[part]], [again], latents, hole, DIVERSITY_BOUND)

    def _maps(self, image: Tensor, change: Augmentation) -> list[Tensor]:
        return self.discriminator.features(change.image(image))

    def _judged(self, maps: list[Tensor], batch: Batch, change: Augmentation) -> losses.Judgements:
        return self.discriminator.judge(
            maps, change.geometry(batch.masks), change.geometry(batch.hole)
        )

    def preview(self, model: nn.Module, step: int) -> Image | None:
        return preview_of(self.crops, model, self.channels)

    def extra_state(self) -> dict[str, Any]:
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Nothing to take up."""
