"""Where a defect may lie: a region of interest, and a place within it."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.data.images import read_index
from flawsmith.data.surfaces import Surface
from flawsmith.data.visibility import to_grey
from flawsmith.errors import InputError
from flawsmith.sample import Image, Masks

# A margin is near black or near white, flat, and touches the image's border.
DARK_SHARE = 0.25
DARK_FLOOR = 12
BRIGHT = 250
MIN_BRIGHT_BORDER = 0.5
MIN_MARGIN_SHARE = 0.01
MIN_PART_SHARE = 0.05


def foreground(image: Image) -> Masks:
    """Return (H, W) bool: the part, without a black or white margin such as a strip's.

    A margin is an area connected to the image's border that, smoothed, is darker than a quarter of
    the median grey level; or brighter than 250 along most of the border, as on a light table (a
    glaring part also touches a border, but not most of it). If hardly anything would remain, all
    is the part.
    """
    grey = np.asarray(cv2.medianBlur(to_grey(image), 5), np.uint8)
    dark = grey <= max(DARK_FLOOR, DARK_SHARE * _median(grey))
    margin = _touching_border(dark)
    bright = _touching_border(grey >= BRIGHT)
    if _border(bright).mean() > MIN_BRIGHT_BORDER:
        margin |= bright
    if margin.mean() < MIN_MARGIN_SHARE or margin.mean() > 1 - MIN_PART_SHARE:
        return np.ones(grey.shape, bool)
    grown = cv2.dilate(margin.view(np.uint8), np.ones((5, 5), np.uint8))
    return np.asarray(grown == 0)


def _median(grey: Image) -> float:
    """Return the median, counted: a tenth of the time of sorting a strip's pixels."""
    below = np.cumsum(np.bincount(grey.ravel(), minlength=256))
    middle = [(grey.size - 1) // 2, grey.size // 2]
    return float(np.searchsorted(below, middle, side="right").mean())


def _touching_border(area: Masks) -> Masks:
    if not _border(area).any():
        return np.zeros(area.shape, bool)
    count, labels = cv2.connectedComponents(area.view(np.uint8), connectivity=4)
    sizes = np.bincount(labels.ravel(), minlength=count)
    kept = np.zeros(count, bool)
    kept[np.unique(_border(labels))] = True
    kept[0] = False
    kept &= sizes >= MIN_MARGIN_SHARE * area.size
    return np.take(kept, np.asarray(labels, np.intc))


def _border(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return the values along the four sides."""
    return np.concatenate([array[0], array[-1], array[:, 0], array[:, -1]])


@dataclass(frozen=True)
class Region:
    """The allowed region of each image: a user's picture, or the part found automatically."""

    roi: Path | None = None

    def of(self, image: Image) -> Masks:
        """Return (H, W) bool; raises InputError when the user's picture has another size."""
        if self.roi is None:
            return foreground(image)
        allowed = _allowed(self.roi, self.roi.stat().st_mtime_ns if self.roi.is_file() else 0)
        if allowed.shape != image.shape[:2]:
            raise InputError(
                f"the region of interest is {allowed.shape[1]}x{allowed.shape[0]}, "
                f"an image {image.shape[1]}x{image.shape[0]}",
                where=self.roi,
                mend="draw it at the size of the images",
            )
        if not allowed.any():
            raise InputError("the region of interest is empty", where=self.roi)
        return allowed


# Bytes of regions kept by a process; a strip's is 50 kB, so this holds those of a thousand.
LIMIT = 64 << 20


class Regions:
    """The regions of surfaces, found once and kept as bits until ``limit`` bytes are full.

    To find the part takes as long as to paint a defect. What does not fit is found each time, as
    for a ``SampleCache``. Pickled (sent to a worker), it travels empty.
    """

    def __init__(self, roi: Path | None = None, limit: int = LIMIT) -> None:
        self.region = Region(roi)
        self.limit = limit
        self._kept: dict[Surface, tuple[NDArray[np.uint8], int]] = {}
        self._bytes = 0

    def of(self, surface: Surface, image: Image) -> Masks:
        """Return where defects may lie, (h, w) bool of the surface's own size.

        image: the whole one, (H, W[, 3]), even if the surface is a box of it: what lies around
        tells the part from a margin. Raises InputError as ``Region.of`` does.
        """
        if surface in self._kept:
            bits, width = self._kept[surface]
            return np.unpackbits(bits, axis=-1, count=width).view(np.bool_)
        found = self.region.of(image)
        if surface.box is not None:
            x, y, width, height = surface.box
            found = found[y : y + height, x : x + width]
        bits = np.packbits(found, axis=-1)
        if self._bytes + bits.nbytes <= self.limit:
            self._kept[surface] = bits, found.shape[1]
            self._bytes += bits.nbytes
        return found

    def __reduce__(self) -> tuple[object, ...]:
        return Regions, (self.region.roi, self.limit)


@dataclass(frozen=True)
class Wish:
    """Where a defect would like to lie: at these borders, and about this relative centre (x, y)."""

    touches: frozenset[str] = frozenset()
    centre: tuple[float, float] | None = None


@lru_cache(maxsize=1)
def _allowed(roi: Path, modified: int) -> Masks:
    """Decode the picture once a process, and again if it is redrawn under its name."""
    return read_index(roi) > 0


TRIES = 12
# Spread of an empirical position about its wish, as a share of the image's size.
SPREAD = 0.05


def places(
    generator: np.random.Generator,
    mask: Masks,
    region: Masks,
    taken: Masks,
    wish: Wish,
    wanted: int = 1,
) -> list[tuple[int, int]]:
    """Return up to ``wanted`` top lefts (row, column) where a tight (h, w) mask fits; maybe none.

    It must lie in the (H, W) region and on nothing taken. A defect that was cut by a border of its
    photo is put at the same border again: its straight edge would give it away elsewhere.
    """
    free = region & ~taken
    room = tuple(np.subtract(free.shape, mask.shape))
    found: list[tuple[int, int]] = []
    if min(room) < 0:
        return found
    for _ in range(TRIES * wanted):
        corner = [int(generator.integers(0, space + 1)) for space in room]
        if wish.centre is not None:
            centre = np.multiply(wish.centre[::-1], free.shape)
            drawn = centre - np.divide(mask.shape, 2) + _jitter(generator, free)
            corner = np.clip(drawn, 0, room).astype(int).tolist()
        row, column = _at_border(corner, room, wish.touches)
        view = free[row : row + mask.shape[0], column : column + mask.shape[1]]
        if view[mask].all():
            found.append((row, column))
            if len(found) == wanted:
                break
    return found


def _jitter(generator: np.random.Generator, free: Masks) -> NDArray[np.float64]:
    return generator.normal(0, SPREAD, 2) * free.shape


def _at_border(
    corner: list[int], room: tuple[int, ...], touches: frozenset[str]
) -> tuple[int, int]:
    row = 0 if "top" in touches else room[0] if "bottom" in touches else corner[0]
    column = 0 if "left" in touches else room[1] if "right" in touches else corner[1]
    return row, column
