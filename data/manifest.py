"""``dataset.json`` and ``samples.jsonl``: what flawsmith writes beside every data set it makes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flawsmith.data.dataset import DataSet, Record
from flawsmith.data.reading import Reading
from flawsmith.data.tables import read_json, read_jsonl
from flawsmith.data.writing import Line, write_file, write_lines
from flawsmith.errors import InputError
from flawsmith.sample import LABELS

VERSION = 1
MANIFEST = "dataset.json"
SAMPLES = "samples.jsonl"


@dataclass(frozen=True)
class Manifest:
    """The part of dataset.json that readers need."""

    format: str
    classes: tuple[str, ...]


def read_manifest(root: Path) -> Manifest | None:
    """Return the manifest, or None where there is none; raises InputError for a foreign one."""
    path = root / MANIFEST
    if not path.is_file():
        return None
    content = read_json(path)
    if not isinstance(content, dict) or "flawsmith" not in content:
        return None
    if content["flawsmith"] != VERSION:
        raise InputError(
            f"written in format version {content['flawsmith']!r}; this flawsmith reads {VERSION}",
            where=path,
        )
    classes = content.get("classes")
    if not isinstance(classes, list) or not all(isinstance(c, str) and c for c in classes):
        raise InputError("'classes' must be a list of names", where=path)
    if len(set(classes)) != len(classes):
        raise InputError("'classes' names one class twice", where=path)
    return Manifest(str(content.get("format")), tuple(classes))


def apply_manifest(dataset: DataSet, manifest: Manifest, reading: Reading) -> DataSet:
    """Give each record the id, label, group and provenance that samples.jsonl states for it."""
    path = dataset.root / SAMPLES
    if not path.is_file():
        return dataset
    lines = {image: line for image, line in _lines(path, reading)}
    records = []
    for record in dataset.records:
        line = lines.pop(reading.name(record.image), None)
        if line is None:
            reading.pass_over(record.image, f"{SAMPLES} does not name it")
        else:
            records.append(_with_line(record, line))
    for image in lines:
        reading.pass_over(image, f"{SAMPLES} names it, but there is no such image")
    return replace(dataset, records=tuple(records))


def _with_line(record: Record, line: Line) -> Record:
    return replace(
        record, id=line["id"], declared=line["label"], group=line["group"], meta=line["meta"]
    )


def _lines(path: Path, reading: Reading) -> Iterator[tuple[str, Line]]:
    seen: set[str] = set()
    for number, line in read_jsonl(path):
        with reading.entry():
            where = f"{path}:{number}"
            texts = [line.get(key) for key in ("id", "image", "label", "group")]
            if not all(isinstance(text, str) and text for text in texts):
                raise InputError("id, image, label and group must be texts", where=where)
            if line["label"] not in LABELS or not isinstance(line.setdefault("meta", {}), dict):
                raise InputError(f"label must be one of {', '.join(LABELS)}", where=where)
            reading.inside(line["image"])
            if line["image"] in seen:
                raise InputError(f"{line['image']!r} is named twice", where=where)
            seen.add(line["image"])
            yield line["image"], line


def write_manifest(
    root: Path, format_name: str, classes: tuple[str, ...], made_by: dict[str, Any], lines: Any
) -> dict[str, int]:
    """Write both files from a stream of lines (``part`` is left out); return the label counts."""
    counts: dict[str, int] = dict.fromkeys(LABELS, 0)

    def texts() -> Iterator[str]:
        for line in lines:
            counts[line["label"]] += 1
            kept = {key: value for key, value in line.items() if key != "part"}
            yield json.dumps(kept, ensure_ascii=False)

    write_lines(root / SAMPLES, texts())
    content = {
        "flawsmith": VERSION,
        "format": format_name,
        "classes": list(classes),
        "colours": [list(colour) for colour in class_colours(len(classes))],
        "samples": sum(counts.values()),
        "labels": counts,
        "made_by": made_by,
    }
    # Its presence says that the folder is complete, so it must appear whole.
    new = root / (MANIFEST + ".new")
    write_file(new, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    new.replace(root / MANIFEST)
    return counts


# Okabe and Ito's palette: told apart by colour-blind readers too.
PALETTE = (
    (213, 94, 0), (0, 114, 178), (0, 158, 115), (230, 159, 0),
    (204, 121, 167), (86, 180, 233), (240, 228, 66),
)  # fmt: skip


def class_colours(count: int) -> list[tuple[int, int, int]]:
    """Return an RGB colour a class, repeated after seven."""
    return [PALETTE[i % len(PALETTE)] for i in range(count)]
