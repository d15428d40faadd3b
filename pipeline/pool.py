"""The candidates of all methods in one row, under the real samples' classes."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from flawsmith.data.dataset import DataSet, MaskSource, Record
from flawsmith.data.scan import Facts, Scan
from flawsmith.evaluate.certificate import Verdict
from flawsmith.pipeline.candidates import Scans, Verdicts
from flawsmith.pipeline.settings import RunMethod
from flawsmith.sample import Masks


@dataclass(frozen=True)
class Moved:
    """Masks whose planes stand at other places; ``places[k]`` is that of plane k, -1 for none."""

    source: MaskSource
    places: tuple[int, ...]

    def read(self, shape: tuple[int, int, int]) -> Masks:
        own = self.source.read((len(self.places), *shape[1:]))
        masks = np.zeros(shape, bool)
        for place, plane in zip(self.places, own, strict=True):
            if place >= 0:
                masks[place] = plane
        return masks


@dataclass(frozen=True)
class Pool:
    """Candidates of all methods: those that show real classes only, and with their verdicts.

    found: their scan, classes those of the real samples; methods, verdicts: of each in its order.
    outside: how many more there are, of classes that no real sample has; they are in no row.
    """

    found: Scan
    methods: tuple[RunMethod, ...]
    verdicts: tuple[Verdict, ...]
    outside: int


def pool_of(scans: Scans, verdicts: Verdicts, classes: tuple[str, ...], root: Path) -> Pool:
    """Return the candidates that show nothing but these classes, method by method."""
    records: list[Record] = []
    facts: list[Facts] = []
    methods: list[RunMethod] = []
    kept: list[Verdict] = []
    for method, found in scans.items():
        own = found.dataset.classes
        for record, fact, verdict in zip(
            found.dataset.records, found.facts, verdicts[method], strict=True
        ):
            if is_outside(verdict, classes):
                continue
            methods.append(method)
            kept.append(verdict)
            records.append(record if own == classes else _moved_record(record, own, classes))
            facts.append(fact if own == classes else _moved_facts(fact, own, classes))
    dataset = DataSet(root, "folder", classes, tuple(records))
    outside = sum(len(found.facts) for found in scans.values()) - len(kept)
    return Pool(Scan(dataset, tuple(facts)), tuple(methods), tuple(kept), outside)


def is_outside(verdict: Verdict, classes: tuple[str, ...]) -> bool:
    """Tell whether a candidate shows a class that is not among these."""
    return not set(classes).issuperset(verdict.classes)


def only_others(scans: Scans, classes: tuple[str, ...]) -> bool:
    """Tell whether there are candidates, and none of them shows one of these classes."""
    shown = {
        found.dataset.classes[plane]
        for found in scans.values()
        for fact in found.facts
        for plane in fact.planes
    }
    return bool(shown) and shown.isdisjoint(classes)


def _places(own: tuple[str, ...], classes: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(classes.index(name) if name in classes else -1 for name in own)


def _moved_record(record: Record, own: tuple[str, ...], classes: tuple[str, ...]) -> Record:
    return replace(record, masks=Moved(record.masks, _places(own, classes)))


def _moved_facts(fact: Facts, own: tuple[str, ...], classes: tuple[str, ...]) -> Facts:
    places = _places(own, classes)
    pixels = [0] * len(classes)
    for place, count in zip(places, fact.pixels, strict=True):
        if place >= 0:
            pixels[place] = count
    components = tuple(replace(c, plane=places[c.plane]) for c in fact.components)
    return replace(fact, pixels=tuple(pixels), components=components)
