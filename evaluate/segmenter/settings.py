"""Settings of the downstream check's segmenter; the machine's are those of ``TrainSettings``."""

from typing import Any, Literal

from pydantic import Field, model_validator

from flawsmith.evaluate.segmenter.schedule import Course, Mixing, Negatives, Schedule
from flawsmith.evaluate.segmenter.tiles import Tiling
from flawsmith.settings import Settings
from flawsmith.train.settings import TrainSettings

# They are the loop's own, or say how often it runs, and so are no part of what one run is.
LOOPS = frozenset({"steps", "batch", "seed", "seeds", "ema"})
# They matter to a trained segmenter only, and may differ from call to call.
PREDICTS = frozenset({"tile", "overlap"})
# They say nothing about a run on real samples alone.
SYNTHETIC = frozenset({"mixing", "share", "fraction", "negatives", "rim"})

LITE0 = "lite0"
# Pixels that are predicted in one pass.
AT_ONCE = 8 * 384**2


class SegmentSettings(Settings):
    """What is trained, how, and how pictures are cut; the same for every arm of a comparison."""

    encoder: str = Field(
        LITE0, description="lite0 (needs no download), or a name of segmentation_models_pytorch"
    )
    weights: Literal["imagenet", "none"] = Field(
        "imagenet", description="what the encoder starts from"
    )
    frozen: int = Field(
        3,
        ge=0,
        le=5,
        description="halvings of the encoder whose pretrained weights stay as they are",
    )
    crop: int = Field(128, ge=64, le=2048, multiple_of=32, description="side of a crop, pixels")
    batch: int = Field(12, ge=1, strict=True, description="crops a step, over all processes")
    steps: int = Field(800, ge=1, strict=True, description="training steps, the same in each arm")
    seeds: int = Field(3, ge=1, strict=True, description="runs an arm, each from a seed of its own")
    seed: int = Field(0, ge=0, strict=True, description="the first run's")
    optimizer: Literal["adamw", "adam"] = "adamw"
    rate: float = Field(2e-3, gt=0, description="the highest learning rate")
    decay: float = Field(1e-2, ge=0, description="weight decay, with adamw only")
    course: Course = Field("cosine", description="how the learning rate goes")
    warm_up: float = Field(0.05, ge=0, lt=1, description="share of the steps in which it rises")
    ema: float = Field(0.99, ge=0, lt=1, description="decay a step of the weights' average")
    dice: float = Field(1.0, ge=0, description="weight of the Dice loss beside cross entropy")
    brightness: float = Field(
        0.4, ge=0, le=2, description="at most half of this is added, for values from -1 to 1"
    )
    contrast: float = Field(0.4, ge=0, lt=2, description="the factor lies within half of it to 1")
    mixing: Mixing = Field("first", description="when synthetic samples are shown")
    share: float = Field(0.8, ge=0, le=1, description="of the crops that may be, while they are")
    negatives: Negatives = Field(
        "any", description="real: crops that need no defect are never cut from synthetic samples"
    )
    fraction: float = Field(
        0.375, gt=0, le=1, description="of the steps, with first and falling: real ones follow"
    )
    rim: int = Field(
        0, ge=0, le=16, description="pixels around a synthetic mask's edge that are not judged"
    )
    tile: int = Field(
        0, ge=0, multiple_of=32, description="side of what is predicted at once; 0: of three crops"
    )
    overlap: int = Field(64, ge=8, description="pixels that neighbouring tiles share")

    @model_validator(mode="after")
    def _tiles_advance(self) -> "SegmentSettings":
        tile = self.tile or 3 * self.crop
        if 2 * self.overlap > tile:
            raise ValueError(f"overlap {self.overlap} is more than half of tile {tile}")
        return self

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.mixing, self.share, self.fraction, self.negatives)

    @property
    def tiling(self) -> Tiling:
        tile = self.tile or 3 * self.crop
        # As many pixels at once whatever the crop: eight of the largest tiles fill any memory.
        return Tiling(tile, self.overlap, self.crop, max(1, AT_ONCE // tile**2))

    def check_network(self) -> None:
        """Raise InputError where the network cannot be had: before hours are spent up to it."""
        if self.encoder == LITE0:  # its weights are installed
            return
        # Only here: it loads torch.
        from flawsmith.evaluate.segmenter.network import build_segmenter, freeze

        network = build_segmenter(1, 0, self.encoder, self.weights)
        if self.weights != "none":
            freeze(network, self.frozen, self.crop)

    def deciding(self, *, real_only: bool) -> dict[str, Any]:
        """Return what decides a run's result beside the loop's own settings, JSON-able.

        real_only: no sample is synthetic, so that such a run serves comparisons of any mixing.
        """
        left_out = LOOPS | PREDICTS | (SYNTHETIC if real_only else set())
        return self.model_dump(mode="json", exclude=set(left_out))

    def loop(self, seed: int, **machine: Any) -> TrainSettings:
        """Return the loop's settings for a run of this seed.

        machine: fields of TrainSettings that say where and how: device, log_every, precision (auto,
        if it is not given: bf16 on a GPU that has it)...
        Pictures lie by pixel unless it says otherwise: a step of 12 crops of 128 pixels then takes
        0.9 s instead of 1.1 s, on one CPU core.
        """
        if machine.get("precision", "auto") == "auto":
            # Only here: it loads torch.
            from flawsmith.train.devices import best_precision

            machine["precision"] = best_precision(machine.get("device", "auto"))
        own = {"steps": self.steps, "batch": self.batch, "ema": self.ema, "seed": seed}
        return TrainSettings(**own | {"channels_last": True} | machine)
