"""How a line of any length is covered by overlapping tiles, and how much each has to say where."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The outer part of an overlap in which a tile is not listened to: it does not see what lies beyond.
DEAF = 4
# Sides of tiles are multiples of the network's coarsest stride.
STRIDE = 32


@dataclass(frozen=True)
class Tiling:
    """How pictures are cut for the prediction, in pixels.

    tile: side of a tile, at most; overlap: what neighbours share; smallest: shorter sides are
    mirrored out to so many, as training crops are; batch: tiles at once.
    """

    tile: int = 384
    overlap: int = 64
    smallest: int = 128
    batch: int = 8

    def __post_init__(self) -> None:
        if not (0 < 2 * self.overlap <= self.tile and self.tile % STRIDE == 0 and self.batch > 0):
            raise ValueError(
                f"tile {self.tile}, overlap {self.overlap}, batch {self.batch}; wanted a multiple "
                f"of {STRIDE}, at most half of it, and at least 1"
            )

    def spans(self, full: int) -> "list[Span]":
        """Return the tiles that cover a line of ``full`` pixels, evenly spaced, of one length.

        None reaches beyond the line unless that is shorter than ``smallest`` or has no room for two
        that share ``overlap``: what would be mirrored there, a dark rim become a dark line, is
        nothing that was learned.
        """
        whole, smallest = full // STRIDE * STRIDE, min(self.smallest, self.tile)
        count = max(2, 1 + -(-(full - self.tile) // (self.tile - self.overlap)))
        least = -(-(full + (count - 1) * self.overlap) // count)
        if whole < max(smallest, least) or whole == full <= self.tile:
            length = max(smallest, _strides(full))
            return [Span(0, length, np.ones(length, np.float32))]
        length = min(whole, max(smallest, _strides(least)))
        starts = [i * (full - length) // (count - 1) for i in range(count)]
        rise = self._rise(length)
        spans = []
        for start in starts:
            left = rise if start else np.ones(length, np.float32)
            right = rise[::-1] if start + length < full else np.ones(length, np.float32)
            spans.append(Span(start, length, np.minimum(left, right)))
        return spans

    def _rise(self, length: int) -> NDArray[np.float32]:
        """Return a tile's weights from its first pixel on: nothing, rising, then 1."""
        deaf = self.overlap // DEAF
        way = (np.arange(length) + 0.5 - deaf) / (self.overlap - 2 * deaf)
        return np.clip(way, 0, 1).astype(np.float32)


def _strides(pixels: int) -> int:
    """Return the next multiple of the stride."""
    return -(-pixels // STRIDE) * STRIDE


@dataclass(frozen=True)
class Span:
    """A tile along one axis: its pixels from ``start`` on, and (length,) float32 weights 0 to 1.

    It may reach beyond the line's end if that is shorter than a tile.
    """

    start: int
    length: int
    weights: NDArray[np.float32]
