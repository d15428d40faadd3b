"""Settings of the networks that make whole parts, what each architecture starts from, presets."""

from typing import Any, Literal

from pydantic import Field

from flawsmith.errors import InputError
from flawsmith.settings import Settings

ARCHS = ("dcgan", "wgan-gp", "stylegan2", "fastgan")
LOSSES = ("logistic", "hinge", "wasserstein")
# Learning rates of Adam; a thesis trained both networks with 0.002, ten times DCGAN's usual.
THESIS_RATE = 0.002


class GenSettings(Settings):
    """What is trained and how; the loop's own settings are ``TrainSettings``.

    The defaults here are FastGAN's; ``settings_of`` starts from those of an architecture.
    """

    arch: Literal["dcgan", "wgan-gp", "stylegan2", "fastgan"] = "fastgan"
    latent: int = Field(128, ge=1, le=4096, description="values that a picture is made from")
    width: int = Field(16, ge=2, le=512, description="the generator's channels at full size")
    critic_width: int = Field(
        16, ge=2, le=512, description="the critic's own channels at full size"
    )
    heads: int = Field(64, ge=4, le=1024, description="channels of the projected critic's heads")
    strides: tuple[int, ...] = Field(
        (), max_length=10, description="dcgan, wgan-gp: of the generator's layers; empty: all 2"
    )
    critic: Literal["own", "projected"] = Field(
        "own", description="projected: heads on a frozen network (not for wgan-gp)"
    )
    spectral: bool = Field(False, description="dcgan, wgan-gp: spectral norm of the critic")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="dcgan, wgan-gp: before the critic's last layer"
    )
    loss: Literal["auto", "logistic", "hinge", "wasserstein"] = Field(
        "auto", description="auto: the architecture's; hinge with the projected critic"
    )
    generator_rate: float = Field(2e-4, gt=0, description="Adam's learning rate")
    critic_rate: float = Field(2e-4, gt=0, description="Adam's learning rate")
    betas: tuple[float, float] = Field((0.5, 0.999), description="Adam's betas, of both networks")
    decay_from: float = Field(
        1.0, ge=0, le=1, description="share of the steps from which both rates fall in a line to 0"
    )
    critic_steps: int = Field(
        1, ge=1, le=100, description="updates of the critic a step, each on a batch of its own"
    )
    penalty: float = Field(0.0, ge=0, description="weight of the gradient penalty (wgan-gp)")
    r1: float = Field(0.0, ge=0, description="gradient penalty on real pictures, logistic only")
    r1_every: int = Field(8, ge=1, description="updates of the critic from one to the next")
    reconstruction: float = Field(
        1.0, ge=0, description="fastgan: weight of the critic's reconstruction of real pictures"
    )
    augment: float = Field(0.3, ge=0, le=1, description="probability of each augmentation")
    cutout: float = Field(
        0.0, ge=0, le=1, description="side of a grey square in what is judged, as a share"
    )
    adaptive: bool = Field(
        False, description="let that probability follow the critic's overfitting (not wgan-gp)"
    )
    adaptive_images: int = Field(
        20_000, ge=1, description="real pictures within which it can rise from 0 to 1"
    )
    with_masks: bool = Field(False, description="make a mask plane a class beside the picture")
    classes: tuple[str, ...] = Field((), description="of the planes; empty: all")
    images: Literal["auto", "good", "all"] = Field(
        "auto", description="auto: clean ones where there are any, without masks"
    )
    longest: int = Field(
        0, ge=0, le=4096, description="shrink pictures to this longer side, pixels; 0: leave them"
    )
    resize: tuple[int, int] | None = Field(
        None, description="width, height that pictures are scaled to cover, then cut to"
    )
    crop: tuple[int, int] | None = Field(
        None, description="width, height of the windows that are cut from pictures at random"
    )
    scaling: Literal["none", "batch", "linear", "sqrt"] = Field(
        "none",
        description="with n processes: n times the batch, and with linear (sqrt) n (root n) times "
        "the rates; none: processes share one batch, and the result stays",
    )

    @property
    def adversarial(self) -> Literal["logistic", "hinge", "wasserstein"]:
        """The loss, settled."""
        if self.loss != "auto":
            return self.loss
        if self.critic == "projected" or self.arch == "fastgan":
            return "hinge"
        return "wasserstein" if self.arch == "wgan-gp" else "logistic"

    @property
    def penalised(self) -> bool:
        """Whether a gradient is penalised, which takes a double backward pass."""
        return self.penalty > 0 or (self.r1 > 0 and self.adversarial == "logistic")


