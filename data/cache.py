"""Decoded samples kept for reuse within a byte limit."""

from flawsmith.data.dataset import DataSet
from flawsmith.sample import Sample

LIMIT = 192 << 20


class SampleCache:
    """Indexable like a data set; decoded samples are kept until ``limit`` bytes are full.

    What does not fit any more is decoded each time. Nothing is thrown out: samples are used in
    turns, and dropping the least recently used would then drop each just before it is needed.
    Callers must not change the arrays. Pickled (sent to a worker), it travels empty.
    """

    def __init__(self, dataset: DataSet, limit: int = LIMIT) -> None:
        self.dataset = dataset
        self.limit = limit
        self._kept: dict[int, Sample] = {}
        self._bytes = 0

    def __getitem__(self, index: int) -> Sample:
        if index in self._kept:
            return self._kept[index]
        sample = self.dataset[index]
        size = sample.image.nbytes + sample.masks.nbytes
        if self._bytes + size <= self.limit:
            self._kept[index] = sample
            self._bytes += size
        return sample

    def __reduce__(self) -> tuple[object, ...]:
        return SampleCache, (self.dataset, self.limit)
