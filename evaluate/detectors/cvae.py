"""cvae: a convolutional variational autoencoder; what it cannot rebuild is anomalous.

Kingma and Welling 2013, "Auto-encoding variational Bayes", with the layers of the plates thesis.
"""

from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from flawsmith.evaluate.detectors import vae
from flawsmith.evaluate.detectors.frames import Form
from flawsmith.evaluate.detectors.learned import DetectorTask, Learned, LearnedSettings
from flawsmith.sample import Image
from flawsmith.train.task import Context

BETAS = (0.9, 0.999)


class CvaeSettings(LearnedSettings):
    """Sizes of the autoencoder and the weight of its prior."""

    epochs: int = Field(100, ge=1, strict=True, description="how often each clean picture is seen")
    rate: float = Field(1e-3, gt=0, description="learning rate of Adam")
    width: int = Field(
        8, ge=1, le=512, strict=True, description="channels of the first of four stages"
    )
    latent: int = Field(
        32, ge=1, le=4096, strict=True, description="values of the mean; its dense has 4x"
    )
    prior: float = Field(1.0, ge=0, description="weight of the KL term beside the squared error")


THESIS = {"width": 64, "latent": 128, "epochs": 100, "batch": 32, "rate": 1e-4}


class Vae(nn.Module):
    """Encoder and decoder; the latent is not drawn but the mean."""

    def __init__(self, form: Form, width: int, latent: int) -> None:
        super().__init__()
        self.encoder = vae.Encoder(form, width, latent)
        self.decoder = vae.Decoder(form, width, latent)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x)[0])  # type: ignore[no-any-return]


class CvaeTask(DetectorTask):
    """The squared error, summed over a picture, and the KL term of its latent."""

    def __init__(self, network: Vae, stack: Tensor, settings: CvaeSettings) -> None:
        optimizer = torch.optim.Adam(network.parameters(), settings.rate, BETAS)
        super().__init__(network, stack, {"network": optimizer})
        self.parts = network
        self.settings = settings

    def step(self, context: Context) -> dict[str, Tensor]:
        x = self.batch(context)
        noise = context.noise(self.settings.latent)
        with context.autocast():
            known = self.parts.encoder(x)
            made = self.parts.decoder(vae.drawn(known, noise))
        told = {
            "error": vae.squared_error(x, made).mean(),
            "kl": vae.kl_to_normal(*known).mean(),
        }
        context.backward_and_step("network", told["error"] + self.settings.prior * told["kl"])
        return told


class Cvae(Learned):
    """Score: the mean squared error of the reconstruction; map: the squared error of each pixel."""

    name: ClassVar[str] = "cvae"
    maps: ClassVar[bool] = True

    def __init__(
        self, settings: CvaeSettings, device: str = "auto", folder: Path | None = None
    ) -> None:
        super().__init__(settings, device, folder)
        self.settings = settings

    def _build(self, form: Form) -> nn.Module:
        return Vae(form, self.settings.width, self.settings.latent)

    def _task(self, network: nn.Module, stack: Tensor) -> DetectorTask:
        assert isinstance(network, Vae)
        return CvaeTask(network, stack, self.settings)

    def _score(self, network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None]:
        return vae.error_maps(x, network(x))


def error_picture(squared: NDArray[np.float32]) -> Image:
    """Return the thesis' error picture of a map (H, W) of squared errors: (H, W, 3) uint8 RGB.

    Scaled so that its largest error is 255, then coloured (OpenCV's JET): blue none, red most.
    """
    most = float(squared.max())
    grey = np.rint(squared * (255 / most) if most > 0 else squared).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(grey, cv2.COLORMAP_JET)[:, :, ::-1])
