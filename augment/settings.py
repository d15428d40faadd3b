"""What can be set about augmentation, in one model."""

from pathlib import Path
from typing import Literal

from pydantic import Field, StrictInt, ValidationInfo, field_validator, model_validator

from flawsmith.settings import Settings

Method = Literal["classical", "paste", "procedural"]
Span = tuple[float, float]
# Beyond these nobody wants it, and an image would take minutes.
BOUNDS = {"per_image": (1, 100), "scale": (0.05, 10)}
PAINTED: tuple[Method, ...] = ("paste", "procedural")
# Settings of some methods only; the others' recipes do not look at them.
USED_BY: dict[str, tuple[Method, ...]] = {
    "preset": ("classical",),
    "sources": ("classical",),
    "flips": ("classical",),
    "blend": ("paste",),
    **dict.fromkeys(
        ("masks", "mask_folder", "masks_run", "per_image", "roi", "position", "feather", "scale",
         "rotate", "elastic"), PAINTED,
    ),
}  # fmt: skip


class AugmentSettings(Settings):
    """Settings of one augmentation job; lengths in pixels, angles in degrees."""

    method: Method
    count: int = Field(200, ge=1, strict=True, description="samples to make")
    seed: int = Field(0, ge=0, strict=True)
    preset: Literal["safe", "thesis"] = Field("safe", description="classical: the policy")
    sources: Literal["defective", "good", "all"] = Field(
        "defective", description="classical: which samples are transformed"
    )
    flips: Literal["auto", "all", "none"] = Field(
        "auto", description="classical, safe: those the clean images allow, all, or none"
    )
    masks: Literal["bank", "procedural", "folder", "gan"] | None = Field(
        None, description="where masks come from; default: paste bank, procedural procedural"
    )
    mask_folder: Path | None = Field(None, description="masks=folder: one sub-folder a class")
    masks_run: Path | None = Field(None, description="masks=gan: a run of gen with masks")
    classes: tuple[str, ...] | None = Field(None, description="only these classes; default all")
    per_image: tuple[StrictInt, StrictInt] = Field(
        (1, 2), description="fewest and most defects an image"
    )
    roi: Path | None = Field(None, description="PNG, non-zero where defects may lie")
    position: Literal["uniform", "empirical"] = Field(
        "uniform", description="anywhere in the region, or about where the class occurs"
    )
    blend: Literal["feather", "poisson"] = Field("feather", description="paste: the seam")
    feather: int = Field(
        3, ge=0, le=32, strict=True, description="width of the seam outside of the mask"
    )
    scale: Span = Field((0.8, 1.25), description="factor range on a defect's size")
    rotate: float = Field(15.0, ge=0, le=180, description="largest turn of a defect, degrees")
    elastic: float = Field(0.1, ge=0, le=0.5, description="wobble, as a share of a defect's size")

    @field_validator("per_image", "scale")
    @classmethod
    def _ordered(cls, span: tuple[float, float], info: ValidationInfo) -> tuple[float, float]:
        least, most = BOUNDS[info.field_name or ""]
        if not least <= span[0] <= span[1] <= most:
            raise ValueError(f"needs {least} <= low <= high <= {most}")
        return span

    @model_validator(mode="after")
    def _folder_named(self) -> "AugmentSettings":
        if (self.masks == "folder") != (self.mask_folder is not None):
            raise ValueError("masks=folder and mask_folder belong together")
        if (self.masks == "gan") != (self.masks_run is not None):
            raise ValueError("masks=gan and masks_run belong together")
        return self

    @model_validator(mode="after")
    def _own_settings_only(self) -> "AugmentSettings":
        """Refuse a setting that this method would ignore."""
        for name in sorted(self.model_fields_set & set(USED_BY)):
            if self.method not in USED_BY[name] and getattr(self, name) is not None:
                raise ValueError(f"{name} has no meaning for {self.method}")
        return self

    @property
    def mask_source(self) -> str:
        """The mask source in force."""
        return self.masks or ("procedural" if self.method == "procedural" else "bank")
