"""Settings of the judgement by detectors; no torch here."""

from typing import Any, Literal

from pydantic import Field, model_validator

from flawsmith.settings import Settings

# As in detectors.registry, which loads torch; a test compares them.
BUILT_IN = ("brightness", "pixels", "knn", "ganomaly", "cvae", "advae", "alad", "cpc")
# That need no learning worth the name: what does not beat them has found nothing.
BASELINES = ("brightness", "pixels")
WRAPPED = ("patchcore", "padim", "dfm", "fastflow", "stfpm", "reverse_distillation")


class DetectSettings(Settings):
    """Which detectors judge, and what they look at."""

    detectors: tuple[str, ...] = Field(("knn",), min_length=1)
    baselines: bool = Field(True, description="brightness and pixels judge, too, and are compared")
    side: int | None = Field(
        None,
        ge=32,
        le=1024,
        multiple_of=8,
        description="pictures are stretched to this square; default: 128, or the source works'",
    )
    preset: Literal["small", "thesis"] = Field("small", description="sizes of the networks")
    epochs: int | None = Field(None, ge=1, description="of those that train; default: their own")
    options: dict[str, dict[str, Any]] = Field(
        {}, description="further settings of a detector, by its name"
    )
    seeds: int = Field(1, ge=1, strict=True, description="trainings of each detector")
    seed: int = Field(0, ge=0, strict=True)
    draws: int = Field(2000, ge=100, strict=True, description="of groups, for intervals")

    @property
    def judges(self) -> tuple[str, ...]:
        """The detectors by name, each once, baselines first."""
        return tuple(dict.fromkeys((*(BASELINES if self.baselines else ()), *self.detectors)))

    @model_validator(mode="after")
    def _check_options(self) -> "DetectSettings":
        for name, own in self.options.items():
            if name not in (*BUILT_IN, *WRAPPED):
                raise ValueError(f"options: no detector {name!r}")
            if "seed" in own:
                raise ValueError(f"options: {name}: seed: trainings have --seed and the next ones")
        return self
