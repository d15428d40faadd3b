"""Surfaces: what defects can be painted on. Clean images, or else defect-free parts of the others.

A set without any clean image still shows clean surface around its defects. Each defective image
lends its best rectangle without a mark, which then is an image of its own: no old defect lies in
it, so whatever a candidate shows was painted, and is marked.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.data.dataset import DataSet
from flawsmith.data.parallel import ordered_map
from flawsmith.data.scan import Scan
from flawsmith.errors import InputError
from flawsmith.progress import track
from flawsmith.sample import Image, Masks, Sample

Box = tuple[int, int, int, int]
# Returns where an image shows the part, (H, W) bool; picklable.
Part = Callable[[Image], Masks]
# Rectangles are made of square cells of so many pixels; one that a border cuts is smaller.
CELL = 8
# A cell with a mark so near is not free, since masks are imperfect. One cell: see ``free_cells``.
MARGIN = CELL
# The methods of generated pictures and of plates joined from parts, what is kept of their
# provenance, and under which name.
GENERATOR, JOINER, GENERATED = "gen", "assemble", "generated"
TOLD = ("arch", "run", "weights", "seed", "index")
# Where no rectangle has the sides wanted, one with sides this many times shorter will do.
SHORTER = 4


@dataclass(frozen=True)
class Surface:
    """A clean sample, by its number in its data set, or a defect-free box of a defective one.

    box: (x, y, width, height) in pixels; None is the whole image. shows: the classes, as planes,
    that the image of a box shows: a class may occur on one kind of surface only.
    """

    sample: int
    box: Box | None = None
    shows: tuple[int, ...] = ()

    def of(self, whole: Sample) -> Sample:
        """Return the surface of its decoded sample: label good; see ``cut`` for a box.

        A whole one loses its meta (``region`` in there would be somebody else's) but for
        ``generated``: what a generator of whole pictures has said of it.
        """
        return replace(whole, meta=origin_of(whole)) if self.box is None else cut(whole, self.box)

    def size(self, found: Scan) -> tuple[int, int]:
        """Return width and height in pixels."""
        facts = found.facts[self.sample]
        return (facts.width, facts.height) if self.box is None else self.box[2:]


def surfaces_of(
    found: Scan, wanted: int, workers: int = 1, part: Part | None = None
) -> tuple[Surface, ...]:
    """Return all clean samples, or, if there is none, a free box of each defective one that has it.

    wanted: pixels that both sides of a box should have; part: where an image shows the part, for a
    box beside it is of no use; see ``largest_free``. Only without clean images is anything decoded
    for that. The result does not depend on ``workers``.
    """
    good = found.where("good")
    if good:
        return tuple(map(Surface, good))
    marked = _marked(found)
    look = _Look(found.select(marked).dataset, wanted, part)
    boxes = track(ordered_map(look, range(len(marked)), workers), "regions", len(marked))
    pairs = zip(marked, boxes, strict=True)
    return tuple(
        Surface(index, box, found.facts[index].planes) for index, box in pairs if box is not None
    )


def showing(surfaces: tuple[Surface, ...], planes: Container[int]) -> tuple[Surface, ...]:
    """Return the surfaces of images that show one of the classes; all if there is none.

    On whole images, which are clean, any class may be painted.
    """
    if not surfaces or surfaces[0].box is None:
        return surfaces
    return tuple(s for s in surfaces if any(p in planes for p in s.shows)) or surfaces


def has_surface(found: Scan, wanted: int, part: Part | None = None) -> bool:
    """Tell whether ``surfaces_of`` finds any; decodes no more than up to the first that has one."""
    if found.where("good"):
        return True
    marked = _marked(found)
    look = _Look(found.select(marked).dataset, wanted, part)
    return any(look(place) is not None for place in range(len(marked)))


def notices_of(found: Scan, surfaces: tuple[Surface, ...]) -> tuple[str, ...]:
    """Return what a user should know of the surfaces: that they are regions, if they are."""
    if all(surface.box is None for surface in surfaces):
        return ()
    return (
        f"no clean image: {len(surfaces)} defect-free regions of {len(_marked(found))} defective "
        "images are painted on",
    )


def cut(sample: Sample, box: Box) -> Sample:
    """Return a defect-free box (x, y, width, height) of a sample as a clean sample of its own.

    Id and group stay; ``region`` in its meta names the box. Raises InputError when the box leaves
    the image or holds a mark.
    """
    x, y, width, height = box
    full = sample.size
    if min(x, y) < 0 or min(width, height) < 1 or x + width > full[0] or y + height > full[1]:
        raise InputError(
            f"the region {list(box)} (x, y, width, height) leaves the image of {full[0]}x{full[1]}",
            where=sample.id,
        )
    view = (slice(y, y + height), slice(x, x + width))
    if sample.masks[(slice(None), *view)].any():
        raise InputError(f"the region {list(box)} holds a marked defect", where=sample.id)
    return replace(
        sample,
        image=sample.image[view].copy(),
        masks=np.zeros((len(sample.masks), height, width), bool),
        label="good",
        meta={"region": list(box)},
    )


def origin_of(whole: Sample) -> dict[str, Any]:
    """Return ``generated`` with the run, its weights' digest, seed and number, or nothing.

    Of a plate joined from parts: the same of each generated part, by the part's name. Only of what
    ``gen sample`` or ``gen assemble`` has made; a sample's meta may hold anything else.
    """
    if whole.meta.get("method") == GENERATOR:
        return {GENERATED: _told(whole.meta)}
    parts = whole.meta.get("parts")
    if whole.meta.get("method") != JOINER or not isinstance(parts, dict):
        return {}
    known = {name: own.get("meta") for name, own in parts.items() if isinstance(own, dict)}
    told = {
        name: _told(meta)
        for name, meta in known.items()
        if isinstance(meta, dict) and meta.get("method") == GENERATOR
    }
    return {GENERATED: told} if told else {}


def _told(meta: dict[str, Any]) -> dict[str, Any]:
    told = {name: meta.get(name) for name in TOLD}
    return {name: value for name, value in told.items() if isinstance(value, (str, int))}


def region_of(meta: dict[str, Any]) -> Box | None:
    """Return the box that a candidate's provenance names, or None; the reverse of ``cut``.

    Raises InputError unless it is a list of four whole numbers.
    """
    region = meta.get("region")
    if region is None:
        return None
    if not isinstance(region, list) or [type(n) for n in region] != [int] * 4:
        raise InputError("the region is no list of x, y, width and height in whole pixels")
    x, y, width, height = region
    return x, y, width, height


def largest_free(union: Masks, wanted: int, part: Masks | None = None) -> Box | None:
    """Return the box (x, y, width, height) of free cells that shows most of the part.

    union: (H, W) bool, the marks; part: (H, W) bool, or None for everything. Both sides are at
    least ``wanted`` pixels long, and so many squared are of the part; if no box is like that, a
    quarter of ``wanted`` will do; if still none is, there is none. Of equals the upper one counts,
    then the left, then the wider.
    """
    ys, xs = (_edges(length) for length in union.shape)
    left, top, right, bottom = rectangles(free_cells(union))
    x, y, width, height = xs[left], ys[top], xs[right] - xs[left], ys[bottom] - ys[top]
    shown = width * height
    if part is not None:
        # Pixels of the part above and left of each corner of the cells.
        sums = cv2.integral(part.view(np.uint8))[np.ix_(ys, xs)].astype(np.intp)
        shown = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    best_first = np.lexsort((-width, x, y, -shown))
    side = np.minimum(np.minimum(width, height), np.sqrt(shown))[best_first]
    for least in (wanted, wanted // SHORTER):
        fitting = best_first[side >= max(least, 1)]
        if len(fitting):
            x0, y0, w, h = (int(values[fitting[0]]) for values in (x, y, width, height))
            return x0, y0, w, h
    return None


def free_cells(union: Masks) -> Masks:
    """Return (rows, columns) bool: the cells of (H, W) marks without a mark in or near them.

    Near is within MARGIN pixels, diagonally too: that is in one of the eight cells around.
    """
    ys, xs = (_edges(length)[:-1] for length in union.shape)
    marked = np.logical_or.reduceat(np.logical_or.reduceat(union, ys, axis=0), xs, axis=1)
    return np.asarray(cv2.dilate(marked.view(np.uint8), np.ones((3, 3), np.uint8)) == 0)


def rectangles(free: Masks) -> NDArray[np.intp]:
    """Return (4, N): rectangles of free cells, left, top, right, bottom (the last two exclusive).

    Each rectangle that cannot grow is among them. free: (rows, columns) bool. Row by row: the free
    cells above a cell make a column, ``height`` cells long; ``left`` and ``right`` bound the widest
    rectangle that holds this column and is as high.
    """
    rows, columns = free.shape
    number = np.arange(columns)
    height, left, right = (np.full(columns, value) for value in (0, 0, columns))
    found = np.empty((4, rows, columns), np.intp)
    for row, here in enumerate(free):
        # Where the run of free cells within this row starts and ends.
        start = np.maximum.accumulate(np.where(here, 0, number + 1))
        end = np.minimum.accumulate(np.where(here, columns, number)[::-1])[::-1]
        height = np.where(here, height + 1, 0)
        left = np.where(here, np.maximum(left, start), 0)
        right = np.where(here, np.minimum(right, end), columns)
        for values, now in zip(found, (left, row + 1 - height, right, row + 1), strict=True):
            values[row] = now
    return np.asarray(found[:, free])


def _edges(length: int) -> NDArray[np.intp]:
    """Return where the cells along a side start, and where the last one ends."""
    return np.append(np.arange(0, length, CELL), length)


def _marked(found: Scan) -> list[int]:
    return [i for i in found.where("defective") if found.facts[i].planes]


@dataclass(frozen=True)
class _Look:
    """Finds the box of a sample; picklable."""

    dataset: DataSet
    wanted: int
    part: Part | None

    def __call__(self, index: int) -> Box | None:
        sample = self.dataset[index]
        part = None if self.part is None else self.part(sample.image)
        return largest_free(sample.union, self.wanted, part)
