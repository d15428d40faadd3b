"""What can be set about painting with a trained run."""

from pathlib import Path
from typing import Literal

from pydantic import Field, StrictInt, ValidationInfo, field_validator, model_validator

from flawsmith.augment.settings import BOUNDS, AugmentSettings, Span
from flawsmith.settings import Settings, load_settings

STRENGTHS = (0, 4)


class ApplySettings(Settings):
    """Settings of one painting job; lengths in pixels, angles in degrees."""

    count: int = Field(200, ge=1, strict=True, description="samples to make")
    seed: int = Field(0, ge=0, strict=True)
    masks: Literal["bank", "procedural", "folder", "gan"] = Field(
        "bank", description="the run's own masks, drawn ones, mask_folder's, or masks_run's"
    )
    mask_folder: Path | None = Field(None, description="masks=folder: one sub-folder a class")
    masks_run: Path | None = Field(None, description="masks=gan: a run of gen with masks")
    classes: tuple[str, ...] | None = Field(None, description="only these; default all learned")
    per_image: tuple[StrictInt, StrictInt] = Field(
        (1, 2), description="fewest and most defects an image"
    )
    strength: Span = Field(
        (1.0, 1.0), description="factor range on the painted change; 0 changes nothing"
    )
    roi: Path | None = Field(None, description="PNG, non-zero where defects may lie")
    position: Literal["uniform", "empirical"] = Field(
        "empirical",
        description="anywhere in the region, or about where the mask's own defect was: that is "
        "how the generator saw it",
    )
    scale: Span = Field((0.8, 1.25), description="factor range on a mask's size")
    rotate: float = Field(15.0, ge=0, le=180, description="largest turn of a mask, degrees")
    elastic: float = Field(0.1, ge=0, le=0.5, description="wobble, as a share of a mask's size")

    @field_validator("per_image", "scale", "strength")
    @classmethod
    def _ordered(cls, span: tuple[float, float], info: ValidationInfo) -> tuple[float, float]:
        least, most = {**BOUNDS, "strength": STRENGTHS}[info.field_name or ""]
        if not least <= span[0] <= span[1] <= most:
            raise ValueError(f"needs {least} <= low <= high <= {most}")
        return span

    @model_validator(mode="after")
    def _folder_named(self) -> "ApplySettings":
        if (self.masks == "folder") != (self.mask_folder is not None):
            raise ValueError("masks=folder and mask_folder belong together")
        if (self.masks == "gan") != (self.masks_run is not None):
            raise ValueError("masks=gan and masks_run belong together")
        return self

    @property
    def shaping(self) -> AugmentSettings:
        """What of this concerns masks and places, as copy-paste's settings."""
        same = self.model_dump(exclude={"strength"})
        return load_settings(AugmentSettings, None, {"method": "paste", **same})
