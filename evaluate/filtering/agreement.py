"""Agreement: do segmenters trained on real samples see a defect where the mask says one is?

Two are trained, each on one half of the real groups. A real sample is judged by the one that has
not seen it, a candidate by the mean of both; how well real masks are met says how well a
candidate's must be.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from flawsmith.data.dataset import DataSet
from flawsmith.evaluate.filtering.thresholds import Threshold, lacking
from flawsmith.evaluate.filtering.windows import Window, windows_of
from flawsmith.evaluate.neighbours import Rows
from flawsmith.progress import track
from flawsmith.sample import Image

Chances = NDArray[np.float32]
Told = Callable[[Sequence[Image]], Chances]
# Below this overlap a real mask counts as missed.
MISSED = 0.01
# Windows that go through the network at once, whichever samples they are of.
BATCH = 16


class Judges(Protocol):
    """Segmenters trained on halves of the real groups; ``folds.FoldMasks`` is one."""

    @property
    def size(self) -> int:
        """Side of the windows that they are shown, in pixels."""
        ...

    def half(self, sample: str) -> int:
        """Return which half a real sample is in: 0 or 1."""
        ...

    def chances(self, pictures: Sequence[Image], half: int) -> Chances:
        """Return (N, K, S, S) float32 from 0 to 1, by the segmenter trained on that half."""
        ...


@dataclass(frozen=True)
class Agreement:
    """How well a sample's marks of one class are met.

    overlap: intersection over union of probabilities and mask; alarms: share of the pixels far from
    any mask where some defect is told. Both 0 to 1.
    """

    sample: int
    plane: int
    overlap: float
    alarms: float


def of_real(dataset: DataSet, judges: Judges) -> list[Agreement]:
    """Return the agreement of every real sample and class, by the segmenter of the other half."""
    found: list[Agreement] = []
    for half in (0, 1):
        places = [i for i, record in enumerate(dataset.records) if judges.half(record.id) == half]

        def told(pictures: Sequence[Image], other: int = 1 - half) -> Chances:
            return judges.chances(pictures, other)

        found += _measure(dataset, places, judges.size, told, "agreement real")
    return found


def of_candidates(dataset: DataSet, judges: Judges) -> list[Agreement]:
    """Return the agreement of every candidate and class, by the mean of both segmenters."""

    def told(pictures: Sequence[Image]) -> Chances:
        first, second = (judges.chances(pictures, half) for half in (0, 1))
        return np.asarray((first + second) / 2, np.float32)

    return _measure(dataset, range(len(dataset)), judges.size, told, "agreement")


def overlap_thresholds(
    known: Sequence[tuple[Agreement, str]],
    names: Sequence[str],
    planes: Sequence[int],
    quantile: float,
) -> tuple[dict[int, Threshold], list[str]]:
    """Return the least overlap by plane, and notices of what cannot be judged or hardly.

    known: what ``of_real`` found, with the sample's group; names: of all planes.
    """
    limits: dict[int, Threshold] = {}
    notices = []
    for plane in planes:
        overlaps = [entry.overlap for entry, _ in known if entry.plane == plane]
        groups = [group for entry, group in known if entry.plane == plane]
        if why := lacking(groups):
            notices.append(f"{names[plane]}: agreement with segmenters not judged: {why}")
            continue
        value = float(np.quantile(overlaps, quantile))
        limits[plane] = Threshold(names[plane], "agreement", value, len(groups), len(set(groups)))
        if value < MISSED:
            notices.append(
                f"{names[plane]}: the segmenters miss real defects, so they contradict hardly any "
                f"candidate (median overlap {np.median(overlaps):.2f})"
            )
    return limits, notices


def _measure(
    dataset: DataSet, places: Sequence[int], size: int, told: Told, label: str
) -> list[Agreement]:
    sums: dict[tuple[int, int], Rows] = defaultdict(lambda: np.zeros(4))
    waiting: list[tuple[int, Window]] = []

    def judge(batch: list[tuple[int, Window]]) -> None:
        chances = told([window.image for _, window in batch])
        for (index, window), own in zip(batch, chances, strict=True):
            sums[index, window.plane] += sums_of(window, own)

    for index in track(places, label, len(places)):
        waiting += [(index, window) for window in windows_of(dataset[index], size)]
        while len(waiting) >= BATCH:
            judge(waiting[:BATCH])
            del waiting[:BATCH]
    if waiting:
        judge(waiting)
    return [Agreement(*key, *shares_of(found)) for key, found in sums.items()]


def sums_of(window: Window, chances: Chances) -> Rows:
    """Return intersection, union, alarms and pixels far from any mask, of one window.

    chances: (K, S, S). Of probabilities p and mask m the intersection is sum(p m), the union
    sum(p + m - p m), both near the mask: the soft Jaccard index (Rahman and Wang 2016, "Optimizing
    intersection-over-union in deep neural networks", section 3).
    """
    own = chances[window.plane].astype(np.float64)[window.near]
    mask = window.masks[window.plane][window.near]
    both = own[mask].sum()
    alarms = np.count_nonzero((chances >= 0.5).any(axis=0) & window.far)
    return np.array([both, own.sum() + mask.sum() - both, alarms, np.count_nonzero(window.far)])


def shares_of(sums: Rows) -> tuple[float, float]:
    """Return overlap and alarms of what ``sums_of`` gave, added up over windows."""
    both, either, alarms, far = sums.tolist()
    return both / either if either else 0.0, alarms / far if far else 0.0
