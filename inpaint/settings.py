"""Settings of the inpainting GAN, and its presets by the machine at hand."""

from typing import Any, Literal

from pydantic import Field

from flawsmith.settings import Settings

# What the command line offers: trained on real data and looked at. A config file may name others.
OFFERED_GENERATORS = ("unet",)
OFFERED_DISCRIMINATORS = ("projected",)


class InpaintSettings(Settings):
    """What is trained and how; the loop's own settings are ``TrainSettings``."""

    generator: Literal["unet", "spade", "lama"] = "unet"
    discriminator: Literal["projected", "patch"] = "projected"
    size: int = Field(64, ge=32, le=1024, multiple_of=16, description="side of a crop, pixels")
    width: int = Field(24, ge=4, description="the generator's channels at full size")
    heads: int = Field(64, ge=4, description="channels of the discriminator's heads")
    grow: int = Field(3, ge=0, le=64, description="the hole is the mask and so many pixels around")
    feather: int = Field(3, ge=0, le=64, description="the hole's rim fades over so many pixels")
    generator_rate: float = Field(5e-4, gt=0, description="Adam's learning rate")
    discriminator_rate: float = Field(5e-4, gt=0, description="Adam's learning rate")
    l1: float = Field(5.0, ge=0, description="weight of L1 in the hole, at the start")
    l1_until: float = Field(0.6, gt=0, le=1, description="share of the steps at which L1 is gone")
    matching: float = Field(0.3, ge=0, description="weight of feature matching in the hole")
    diversity: float = Field(0.0, ge=0, description="weight of the mode-seeking term")
    mismatch: float = Field(0.5, ge=0, description="weight of real pictures under others' masks")
    moved: float = Field(
        1.0, ge=0, description="weight of defects painted on clean surface; 0: none are"
    )
    augment: float = Field(0.3, ge=0, le=1, description="probability of each augmentation")


PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "tiny": ({"size": 32, "width": 8, "heads": 16}, {"batch": 4, "steps": 200, "ema": 0.99}),
    "small": ({}, {"batch": 8, "steps": 1500, "ema": 0.995, "preview_every": 250}),
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