# What each architecture starts from: its paper's settings where these are known to hold, but for
# the critic: with heads on a frozen network both modern ones came far closer to real parts in the
# same time than with their own (docs/gen.md).
OWN: dict[str, dict[str, Any]] = {
    # Radford 2015, section 4.
    "dcgan": {"latent": 100, "dropout": 0.3},
    # Gulrajani 2017, algorithm 1.
    "wgan-gp": {
        "latent": 100, "generator_rate": 1e-4, "critic_rate": 1e-4, "betas": (0.0, 0.9),
        "critic_steps": 5, "penalty": 10.0,
    },
    # Karras 2020, appendix B; R1 smaller, as pictures are.
    "stylegan2": {
        "critic": "projected",
        "generator_rate": 2e-3, "critic_rate": 2e-3, "betas": (0.0, 0.99), "r1": 1.0,
    },
    # Liu 2021, appendix.
    "fastgan": {"critic": "projected"},
}  # fmt: skip
# Sauer 2021, section 4; its heads learn quickly. What only the own critics have is off.
PROJECTED: dict[str, Any] = {
    "critic_rate": 5e-4, "betas": (0.0, 0.99), "r1": 0.0, "dropout": 0.0, "reconstruction": 0.0,
}  # fmt: skip

RATES = {"generator_rate": THESIS_RATE, "critic_rate": THESIS_RATE}
THESIS: dict[str, Any] = {
    "width": 64,
    "critic_width": 64,
    "strides": (5, 2, 2, 2, 2),
    "augment": 0.0,
}
GPU: dict[str, Any] = {"precision": "bf16", "channels_last": True}
# Of the networks, then of the loop; epochs count the critic's pictures and stand in for steps.
PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "tiny": (  # too small for the projected critic
        {"longest": 32, "width": 8, "critic_width": 8, "heads": 16, "critic": "own"},
        {"batch": 8, "steps": 200, "ema": 0.99},
    ),
    "small": (
        {"longest": 64},
        {"batch": 8, "steps": 2000, "ema": 0.995, "preview_every": 500},
    ),
    "large": (
        {"width": 64, "critic_width": 64, "heads": 128, "latent": 256, "augment": 0.5},
        {"batch": 32, "steps": 40_000, "ema": 0.999, "preview_every": 1000, **GPU},
    ),
    "plates": (THESIS, {"batch": 32, "epochs": 200, "ema": 0.99, "preview_every": 100}),
    "plates-thesis": (
        {**THESIS, **RATES, "betas": (0.5, 0.999)},
        {"batch": 32, "epochs": 200, "ema": 0.0, "preview_every": 100},
    ),
}  # fmt: skip


def checked(settings: GenSettings) -> GenSettings:
    """Return the settings; raises InputError for those that do not fit one another."""
    arch, thesis = settings.arch, settings.arch in ("dcgan", "wgan-gp")
    wasserstein = settings.adversarial == "wasserstein"
    faults = {
        "wgan-gp is its critic": arch == "wgan-gp" and settings.critic == "projected",
        "the loss of Wasserstein takes a penalty of the gradient": wasserstein
        and not settings.penalty,
        "the penalty of the gradient goes with the loss of Wasserstein": settings.penalty > 0
        and not wasserstein,
        "R1 goes with the logistic loss": settings.r1 > 0 and settings.adversarial != "logistic",
        "dropout is of the critics of dcgan and wgan-gp": settings.dropout > 0
        and (not thesis or settings.critic == "projected"),
        "adaptive augmentation follows logits' signs, which Wasserstein's have not": wasserstein
        and settings.adaptive,
        f"no spectral norm and no strides are set for {arch}": not thesis
        and (settings.spectral or bool(settings.strides)),
        "the projected critic has spectral norm anyhow": settings.critic == "projected"
        and settings.spectral,
        "either resize or crop": settings.resize is not None and settings.crop is not None,
        "classes are of masks": bool(settings.classes) and not settings.with_masks,
    }
    wrong = [what for what, is_so in faults.items() if is_so]
    if wrong:
        raise InputError(
            f"settings that do not go together: {wrong[0]}", mend="leave one of them out"
        )
    return settings
