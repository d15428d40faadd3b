"""The halves of the real groups that two segmenters or detectors learn from; loads no torch."""

from flawsmith.data.scan import Scan
from flawsmith.data.split import split_groups

HALVES = (0.5, 0.5)


def halves_of(real: Scan, seed: int) -> list[list[int]]:
    """Return the indices of each half: whole groups, stratified by class."""
    return split_groups(real.facts, HALVES, seed)


def can_halve(real: Scan, seed: int) -> bool:
    """Tell whether both halves of the groups show a defect, so that a segmenter can learn."""
    return all(any(real.facts[i].planes for i in part) for part in halves_of(real, seed))
