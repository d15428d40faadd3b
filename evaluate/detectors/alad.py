"""ALAD: adversarially learned anomaly detection (Zenati et al. 2018, arXiv 1812.02288).

A bidirectional GAN whose encoder and generator are held to be each other's inverse by two more
critics; an anomaly is what the way there and back changes, in the eyes of D_xx.
"""

import copy
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.evaluate.detectors.alad_networks import AladNetwork
from flawsmith.evaluate.detectors.base import floats
from flawsmith.evaluate.detectors.frames import Form
from flawsmith.evaluate.detectors.learned import DetectorTask, Learned, LearnedSettings
from flawsmith.evaluate.detectors.vae import error_maps
from flawsmith.seeding import rng
from flawsmith.train.ema import Ema
from flawsmith.train.norms import seed_dropout
from flawsmith.train.task import Context

BETAS = (0.5, 0.999)
BEST = "best"


class AladSettings(LearnedSettings):
    """Sizes of ALAD, its score, and how the model that is kept is chosen."""

    epochs: int = Field(100, ge=1, strict=True, description="how often each clean picture is seen")
    batch: int = Field(16, ge=2, strict=True, description="32 at 32 pixels, 64 at 64 in the study")
    ema: float = Field(0.99, ge=0, lt=1, description="decay a step of the weights' average")
    width: int = Field(
        16, ge=1, le=512, strict=True, description="channels after the first halving"
    )
    latent: int = Field(
        64, ge=1, le=4096, strict=True, description="100, 300, 500 or 800 in the study"
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="of the critics' dense and pair layers")
    how: Literal["fm", "l1", "l2", "ch"] = Field("fm", description="the score, see Alad")
    held: float = Field(0.1, gt=0, le=0.5, description="share of the clean pictures to choose by")


THESIS = {"width": 128, "latent": 100, "epochs": 100, "batch": 32, "rate": 2e-4, "ema": 0.999}


