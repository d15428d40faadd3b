"""``dataset.json`` and ``samples.jsonl``: what flawsmith writes beside every data set it makes."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flawsmith.data.dataset import DataSet, Record
from flawsmith.data.reading import Reading, own_file
from flawsmith.data.tables import jsonl_lines, parse_object, read_json
from flawsmith.data.writing import Line, write_file, write_lines, writing_in
from flawsmith.errors import InputError
from flawsmith.sample import LABELS, check_id

VERSION = 1
MANIFEST = "dataset.json"
SAMPLES = "samples.jsonl"
META_DEPTH = 32


@dataclass(frozen=True)
class Manifest:
    """The part of dataset.json that readers need. command: what made it, if that is told."""

    format: str
    classes: tuple[str, ...]
    command: str = ""


def read_manifest(root: Path) -> Manifest | None:
    """Return the manifest, or None where there is none; raises InputError for a foreign one."""
    path = own_file(root, MANIFEST)
    if path is None:
        return None
    content = read_json(path)
    if not isinstance(content, dict) or "flawsmith" not in content:
        return None
    if content["flawsmith"] != VERSION:
        raise InputError(
            f"written in format version {content['flawsmith']!r}; this flawsmith reads {VERSION}",
            where=path,
        )
    classes = checked_classes(content.get("classes"), path)
    made_by = content.get("made_by")
    command = made_by.get("command") if isinstance(made_by, dict) else None
    return Manifest(str(content.get("format")), classes, str(command or ""))


def checked_classes(classes: object, path: Path) -> tuple[str, ...]:
    """Return a file's list of classes; raises InputError unless it is one of different names."""
    if not isinstance(classes, list) or not all(isinstance(c, str) and c for c in classes):
        raise InputError("'classes' must be a list of names", where=path)
    if len(set(classes)) != len(classes):
        raise InputError("'classes' names one class twice", where=path)
    return tuple(classes)


def apply_manifest(dataset: DataSet, manifest: Manifest, reading: Reading) -> DataSet:
    """Give each record the id, label, group and provenance that samples.jsonl states for it."""
    path = own_file(dataset.root, SAMPLES)
    if path is None:
        return dataset
    lines = _lines(path, reading)
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


def _lines(path: Path, reading: Reading) -> dict[str, Line]:
    """Return the lines by image; an image that two lines name is left out of them."""
    lines: dict[str, Line] = {}
    images: set[str] = set()
    ids: set[str] = set()
    for number, text in jsonl_lines(path):
        where = f"{path}:{number}"
        with reading.entry():
            line = checked_line(parse_object(text, where), where)
            image = line["image"]
            reading.inside(image, where)
            if image in images:
                lines.pop(image, None)
                raise InputError(f"the image {image[:200]!r} is named twice", where=where)
            images.add(image)
            if line["id"] in ids:
                raise InputError(f"the id {line['id']!r} is named twice", where=where)
            ids.add(line["id"])
            lines[image] = line
    return lines


def checked_line(line: Line, where: str) -> Line:
    """Return a line of samples.jsonl; raises InputError unless it holds what readers need."""
    texts = [line.get(key) for key in ("id", "image", "label", "group")]
    if not all(isinstance(text, str) and text for text in texts):
        raise InputError("id, image, label and group must be texts", where=where)
    if line["label"] not in LABELS:
        raise InputError(f"label must be one of {', '.join(LABELS)}", where=where)
    if not isinstance(line.setdefault("meta", {}), dict):
        raise InputError("meta must be an object", where=where)
    if not nests(line["meta"], META_DEPTH):
        raise InputError(f"meta nests over {META_DEPTH} levels deep", where=where)
    check_id(line["id"], where)
    return line


def nests(value: object, depth: int) -> bool:
    """Tell whether lists and objects nest at most ``depth`` deep: workers get them pickled."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth > 0 and all(nests(entry, depth - 1) for entry in inner)


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
    # Its presence says that the folder is complete, so it must appear whole.
    new = root / (MANIFEST + ".new")
    write_file(new, manifest_text(format_name, classes, made_by, counts))
    with writing_in(root / MANIFEST):
        new.replace(root / MANIFEST)
    return counts


def manifest_text(
    format_name: str, classes: tuple[str, ...], made_by: dict[str, Any], labels: Mapping[str, int]
) -> str:
    """Return the content of dataset.json. labels: how many samples have each."""
    counts = {label: labels.get(label, 0) for label in LABELS}
    content = {
        "flawsmith": VERSION,
        "format": format_name,
        "classes": list(classes),
        "colours": [list(colour) for colour in class_colours(len(classes))],
        "samples": sum(counts.values()),
        "labels": counts,
        "made_by": made_by,
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


# Okabe and Ito's palette: told apart by colour-blind readers too.
PALETTE = (
    (213, 94, 0), (0, 114, 178), (0, 158, 115), (230, 159, 0),
    (204, 121, 167), (86, 180, 233), (240, 228, 66),
)  # fmt: skip


def class_colours(count: int) -> list[tuple[int, int, int]]:
    """Return an RGB colour a class, repeated after seven."""
    return [PALETTE[i % len(PALETTE)] for i in range(count)]
