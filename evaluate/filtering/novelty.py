"""Novelty: is a candidate more than a copy of another one?"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from flawsmith.evaluate.filtering.crops import ClassCrops
from flawsmith.evaluate.neighbours import Indices, as_rows, blocks, squares_of


def twins(
    crops: Mapping[int, ClassCrops], limits: Mapping[int, float], order: Sequence[int]
) -> dict[int, int]:
    """Return which samples are near copies of an earlier one: sample -> the first that it is like.

    crops, limits: by plane; order: the samples in question, earlier ones first. Every crop of a
    near copy lies within its class's limit of a crop of an earlier sample that stays: one new
    defect beside an old one is worth having. A crop of a class without a limit counts as new.
    """
    rank = {sample: place for place, sample in enumerate(order)}
    crops_of: dict[int, int] = defaultdict(int)
    near: dict[int, list[set[int]]] = defaultdict(list)
    for plane, own in crops.items():
        for sample in own.samples.tolist():
            crops_of[sample] += 1
        if plane in limits:
            kept = np.array([s in rank for s in own.samples.tolist()], bool)
            for sample, others in _near(own, np.flatnonzero(kept), limits[plane]):
                near[sample].append({o for o in others if rank[o] < rank[sample]})
    found: dict[int, int] = {}
    for sample in order:
        left = [others - found.keys() for others in near[sample]]
        if left and len(left) == crops_of[sample] and all(left):
            found[sample] = min(left[0], key=rank.__getitem__)
    return found


def _near(crops: ClassCrops, places: Indices, limit: float) -> list[tuple[int, set[int]]]:
    """Return, a crop of these places, its sample and the other samples with a crop so near."""
    if not len(places):
        return []
    rows = as_rows(crops.features[places])
    samples = crops.samples[places]
    found: list[tuple[int, set[int]]] = [(int(sample), set()) for sample in samples]
    for part, squares, slack in blocks(rows, rows):
        hits, columns = np.nonzero(squares <= limit * limit + slack)
        hits += part.start
        # The table is rounded; what is near is decided by the differences.
        exact = np.sqrt(squares_of(rows, rows, hits, columns)) <= limit
        other = samples[hits] != samples[columns]
        for row, column in zip(hits[exact & other], columns[exact & other], strict=True):
            found[row][1].add(int(samples[column]))
    return found
