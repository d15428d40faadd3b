"""The defect crops of a data set, class by class, with their features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flawsmith.data.scan import Scan
from flawsmith.evaluate.distance import Compute, features_of
from flawsmith.evaluate.features import Extractor
from flawsmith.evaluate.looks import Look, crop_boxes
from flawsmith.evaluate.neighbours import Indices


@dataclass(frozen=True)
class ClassCrops:
    """The crops of one class: (N, D) float32 features, and of each its sample and group.

    samples: (N,) int64, ascending: a sample's place in its scan.
    """

    features: NDArray[np.float32]
    samples: Indices
    groups: tuple[str, ...]


def class_crops(
    found: Scan, extractor: Extractor, compute: Compute, label: str
) -> list[ClassCrops]:
    """Return each class's defect crops, cut as for the distances, by plane."""
    planes: list[int] = []
    seen: list[Look] = []
    for index, fact in enumerate(found.facts):
        for plane in fact.planes:
            name = found.dataset.classes[plane]
            for box in crop_boxes(fact, plane):
                look = Look(index, fact.id, fact.group, "crop", (name,), box, fact.digest)
                seen.append(look)
                planes.append(plane)
    features = features_of(found.dataset, seen, extractor, compute, label)
    return [
        _of_class(features, seen, [i for i, own in enumerate(planes) if own == plane])
        for plane in range(len(found.dataset.classes))
    ]


def _of_class(
    features: NDArray[np.float32], seen: Sequence[Look], places: Sequence[int]
) -> ClassCrops:
    return ClassCrops(
        features[list(places)],
        np.array([seen[i].index for i in places], np.int64),
        tuple(seen[i].group for i in places),
    )
