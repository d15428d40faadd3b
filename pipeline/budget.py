"""What a run can afford: the table of budgets, what there is to do, and what that takes."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import Field

from flawsmith.pipeline.settings import Arm, Budget, RunMethod

# Bounds that a plan is held to when it is read again; the settings behind it have the same.
AtLeast0 = Annotated[int, Field(ge=0, lt=1 << 40)]
AtLeast1 = Annotated[int, Field(ge=1, lt=1 << 40)]


@dataclass(frozen=True)
class Preset:
    """What a budget is spent on, at most.

    minutes: of the whole run; count: candidates a method; inpaint: training steps of the generator,
    0 for none, None for its own preset's. arms: beside real, the dearest to us first; seeds, steps:
    of the gate. enough: arms and seeds are given up before a run has fewer steps than these. curve:
    whether to see if the steps suffice.
    """

    minutes: float
    count: int
    inpaint: int | None
    arms: tuple[Arm, ...]
    seeds: int
    steps: int
    enough: int
    curve: bool = False


EVERY: tuple[Arm, ...] = ("filtered", "random", "paste", "inpaint", "classical", "all")
PRESETS: dict[Budget, Preset] = {
    "minutes": Preset(10, 100, 0, ("filtered", "random"), 2, 400, 100),
    "hour": Preset(60, 200, 600, ("filtered", "random", "paste"), 3, 400, 200),
    "day": Preset(720, 600, None, EVERY, 5, 1600, 800, curve=True),
}
# Never fewer: of these seeds an interval can be had, of these steps a segmenter.
FEWEST_SEEDS = 2
FEWEST_STEPS = 100
# With fewer steps a generator is not worth its time; nor may it take a larger share of all of it.
FEWEST_INPAINT = FEWEST_GEN = 200
INPAINT_SHARE = 0.25
# What is planned with; the rest is for what nobody foresaw.
PLANNED = 0.9
# Seconds a candidate to make and to check: for each, and for each million pixels of it.
MAKE, MAKE_PIXELS = 0.08, 0.25
# Seconds a candidate for the features of its crops, in the filter and in the distances.
LOOK = 0.15
# A segmenter predicts so much quicker than it learns from as many pixels.
PREDICT = 0.4
# The curve: half, as many and twice the steps, of so many seeds.
CURVE_RUNS, CURVE_SEEDS = 3.5, 2


@dataclass(frozen=True)
class Rates:
    """What this machine does: seconds of a training step of each network (0: not known).

    learn: seconds in which all detectors learn; judge: in which all of them score a picture. watch:
    seconds in which the filter's learn and look at real samples; look: in which one looks at a
    candidate.
    """

    segment: float = 0.0
    inpaint: float = 0.0
    gen: float = 0.0
    learn: float = 0.0
    judge: float = 0.0
    watch: float = 0.0
    look: float = 0.0


@dataclass(frozen=True)
class Load:
    """What there is to do.

    methods: those that the data allows; pixels: of a training image, the mean; tested: pixels of
    the tiles of all test images; crops: pixels of a training step; inpaint: training steps of the
    generator's preset. gen: of each of those of clean images, 0 for none; generators: their number;
    drawn: clean images made by each, three of which make one plate where there are three. gate,
    agreement, filter: whether the gate, the filter's segmenters, and the filter are run. judged:
    real images that detectors are tested on, 0 without detectors.
    """

    methods: tuple[RunMethod, ...]
    pixels: float
    tested: float
    crops: float
    inpaint: int = 0
    gate: bool = True
    agreement: bool = True
    filter: bool = True
    gen: int = 0
    drawn: int = 0
    generators: int = 1
    judged: int = 0


@dataclass(frozen=True)
class Asked:
    """What the user has settled; None is for the plan to settle. named: methods were named."""

    named: bool = False
    count: int | None = None
    inpaint: int | None = None
    arms: tuple[Arm, ...] | None = None
    seeds: int | None = None
    steps: int | None = None
    filter: int | None = None
    gen: int | None = None


@dataclass(frozen=True)
class Plan:
    """What a run does; kept in ``plan.json``, so that a resumed run does the same.

    cap: minutes, None without a budget. inpaint, steps, filter: training steps of the generator, of
    a run of the gate, and of each of the filter's two segmenters; gen: of each generator of clean
    images, of which there are ``generators``. minutes: the estimate of each part. notes: what was
    given up. detectors: that the estimate is of.
    """

    cap: float | None
    methods: tuple[RunMethod, ...]
    count: AtLeast1
    inpaint: AtLeast0
    arms: tuple[Arm, ...]
    seeds: AtLeast1
    steps: AtLeast1
    filter: AtLeast0
    curve: bool
    rates: Rates
    minutes: dict[str, float]
    notes: tuple[str, ...] = ()
    gen: AtLeast0 = 0
    generators: AtLeast1 = 1
    detectors: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """Minutes in all."""
        return sum(self.minutes.values())

    @property
    def sentence(self) -> str:
        """The plan for people."""
        each = f"{self.generators} x " if self.generators > 1 else ""
        parts = {
            "gen": f"clean images {each}{self.gen} steps",
            "inpaint": f"inpaint {self.inpaint} steps",
            "candidates": f"candidates {len(self.methods)} x {self.count}",
            "filter": "filter",
            "detect": f"detect by {', '.join(self.detectors)}",
            "gate": f"gate {len(self.arms) + 1} arms x {self.seeds} seeds x {self.steps} steps",
            "curve": "curve of the steps",
        }
        of = f" of {self.cap:g}" if self.cap else ""
        told = ", ".join(f"{parts[name]} {_min(m)}" for name, m in self.minutes.items())
        return f"plan: about {max(1, round(self.total))}{of} minutes: {told}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(content: dict[str, Any]) -> "Plan":
        names = ("methods", "arms", "notes", "detectors")
        lists = {name: tuple(content.get(name, ())) for name in names}
        return Plan(**{**content, **lists, "rates": Rates(**content["rates"])})


def _min(minutes: float) -> str:
    return f"{minutes:.0f} min" if minutes >= 1 else "under 1 min"


def estimate(plan: Plan, load: Load) -> dict[str, float]:
    """Return the minutes that each part of the plan should take."""
    rates, made = plan.rates, plan.count * len(load.methods)
    seconds = {
        "gen": plan.gen * load.generators * rates.gen + drawn_seconds(load),
        "inpaint": plan.inpaint * rates.inpaint,
        "candidates": made * (MAKE + MAKE_PIXELS * load.pixels / 1e6),
        "filter": made * (LOOK + rates.look) + rates.watch,
    }
    if load.agreement:
        seconds["filter"] += 2 * plan.filter * rates.segment
    if load.judged:
        scored = load.judged + made + load.drawn
        seconds["detect"] = rates.learn + scored * rates.judge
    run = plan.steps * rates.segment + tested_seconds(load, rates)
    if plan.arms:
        seconds["gate"] = (1 + len(plan.arms)) * plan.seeds * run
    if plan.curve:
        seconds["curve"] = CURVE_SEEDS * CURVE_RUNS * plan.steps * rates.segment
    return {name: round(value / 60, 2) for name, value in seconds.items() if value}


def drawn_seconds(load: Load) -> float:
    """Return the seconds in which clean images are drawn, looked at, and joined if in parts."""
    pixels = MAKE_PIXELS * load.pixels / 1e6
    joined = MAKE + pixels if load.generators > 1 else 0.0
    return load.drawn * (load.generators * (MAKE + LOOK) + pixels + joined)


def tested_seconds(load: Load, rates: Rates) -> float:
    """Return the seconds that a segmenter takes for all test images."""
    return PREDICT * rates.segment * load.tested / load.crops
