"""COCO instance annotations: a JSON of polygons or run lengths, here or in ``annotations/``.

What is written is one annotation for each class and 8-connected component, with compressed run
lengths: no pixel is lost even where classes overlap.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from flawsmith.data.coco_tables import (
    Picture,
    annotation_files,
    merge_names,
    pictures,
    read_table,
)
from flawsmith.data.dataset import DataSet, Record
from flawsmith.data.reading import Reading, unique_ids
from flawsmith.data.rle import Mask, decode_counts, decompress, encode_counts
from flawsmith.data.writing import Lines, Spec, write_lines, write_picture
from flawsmith.errors import InputError
from flawsmith.sample import Masks, Sample

NAME = "coco"
FILE = "annotations.json"
# pycocotools draws a polygon at 5 times its size: 40 bytes of memory for a pixel of its outline.
MAX_OUTLINE = 4_000_000


@dataclass(frozen=True)
class Segments:
    """The annotations of one image: (plane, COCO's ``segmentation``, the annotation's place).

    size: (width, height) as the image's entry states it, or None.
    """

    segments: tuple[tuple[int, Any, str], ...]
    size: tuple[int, int] | None
    table: Path

    def read(self, shape: tuple[int, int, int]) -> Masks:
        height, width = shape[1:]
        if self.size is not None and self.size != (width, height):
            raise InputError(
                f"the image is {width}x{height}, by its entry {self.size[0]}x{self.size[1]}",
                where=self.table,
            )
        masks = np.zeros(shape, bool)
        for plane, segmentation, where in self.segments:
            with placed(where):
                masks[plane] |= decode(segmentation, height, width)
        return masks


@contextmanager
def placed(where: str) -> Iterator[None]:
    """Give an InputError that knows no place this one."""
    try:
        yield
    except InputError as error:
        raise InputError(error.what, where=where, mend=error.mend) from error


def decode(segmentation: object, height: int, width: int) -> Mask:
    """Return the (height, width) bool mask of COCO polygons or run lengths.

    Everything is checked before pycocotools' C code sees it; raises InputError.
    """
    if isinstance(segmentation, list):
        mask = np.zeros((height, width), bool)
        for polygon in segmentation:
            mask |= _fill(polygon, height, width)
        return mask
    if not isinstance(segmentation, dict):
        raise InputError("'segmentation' is neither a list of polygons nor run lengths")
    if segmentation.get("size") != [height, width]:
        size = str(segmentation.get("size"))[:60]
        raise InputError(f"'size' is {size}, the image's is [{height}, {width}] (height, width)")
    counts = segmentation.get("counts")
    if isinstance(counts, str):
        return decompress(counts, height, width)
    if isinstance(counts, list):
        return decode_counts(counts, height, width)
    raise InputError("'counts' is neither a text nor a list")


def _fill(polygon: object, height: int, width: int) -> Mask:
    if not isinstance(polygon, list) or not all(type(n) in (int, float) for n in polygon):
        raise InputError("a polygon is no list of numbers")
    if len(polygon) < 6 or len(polygon) % 2:
        raise InputError(f"a polygon of {len(polygon)} numbers; wanted 3 or more pairs of x and y")
    # Whole numbers in JSON have no bound: compare before they become floats. NaN fails as well.
    if not all(-width <= x <= 2 * width for x in polygon[::2]) or not all(
        -height <= y <= 2 * height for y in polygon[1::2]
    ):
        raise InputError(f"a polygon leaves the {width}x{height} image by far, or is not finite")
    points = np.array(polygon, float).reshape(-1, 2)
    if np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum() > MAX_OUTLINE:
        raise InputError(f"a polygon's outline is longer than {MAX_OUTLINE:,} pixels")
    (rle,) = coco_mask.frPyObjects([points.ravel().tolist()], height, width)
    return decompress(str(rle["counts"], "ascii"), height, width)


def detect(root: Path) -> str | None:
    """Return what was seen if a JSON of ``root`` names images, annotations and categories."""
    files = annotation_files(Reading(root, "skip"))
    return f"{files[0].relative_to(root).as_posix()} with annotations" if files else None


def read(reading: Reading, classes: tuple[str, ...] | None) -> DataSet:
    """Read all annotation files; bad entries go through ``reading.refuse``.

    An image without annotations is clean; one with a bad entry or annotation takes no part, since
    what is left of it might look clean; one that no file lists is ``unknown``.
    """
    root = reading.root
    files = annotation_files(reading)
    if not files:
        raise InputError("no JSON with images and annotations, nor any in annotations/", where=root)
    tables = []
    for path in files:
        with reading.entry():
            tables.append(read_table(reading, path))
    names = merge_names(tables, classes)
    listed = dict(pictures(reading, tables))
    folders = {path.parent for path in listed} | {root / "images"}
    strays = [p for p in reading.images() if p.parent in folders and p not in listed]
    ids = unique_ids(reading, sorted([*listed, *strays]), root)
    usable = sorted((path, picture) for path, picture in listed.items() if path in ids)
    records = [r for p, v in usable for r in _records(reading, ids[p], p, v, names)]
    for path in (path for path in strays if path in ids):
        reading.pass_over(path, "no annotation file lists it: label unknown, not used")
        records.append(Record(ids[path], path, declared="unknown"))
    return DataSet(root, NAME, names, tuple(records))


def _records(
    reading: Reading, key: str, path: Path, picture: Picture, names: tuple[str, ...]
) -> Iterator[Record]:
    if picture.bad:
        reading.pass_over(path, "its entry or an annotation of it is bad: not used")
        return
    segments = tuple((names.index(name), what, at) for name, what, at in picture.segments)
    yield Record(
        key,
        path,
        Segments(segments, picture.size, picture.table),
        declared="defective" if segments else "by-mask",
        meta={"split": picture.split} if picture.split else {},
    )


def write_sample(root: Path, index: int, sample: Sample, spec: Spec) -> dict[str, Any]:
    """Write the image; its annotations come back, without the ids that only ``finish`` knows."""
    image = write_picture(root, f"images/{sample.id}", sample, spec)
    found = [a for plane, mask in enumerate(sample.masks, 1) for a in _annotations(plane, mask)]
    return {"image": image, "annotations": found}


def _annotations(category: int, mask: Mask) -> Iterator[dict[str, Any]]:
    height, width = mask.shape
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    for number in range(1, count):
        left, top, wide, high, area = map(int, stats[number])
        # Only the component's columns are encoded; what lies left and right is one run each.
        runs = encode_counts(labels[:, left : left + wide] == number).tolist()
        runs[0] += left * height
        rest = (width - left - wide) * height
        runs = [*runs[:-1], runs[-1] + rest] if len(runs) % 2 else [*runs, rest]
        size = [height, width]
        rle = coco_mask.frPyObjects({"size": size, "counts": runs}, height, width)
        yield {
            "category_id": category,
            "segmentation": {"size": size, "counts": str(rle["counts"], "ascii")},
            "bbox": [left, top, wide, high],
            "area": area,
            "iscrowd": 0,
        }


def finish(root: Path, spec: Spec, lines: Lines) -> list[str]:
    """Write ``annotations.json``, streaming; images whose label is unknown are left out of it."""
    write_lines(root / FILE, _document(spec, lines))
    unlisted = sum(not _is_listed(line) for line in lines())
    if not unlisted:
        return []
    return [
        f"{unlisted} images of unknown label are not listed in {FILE}, "
        "since COCO counts an image without annotations as clean"
    ]


def _is_listed(line: dict[str, Any]) -> bool:
    return line["label"] == "good" or bool(line["part"]["annotations"])


def _document(spec: Spec, lines: Lines) -> Iterator[str]:
    categories = [{"id": number, "name": name} for number, name in enumerate(spec.classes, 1)]
    yield f'{{"categories": {_json(categories)},'
    yield '"images": ['
    yield from _separated(_images(lines))
    yield '],\n"annotations": ['
    yield from _separated(_numbered(lines))
    yield "]}"


def _images(lines: Lines) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines(), 1):
        if _is_listed(line):
            name = line["part"]["image"].removeprefix("images/")
            size = {"width": line["width"], "height": line["height"]}
            yield {"id": number, "file_name": name, **size}


def _numbered(lines: Lines) -> Iterator[dict[str, Any]]:
    found = ((n, a) for n, line in enumerate(lines(), 1) for a in line["part"]["annotations"])
    for key, (image, annotation) in enumerate(found, 1):
        yield {"id": key, "image_id": image, **annotation}


def _separated(entries: Iterator[dict[str, Any]]) -> Iterator[str]:
    """Yield a line an entry, with commas between them."""
    last = None
    for entry in entries:
        if last is not None:
            yield last + ","
        last = _json(entry)
    if last is not None:
        yield last


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False)
