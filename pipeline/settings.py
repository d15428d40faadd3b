"""What can be set about a run."""

from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from flawsmith.augment.settings import AugmentSettings, Method
from flawsmith.data.alike import LookAlikes
from flawsmith.data.plates import PARTS
from flawsmith.errors import InputError
from flawsmith.evaluate.detect_settings import BUILT_IN, WRAPPED, DetectSettings
from flawsmith.evaluate.filtering.select_settings import SelectSettings
from flawsmith.evaluate.filtering.settings import STEPS, FilterSettings
from flawsmith.evaluate.segmenter.settings import SegmentSettings
from flawsmith.settings import Settings, load_settings

AUGMENTED: tuple[Method, ...] = ("classical", "paste", "procedural")
RunMethod = Literal["classical", "paste", "procedural", "inpaint"]
Arm = Literal["filtered", "random", "paste", "inpaint", "classical", "all"]
Budget = Literal["minutes", "hour", "day", "none"]
GenArch = Literal["dcgan", "wgan-gp", "stylegan2", "fastgan"]
GenParts = Literal["auto", "whole", "three"]
# They have names of their own among a run's settings.
OWN = {"steps": "gate_steps", "seeds": "seeds", "seed": "seed"}
OWN_DETECT = {"detectors": "detectors", "seed": "seed"}
# With these budgets detectors judge without being asked for.
JUDGED: tuple[Budget, ...] = ("hour", "day")


def check_masks(given: dict[str, Any]) -> None:
    """Raise InputError for masks of a foreign run: it may have learned from what is tested on."""
    if given.get("masks") == "gan" or given.get("masks_run") is not None:
        raise InputError(
            "masks of a trained run cannot be used here: it may have seen the test images",
            mend="augment or inpaint apply, on the training part alone",
        )


class InpaintRun(Settings):
    """Settings of the method ``inpaint``: how the generator is trained, and how it paints."""

    preset: Literal["tiny", "small", "large"] = "small"
    train: dict[str, Any] = Field(default_factory=dict, description="changes to the preset")
    apply: dict[str, Any] = Field(default_factory=dict, description="as for inpaint apply")


class GenRun(Settings):
    """Settings of ``clean: gan``: how the generator of clean images is trained, and used."""

    preset: Literal["tiny", "small", "large", "plates", "plates-thesis"] = "small"
    train: dict[str, Any] = Field(default_factory=dict, description="changes to the preset")
    count: int = Field(
        default=100, ge=1, strict=True, description="images to draw, and to select from"
    )
    truncation: float = Field(
        default=1.0, ge=0, le=2, description="below 1: more usual ones, more alike"
    )
    select: dict[str, Any] = Field(default_factory=dict, description="as for gen select")
    blend: int = Field(
        default=4,
        ge=0,
        le=64,
        strict=True,
        description="pixels of each part that a seam may change, where plates are joined of three",
    )


