"""Samples of several data sets put together as one, with additions to their provenance."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from flawsmith.data.build import Refused
from flawsmith.data.dataset import Record, load
from flawsmith.sample import Sample


@dataclass(frozen=True)
class Entry:
    """A sample to copy: its record, the classes of its planes, and what to add to its meta."""

    record: Record
    classes: tuple[str, ...]
    meta: dict[str, Any]


@dataclass(frozen=True)
class Collected:
    """The recipe that copies entries of several data sets under one list of classes."""

    entries: tuple[Entry, ...]
    classes: tuple[str, ...]

    def make(self, index: int) -> Sample | Refused:
        entry = self.entries[index]
        sample = load(entry.record, len(entry.classes))
        masks = np.zeros((len(self.classes), *sample.image.shape[:2]), bool)
        for name, plane in zip(entry.classes, sample.masks, strict=True):
            masks[self.classes.index(name)] = plane
        return replace(sample, masks=masks, meta={**sample.meta, **entry.meta})