class AladTask(DetectorTask):
    """One step: the three critics, then generator and encoder (eq. 5 of the paper).

    An average of the weights is kept here, not by the loop: once an epoch it is tried on pictures
    that are not trained on, and the best one so far by reconstruction error is what is saved.
    """

    def __init__(self, network: AladNetwork, stack: Tensor, settings: AladSettings) -> None:
        makers = [*network.generator.parameters(), *network.encoder.parameters()]
        judges = [p for part in (network.xz, network.xx, network.zz) for p in part.parameters()]
        order = torch.from_numpy(rng(settings.seed, "held").permutation(len(stack)))
        count = max(1, round(settings.held * len(stack)))
        super().__init__(
            network,
            stack[order[count:]],
            {
                "makers": torch.optim.Adam(makers, settings.rate, BETAS),
                "critics": torch.optim.Adam(judges, settings.rate, BETAS),
            },
        )
        self.held = stack[order[:count]]
        self.parts = network
        self.settings = settings
        self.average = Ema(network, settings.ema)
        self.best = copy.deepcopy(self.average.model)
        self.models |= {"average": self.average.model, BEST: self.best}
        self.ema_of = BEST
        self.error: float | None = None
        self.every = max(1, self.size // settings.batch)

    def prepare(self, device: torch.device) -> None:
        super().prepare(device)
        self.held = self.held.to(device)
        for model in (self.average.model, self.best):
            model.train(False)

    def step(self, context: Context) -> dict[str, Tensor]:
        x = self.batch(context)
        z = context.noise(self.settings.latent)
        seed_dropout(self.parts, context.generators("dropout"), context.device)
        told = self._judge(context, x, z) | self._make(context, x, z)
        self.average.update(self.parts, context.step)
        if (context.step + 1) % self.every == 0:
            self._choose()
        return told

    def _judge(self, context: Context, x: Tensor, z: Tensor) -> dict[str, Tensor]:
        """Train the critics: the first pair of each is to be called real, the second not."""
        parts = self.parts
        with context.autocast():
            with torch.no_grad():
                code, made = parts.encoder(x), parts.generator(z)
                back, again = parts.generator(code), parts.encoder(made)
            known = (parts.xz(x, code), parts.xx(x, x), parts.zz(z, z))
            doubted = (parts.xz(made, z), parts.xx(x, back), parts.zz(z, again))
        losses = [
            (F.softplus(-real.float()) + F.softplus(fake.float())).mean()
            for real, fake in zip(known, doubted, strict=True)
        ]
        context.backward_and_step("critics", torch.stack(losses).sum())
        return dict(zip(("d_xz", "d_xx", "d_zz"), losses, strict=True))

    def _make(self, context: Context, x: Tensor, z: Tensor) -> dict[str, Tensor]:
        """Train generator and encoder to have each pair taken for the other."""
        parts = self.parts
        with context.autocast():
            code, made = parts.encoder(x), parts.generator(z)
            back, again = parts.generator(code), parts.encoder(made)
            encoded, drawn = parts.xz(x, code), parts.xz(made, z)
            pictures, latents = parts.xx(x, back), parts.zz(z, again)
        pairs = F.softplus(encoded.float()) + F.softplus(-drawn.float())
        cycles = F.softplus(-pictures.float()) + F.softplus(-latents.float())
        loss = (pairs + cycles).mean()
        context.backward_and_step("makers", loss)
        return {"g": loss, "error": F.mse_loss(back.detach().float(), x)}

    @torch.no_grad()
    def _choose(self) -> None:
        """Keep the average as the best if it rebuilds the held pictures better than any before."""
        parts = torch.split(floats(self.held), self.settings.portion)
        errors = [error_maps(x, self.average.model(x))[0] for x in parts]
        error = float(torch.cat(errors).mean())
        if self.error is None or error < self.error:
            self.error = error
            self.best.load_state_dict(self.average.model.state_dict())

    def extra_state(self) -> dict[str, Any]:
        return {"error": self.error}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        found = state.get("error")
        self.error = None if found is None else float(found)


class Alad(Learned):
    """Scores of x and its reconstruction y = G(E(x)), larger for anomalies (section IV).

    fm: ||f(x, x) - f(x, y)||_1, f the last features of D_xx; l1, l2: ||x - y||; ch: how sure D_xx
    is that (x, y) are no two of the same, -log D_xx(x, y). The critic's own output falls for
    anomalies, so its sign is turned. None of them has a map.
    """

    name: ClassVar[str] = "alad"
    maps: ClassVar[bool] = False
    averaged: ClassVar[bool] = False

    def __init__(
        self, settings: AladSettings, device: str = "auto", folder: Path | None = None
    ) -> None:
        super().__init__(settings, device, folder)
        self.settings = settings

    @property
    def fewest(self) -> int:
        return 3

    def _build(self, form: Form) -> nn.Module:
        own = self.settings
        return AladNetwork(form, own.width, own.latent, own.dropout)

    def _task(self, network: nn.Module, stack: Tensor) -> DetectorTask:
        assert isinstance(network, AladNetwork)
        return AladTask(network, stack, self.settings)

    def _score(self, network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None]:
        assert isinstance(network, AladNetwork)
        return SCORES[self.settings.how](network, x, network(x)), None


def feature_score(network: AladNetwork, x: Tensor, back: Tensor) -> Tensor:
    """Return (N,) ||f(x, x) - f(x, y)||_1 in the features of D_xx."""
    return (network.xx.features(x, x) - network.xx.features(x, back)).abs().sum(dim=1)


def doubt_score(network: AladNetwork, x: Tensor, back: Tensor) -> Tensor:
    """Return (N,) -log D_xx(x, y), D_xx as a probability: large where y is told from x."""
    return F.softplus(-network.xx(x, back).float())


def l1_score(network: AladNetwork, x: Tensor, back: Tensor) -> Tensor:
    """Return (N,) the sum of absolute differences."""
    return (x - back).abs().flatten(1).sum(dim=1)


def l2_score(network: AladNetwork, x: Tensor, back: Tensor) -> Tensor:
    """Return (N,) the Euclidean distance."""
    return (x - back).square().flatten(1).sum(dim=1).sqrt()


SCORES = {"fm": feature_score, "ch": doubt_score, "l1": l1_score, "l2": l2_score}
