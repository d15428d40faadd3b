"""Detection: does a detector that learned real clean images take clean for clean, and see defects?

How it looks, and who judges whom, is in ``watch``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flawsmith.data.scan import Scan
from flawsmith.evaluate.filtering.settings import FilterSettings
from flawsmith.evaluate.filtering.thresholds import Threshold, lacking
from flawsmith.evaluate.filtering.watch import Watch
from flawsmith.evaluate.looks import WHOLE
from flawsmith.evaluate.neighbours import Rows

NAME = WHOLE["good"]
# If fewer of the masks laid on clean surface would be rejected, a note says so.
FEW = 0.5


@dataclass(frozen=True)
class Detected:
    """What the step asks, what has to be said, and of N candidates (N,), NaN where not asked:

    anomaly: of a picture without marks, its largest value over the threshold, above 1 falls. seen:
    of one with marks, the least of its classes' largest values near the mask over the limit, below
    1 falls.
    """

    thresholds: tuple[Threshold, ...]
    notices: tuple[str, ...]
    anomaly: Rows
    seen: Rows


def detect(
    made: Scan, real: Scan, planes: Sequence[int], settings: FilterSettings, device: str = "auto"
) -> Detected:
    """Ask the detectors about candidates; planes: the classes that they show.

    Where the clean images of a half are too few, nothing is asked and a notice says so.
    """
    nothing = np.full(len(made.facts), np.nan)
    watch = Watch(real, settings, device)
    if why := watch.lacks():
        notice = f"not asked whether a detector takes clean for clean and sees defects: {why}"
        return Detected((), (notice,), nothing, nothing)
    watch.fit()
    clean = watch.held_out(watch.shown(), "detector clean")
    groups = [real.facts[entry.sample].group for entry in clean]
    alarm = float(np.quantile([entry.value for entry in clean], settings.clean))
    thresholds = [Threshold(NAME, "clean", alarm, len(groups), len(set(groups)))]
    limits, notices = _limits(watch, planes)
    anomaly, seen = nothing.copy(), nothing.copy()
    for entry in watch.candidates(made):
        if entry.plane is None:
            anomaly[entry.sample] = _ratio(entry.value, alarm)
        elif entry.plane in limits:
            share = _ratio(entry.value, limits[entry.plane].value)
            seen[entry.sample] = np.fmin(seen[entry.sample], share)
    return Detected((*thresholds, *limits.values()), tuple(notices), anomaly, seen)


def _limits(watch: Watch, planes: Sequence[int]) -> tuple[dict[int, Threshold], list[str]]:
    """Return, a class, the value below which no detector sees a defect; and notices.

    Below it lies less than most real defects show, and less than clean surface can show under
    masks of theirs: what stands out from that is seen, be it less than real ones do.
    """
    real, names = watch.real, watch.real.dataset.classes
    known = watch.held_out(watch.defective(planes), "detector real")
    limits: dict[int, Threshold] = {}
    notices = []
    for plane in planes:
        own = [entry for entry in known if entry.plane == plane]
        groups = [real.facts[entry.sample].group for entry in own]
        if why := lacking(groups):
            notices.append(f"{names[plane]}: not asked whether a detector sees it: {why}")
            continue
        bare = watch.bare(plane)
        if not len(bare):
            notices.append(
                f"{names[plane]}: not asked whether a detector sees it: none of its masks lies "
                "within a clean image"
            )
            continue
        usual = float(np.quantile([entry.value for entry in own], watch.settings.seen))
        limit = min(usual, float(bare.max()))
        limits[plane] = Threshold(names[plane], "seen", limit, len(groups), len(set(groups)))
        share = float((bare < limit).mean())
        if share < FEW:
            notices.append(
                f"{names[plane]}: the detector hardly tells these real defects from clean surface: "
                f"of their masks on clean images it would reject {share:.0%}"
            )
    return limits, notices


def _ratio(value: float, limit: float) -> float:
    """Return the value in parts of the limit; of a limit of 0 everything but 0 is beyond."""
    return value / limit if limit else float(value > 0)
