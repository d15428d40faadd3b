"""Settings of the inpainting GAN, and its presets by the machine at hand."""

from typing import Any, Literal

from pydantic import Field

from flawsmith.inpaint.geometry import Geometry
from flawsmith.settings import Settings

# What is trained, in one word, as its weights and its run name it. Painting asks for it, too, and
# the task's discriminators would load timm for that, which takes longer than torch.
KIND = "inpaint"
# What the command line offers: trained on real data and looked at. A config file may name others.
OFFERED_GENERATORS = ("unet", "spade", "lama")
OFFERED_DISCRIMINATORS = ("projected",)


class InpaintSettings(Settings):
    """What is trained and how; the loop's own settings are ``TrainSettings``."""

    generator: Literal["unet", "spade", "lama"] = "unet"
    discriminator: Literal["projected", "patch"] = "projected"
    size: int = Field(64, ge=32, le=1024, multiple_of=16, description="side of a crop, pixels")
    width: int = Field(24, ge=4, le=512, description="the generator's channels at full size")
    loss: Literal["auto", "hinge", "logistic"] = Field(
        "auto", description="auto: hinge with projected, logistic and R1 with patch"
    )
    r1: float = Field(1.0, ge=0, description="gradient penalty, with the logistic loss only")
    r1_every: int = Field(8, ge=1, description="steps from one penalty to the next")
    heads: int = Field(64, ge=4, le=1024, description="channels of the discriminator's heads")
    grow: int = Field(3, ge=0, le=64, description="the hole is the mask and so many pixels around")
    feather: int = Field(3, ge=0, le=64, description="the hole's rim fades over so many pixels")
    generator_rate: float = Field(5e-4, gt=0, description="Adam's learning rate")
    discriminator_rate: float = Field(5e-4, gt=0, description="Adam's learning rate")
    l1: float = Field(5.0, ge=0, description="weight of L1 in the hole, at the start")
    l1_until: float = Field(0.6, gt=0, le=1, description="share of the steps at which L1 is gone")
    matching: float = Field(0.3, ge=0, description="weight of feature matching in the hole")
    diversity: float = Field(
        1.0, ge=0, description="weight of the mode-seeking term: another noise, another grain"
    )
    diversity_bound: float = Field(
        0.8, ge=0, le=4, description="distance of two grains (LPIPS) from which no more is asked"
    )
    kl: float = Field(
        0.1, ge=0, description="weight that keeps real looks' latents near those drawn"
    )
    latent: float = Field(0.5, ge=0, description="weight of reading a look's latents back")
    mismatch: float = Field(0.5, ge=0, description="weight of real pictures under others' masks")
    moved: float = Field(
        1.0, ge=0, description="weight of defects painted on clean surface; 0: none are"
    )
    augment: float = Field(0.3, ge=0, le=1, description="probability of each augmentation")
    cutout: float = Field(
        0.0, ge=0, le=1, description="side of a grey square in what is judged, as a share"
    )
    adaptive: bool = Field(
        False, description="let that probability follow the discriminator's overfitting"
    )
    adaptive_images: int = Field(
        20_000, ge=1, description="real crops within which it can rise from 0 to 1"
    )

    @property
    def geometry(self) -> Geometry:
        """The sizes that crops and holes are cut with."""
        return Geometry(self.size, self.grow, self.feather)

    @property
    def adversarial(self) -> Literal["hinge", "logistic"]:
        """The loss, settled."""
        if self.loss == "auto":
            return "hinge" if self.discriminator == "projected" else "logistic"
        return self.loss

    @property
    def penalised(self) -> bool:
        """Whether the discriminator's gradient is penalised, which takes a double backward pass."""
        return self.adversarial == "logistic" and self.r1 > 0


PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "tiny": ({"size": 32, "width": 8, "heads": 16}, {"batch": 4, "steps": 200, "ema": 0.99}),
    "small": ({}, {"batch": 8, "steps": 1000, "ema": 0.995, "preview_every": 250}),
    "large": (
        {"size": 256, "width": 64, "heads": 128, "grow": 5, "feather": 5},
        {
            "batch": 16,
            "steps": 40_000,
            "ema": 0.999,
            "precision": "bf16",
            "channels_last": True,
            "preview_every": 1000,
        },
    ),
}
