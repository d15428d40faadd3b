"""The certificate: what must hold of every candidate pair before anyone asks whether it is good.

Checked are the mask (there, within the areas seen on real samples), the change (visible inside the
mask, none outside of the hole) and the copy (no second of a real image or of another candidate).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from flawsmith.data.dataset import DataSet
from flawsmith.data.parallel import ordered_map
from flawsmith.data.scan import Facts, Scan, pixel_digest
from flawsmith.data.surfaces import cut, region_of
from flawsmith.data.visibility import distance_outside, is_visible, visibility
from flawsmith.errors import InputError
from flawsmith.progress import track
from flawsmith.sample import Sample, pixel_counts

# A class's pixels in an image may leave the range seen on real samples by this factor.
AREA_SLACK = 2.0
# Pixels around its mask that a candidate may have changed; a wider hole would excuse any change.
WIDEST_HOLE = 64
UNKNOWN = "background not on record"
# Methods whose defects have a real range of areas: drawn defects of their own classes have none,
# transformed samples carry their own.
RANGED = ("paste", "inpaint")
# Methods that paint on a background, and so must name it.
PAINTED = (*RANGED, "procedural")
Range = tuple[float, float]


@dataclass(frozen=True)
class Verdict:
    """Whether a candidate holds; ``reason`` is empty if so. ``digest`` identifies its pixels."""

    id: str
    classes: tuple[str, ...]
    digest: str
    reason: str = ""
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        return not self.reason


def area_ranges(classes: tuple[str, ...], facts: Iterable[Facts]) -> dict[str, Range]:
    """Return, a class seen on real samples, the pixels it may have in an image.

    At least those of its smallest single defect, at most those of the fullest image, with slack.
    """
    smallest: dict[str, int] = {}
    largest: dict[str, int] = {}
    for fact in facts:
        for part in fact.components:
            name = classes[part.plane]
            smallest[name] = min(part.area, smallest.get(name, part.area))
        for plane in fact.planes:
            largest[classes[plane]] = max(fact.pixels[plane], largest.get(classes[plane], 0))
    return {n: (smallest[n] / AREA_SLACK, largest[n] * AREA_SLACK) for n in smallest}


@dataclass(frozen=True)
class Certify:
    """Checks candidate ``i`` by itself; picklable, so that workers can share the candidates.

    candidates: the data set to check; real: the one its backgrounds and sources come from. areas:
    as ``area_ranges`` gives them; they bind what was pasted or inpainted.
    """

    candidates: DataSet
    real: DataSet
    areas: dict[str, Range]

    @cached_property
    def index(self) -> dict[str, int]:
        """Sample id -> place among the real ones."""
        return {name: place for place, name in enumerate(self.real.ids)}

    def __call__(self, index: int) -> Verdict:
        sample = self.candidates[index]
        background, fault = self._background(sample)
        areas = self.areas if sample.meta.get("method") in RANGED else {}
        verdict = check_pair(sample, self.candidates.classes, background, areas)
        return replace(verdict, reason=fault) if fault else verdict

    def _background(self, sample: Sample) -> tuple[Sample | None, str]:
        """Return what the candidate says it was painted on, or None, and what is wrong with that.

        What it says comes from a file that anyone may have changed. Nothing else will do than a
        clean image or a region of a defective one: an old defect would pass for clean.
        """
        name = sample.meta.get("background")
        if name is None and sample.meta.get("method") not in PAINTED:
            return None, ""
        if not isinstance(name, str) or name not in self.index or not _has_hole(sample):
            return None, UNKNOWN
        whole = self.real[self.index[name]]
        try:
            box = region_of(sample.meta)
            background = whole if box is None else cut(whole, box)
        except InputError:
            return None, UNKNOWN
        fits = whole.label == ("good" if box is None else "defective")
        return (background, "") if fits else (None, UNKNOWN)


def certify(candidates: DataSet, real: Scan, workers: int, label: str) -> list[Verdict]:
    """Return the verdict on each candidate, in order; copies are for ``without_copies`` to find.

    real: the images that they were made from, which say how large a defect may be.
    """
    areas = area_ranges(real.dataset.classes, real.facts)
    check = Certify(candidates, real.dataset, areas)
    results = ordered_map(check, range(len(candidates)), workers)
    return list(track(results, label, len(candidates)))


def _has_hole(sample: Sample) -> bool:
    """Tell whether the candidate names the width of its seam, in whole pixels."""
    width = sample.meta.get("hole_px")
    return type(width) is int and 0 <= width <= WIDEST_HOLE


def check_pair(
    sample: Sample,
    classes: tuple[str, ...],
    background: Sample | None,
    areas: dict[str, Range],
) -> Verdict:
    """Check one candidate against its background (None for methods that paint into nothing)."""
    present = tuple(n for n, plane in zip(classes, sample.masks, strict=True) if plane.any())
    scores: dict[str, float] = {}
    reason = _mask_fault(sample, classes, areas)
    if not reason and background is not None:
        reason, scores = _change_fault(sample, background, int(sample.meta["hole_px"]))
    return Verdict(sample.id, present, pixel_digest(sample.image), reason, scores)


def _mask_fault(sample: Sample, classes: tuple[str, ...], areas: dict[str, Range]) -> str:
    if sample.label == "good":
        return ""
    if not sample.masks.any():
        return "mask empty"
    for name, pixels in zip(classes, pixel_counts(sample.masks), strict=True):
        low, high = areas.get(name, (0.0, np.inf))
        if pixels and not low <= pixels <= high:
            return "mask area outside of the real range"
    return ""


def _change_fault(sample: Sample, background: Sample, hole_px: int) -> tuple[str, dict[str, float]]:
    if background.image.shape != sample.image.shape:
        return "size differs from its background", {}
    union = sample.union
    changed = sample.image != background.image
    if changed.ndim == 3:
        changed = changed.any(axis=2)
    if (changed & (distance_outside(union) > hole_px)).any():
        return "background changed outside of the hole", {}
    made, surface = visibility(background.image, sample.image, union)
    scores = {"contrast": round(made, 3), "surface": round(surface, 3)}
    seen = all(is_visible(background.image, sample.image, m) for m in sample.masks if m.any())
    return ("" if seen else "change not visible"), scores


def without_copies(verdicts: Iterable[Verdict], real: Iterable[str]) -> Iterator[Verdict]:
    """Yield the verdicts, rejecting those with the pixels of a real image or of an earlier one.

    real: pixel digests of the real images.
    """
    known = dict.fromkeys(real, "copy of a real image")
    for verdict in verdicts:
        reason = known.get(verdict.digest)
        if verdict.accepted and reason:
            yield Verdict(verdict.id, verdict.classes, verdict.digest, reason, verdict.scores)
            continue
        if verdict.accepted:
            known[verdict.digest] = "copy of another candidate"
        yield verdict


def decision(verdict: Verdict) -> dict[str, Any]:
    """Return what samples.jsonl keeps of a verdict."""
    state = "accepted" if verdict.accepted else "rejected"
    kept: dict[str, Any] = {"decision": state, "scores": verdict.scores}
    return kept if verdict.accepted else {**kept, "reason": verdict.reason}
