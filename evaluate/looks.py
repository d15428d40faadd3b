"""Which pictures of a data set are compared: whole images, and crops around its defects."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

from flawsmith.data.clusters import clusters
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
RESERVED = (ALL, *WHOLE.values())


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
    ``(all)`` and their class. Defects that give the very same square, as in an image hardly larger
    than one, are one picture: none may stand twice in a scope.
    """
    seen: list[Look] = []
    for index, fact in enumerate(found.facts):
        if fact.label == "unknown":
            continue
        classes = tuple(_scope(found.dataset.classes[plane]) for plane in fact.planes)
        whole = (0, 0, fact.width, fact.height)
        if "image" in views:
            scopes = (WHOLE[fact.label], *classes)
            seen.append(Look(index, fact.id, fact.group, "image", scopes, whole, fact.digest))
        if "crop" in views:
            of_box: dict[Box, tuple[str, ...]] = {}
            for plane, name in zip(fact.planes, classes, strict=True):
                for box in crop_boxes(fact, plane):
                    of_box[box] = (*of_box.get(box, (ALL,)), name)
            for box, scopes in of_box.items():
                seen.append(Look(index, fact.id, fact.group, "crop", scopes, box, fact.digest))
    return seen


def _scope(name: str) -> str:
    """Return what a class is called as a scope; one called like another scope must not mix."""
    return f"class {name}" if name in RESERVED else name


def crop_boxes(fact: Facts, plane: int) -> list[Box]:
    """Return the crops around a class's largest defects in one image, the largest first, each once.

    Squares, unless the image is too small for one.
    """
    boxes = [(c.x, c.y, c.width, c.height) for c in fact.components if c.plane == plane]
    merged = sorted(
        (box for box, _ in clusters(boxes, REACH)), key=lambda box: (-box[2] * box[3], box)
    )
    squares = dict.fromkeys(_square(box, fact.width, fact.height) for box in merged)
    return list(squares)[:CROPS_AN_IMAGE]


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
