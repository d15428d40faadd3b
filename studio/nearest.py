"""The real defect that looks most like a candidate's: its crop's nearest neighbour by features.

Cut and measured as for the filter's quality step, so what is shown beside a candidate is what the
filter has held it against.
"""

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flawsmith.data.dataset import DataSet
from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.data.scan import Scan, facts_of, scan
from flawsmith.data.thumbnails import Box
from flawsmith.errors import InputError
from flawsmith.evaluate.distance import Compute
from flawsmith.evaluate.feature_store import FeatureStore
from flawsmith.evaluate.features import Extractor, open_extractor
from flawsmith.evaluate.filtering.crops import ClassCrops, class_crops
from flawsmith.evaluate.looks import crop_boxes
from flawsmith.evaluate.neighbours import nearest
from flawsmith.sample import Sample
from flawsmith.studio.paths import Roots


@dataclass(frozen=True)
class Found:
    """The nearest real crop: sample ``place`` of the real ones, its box, and how far it is."""

    place: int
    id: str
    name: str
    box: Box
    distance: float


class Nearest:
    """Finds it; the first call looks at all real images, which may take a while."""

    def __init__(self, real: Path, cache: Path, device: str, roots: Roots) -> None:
        self._folder, self._cache, self._device, self._roots = real, cache, device, roots
        self._lock = threading.Lock()
        self._known: tuple[Scan, list[ClassCrops], Extractor] | None = None

    @property
    def real(self) -> DataSet:
        return self._all()[0].dataset

    def of(self, sample: Sample, classes: tuple[str, ...]) -> Found | None:
        """Return the real crop nearest to any of the sample's crops, of the same class.

        None for a sample without a defect, or where no real image shows its class.
        """
        found, crops, extractor = self._all()
        network = extractor.network(self._device)
        facts = facts_of(sample)
        best: Found | None = None
        for plane in facts.planes:
            known = self._of_class(found, crops, classes[plane])
            boxes = crop_boxes(facts, plane)
            if known is None or not boxes:
                continue
            views = [sample.image[y : y + h, x : x + w] for x, y, w, h in boxes]
            with self._lock:
                features = network.run([network.prepare(view) for view in views])
            distances, rows = nearest(np.asarray(features, np.float32), known.features)
            first = int(distances.argmin())
            if best is None or distances[first] < best.distance:
                best = _found(found, known, int(rows[first]), classes[plane], distances[first])
        return best

    def _of_class(self, found: Scan, crops: list[ClassCrops], name: str) -> ClassCrops | None:
        names = found.dataset.classes
        known = crops[names.index(name)] if name in names else None
        return known if known is not None and len(known.samples) else None

    def _all(self) -> tuple[Scan, list[ClassCrops], Extractor]:
        with self._lock:
            if self._known is None:
                self._roots.inside(self._folder)
                options = ReadOptions(on_error="skip")
                found = scan(read_dataset(self._folder, options), on_error="skip")
                shown = found.select([i for i, fact in enumerate(found.facts) if fact.planes])
                extractor = open_extractor("lite0")
                store = FeatureStore(self._cache, extractor.version)
                compute = Compute(store, self._device)
                crops = class_crops(shown, extractor, compute, "features real")
                self._known = shown, crops, extractor
            return self._known


def _found(found: Scan, known: ClassCrops, row: int, name: str, distance: float) -> Found:
    place = int(known.samples[row])
    plane = found.dataset.classes.index(name)
    first = int(np.flatnonzero(known.samples == place)[0])
    boxes = crop_boxes(found.facts[place], plane)
    if not 0 <= row - first < len(boxes):
        raise InputError("the real images changed", where=found.dataset.root)
    return Found(place, found.facts[place].id, name, boxes[row - first], float(distance))