class RunSettings(Settings):
    """Settings of a run; ``classical``, ``paste`` and so on hold that method's own."""

    seed: int = Field(0, ge=0, strict=True)
    count: int = Field(200, ge=1, strict=True, description="candidates a method")
    budget: Budget = Field(
        "minutes",
        description="caps the whole run at 10, 60 or 720 minutes: what is not set here is planned "
        "by what this machine does in that time; none: no plan, all defaults",
    )
    test_fraction: float = Field(
        0.3, gt=0, lt=1, description="share of the groups kept for testing, seen by no method"
    )
    classes: tuple[str, ...] | None = Field(
        None, description="leave out images that show another class; default: use all"
    )
    per_class: int | None = Field(
        None, ge=1, strict=True, description="defective training images a class, at most"
    )
    look_alikes: LookAlikes = Field(
        "join",
        description="photos that look like one part though their groups differ: join the groups, "
        "or leave them",
    )
    methods: tuple[RunMethod, ...] | None = Field(
        None,
        description="default: classical and paste where the data allows, else procedural; and "
        "inpaint, which trains a network first, if the budget allows",
    )
    clean: Literal["real", "gan"] = Field(
        "real",
        description="what defects are put on: real clean images, or also generated ones (gan); "
        "these are drawn from a generator that learns from the training part's clean images",
    )
    gen: GenRun = Field(default_factory=GenRun)
    gen_arch: GenArch | None = Field(None, description="its networks; default stylegan2")
    gen_steps: int | None = Field(
        None, ge=1, strict=True, description="its training steps; default by the budget"
    )
    gen_parts: GenParts = Field(
        "auto",
        description="whole: one generator of whole images; three: one each of the upper, middle "
        "and lower third of upright plates, joined again; auto: three for photos of plates",
    )
    features: Literal["lite0", "inception", "none"] = Field(
        "lite0", description="network behind the distances; none leaves them out"
    )
    weights: Path | None = Field(None, description="that network's weights, if not the usual ones")
    to: str = Field("folder", description="format of the data sets written")
    classical: dict[str, Any] = Field(default_factory=dict)
    paste: dict[str, Any] = Field(default_factory=dict)
    procedural: dict[str, Any] = Field(default_factory=dict)
    inpaint: InpaintRun = Field(default_factory=InpaintRun)
    inpaint_steps: int | None = Field(
        None, ge=1, strict=True, description="training steps of inpaint; default by the budget"
    )
    filter: bool = Field(True, description="keep only what is like real defects, and no copy")
    agreement: bool = Field(
        True, description="in the filter, ask segmenters trained on halves of the real samples, too"
    )
    filtering: dict[str, Any] = Field(default_factory=dict, description="as for filter")
    gate: bool = Field(
        True, description="accept the filtered set only if a segmenter gets better with it"
    )
    arms: tuple[Arm, ...] | None = Field(
        None, description="what is compared beside real and filtered; default by the budget"
    )
    seeds: int | None = Field(None, ge=2, strict=True, description="runs an arm; default 3")
    gate_steps: int | None = Field(
        None, ge=1, strict=True, description="training steps of each run of the gate; default 800"
    )
    test_clean: int = Field(
        100, ge=0, strict=True, description="clean test images that the gate looks at, at most"
    )
    segment: dict[str, Any] = Field(
        default_factory=dict, description="the gate's segmenters, as for evaluate segment"
    )

    detectors: tuple[str, ...] | None = Field(
        None, description="what judges the result; default knn from the budget hour on; [] for none"
    )
    detect: dict[str, Any] = Field(
        default_factory=dict, description="the detectors, as for evaluate detect"
    )

    @property
    def judges(self) -> tuple[str, ...]:
        """Names of the detectors that judge what is kept."""
        if self.detectors is not None:
            return self.detectors
        return ("knn",) if self.budget in JUDGED else ()

    @property
    def generators(self) -> int:
        """How many generators of clean images are trained, where any is."""
        return len(PARTS) if self.gen_parts == "three" else 1

    def settled(self, form: str) -> "RunSettings":
        """Return the settings with ``gen_parts`` chosen for a source of this layout."""
        if self.clean != "gan" or self.gen_parts != "auto":
            return self
        parts = "three" if form == "plates" else "whole"
        return self.model_copy(update={"gen_parts": parts})

    def of_detect(self) -> DetectSettings:
        """Return the settings of the detectors; raises InputError naming a wrong one."""
        try:
            for name, own in OWN_DETECT.items():
                if name in self.detect:
                    raise InputError(f"{name} is no setting here", mend=f"set {own} of the run")
            chosen = {"seed": self.seed, "detectors": self.judges or ("knn",)}
            return load_settings(DetectSettings, None, {**self.detect, **chosen})
        except InputError as error:
            raise InputError(error.what, where="settings of detect", mend=error.mend) from error

    def of_method(self, method: Method) -> AugmentSettings:
        """Return the method's settings; raises InputError naming a wrong one."""
        given: dict[str, Any] = getattr(self, method)
        base = {"count": self.count, "seed": self.seed}
        try:
            if "method" in given:
                raise InputError("its method is settled by its name", mend="remove 'method'")
            check_masks(given)
            return load_settings(AugmentSettings, None, {**base, **given, "method": method})
        except InputError as error:
            raise InputError(error.what, where=f"settings of {method}", mend=error.mend) from error

    def of_select(self) -> SelectSettings:
        """Return the settings of selecting generated images; raises InputError for a wrong one."""
        try:
            return load_settings(SelectSettings, None, {"seed": self.seed, **self.gen.select})
        except InputError as error:
            raise InputError(error.what, where="settings of gen", mend=error.mend) from error

    def of_gate(self) -> SegmentSettings:
        """Return the settings of the gate's runs; raises InputError naming a wrong one."""
        try:
            for name, own in OWN.items():
                if name in self.segment:
                    raise InputError(f"{name} is no setting here", mend=f"set {own} of the run")
            chosen = {"seed": self.seed, "seeds": self.seeds, "steps": self.gate_steps}
            return load_settings(SegmentSettings, None, {**self.segment, **chosen})
        except InputError as error:
            raise InputError(error.what, where="settings of segment", mend=error.mend) from error

    def of_filter(self, steps: int | None = None) -> FilterSettings:
        """Return the filter's settings; raises InputError naming a wrong one.

        steps: of each of its segmenters, if they are not set. These are the gate's but for that.
        """
        base = {"seed": self.seed, "steps": steps or STEPS, "segment": self.segment}
        try:
            chosen = load_settings(FilterSettings, None, {**base, **self.filtering})
            chosen.segmenter()
            return chosen
        except InputError as error:
            raise InputError(error.what, where="settings of filtering", mend=error.mend) from error

    @model_validator(mode="after")
    def _generator_asked_for(self) -> "RunSettings":
        given = self.gen_arch or self.gen_steps or self.gen != GenRun()
        if (given or self.gen_parts != "auto") and self.clean != "gan":
            raise ValueError("gen, gen_arch, gen_steps and gen_parts are settings of clean: gan")
        return self

    @field_validator("methods")
    @classmethod
    def _once(cls, methods: tuple[RunMethod, ...] | None) -> tuple[RunMethod, ...] | None:
        # In one order: the first of equals wins, and no stage's inputs tell which that is.
        return None if methods is None else tuple(m for m in get_args(RunMethod) if m in methods)

    @field_validator("detectors")
    @classmethod
    def _known(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is None or names == ("none",):
            return None if names is None else ()
        for name in names:
            if name not in (*BUILT_IN, *WRAPPED):
                raise ValueError(f"no detector {name!r}: one of {', '.join((*BUILT_IN, *WRAPPED))}")
        return tuple(dict.fromkeys(names))

    @field_validator("arms")
    @classmethod
    def _filtered_first(cls, arms: tuple[Arm, ...] | None) -> tuple[Arm, ...] | None:
        # It is the one that decides.
        return None if arms is None else tuple(dict.fromkeys(("filtered", *arms)))
