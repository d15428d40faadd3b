"""What decides the filter's verdicts."""

from typing import Any, Literal

from pydantic import Field

from flawsmith.errors import InputError
from flawsmith.evaluate.segmenter.settings import SegmentSettings
from flawsmith.settings import Settings, load_settings

# Enough for segmenters that only have to say which masks they contradict; half the check's.
STEPS = 400


class FilterSettings(Settings):
    """How strict each step is. Quantiles are of what real samples give, a class each."""

    seed: int = Field(0, ge=0, strict=True)
    keep: float = Field(
        0.5, gt=0, le=1, description="share kept of each class's candidates that are certified"
    )
    count: int | None = Field(
        None, ge=1, strict=True, description="candidates kept, about; it goes before keep"
    )
    quality: float = Field(
        0.95,
        ge=0.5,
        le=1,
        description="a crop may be as far from real ones as this quantile of real crops is from "
        "those of other parts",
    )
    agreement: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="segmenters must agree with a mask as well as with this quantile of real "
        "masks that they were not trained on",
    )
    detector: Literal["knn", "none"] = Field(
        "knn", description="asked whether clean looks clean and whether it sees the defects"
    )
    clean: float = Field(
        0.95,
        ge=0.5,
        le=1,
        description="a picture without a defect may be as odd to the detector as this quantile of "
        "real clean ones of other parts",
    )
    seen: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="a defect must be as odd to the detector as this quantile of real ones",
    )
    copies: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="nearer than this share of the usual distance between real crops of two parts "
        "is a near copy",
    )
    hardest: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of a class's candidates to choose from: those that the segmenters find "
        "hardest; never fewer than are kept",
    )
    steps: int = Field(STEPS, ge=1, strict=True, description="training steps of each segmenter")
    segment: dict[str, Any] = Field(
        default_factory=dict, description="the segmenters' other settings, as for evaluate segment"
    )

    def segmenter(self) -> SegmentSettings:
        """Return the segmenters' settings; raises InputError naming a wrong one."""
        if "steps" in self.segment:
            raise InputError("segment has steps", mend="give them as steps, beside segment")
        given = {"seed": self.seed, "steps": self.steps, **self.segment}
        return load_settings(SegmentSettings, None, given)

    def gate(self, seeds: int | None = None, steps: int | None = None) -> SegmentSettings:
        """Return the settings of the gate's segmenters: a longer training, all else as above."""
        given = {"seeds": seeds, "steps": steps}
        chosen = {name: value for name, value in given.items() if value is not None}
        return load_settings(SegmentSettings, None, {"seed": self.seed, **self.segment, **chosen})
