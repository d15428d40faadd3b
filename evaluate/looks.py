"""Which pictures of a data set are compared: whole images, and crops around its defects."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

from flawsmith.data.dataset import DataSet
from flawsmith.data.images import read_image
from flawsmith.data.scan import Facts, Scan
from flawsmith.evaluate.comparison import Box, View
from flawsmith.sample import Image

# A crop is a square with the defect's longer side and half of it again, and never less than SIDE
# pixels, so that a pit is seen with the surface it lies in.
MARGIN = 1.5
SIDE = 64
# Boxes of one class closer than this (pixels) are one defect: a cluster of pits, a broken line.
REACH = 16
# The largest defects of an image and class; a speckled image must not outvote all others.
CROPS_AN_IMAGE = 4
# In brackets, so that a class may be called like one of them.
ALL = "(all)"
WHOLE = {"good": "(good)", "defective": "(defective)"}


@dataclass(frozen=True)
class Look:
    """One picture: sample ``index`` of its data set, cut to ``box`` (x, y, width, height)."""

    index: int
    id: str
    group: str
    view: View
    scopes: tuple[str, ...]
    box: Box
    digest: str

    @cached_property
    def key(self) -> str:
        """Identifies the picture by content: the image's pixels and the box."""
        return blake2b(f"{self.digest} {self.box}".encode(), digest_size=16).hexdigest()


def looks(found: Scan, views: Sequence[View]) -> list[Look]:
    """Return the pictures of a scanned data set, sample by sample; samples ``unknown`` have none.

    Images count for ``(good)`` or for ``(defective)`` and each of their classes; crops for
    ``(all)`` and their class.
    """
    seen: list[Look] = []
    for index, fact in enumerate(found.facts):
        if fact.label == "unknown":
            continue
        classes = tuple(found.dataset.classes[plane] for plane in fact.planes)
        whole = (0, 0, fact.width, fact.height)
        if "image" in views:
            scopes = (WHOLE[fact.label], *classes)
            seen.append(Look(index, fact.id, fact.group, "image", scopes, whole, fact.digest))
        if "crop" in views:
            for plane, name in zip(fact.planes, classes, strict=True):
                for box in crop_boxes(fact, plane):
                    scopes = (ALL, name)
                    seen.append(Look(index, fact.id, fact.group, "crop", scopes, box, fact.digest))
    return seen


def crop_boxes(fact: Facts, plane: int) -> list[Box]:
    """Return the crops around a class's largest defects in one image, the largest first."""
    boxes = [(c.x, c.y, c.width, c.height) for c in fact.components if c.plane == plane]
    merged = sorted(_merged(boxes), key=lambda box: (-box[2] * box[3], box))
    return [_square(box, fact.width, fact.height) for box in merged[:CROPS_AN_IMAGE]]


def _merged(boxes: list[Box]) -> list[Box]:
    """Join boxes that lie within REACH of one another; a joined box may reach farther ones."""
    apart: list[Box] = []
    for box in boxes:
        while touching := [other for other in apart if _near(box, other)]:
            apart = [other for other in apart if not _near(box, other)]
            box = _around([box, *touching])
        apart.append(box)
    return apart


def _near(a: Box, b: Box) -> bool:
    return (
        a[0] - REACH <= b[0] + b[2]
        and b[0] - REACH <= a[0] + a[2]
        and a[1] - REACH <= b[1] + b[3]
        and b[1] - REACH <= a[1] + a[3]
    )


def _around(boxes: list[Box]) -> Box:
    left, top = min(b[0] for b in boxes), min(b[1] for b in boxes)
    right, bottom = max(b[0] + b[2] for b in boxes), max(b[1] + b[3] for b in boxes)
    return left, top, right - left, bottom - top


def _square(box: Box, width: int, height: int) -> Box:
    """Return the square around a box, moved into the picture, cut where that is too small."""
    x, y, w, h = box
    side = max(round(MARGIN * max(w, h)), SIDE)
    new_w, new_h = min(side, width), min(side, height)
    left = min(max(0, x + w // 2 - new_w // 2), width - new_w)
    top = min(max(0, y + h // 2 - new_h // 2), height - new_h)
    return left, top, new_w, new_h


class Pictures:
    """Loads looks by place, decoding an image once for all its crops in a row."""

    def __init__(self, dataset: DataSet, chosen: Sequence[Look]) -> None:
        self.dataset = dataset
        self.chosen = chosen
        self._last: tuple[int, Image] | None = None

    def __call__(self, place: int) -> Image:
        """Return the uint8 picture (h, w) or (h, w, 3)."""
        look = self.chosen[place]
        if self._last is None or self._last[0] != look.index:
            self._last = look.index, read_image(self.dataset.records[look.index].image)
        x, y, w, h = look.box
        return self._last[1][y : y + h, x : x + w]
