"""Raw photos of battery plates: ``good/`` and ``bad/`` with BMPs, masks in ``masks/`` if any.

``flawsmith data plates`` crops the plates; read as they are, the photos serve statistics and that.
Masks are index PNGs named like their photo; 0 and 255 mark the one class ``defect``.
"""

from pathlib import Path
from typing import Any

from flawsmith.data.dataset import DataSet, Declared, NoMask, Record
from flawsmith.data.folder import IndexMask, index_picture, index_values
from flawsmith.data.images import encode_bmp, encode_png
from flawsmith.data.pairs import DEFAULT_CLASS
from flawsmith.data.reading import Reading, unique_ids
from flawsmith.data.writing import Lines, Spec, write_file
from flawsmith.sample import Sample

NAME = "plates"
FOLDERS = {"good": "good", "bad": "defective"}


def detect(root: Path) -> str | None:
    """Return what was seen if ``good/`` or ``bad/`` holds BMP photos and nothing else."""
    seen = [name for name in FOLDERS if (root / name).is_dir()]
    kinds = {p.suffix.lower() for p in Reading(root, "skip").files(*seen)} if seen else set()
    return f"BMP photos in {' and '.join(seen)}" if kinds == {".bmp"} else None


def read(reading: Reading, classes: tuple[str, ...] | None) -> DataSet:
    """Read the photos; bad ones without a mask are ``unknown``, and named."""
    root = reading.root
    photos = reading.images(*(name for name in FOLDERS if (root / name).is_dir()))
    ids = unique_ids(reading, photos, root)
    masks = {p.stem: p for p in reading.images("masks")} if (root / "masks").is_dir() else {}
    names = classes or (DEFAULT_CLASS,)
    values = index_values(len(names))
    records = []
    for photo in photos:
        mask = masks.pop(photo.stem, None)
        good = photo.relative_to(root).parts[0] == "good"
        if mask is None and not good:
            reading.pass_over(photo, "a bad photo without a mask: label unknown")
        source = IndexMask(mask, values) if mask else NoMask()
        declared: Declared = "good" if good else "defective" if mask else "unknown"
        if photo in ids:
            records.append(Record(ids[photo], photo, source, declared))
    for mask in masks.values():
        reading.pass_over(mask, "a mask without a photo")
    return DataSet(root, NAME, names, tuple(records))


def write_sample(root: Path, index: int, sample: Sample, spec: Spec) -> dict[str, Any]:
    """Write a photo as BMP into ``good/`` or ``bad/``, and its mask (for the demo data)."""
    folder = "good" if sample.label == "good" else "bad"
    image = f"{folder}/{sample.id}.bmp"
    write_file(root / image, encode_bmp(sample.image))
    if sample.label == "defective":
        write_file(root / f"masks/{sample.id}.png", encode_png(index_picture(sample.masks)))
    return {"image": image}


def finish(root: Path, spec: Spec, lines: Lines) -> list[str]:
    """Nothing describes the folder as a whole but dataset.json."""
    return []
