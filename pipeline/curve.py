"""The stage of the curve: do the gate's segmenters have enough steps? The test part has no say."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flawsmith.data.kept import read_kept
from flawsmith.data.scan import Scan
from flawsmith.data.writing import write_file
from flawsmith.errors import InputError
from flawsmith.evaluate.segment_curve import Curve, curve
from flawsmith.evaluate.segmenter.settings import SegmentSettings
from flawsmith.pipeline.budget import CURVE_SEEDS, Plan
from flawsmith.pipeline.stages import Stages

RESULT = "curve.json"


@dataclass(frozen=True)
class Trained:
    """How the training steps suffice, or None; said: what is to be said of it."""

    curve: Curve | None = None
    said: str = ""


def curve_stage(
    stages: Stages, train: Scan, settings: SegmentSettings, plan: Plan, device: str
) -> Trained:
    """Return how the steps suffice, unless the budget has no room for it any more.

    What was begun is finished: a resumed run must not say less than the one it goes on with.
    """
    chosen = settings.model_copy(update={"seeds": CURVE_SEEDS})
    begun = any(stages.place(name).exists() for name in ("curve", "curve.partial"))
    needed = stages.spent + 60 * plan.minutes.get("curve", 0.0)
    if plan.cap and not begun and needed > 60 * plan.cap:
        return Trained(said=f"no curve of the steps: {plan.cap:g} minutes are used up")

    def work(folder: Path) -> None:
        try:
            found = curve(train, chosen, folder / "runs", device=device).to_json()
        except InputError as error:
            # A third of few groups may show nothing to test on.
            found = {"left_out": error.what}
        write_file(folder / RESULT, json.dumps(found) + "\n")

    inputs = {
        "settings": chosen.deciding(real_only=True),
        "loop": chosen.loop(chosen.seed).deciding(fixed_length=True),
        "seeds": CURVE_SEEDS,
    }
    return read_curve(stages.make("curve", inputs, ("split",), work))


@dataclass(frozen=True)
class _LeftOut:
    """What the file holds where no curve could be had: why."""

    left_out: str


def read_curve(folder: Path) -> Trained:
    """Return what the stage left; raises InputError for what is not as it was written."""
    return read_kept(folder / RESULT, Curve | _LeftOut, _trained)


def _trained(content: dict[str, Any]) -> Trained:
    if "left_out" in content:
        return Trained(said=f"no curve of the steps: {content['left_out']}")
    known = _curve_of(content)
    return Trained(known, known.sentence)


def _curve_of(content: dict[str, Any]) -> Curve:
    own = {name: content[name] for name in Curve.__dataclass_fields__}
    lists = {name: tuple(own[name]) for name in ("steps", "seeds")}
    return Curve(**{**own, **lists, "miou": tuple(map(tuple, own["miou"]))})
