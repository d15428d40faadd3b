"""The Severstal layout: ``train.csv`` (ImageId,ClassId,EncodedPixels) beside ``train_images/``.

Images without a row are clean. ClassId counts from 1 in the order of the classes.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flawsmith.data.dataset import DataSet, NoMask, Record
from flawsmith.data.images import IMAGE_SUFFIXES
from flawsmith.data.reading import Reading, own_file, unique_ids
from flawsmith.data.rle import Mask, decode_severstal, encode_severstal
from flawsmith.data.tables import read_csv
from flawsmith.data.writing import Lines, Spec, write_lines, write_picture
from flawsmith.errors import InputError
from flawsmith.sample import Masks, Sample

NAME = "severstal"
COLUMNS = ("ImageId", "ClassId", "EncodedPixels")
CLASSES = ("1", "2", "3", "4")
TABLE = "train.csv"
FOLDERS = ("train_images", "images")


@dataclass(frozen=True)
class RleRows:
    """Masks as rows of ``train.csv``: (plane, run-length text, line number)."""

    rows: tuple[tuple[int, str, int], ...]
    table: Path

    def read(self, shape: tuple[int, int, int]) -> Masks:
        masks = np.zeros(shape, bool)
        for plane, text, line in self.rows:
            masks[plane] = _decode(text, shape[1:], f"{self.table}:{line}")
        return masks


def _decode(text: str, shape: tuple[int, int], where: str) -> Mask:
    try:
        return decode_severstal(text, *shape)
    except InputError as error:
        raise InputError(error.what, where=where) from error


def detect(root: Path) -> str | None:
    """Return what was seen if ``root`` holds this layout."""
    table = own_file(root, TABLE)
    if table is None:
        return None
    with table.open("rb") as file:
        header = file.readline(200).decode("utf-8-sig", "replace").strip()
    return f"train.csv with {header}" if set(COLUMNS) <= set(header.split(",")) else None


def read(reading: Reading, classes: tuple[str, ...] | None) -> DataSet:
    """Read the table and the folder of images; bad rows go through ``reading.refuse``."""
    classes = classes or CLASSES
    table = own_file(reading.root, TABLE)
    if table is None:
        raise InputError(f"no {TABLE} here, which this layout needs", where=reading.root)
    folder = next((f for f in FOLDERS if (reading.root / f).is_dir()), "")
    images = reading.images(folder)
    ids = unique_ids(reading, images, reading.root / folder)
    rows, broken = _rows(reading, table, classes)
    known = Counter(path.name for path in images)
    for name in sorted(set(rows) - set(known) - broken):
        reading.pass_over(name, f"{table.name} has a mask for it, but there is no such image")
    for name in (name for name in rows if known[name] > 1):
        broken.add(name)
        with reading.entry():
            raise InputError(
                f"{known[name]} images are called {name}, so its mask may be of any",
                where=table,
                mend="rename them",
            )
    records = [
        Record(
            ids[path],
            path,
            RleRows(tuple(rows[path.name]), table) if path.name in rows else NoMask(),
            declared="defective" if path.name in rows else "good",
        )
        for path in ids
        if path.name not in broken
    ]
    return DataSet(reading.root, NAME, classes, tuple(records))


Rows = dict[str, list[tuple[int, str, int]]]


def _rows(reading: Reading, table: Path, classes: tuple[str, ...]) -> tuple[Rows, set[str]]:
    """Return the rows by image, and the images to leave out: one bad row spoils its whole mask."""
    rows: Rows = defaultdict(list)
    broken: set[str] = set()
    for line, row in read_csv(table, COLUMNS):
        name, text = row["ImageId"].strip(), row["EncodedPixels"].strip()
        where = f"{table}:{line}"
        try:
            reading.inside(name, where)
            if Path(name).suffix.lower() not in IMAGE_SUFFIXES:
                raise InputError(f"ImageId {name[:80]!r} is no picture's name", where=where)
            plane = _plane(row["ClassId"].strip(), classes, where)
            if any(plane == other for other, _, _ in rows[name]):
                raise InputError(f"a second row for {name}, class {plane + 1}", where=where)
            rows[name].append((plane, text, line))
        except InputError as error:
            reading.refuse(error)
            # The row may mean the image whose name it gives with a wrong folder.
            broken |= {name, name.replace("\\", "/").rpartition("/")[2]}
    return rows, broken


def _plane(text: str, classes: tuple[str, ...], where: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 7 and 1 <= int(text) <= len(classes)):
        raise InputError(
            f"unknown ClassId {text[:40]!r}; the classes are 1 to {len(classes)}", where=where
        )
    return int(text) - 1


def write_sample(root: Path, index: int, sample: Sample, spec: Spec) -> dict[str, Any]:
    """Write the image; its rows come back as text."""
    rows = [encode_severstal(plane) for plane in sample.masks]
    image = write_picture(root, f"train_images/{sample.id}", sample, spec)
    return {"image": image, "rows": rows}


def finish(root: Path, spec: Spec, lines: Lines) -> list[str]:
    """Write ``train.csv``, a row for each image and class with a mask."""
    body = (
        f"{_quoted(Path(line['part']['image']).name)},{plane},{row}"
        for line in lines()
        for plane, row in enumerate(line["part"]["rows"], 1)
        if row
    )
    write_lines(root / TABLE, _with_header(body))
    return []


def _with_header(body: Any) -> Any:
    yield ",".join(COLUMNS)
    yield from body


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if set(name) & set(',"') else name
