"""Decoded samples kept for reuse within a byte limit."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flawsmith.data.dataset import DataSet
from flawsmith.sample import Masks, Sample

LIMIT = 192 << 20


@dataclass(frozen=True)
class _Packed:
    """A sample whose masks are kept as bits: with several classes they outweigh the image."""

    bare: Sample
    bits: NDArray[np.uint8]
    width: int

    @staticmethod
    def of(sample: Sample) -> "_Packed":
        none: Masks = np.zeros((0, *sample.masks.shape[1:]), bool)
        bits = np.packbits(sample.masks, axis=-1)
        return _Packed(replace(sample, masks=none), bits, sample.masks.shape[2])

    def unpack(self) -> Sample:
        masks = np.unpackbits(self.bits, axis=-1, count=self.width).view(np.bool_)
        return replace(self.bare, masks=masks)

    @property
    def size(self) -> int:
        return self.bare.image.nbytes + self.bits.nbytes


class SampleCache:
    """Indexable like a data set; decoded samples are kept until ``limit`` bytes are full.

    What does not fit any more is decoded each time. Nothing is thrown out: samples are used in
    turns, and dropping the least recently used would then drop each just before it is needed.
    Callers must not change the arrays. Pickled (sent to a worker), it travels empty.
    """

    def __init__(self, dataset: DataSet, limit: int = LIMIT) -> None:
        self.dataset = dataset
        self.limit = limit
        self._kept: dict[int, _Packed] = {}
        self._bytes = 0

    def __getitem__(self, index: int) -> Sample:
        if index in self._kept:
            return self._kept[index].unpack()
        sample = self.dataset[index]
        packed = _Packed.of(sample)
        if self._bytes + packed.size <= self.limit:
            self._kept[index] = packed
            self._bytes += packed.size
        return sample

    def __reduce__(self) -> tuple[object, ...]:
        return SampleCache, (self.dataset, self.limit)
