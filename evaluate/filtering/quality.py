"""Quality: does a candidate's defect look like real ones of its class?

The distance is that to the one nearest real crop, not to several: where real defects of a rare look
are few, a candidate that looks like one of them is as real as it. How often each look occurs is for
the selection to even out.
"""

import numpy as np

from flawsmith.evaluate.filtering.crops import ClassCrops
from flawsmith.evaluate.neighbours import Rows, nearest


def to_real(made: ClassCrops, real: ClassCrops) -> Rows:
    """Return (N,): each made crop's distance to the nearest real crop of its class."""
    if not len(made.samples):
        return np.zeros(0)
    return nearest(made.features, real.features)[0]


def farthest(distances: Rows, crops: ClassCrops, count: int) -> Rows:
    """Return (count,): the largest distance among a sample's crops, NaN where it has none."""
    found = np.full(count, np.nan)
    np.fmax.at(found, crops.samples, distances)
    return found


def closest(distances: Rows, crops: ClassCrops, count: int) -> Rows:
    """Return (count,): the smallest distance among a sample's crops, NaN where it has none."""
    found = np.full(count, np.nan)
    np.fmin.at(found, crops.samples, distances)
    return found
