"""Which flips a part allows, as its own clean photos tell."""

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.data.dataset import DataSet
from flawsmith.data.scan import Scan
from flawsmith.data.visibility import to_grey

SIZE = 24
MOST = 64
FEWEST = 6
# A flip is left out when flipped photos lie this much farther from the nearest real one.
LIMIT = 1.15


def thumbnails(dataset: DataSet, indices: list[int]) -> NDArray[np.float32]:
    """Return (n, 24, 24) float32, of at most 64 samples, each with mean 0, deviation 1."""
    step = max(1, len(indices) // MOST)
    small = []
    for index in indices[::step][:MOST]:
        grey = to_grey(dataset[index].image).astype(np.float32)
        tiny = np.asarray(cv2.resize(grey, (SIZE, SIZE), interpolation=cv2.INTER_AREA))
        small.append((tiny - tiny.mean()) / (tiny.std() + 1e-3))
    return np.asarray(small, np.float32).reshape(-1, SIZE, SIZE)


def flips_of(found: Scan) -> tuple[bool, bool]:
    """Return which flips (left-right, top-bottom) the clean images allow, or else all images.

    One image a group is looked at: exposures of a part are not its like.
    """
    indices = found.where("good") or list(range(len(found.facts)))
    one_each = list({found.facts[i].group: i for i in indices}.values())
    return allowed_flips(thumbnails(found.dataset, one_each))


def allowed_flips(pictures: NDArray[np.float32]) -> tuple[bool, bool]:
    """Return whether (left-right, top-bottom) flips keep photos among their like.

    Compared are the median distances to the nearest other photo, of photos and of flipped ones.
    With fewer than six photos nothing can be said, and both are allowed.
    """
    if len(pictures) < FEWEST:
        return True, True
    flat = pictures.reshape(len(pictures), -1)
    real = _nearest(flat, flat)
    across = _nearest(pictures[:, :, ::-1].reshape(flat.shape), flat)
    down = _nearest(pictures[:, ::-1].reshape(flat.shape), flat)
    return bool(across <= LIMIT * real), bool(down <= LIMIT * real)


def _nearest(queries: NDArray[np.float32], real: NDArray[np.float32]) -> float:
    """Return the median distance of each query to the nearest real picture but its own."""
    squares = (queries**2).sum(1)[:, None] + (real**2).sum(1) - 2 * queries @ real.T
    np.fill_diagonal(squares, np.inf)
    return float(np.median(np.sqrt(np.maximum(squares.min(axis=1), 0))))
