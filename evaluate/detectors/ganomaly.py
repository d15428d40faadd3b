"""GANomaly: an encoder behind a reconstruction tells what it lost (Akcay et al. 2018).

"GANomaly: semi-supervised anomaly detection via adversarial training", arXiv 1805.06725. G is an
encoder G_E and a decoder G_D, E a second encoder, D a critic whose features are matched.
"""

from pathlib import Path
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.evaluate.detectors.frames import Form
from flawsmith.evaluate.detectors.learned import (
    DetectorTask,
    Learned,
    LearnedSettings,
    halvings,
)
from flawsmith.train.norms import BatchNorm
from flawsmith.train.task import Context

BETAS = (0.5, 0.999)


class GanomalySettings(LearnedSettings):
    """Sizes and weights of GANomaly."""

    width: int = Field(
        16, ge=1, le=512, strict=True, description="channels after the first halving"
    )
    latent: int = Field(64, ge=1, le=4096, strict=True, description="32 to 1024 in the thesis")
    adversarial: float = Field(1.0, ge=0, description="weight of feature matching")
    contextual: float = Field(50.0, ge=0, description="weight of the reconstruction's L1")
    encoded: float = Field(1.0, ge=0, description="weight of the latents' squared distance")


# The thesis' at 256x256; its counts belong to latent 256.
THESIS = {"width": 64, "latent": 256, "epochs": 30, "batch": 32, "rate": 2e-4}


class Encoder(nn.Module):
    """(N, C, H, W) -> (N, outputs): halvings by 4x4 convolutions, then one over all that is left.

    As DCGAN's (Radford 2015): BatchNorm after every layer but the first and last, slope 0.2.
    """

    def __init__(self, form: Form, width: int, outputs: int) -> None:
        super().__init__()
        count = halvings(form)
        widths = [form.channels, *(width * 2**level for level in range(count))]
        layers: list[nn.Module] = []
        for level in range(count):
            layers.append(nn.Conv2d(widths[level], widths[level + 1], 4, 2, 1, bias=False))
            layers += [BatchNorm(widths[level + 1])] if level else []
            layers.append(nn.LeakyReLU(0.2))
        self.body = nn.Sequential(*layers)
        grid = (form.height >> count, form.width >> count)
        self.head = nn.Conv2d(widths[-1], outputs, grid)
        self.apply(normal)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x)).flatten(1)  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """(N, latent) -> (N, C, H, W) in [-1, 1], the encoder's mirror."""

    def __init__(self, form: Form, width: int, latent: int) -> None:
        super().__init__()
        count = halvings(form)
        widths = [width * 2**level for level in reversed(range(count))]
        grid = (form.height >> count, form.width >> count)
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent, widths[0], grid, bias=False)]
        for before, after in zip(widths, [*widths[1:], form.channels], strict=True):
            layers += [BatchNorm(before), nn.ReLU()]
            layers.append(nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False))
        self.body = nn.Sequential(*layers, nn.Tanh())
        self.apply(normal)

    def forward(self, z: Tensor) -> Tensor:
        return self.body(z[:, :, None, None])  # type: ignore[no-any-return]


class GanomalyNetwork(nn.Module):
    """The four networks. inner: G_E; decoder: G_D; outer: E; critic: D, its logit the output."""

    def __init__(self, form: Form, width: int, latent: int) -> None:
        super().__init__()
        self.inner = Encoder(form, width, latent)
        self.decoder = Decoder(form, width, latent)
        self.outer = Encoder(form, width, latent)
        self.critic = Encoder(form, width, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the latent of x, its reconstruction and that one's latent."""
        z = self.inner(x)
        made = self.decoder(z)
        return z, made, self.outer(made)


class GanomalyTask(DetectorTask):
    """One step: the generator with both encoders, then the critic."""

    def __init__(self, network: GanomalyNetwork, stack: Tensor, settings: GanomalySettings) -> None:
        makers = [network.inner, network.decoder, network.outer]
        made = [parameter for part in makers for parameter in part.parameters()]
        judged = list(network.critic.parameters())
        super().__init__(
            network,
            stack,
            {
                "generator": torch.optim.Adam(made, settings.rate, BETAS),
                "critic": torch.optim.Adam(judged, settings.rate, BETAS),
            },
        )
        self.parts = network
        self.settings = settings

    def step(self, context: Context) -> dict[str, Tensor]:
        """Do eq. 1 to 4 of the paper; the reconstruction is made once and judged twice."""
        settings, parts = self.settings, self.parts
        x = self.batch(context)
        with context.autocast():
            z, made, again = parts(x)
            seen = parts.critic.body(made)
            with torch.no_grad():
                wanted = parts.critic.body(x)
        told = {
            "adversarial": F.mse_loss(seen.float(), wanted.float()),
            "contextual": F.l1_loss(made.float(), x),
            "encoded": F.mse_loss(again.float(), z.float()),
        }
        loss = torch.stack([getattr(settings, name) * value for name, value in told.items()]).sum()
        context.backward_and_step("generator", loss)
        with context.autocast():
            real, fake = parts.critic(x), parts.critic(made.detach())
        told["critic"] = (F.softplus(-real.float()) + F.softplus(fake.float())).mean() / 2
        context.backward_and_step("critic", told["critic"])
        return told


class Ganomaly(Learned):
    """Score ||G_E(x) - E(G(x))||_1 (eq. 5, not divided by its length). It has no map.

    The paper scales the scores of a test set to [0, 1] (eq. 6). Here they stay as they are, or one
    image's would depend on the others.
    """

    name: ClassVar[str] = "ganomaly"
    maps: ClassVar[bool] = False

    def __init__(
        self, settings: GanomalySettings, device: str = "auto", folder: Path | None = None
    ) -> None:
        super().__init__(settings, device, folder)
        self.settings = settings

    def _build(self, form: Form) -> nn.Module:
        return GanomalyNetwork(form, self.settings.width, self.settings.latent)

    def _task(self, network: nn.Module, stack: Tensor) -> DetectorTask:
        assert isinstance(network, GanomalyNetwork)
        return GanomalyTask(network, stack, self.settings)

    def _score(self, network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None]:
        z, _, again = network(x)
        return (z - again).abs().sum(dim=1), None


def normal(module: nn.Module) -> None:
    """Give a layer DCGAN's first weights: N(0, 0.02), scales of BatchNorm N(1, 0.02)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, BatchNorm):
        nn.init.normal_(module.weight, 1.0, 0.02)
