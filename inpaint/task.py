"""The inpainting GAN as a task of the training loop."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.inpaint import losses
from flawsmith.inpaint.crops import Batch, Crops
from flawsmith.inpaint.discriminators import build_discriminator
from flawsmith.inpaint.encoder import Encoder, kl_divergence, sampled
from flawsmith.inpaint.generators import build_generator, painted_by
from flawsmith.inpaint.noise import Noise
from flawsmith.inpaint.preview import preview_of
from flawsmith.inpaint.settings import KIND, InpaintSettings
from flawsmith.inpaint.steps import Step, Steps
from flawsmith.sample import Image
from flawsmith.train.adaptive import AdaptiveStrength
from flawsmith.train.diffaugment import Augmentation, Policy
from flawsmith.train.starting import starting_from
from flawsmith.train.task import Context

BETAS = (0.0, 0.99)
# Adapted, the augmentations' probability ends here: always on, they would leak into the generator.
LIMIT = 0.85


@dataclass(frozen=True)
class Painted:
    """What a step painted, with which noise; look: mean and log variance of the real ones'."""

    image: Tensor
    noise: Noise
    look: tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Shown:
    """Features of the real crops, and of each painted part, all augmented alike."""

    real: list[Tensor]
    painted: list[list[Tensor]]

    def detached(self) -> "Shown":
        """Return the same without a way back to the generator."""
        return Shown(self.real, [[m.detach() for m in maps] for maps in self.painted])


