"""A data set that many runs of a comparison use: what they all need of it is worked out once."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np

from flawsmith.data.cache import SampleCache
from flawsmith.data.scan import Scan
from flawsmith.data.symmetry import flips_of


@dataclass(frozen=True, eq=False)
class ReadOnce:
    """A scanned data set; each of its properties is read from the disk when first asked for."""

    found: Scan

    @cached_property
    def samples(self) -> SampleCache:
        """Its samples, decoded once as far as the cache has room."""
        return SampleCache(self.found.dataset)

    @cached_property
    def digest(self) -> str:
        """What ``content_digest`` says of it."""
        return content_digest(self.found)

    @cached_property
    def flips(self) -> tuple[bool, bool]:
        """Which flips (left-right, top-bottom) its pictures allow."""
        return flips_of(self.found)


def content_digest(found: Scan) -> str:
    """Return a SHA-256 of all that a comparison uses of a data set, wherever it lies.

    That is the classes, and of each sample id, label, group, pixels and masks. Masks are read;
    pictures are not, their digests are the scan's.
    """
    classes = found.dataset.classes
    state = sha256(json.dumps(classes).encode())
    for record, fact in zip(found.dataset.records, found.facts, strict=True):
        state.update(json.dumps(asdict(fact), sort_keys=True).encode())
        if any(fact.pixels):
            masks = record.masks.read((len(classes), fact.height, fact.width))
            state.update(np.packbits(masks).data)
    return state.hexdigest()
