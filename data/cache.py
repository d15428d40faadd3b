"""Decoded samples kept for reuse within a byte limit, the least recently used going first."""

from collections import OrderedDict

from flawsmith.data.dataset import DataSet
from flawsmith.sample import Sample

LIMIT = 192 << 20


class SampleCache:
    """Indexable like a data set; decoded samples stay until ``limit`` bytes are exceeded.

    Callers must not change the arrays. Pickled (sent to a worker), it travels empty.
    """

    def __init__(self, dataset: DataSet, limit: int = LIMIT) -> None:
        self.dataset = dataset
        self.limit = limit
        self._kept: OrderedDict[int, Sample] = OrderedDict()
        self._bytes = 0

    def __getitem__(self, index: int) -> Sample:
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        sample = self.dataset[index]
        self._kept[index] = sample
        self._bytes += _size(sample)
        while self._bytes > self.limit and len(self._kept) > 1:
            _, old = self._kept.popitem(last=False)
            self._bytes -= _size(old)
        return sample

    def __reduce__(self) -> tuple[object, ...]:
        return SampleCache, (self.dataset, self.limit)


def _size(sample: Sample) -> int:
    return sample.image.nbytes + sample.masks.nbytes
