"""Generator against critic on whole pictures, as a task of the training loop."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from flawsmith.gen import losses
from flawsmith.gen.health import Health
from flawsmith.gen.judging import Judge, Seen, detached, still
from flawsmith.gen.networks import build_critic, build_generator
from flawsmith.gen.pictures import Pictures
from flawsmith.gen.previews import preview_of
from flawsmith.gen.settings import GenSettings
from flawsmith.gen.shapes import score
from flawsmith.gen.watching import diversity, measurable
from flawsmith.progress import say
from flawsmith.sample import Image
from flawsmith.seeding import rng
from flawsmith.train.adaptive import AdaptiveStrength
from flawsmith.train.batches import Batches
from flawsmith.train.diffaugment import Augmentation, Policy, draw
from flawsmith.train.norms import seed_dropout
from flawsmith.train.task import Context

# Adapted, the augmentations' probability ends here: always on, they would leak into the generator.
LIMIT = 0.85


@dataclass(frozen=True)
class Draw:
    """What one update of the critic is given: real pictures, latents, one change for both kinds."""

    real: Tensor
    z: Tensor
    change: Augmentation


class GenTask:
    """One step: ``critic_steps`` updates of the critic on fresh batches, then one of the generator.

    So steps, the average of the weights and the rates' schedule count the generator's updates, and
    step s shows the critic the batches s n to s n + n - 1. The generator is judged on the pictures
    of the last one: they need not be made twice.
    """

    kind = "gen"
    ema_of = "generator"

    def __init__(
        self,
        pictures: Pictures,
        settings: GenSettings,
        seed: int,
        flips: tuple[bool, bool] = (False, False),
    ) -> None:
        """flips: which ones the surface allows: left to right, top to bottom."""
        self.pictures, self.settings, self.shape = pictures, settings, pictures.shape
        self.size = len(pictures)
        self.fixed_length = settings.decay_from < 1
        self.against = losses.ADVERSARIAL[settings.adversarial]
        self.generator = build_generator(settings.arch, self.shape, settings, seed)
        self.critic = build_critic(settings.arch, self.shape, settings, seed)
        self.judge = Judge(self.critic)
        self.models: dict[str, nn.Module] = {"generator": self.generator, "critic": self.critic}
        self.rates = {"generator": settings.generator_rate, "critic": settings.critic_rate}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(model.parameters(), self.rates[name], settings.betas)
            for name, model in self.models.items()
        }
        self.policy = Policy(
            (flips[1], flips[0]),
            translation=0.125,
            cutout=settings.cutout,
            brightness=0.4,
            contrast=0.4,
        )
        self.adaptive = AdaptiveStrength(
            images=settings.adaptive_images, start=min(settings.augment, LIMIT), limit=LIMIT
        )
        # Apart by 2 in each value: no two pictures are farther.
        farthest = 2 * self.shape.values**0.5
        self.health = Health(settings.adversarial == "wasserstein", farthest, settings.critic_steps)
        # Of the session before this one, if there was one.
        self.before: int | None = None
        self.world = 1

    def prepare(self, device: torch.device) -> None:
        self.pictures.to(device)

    def step(self, context: Context) -> dict[str, Tensor]:
        self._begin(context)
        updates = []
        for number in range(self.settings.critic_steps):
            last = number == self.settings.critic_steps - 1
            now = self._draw(context, number)
            with torch.set_grad_enabled(last), context.autocast():
                fake = self.generator(now.z)
                shown = self._shown(fake, now.change)
                seen = self.judge.see(shown)
            updates.append(self._judge(context, now, shown.detach(), seen, number))
        told = _means(updates)
        told |= self._improve(context, seen)
        if measurable(context):
            told["diversity"] = diversity(context, now.real, fake.detach(), self.shape)
        if context.rank == 0:
            for line in self.health.note(told, context.step):
                say(f"warning: {line}")
        return told

    def _begin(self, context: Context) -> None:
        """Set the step's rates and dropout's generators; say what another world changes."""
        self.world = context.world
        if self.before not in (None, context.world) and context.rank == 0:
            say(
                f"note: trained with {processes(self.before or 1)} before, now with "
                f"{processes(context.world)}: the batch and the rates stay, each process takes "
                f"{len(context.places)} of its samples; sums round otherwise, so the result is not "
                "the same to the byte"
            )
        self.before = context.world
        share = 1.0
        if context.total is not None:
            rest = 1 - self.settings.decay_from
            share = min(1.0, (1 - context.step / context.total) / max(rest, 1 / context.total))
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self.rates[name] * share
        if self.settings.dropout:
            seed_dropout(self.critic, context.generators("dropout"), context.device)

    def _draw(self, context: Context, number: int) -> Draw:
        """Return what update ``number`` of this step is given; each has streams of its own."""
        update = context.step * self.settings.critic_steps + number
        places = context.places
        batches = Batches(self.size, len(places) * context.world, context.seed)
        indices = batches.indices(update)[places.start : places.stop]
        drawn = places if self.pictures.windows else ()
        windows = [rng(context.seed, "window", update, place) for place in drawn]
        real = context.to_device(self.pictures.batch(indices, windows))
        z = context.noise(self.settings.latent, stream=f"latent {number}")
        strength = self.adaptive.strength if self.settings.adaptive else self.settings.augment
        change = Augmentation()
        if strength > 0:
            generators = context.generators(f"augment {number}")
            change = draw(generators, self.shape.size, self.policy, strength, context.device)
        return Draw(real, z, change)

    def _judge(
        self, context: Context, now: Draw, made: Tensor, seen: Seen, number: int
    ) -> dict[str, Tensor]:
        """Improve the critic once; made, seen: the generated pictures, and what it sees of them."""
        real = self._shown(now.real, now.change)
        with context.autocast():
            known, rebuilt = self._known(real)
            doubted = self.judge.judge(detached(seen))
        told = {"d_real": self.against.real(known), "d_fake": self.against.fake(doubted)}
        told["d_loss"] = loss = told["d_real"] + told["d_fake"]
        told["real_score"], told["fake_score"] = (score(x).mean() for x in (known, doubted))
        if self.settings.adversarial == "wasserstein":
            told["distance"] = told["real_score"] - told["fake_score"]
        if rebuilt is not None:
            told["d_reconstruction"] = rebuilt
            loss = loss + self.settings.reconstruction * rebuilt
        loss = loss + self._penalty(context, real, made, number, told)
        context.backward_and_step("critic", loss)
        if self.settings.adaptive:
            sign = context.mean(score(known).sign().mean())
            self.adaptive.add(sign, len(real) * context.world)
        return told

    def _known(self, real: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the logits of real pictures, and FastGAN's loss of drawing them, or None."""
        seen = self.judge.see(real)
        if self.judge.draws and self.settings.reconstruction:
            logits, missed = self.judge.judge_and_draw(seen)
            return logits, missed.float()
        return self.judge.judge(seen), None

    def _penalty(
        self, context: Context, real: Tensor, made: Tensor, number: int, told: dict[str, Tensor]
    ) -> Tensor | float:
        """Return what is added for the critic's slope, weighed, and note it in ``told``."""
        settings = self.settings
        if settings.penalty:
            shares = _uniform(context.generators(f"mixed {number}"))
            told["d_penalty"] = losses.gradient_penalty(self.critic, real, made, shares)
            return settings.penalty * told["d_penalty"]
        update = context.step * settings.critic_steps + number
        if settings.penalised and update % settings.r1_every == 0:
            told["d_r1"] = losses.r1(self.critic, real)
            return settings.r1 / 2 * settings.r1_every * told["d_r1"]
        return 0.0

    def _improve(self, context: Context, seen: Seen) -> dict[str, Tensor]:
        """Improve the generator."""
        with still(self.critic), context.autocast():
            loss = self.against.generator(self.judge.judge(seen))
        context.backward_and_step("generator", loss)
        return {"g_loss": loss.detach()}

    def _shown(self, x: Tensor, change: Augmentation) -> Tensor:
        """Return pictures and planes as the critic sees them: planes keep their values."""
        x = x.float()
        if not self.shape.planes:
            return change.image(x)
        image, planes = x[:, : self.shape.channels], x[:, self.shape.channels :]
        return torch.cat([change.image(image), change.geometry(planes)], dim=1)

    def preview(self, model: nn.Module, step: int) -> Image | None:
        return preview_of(self.pictures, model, self.settings.latent)

    def extra_state(self) -> dict[str, Any]:
        state = self.adaptive.state() if self.settings.adaptive else {}
        return {**state, "health": self.health.state(), "run": {"processes": self.world}}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        if self.settings.adaptive:
            self.adaptive.load(state)
        self.health.load(state.get("health", {}))
        self.before = int(state.get("run", {}).get("processes", 1))


def _means(updates: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return each value's mean over the updates that told it."""
    names = {name: None for update in updates for name in update}
    found = {n: [update[n].detach() for update in updates if n in update] for n in names}
    return {name: torch.stack(values).mean() for name, values in found.items()}


def _uniform(generators: Sequence[torch.Generator]) -> Tensor:
    return torch.stack([torch.rand((), generator=one) for one in generators])


def processes(count: int) -> str:
    """Return the number of processes in words."""
    return "1 process" if count == 1 else f"{count} processes"
