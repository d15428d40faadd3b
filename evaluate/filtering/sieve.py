"""The sieve: what the steps after the certificate find in its candidates, and whom they reject."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from flawsmith.data.review import choice_of
from flawsmith.data.scan import Scan
from flawsmith.evaluate.distance import Compute
from flawsmith.evaluate.features import Extractor
from flawsmith.evaluate.filtering.agreement import (
    Judges,
    of_candidates,
    of_real,
    overlap_thresholds,
)
from flawsmith.evaluate.filtering.checks import method_of
from flawsmith.evaluate.filtering.crops import ClassCrops, class_crops
from flawsmith.evaluate.filtering.detection import detect
from flawsmith.evaluate.filtering.novelty import twins
from flawsmith.evaluate.filtering.quality import closest, farthest, to_real
from flawsmith.evaluate.filtering.reasons import (
    ANOMALOUS,
    CONTRADICTED,
    COPY,
    PERSON,
    SURPLUS,
    TWIN,
    UNREAL,
    UNSEEN,
)
from flawsmith.evaluate.filtering.selection import Pool, choose, quotas_of
from flawsmith.evaluate.filtering.settings import FilterSettings
from flawsmith.evaluate.filtering.thresholds import Threshold, apart, distance_thresholds, lacking
from flawsmith.evaluate.kernel import mmd2
from flawsmith.evaluate.neighbours import Rows

# Their candidates hold real defects by design; a copy of one is no fault.
COPYING = ("classical", "paste")
# Ratios end here: a threshold of 0 has no sensible one, and JSON no infinity.
MOST = 1e6


@dataclass(frozen=True)
class Selected:
    """What became of a class: candidates certified, left before the selection, and kept.

    before, after: unbiased KID of the defect crops of those certified, and kept, to the real ones;
    None where there are too few of either.
    """

    name: str
    certified: int
    left: int
    kept: int
    before: float | None
    after: float | None

    def to_json(self) -> dict[str, Any]:
        content = asdict(self)
        return {"class": content.pop("name"), **content}


@dataclass
class Sieve:
    """The certified candidates, numbered from 0, and what the steps have found so far.

    The steps are called in the order in which they stand here. scores, reasons: of each candidate.
    """

    made: Scan
    real: Scan
    settings: FilterSettings
    thresholds: list[Threshold] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scores: list[dict[str, float]] = [{} for _ in self.made.facts]
        self.reasons = [""] * len(self.made.facts)
        choices = [choice_of(record.meta) for record in self.made.dataset.records]
        # What a person decided goes before every step of the filter.
        self._pinned = frozenset(i for i, c in enumerate(choices) if c == "accepted")
        self._reject((i for i, c in enumerate(choices) if c == "rejected"), PERSON)
        self.names = self.made.dataset.classes
        # Only what a candidate shows needs a threshold.
        self.planes = sorted({plane for fact in self.made.facts for plane in fact.planes})
        shown = [i for i, f in enumerate(self.real.facts) if set(f.planes) & set(self.planes)]
        self.known = self.real.select(shown)

    def measure(self, extractor: Extractor, compute: Compute) -> None:
        """Compute the features of all crops, and what real ones are apart."""
        real = class_crops(self.known, extractor, compute, "features real")
        made = class_crops(self.made, extractor, compute, "features")
        self.real_crops = {plane: real[plane] for plane in self.planes}
        self.made_crops = {plane: made[plane] for plane in self.planes}
        self.distances: dict[int, Rows] = {}
        self.limits: dict[int, dict[str, float]] = {}
        for plane in self.planes:
            self._learn(plane)

    def _learn(self, plane: int) -> None:
        name, known = self.names[plane], self.real_crops[plane]
        if why := lacking(known.groups):
            self.notices.append(f"{name}: likeness to real defects not judged: {why}")
            return
        self.distances[plane] = to_real(self.made_crops[plane], known)
        limits = list(
            distance_thresholds(
                name,
                apart(known.features, known.groups),
                known.groups,
                self.settings.quality,
                self.settings.copies,
            )
        )
        self.thresholds += limits
        self.limits[plane] = {limit.step: limit.value for limit in limits}

    def by_quality(self) -> None:
        """Reject what has a crop farther from the real ones than they are from one another."""
        worst = self._ratios("quality", farthest, np.fmax)
        self._score("quality", worst)
        self._reject((i for i, ratio in enumerate(worst) if ratio > 1), UNREAL)

    def by_agreement(self, judges: Judges | None) -> None:
        """Reject what segmenters see less of than of real defects that they do not know."""
        if judges is None:
            unjudged = "agreement with segmenters not judged: there are none"
            if self.settings.hardest < 1:
                unjudged += ", so that 'hardest' has no effect"
            self.notices.append(unjudged)
            return
        known = [
            (entry, self.known.facts[entry.sample].group)
            for entry in of_real(self.known.dataset, judges)
        ]
        limits, notices = overlap_thresholds(
            known, self.names, self.planes, self.settings.agreement
        )
        self.thresholds += limits.values()
        self.notices += notices
        found = of_candidates(self.made.dataset, judges)
        overlaps, alarms = np.full((2, len(self.reasons)), np.nan)
        for entry in found:
            overlaps[entry.sample] = np.fmin(overlaps[entry.sample], entry.overlap)
            alarms[entry.sample] = np.fmax(alarms[entry.sample], entry.alarms)
        self._score("agreement", overlaps)
        self._score("hardness", 1 - overlaps)
        self._score("alarms", alarms)
        below = {e.sample for e in found if e.plane in limits and e.overlap < limits[e.plane].value}
        self._reject(sorted(below), CONTRADICTED)

    def by_detector(self, device: str) -> None:
        """Reject clean pictures that look defective, and defects that look like clean surface."""
        if self.settings.detector == "none":
            return
        found = detect(self.made, self.real, self.planes, self.settings, device)
        self.thresholds += found.thresholds
        self.notices += found.notices
        self._score("anomaly", found.anomaly)
        self._score("seen", found.seen)
        self._reject(np.flatnonzero(found.anomaly > 1), ANOMALOUS)
        self._reject(np.flatnonzero(found.seen < 1), UNSEEN)

    def by_novelty(self) -> None:
        """Reject near copies of real defects, then of candidates that are left and come earlier.

        Those that a person accepted come first: they stay, and their copies go.
        """
        nearest = self._ratios("copies", closest, np.fmin)
        self._score("novelty", nearest)
        copying = [method_of(record) in COPYING for record in self.made.dataset.records]
        self._reject((i for i, ratio in enumerate(nearest) if ratio <= 1 and not copying[i]), COPY)
        limits = {plane: own["copies"] for plane, own in self.limits.items()}
        order = sorted(self._left(), key=lambda place: (place not in self._pinned, place))
        self._reject(sorted(twins(self.made_crops, limits, order)), TWIN)

    def select(self) -> tuple[Selected, ...]:
        """Reject what is not needed: the rest is closest to the real samples, class by class."""
        everyone = range(len(self.reasons))
        certified, left = self._members(everyone), self._members(self._left())
        counts = {plane: len(members) for plane, members in left.items()}
        total = {plane: len(members) for plane, members in certified.items()}
        share = self.settings.keep
        if self.settings.count is not None:
            share = min(1.0, self.settings.count / len(self.reasons))
        hardness = {i: s["hardness"] for i, s in enumerate(self.scores) if "hardness" in s}
        # Where nobody knows what is hard, the hardest ones would be the first ones.
        hardest = self.settings.hardest if hardness else 1.0
        pool = Pool(left, quotas_of(total, counts, share), hardness, hardest, self._pinned)
        kept = choose(pool, self.made_crops, self.real_crops)
        self._reject(sorted(set(self._left()) - set(kept)), SURPLUS)
        survivors = self._members(kept)
        return tuple(
            Selected(
                self.names[plane],
                total[plane],
                counts.get(plane, 0),
                len(survivors.get(plane, ())),
                self._kid(plane, certified[plane]),
                self._kid(plane, survivors.get(plane, ())),
            )
            for plane in self.planes
        )

    def _ratios(self, step: str, pick: Callable[[Rows, ClassCrops, int], Rows], join: Any) -> Rows:
        """Return (N,): each candidate's distance in parts of its class's limit, NaN for none."""
        found = np.full(len(self.reasons), np.nan)
        for plane, distances in self.distances.items():
            own = pick(distances, self.made_crops[plane], len(found))
            limit = self.limits[plane][step]
            with np.errstate(divide="ignore", invalid="ignore"):
                ratios = np.minimum(own / limit, MOST)
            # Also where the limit is 0: nothing is nearer to a real crop than itself.
            found = join(found, np.where(own == 0, 0, ratios))
        return np.asarray(found)

    def _score(self, name: str, values: Iterable[float]) -> None:
        for scores, value in zip(self.scores, values, strict=True):
            if not np.isnan(value):
                scores[name] = round(float(value), 4)

    def _reject(self, places: Iterable[int], reason: str) -> None:
        for place in places:
            if place not in self._pinned:
                self.reasons[place] = self.reasons[place] or reason

    def _left(self) -> list[int]:
        return [i for i, reason in enumerate(self.reasons) if not reason]

    def _members(self, places: Iterable[int]) -> dict[int | None, list[int]]:
        """Return the places by plane; of None: those that show no defect."""
        found: dict[int | None, list[int]] = {}
        for place in places:
            for plane in self.made.facts[place].planes or (None,):
                found.setdefault(plane, []).append(place)
        return found

    def _kid(self, plane: int, places: Sequence[int]) -> float | None:
        crops, known = self.made_crops[plane], self.real_crops[plane]
        own = crops.features[np.isin(crops.samples, places)]
        if min(len(own), len(known.features)) < 2:
            return None
        return mmd2(own, known.features)
