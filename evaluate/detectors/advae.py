"""adVAE: a variational autoencoder that is its own adversary (Wang et al. 2019).

"adVAE: a self-adversarial variational autoencoder with Gaussian anomaly prior knowledge for anomaly
detection", arXiv 1903.00904. A transformer T makes latents that are nearly normal; the generator G
learns to tell them from real ones, the encoder E to tell pictures from what G made.
"""

from pathlib import Path
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from flawsmith.evaluate.detectors import vae
from flawsmith.evaluate.detectors.frames import Form
from flawsmith.evaluate.detectors.learned import DetectorTask, Learned, LearnedSettings
from flawsmith.train.task import Context

BETAS = (0.9, 0.999)


class AdvaeSettings(LearnedSettings):
    """Sizes, weights (lambda, gamma) and margins (m_x, m_z) of adVAE."""

    epochs: int = Field(100, ge=1, strict=True, description="how often each clean picture is seen")
    rate: float = Field(1e-3, gt=0, description="learning rate of Adam")
    width: int = Field(
        8, ge=1, le=512, strict=True, description="channels of the first of four stages"
    )
    latent: int = Field(32, ge=1, le=4096, strict=True)
    prior: float = Field(1.0, gt=0, description="lambda: weight of the KL term, and of G beside T")
    adversarial: float = Field(0.05, ge=0, description="gamma: weight of telling real from made")
    margin_x: float = Field(
        0.02,
        ge=0,
        description="m_x: squared difference a value that G has to make with T's latents",
    )
    margin_z: float = Field(40.0, ge=0, description="m_z: KL that E has to give to what G made")
    draws: int = Field(
        8, ge=1, le=1024, strict=True, description="L reconstructions whose mean is scored"
    )


THESIS = {"width": 32, "latent": 128, "epochs": 100, "batch": 32, "rate": 1e-4}


class Transformer(nn.Module):
    """T: a latent (N, latent) -> mean and log-variance of an anomalous one, a dense layer each."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.mean = nn.Linear(latent, latent)
        self.log_variance = nn.Linear(latent, latent)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.mean(z), self.log_variance(z).clamp(-vae.LARGEST, vae.LARGEST)


class AdvaeNetwork(nn.Module):
    """The three networks: E, G and T; the transformer is for training alone."""

    def __init__(self, form: Form, width: int, latent: int) -> None:
        super().__init__()
        self.encoder = vae.Encoder(form, width, latent)
        self.generator = vae.Decoder(form, width, latent)
        self.transformer = Transformer(latent)


class AdvaeTask(DetectorTask):
    """Two phases a step (algorithm 1): G and T with E frozen, then E with both frozen."""

    def __init__(self, network: AdvaeNetwork, stack: Tensor, settings: AdvaeSettings) -> None:
        first = [*network.generator.parameters(), *network.transformer.parameters()]
        super().__init__(
            network,
            stack,
            {
                "generator": torch.optim.Adam(first, settings.rate, BETAS),
                "encoder": torch.optim.Adam(network.encoder.parameters(), settings.rate, BETAS),
            },
        )
        self.parts = network
        self.settings = settings
        self.margin = settings.margin_x * stack[0].numel()

    def step(self, context: Context) -> dict[str, Tensor]:
        x = self.batch(context)
        told = self._generate(context, x)
        return told | self._encode(context, x)

    def _generate(self, context: Context, x: Tensor) -> dict[str, Tensor]:
        """Train T and G (eq. 6 to 9): loss L_T + lambda L_G."""
        settings, parts = self.settings, self.parts
        with context.autocast():
            with torch.no_grad():
                known = parts.encoder(x)
                z = vae.drawn(known, context.noise(settings.latent, stream="z"))
            odd, near = self._transformed(context, z)
            made, strange = parts.generator(z), parts.generator(odd)
            seen, doubted = (vae.kl_to_normal(*parts.encoder(one)) for one in (made, strange))
        apart = (self.margin - vae.squared_error(made, strange)).clamp(min=0)
        pushed = (settings.margin_z - doubted).clamp(min=0)
        told = {
            "error": vae.squared_error(x, made).mean(),
            "apart": apart.mean(),
            "near": vae.kl_between(known, near).mean(),
        }
        judged = settings.adversarial * (seen + pushed).mean()
        loss = told["near"] + settings.prior * (told["error"] + told["apart"] + judged)
        context.backward_and_step("generator", loss)
        return told

    def _encode(self, context: Context, x: Tensor) -> dict[str, Tensor]:
        """Train E (eq. 10): a variational autoencoder's loss, and telling real from made.

        What is judged is what G makes now, without a way back through it (algorithm 1).
        """
        settings, parts = self.settings, self.parts
        with context.autocast():
            known = parts.encoder(x)
            z = vae.drawn(known, context.noise(settings.latent, stream="z again"))
            made = parts.generator(z)
            with torch.no_grad():
                strange = parts.generator(self._transformed(context, z)[0])
            seen = vae.kl_to_normal(*parts.encoder(made.detach()))
            doubted = vae.kl_to_normal(*parts.encoder(strange))
        told = {"kl": vae.kl_to_normal(*known).mean(), "kl_made": seen.mean()}
        judged = torch.stack([settings.margin_z - seen, settings.margin_z - doubted])
        error = vae.squared_error(x, made).mean()
        loss = (
            error
            + settings.prior * told["kl"]
            + settings.adversarial * judged.clamp(min=0).sum(dim=0).mean()
        )
        context.backward_and_step("encoder", loss)
        return told

    def _transformed(self, context: Context, z: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return an anomalous latent drawn by T, and its (mean, log-variance)."""
        near = self.parts.transformer(z)
        odd = vae.drawn(near, context.noise(self.settings.latent, stream="transformed"))
        return odd, near


class Advae(Learned):
    """Score: mean squared error of the mean of L reconstructions (eq. 11); map: each pixel's.

    The L draws of noise are the same for every picture, so that a score is one of it alone.
    """

    name: ClassVar[str] = "advae"
    maps: ClassVar[bool] = True

    def __init__(
        self, settings: AdvaeSettings, device: str = "auto", folder: Path | None = None
    ) -> None:
        super().__init__(settings, device, folder)
        self.settings = settings

    def _build(self, form: Form) -> nn.Module:
        return AdvaeNetwork(form, self.settings.width, self.settings.latent)

    def _task(self, network: nn.Module, stack: Tensor) -> DetectorTask:
        assert isinstance(network, AdvaeNetwork)
        return AdvaeTask(network, stack, self.settings)

    def _score(self, network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None]:
        assert isinstance(network, AdvaeNetwork)
        settings = self.settings
        known = network.encoder(x)
        noise = vae.fixed_noise(settings.draws, settings.latent, settings.seed, x.device)
        total = torch.zeros_like(x)
        for one in noise:
            total += network.generator(vae.drawn(known, one))
        return vae.error_maps(x, total / settings.draws)
