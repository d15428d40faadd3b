"""Ultralytics' segmentation labels: ``labels/.../x.txt`` for ``images/.../x.png``, ``data.yaml``.

A line is ``class x1 y1 x2 y2 ...``, normalised to 0..1. As Ultralytics does, coordinates are cut to
pixel indices and filled by ``cv2.fillPoly``; what is written are pixel centres, which survive both
the cut and the rounding to a few digits.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from flawsmith.data.dataset import DataSet, NoMask, Record
from flawsmith.data.polygons import Mask, Points, fill, trace
from flawsmith.data.reading import Reading, own_file, read_text, unique_ids
from flawsmith.data.writing import Lines, Spec, write_file, write_picture
from flawsmith.errors import InputError
from flawsmith.sample import Masks, Sample
from flawsmith.settings import parse_yaml

NAME = "yolo-seg"
TABLES = ("data.yaml", "data.yml", "dataset.yaml")
SPLITS = {"train": "train", "val": "val", "valid": "val", "test": "test"}
# A whole pixel written with 4 digits may come out just below itself; this lifts it back.
ROUNDING = 0.02
# Within a pixel: around its centre, so that a dot or a line still is a polygon with an area.
CORNERS = np.array([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]])


@dataclass(frozen=True)
class LabelFile:
    """One text file of polygons; ``planes`` gives (class number, plane)."""

    path: Path
    planes: tuple[tuple[int, int], ...]

    def read(self, shape: tuple[int, int, int]) -> Masks:
        masks = np.zeros(shape, bool)
        known = dict(self.planes)
        for line, text in label_lines(self.path):
            where = f"{self.path}:{line}"
            number = class_number(text, where)
            if number not in known:
                raise InputError(
                    f"class {number}; known: {', '.join(map(str, known)) or 'none'}",
                    where=where,
                    mend="name it in data.yaml, or correct the line",
                )
            masks[known[number]] |= rasterise(text, shape[1], shape[2], where)
        return masks


def label_lines(path: Path) -> list[tuple[int, str]]:
    """Return (line number, text) of the lines that are not blank."""
    lines = enumerate(read_text(path).splitlines(), 1)
    return [(number, text) for number, text in lines if text.strip()]


def class_number(text: str, where: str) -> int:
    first = text.split(maxsplit=1)[0]
    if not (first.isascii() and first.isdigit() and len(first) < 7):
        raise InputError(f"the line begins with {first[:40]!r}, not a class number", where=where)
    return int(first)


def rasterise(text: str, height: int, width: int, where: str) -> Mask:
    """Return the (height, width) bool mask of one line; it marks one pixel or more."""
    fields = text.split()[1:]
    try:
        values = np.array(fields, np.str_).astype(float)
    except ValueError as error:
        raise InputError("a coordinate is no number", where=where) from error
    if len(values) == 4:
        raise InputError(
            "4 numbers are a box, not a polygon", where=where, mend="export segmentation labels"
        )
    if len(values) < 6 or len(values) % 2:
        raise InputError(
            f"{len(values)} coordinates; wanted 3 or more pairs of x and y", where=where
        )
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError("a coordinate outside of 0..1", where=where, mend="normalise by the size")
    size = np.array([width, height])
    points = np.floor(values.reshape(-1, 2) * size + ROUNDING).astype(np.int32)
    return fill(np.minimum(points, (size - 1).astype(np.int32)), height, width)


def detect(root: Path) -> str | None:
    """Return what was seen if images lie in twins of ``labels`` folders with text files."""
    labels = [p for p in (root / "labels", *sorted(root.glob("*/labels"))) if p.is_dir()]
    for folder in labels:
        if (folder.parent / "images").is_dir() and next(folder.rglob("*.txt"), None):
            return f"{folder.relative_to(root).as_posix()}/ with text files beside images/"
    return None


def read(reading: Reading, classes: tuple[str, ...] | None) -> DataSet:
    """Read images below any ``images`` folder; those without a label file are ``unknown``."""
    root = reading.root
    labels = {p: _label_path(p, root) for p in reading.images()}
    images = {p: label for p, label in labels.items() if label is not None}
    ids = unique_ids(reading, images, root)
    files = reading.files()
    present = set(images.values()) & set(files)
    numbers = _numbers(reading, sorted(present), classes)
    names = classes or tuple(numbers.values())
    strange = [name for name in numbers.values() if name not in names]
    if strange:
        raise InputError(f"data.yaml names {strange[0]!r}, which is no class", where=root)
    planes = tuple((number, names.index(name)) for number, name in numbers.items())
    records = []
    for path, label in images.items():
        if path not in ids:
            continue
        meta = _meta(path, root)
        if label not in present:
            reading.pass_over(path, "no label file: label unknown, not used")
            records.append(Record(ids[path], path, NoMask(), "unlabelled", meta=meta))
        else:
            records.append(Record(ids[path], path, LabelFile(label, planes), meta=meta))
    for path in files:
        relative = path.relative_to(root)
        if path.suffix == ".txt" and "labels" in relative.parts[:-1] and path not in present:
            reading.pass_over(path, "a label file without an image")
    return DataSet(root, NAME, names, tuple(records))


def _label_path(image: Path, root: Path) -> Path | None:
    """Return where Ultralytics looks: the last ``images`` folder replaced by ``labels``."""
    parts = list(image.relative_to(root).with_suffix(".txt").parts)
    at = [i for i, part in enumerate(parts[:-1]) if part == "images"]
    if not at:
        return None
    parts[at[-1]] = "labels"
    return root.joinpath(*parts)


def _meta(image: Path, root: Path) -> dict[str, Any]:
    split = next((p for p in image.relative_to(root).parts[:-1] if p in SPLITS), None)
    return {"split": SPLITS[split]} if split else {}


def _numbers(
    reading: Reading, labels: list[Path], classes: tuple[str, ...] | None
) -> dict[int, str]:
    """Return name by class number: from data.yaml, the given classes, or the numbers seen."""
    path = next(filter(None, (own_file(reading.root, name) for name in TABLES)), None)
    if path is not None:
        return _names(path)
    if classes is not None:
        return dict(enumerate(classes))
    seen: set[int] = set()
    for label in labels:
        with reading.entry():
            seen |= {class_number(t, f"{label}:{line}") for line, t in label_lines(label)}
    reading.notices.append("no data.yaml: the classes are named by their numbers")
    return {number: str(number) for number in sorted(seen)}


def _names(path: Path) -> dict[int, str]:
    content = parse_yaml(read_text(path, 1 << 20), path)
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(type(k) is int and k >= 0 for k in names):
        raise InputError("'names' must be a list, or an object with class numbers", where=path)
    # `names: [1, 2]` gives numbers; anything else that is no text was not meant as a name.
    if not all(type(v) in (str, int) and str(v) for v in names.values()):
        raise InputError("'names' must hold texts", where=path, mend="put the names in quotes")
    found = {number: str(names[number]) for number in sorted(names)}
    if len(set(found.values())) != len(found):
        raise InputError("'names' holds one name twice", where=path)
    return found


def write_sample(root: Path, index: int, sample: Sample, spec: Spec) -> dict[str, Any]:
    """Write the image and its label file; the part tells what reading it back would change.

    A sample of unknown label gets no label file, since an empty one means clean.
    """
    split = SPLITS.get(str(sample.meta.get("split")), "train")
    image = write_picture(root, f"images/{split}/{sample.id}", sample, spec)
    part = {"image": image, "split": split, "labelled": is_labelled(sample)}
    if not part["labelled"]:
        return part
    height, width = sample.image.shape[:2]
    lines = [
        f"{number} {_line(points, height, width)}\n"
        for number, mask in enumerate(sample.masks)
        for points in trace(mask)
    ]
    path = root / f"labels/{split}/{sample.id}.txt"
    write_file(path, "".join(lines))
    planes = tuple((n, n) for n in range(len(sample.masks)))
    back = LabelFile(path, planes).read(sample.masks.shape)
    return part | {
        "pixels": int(sample.masks.sum()),
        "lost": int((sample.masks & ~back).sum()),
        "gained": int((back & ~sample.masks).sum()),
    }


def is_labelled(sample: Sample) -> bool:
    return sample.label == "good" or bool(sample.masks.any())


def _line(points: Points, height: int, width: int) -> str:
    centres = points[[0, -1, -1, 0]] + CORNERS if len(points) < 3 else points + 0.5
    return " ".join(f"{v:.7g}" for v in (centres / (width, height)).ravel().tolist())


def finish(root: Path, spec: Spec, lines: Lines) -> list[str]:
    """Write ``data.yaml``; the notices tell what polygons changed and what has no label."""
    splits: set[str] = set()
    unlabelled = changed = pixels = lost = gained = 0
    for line in lines():
        part = line["part"]
        splits.add(part["split"])
        if not part["labelled"]:
            unlabelled += 1
            continue
        pixels, lost, gained = (
            pixels + part["pixels"], lost + part["lost"], gained + part["gained"]
        )  # fmt: skip
        changed += bool(part["lost"] or part["gained"])
    # No `path`: Ultralytics then looks beside the file, wherever it is called from.
    content: dict[str, Any] = {s: f"images/{s}" for s in ("train", "val", "test") if s in splits}
    # Both are required.
    content.setdefault("train", next(iter(content.values()), "images/train"))
    content.setdefault("val", content["train"])
    content["names"] = dict(enumerate(spec.classes))
    write_file(root / "data.yaml", yaml.safe_dump(content, allow_unicode=True, sort_keys=False))
    notices = []
    if "val" not in splits:
        notices.append("no sample belongs to a validation split: data.yaml names the training one")
    if changed:
        notices.append(
            f"polygons changed the masks of {changed} samples: {lost} of {pixels} pixels lost, "
            f"{gained} gained"
        )
    if unlabelled:
        notices.append(
            f"{unlabelled} images of unknown label have no label file; "
            "Ultralytics counts them as clean: remove them before training"
        )
    return notices