class InpaintTask:
    """Generator against discriminator on crops; see DESIGN section 7, "inpaint".

    A step paints real defects over (which L1 and feature matching can compare) and, on clean
    surface, defects that were never there (which only the discriminator can judge). Real crops
    under wrong masks count as painted: masks must be obeyed.
    """

    kind = KIND
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
            _judge_of(settings), channels, classes, settings.heads, seed
        )
        self.against = losses.ADVERSARIAL[settings.adversarial]
        self.adaptive = AdaptiveStrength(
            images=settings.adaptive_images, start=min(settings.augment, LIMIT), limit=LIMIT
        )
        self.generator, self.discriminator = generator, discriminator
        with starting_from(seed, "encoder"):
            self.encoder = Encoder(discriminator.channels)
        self.models: dict[str, nn.Module] = {
            "generator": generator,
            "discriminator": discriminator,
            "encoder": self.encoder,
        }
        painting = [*generator.parameters(), *self.encoder.parameters()]
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "generator": torch.optim.Adam(painting, settings.generator_rate, BETAS),
            "discriminator": torch.optim.Adam(
                discriminator.parameters(), settings.discriminator_rate, BETAS
            ),
        }
        flips = (crops.flips[1], crops.flips[0])
        policy = Policy(
            flips, translation=0.125, cutout=settings.cutout, brightness=0.4, contrast=0.4
        )
        self.steps = Steps(crops, channels, settings, policy)

    def prepare(self, device: torch.device) -> None:
        """Nothing else has to move."""

    def step(self, context: Context) -> dict[str, Tensor]:
        settings = self.settings
        now = self.steps.draw(
            context, self.adaptive.strength if settings.adaptive else settings.augment
        )
        with context.autocast():
            look = self._look(now)
            latents = sampled(*look, now.noise.z[: now.count])
            noise = replace(now.noise, z=torch.cat([latents, now.noise.z[now.count :]]))
            painted = Painted(self.paint(now.ground, noise), noise, look)
            # Frozen features of the same pictures are the same for both halves of the step.
            shown = self._shown(now, painted.image) if self.discriminator.frozen else None
        told = self._judge(context, now, painted, shown)
        return told | self._improve(context, now, painted, shown)

    def _look(self, now: Step) -> tuple[Tensor, Tensor]:
        """Return which latents the real defects' looks stand for: mean and log variance."""
        with torch.no_grad():
            maps = self.discriminator.features(now.real.image)
        mean, log_variance = self.encoder(maps, now.real.hole)
        return mean, log_variance

    def paint(self, ground: Batch, noise: Noise) -> Tensor:
        """Return the composed crops, (N, C, S, S) in [-1, 1]."""
        return painted_by(self.generator, ground, noise)

    def _shown(self, now: Step, painted: Tensor) -> Shown:
        """Return what the discriminator sees of the real crops and of each painted part."""
        real = self._maps(now.real.image, now.change)
        return Shown(real, [self._maps(painted[part], now.change) for part in now.parts])

    def _judge(
        self, context: Context, now: Step, painted: Painted, shown: Shown | None
    ) -> dict[str, Tensor]:
        """Improve the discriminator."""
        with context.autocast():
            seen = shown.detached() if shown else self._shown(now, painted.image.detach())
            judged = self._judged(seen.real, now.real, now.change)
            real = self.against.real(judged)
            wrong = self.against.fake(self._judged(seen.real, now.wrong, now.change))
            fakes = [
                self.against.fake(self._judged(maps, now.ground_of(part), now.change))
                for maps, part in zip(seen.painted, now.parts, strict=True)
            ]
        fake = torch.stack(fakes).mean()
        told = {"d_real": real, "d_fake": fake, "d_wrong": wrong}
        loss = real + fake + self.settings.mismatch * wrong
        if self.settings.penalised and context.step % self.settings.r1_every == 0:
            told["d_r1"] = self._penalty(now)
            loss = loss + self.settings.r1 / 2 * self.settings.r1_every * told["d_r1"]
        context.backward_and_step("discriminator", loss)
        if self.settings.adaptive:
            sign = context.mean(losses.scores(judged).sign().mean())
            self.adaptive.add(sign, now.count * context.world)
        return told

    def _penalty(self, now: Step) -> Tensor:
        """Return R1 on the real crops, in float32: lazily, as its scale tells (Karras 2020)."""
        image = now.change.image(now.real.image).requires_grad_()
        maps = self.discriminator.features(image)
        return losses.r1(self._judged(maps, now.real, now.change), image)

    def _improve(
        self, context: Context, now: Step, painted: Painted, shown: Shown | None
    ) -> dict[str, Tensor]:
        """Improve the generator, and the encoder with it."""
        settings = self.settings
        with context.autocast():
            seen = shown or self._shown(now, painted.image)
            fooled = [
                self.against.generator(self._judged(maps, now.ground_of(part), now.change))
                for maps, part in zip(seen.painted, now.parts, strict=True)
            ]
        shares = torch.tensor([1.0, settings.moved][: len(fooled)], device=context.device)
        told = {
            "g_adversarial": (torch.stack(fooled) * shares).sum() / shares.sum(),
            "g_l1": losses.coarse_l1(now.real.image, painted.image[: now.count], now.real.soft),
            "e_kl": kl_divergence(*painted.look),
        }
        weights = {
            "g_adversarial": 1.0,
            "g_l1": self._l1_weight(context),
            "e_kl": settings.kl,
        }
        if settings.latent and len(now.parts) > 1:
            told["g_latent"] = self._latent_regression(now, seen.painted[-1])
            weights["g_latent"] = settings.latent
        if settings.matching:
            hole = now.change.geometry(now.real.hole)
            told["g_matching"] = losses.feature_matching(seen.real, seen.painted[0], hole)
            weights["g_matching"] = settings.matching
        if settings.diversity:
            told["g_diversity"] = self._diversity(context, now, painted, seen.painted[-1])
            weights["g_diversity"] = settings.diversity
        loss = torch.stack([weights[name] * value for name, value in told.items()]).sum()
        context.backward_and_step("generator", loss)
        return told

    def _latent_regression(self, now: Step, maps: list[Tensor]) -> Tensor:
        """Compare the latents that a look was drawn with to what the encoder reads from it.

        The encoder is not trained by this: else both could agree on looks that nobody sees.
        """
        part = now.parts[-1]
        hole = now.change.geometry(now.ground_of(part).hole)
        self.encoder.requires_grad_(False)
        mean, _ = self.encoder(maps, hole)
        self.encoder.requires_grad_(True)
        return F.l1_loss(mean, now.noise.z[part])

    def _l1_weight(self, context: Context) -> float:
        """Return the weight of L1, which falls in a line to 0: it blurs if it stays."""
        assert context.total is not None  # the task is of fixed length
        until = self.settings.l1_until * context.total
        return self.settings.l1 * max(0.0, 1 - context.step / until)

    def _diversity(
        self, context: Context, now: Step, painted: Painted, known: list[Tensor]
    ) -> Tensor:
        """Paint the last part once more with another grain; known: the features of before.

        Latents and coarse maps stay: asked to differ by these, looks came out that no real defect
        has, and blocks.
        """
        part = now.parts[-1]
        ground = now.ground_of(part)
        noise = painted.noise.part(part).with_grain(self.steps.noise(context, "diversity"))
        with context.autocast():
            again = self.paint(ground, noise)
            maps = self._maps(again, now.change)
        hole = now.change.geometry(ground.hole)
        return losses.diversity(known, maps, hole, self.settings.diversity_bound)

    def _maps(self, image: Tensor, change: Augmentation) -> list[Tensor]:
        return self.discriminator.features(change.image(image))

    def _judged(self, maps: list[Tensor], batch: Batch, change: Augmentation) -> losses.Judgements:
        return self.discriminator.judge(
            maps, change.geometry(batch.masks), change.geometry(batch.hole)
        )

    def preview(self, model: nn.Module, step: int) -> Image | None:
        return preview_of(self.crops, model, self.channels)

    def extra_state(self) -> dict[str, Any]:
        return self.adaptive.state() if self.settings.adaptive else {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        if self.settings.adaptive:
            self.adaptive.load(state)


def _judge_of(settings: InpaintSettings) -> str:
    """Return the discriminator's name: the penalty stands in for spectral normalisation."""
    plain = settings.discriminator == "patch" and settings.penalised
    return "patch-plain" if plain else settings.discriminator
