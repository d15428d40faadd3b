"""How real pictures were shown to a generator: what a sample has to be compared with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from flawsmith.data.manifest import MANIFEST
from flawsmith.data.tables import read_json
from flawsmith.errors import InputError
from flawsmith.gen.sizes import fitted
from flawsmith.progress import say
from flawsmith.sample import Image


def scaled_to(image: Image, size: tuple[int, int]) -> Image:
    """Return the picture (H, W[, 3]) scaled to cover (width, height), cut in the middle."""
    return fitted(image, np.zeros((0, *image.shape[:2]), bool), size)[0]


def window_of(image: Image, size: tuple[int, int]) -> Image:
    """Return the window of (width, height) in the picture's middle, as much of it as there is."""
    left, top = ((have - want) // 2 for have, want in zip(image.shape[1::-1], size, strict=True))
    left, top = max(0, left), max(0, top)
    return np.ascontiguousarray(image[top : top + size[1], left : left + size[0]])


def fit_of(samples: Path) -> Callable[[Image, tuple[int, int]], Image]:
    """Return how real pictures are brought to the size of the samples in a folder.

    Samples of windows are compared with windows, all others with whole pictures, scaled; where the
    folder does not tell, that is said.
    """
    try:
        content: Any = read_json(samples / MANIFEST)
        windows = content["made_by"]["run"]["gen"]["crop"] is not None
    except (InputError, KeyError, TypeError):
        windows = False
        say(
            "note: the samples do not say how their network saw real pictures; these are scaled. "
            "For one of windows (--crop) give the folder that gen sample wrote"
        )
    return window_of if windows else scaled_to
