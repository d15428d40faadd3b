"""Images and masks in twin folders: ``images/`` with ``masks/``, ``annotations/`` or ``labels/``.

Masks are index pictures (0 background, then class numbers; or 0 and 255 for one class), or, where
classes overlap, one folder of 0/255 pictures a class: ``masks/<class>/<stem>.png``. Sub-folders of
``images/`` are mirrored. Class names may be listed in ``classes.txt``, a line each.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.data.dataset import DataSet, Declared, MaskSource, NoMask, Record
from flawsmith.data.images import encode_png, read_index
from flawsmith.data.pairs import DEFAULT_CLASS, ThresholdMask, check_mask_size
from flawsmith.data.reading import Reading, is_good_name, own_file, read_text, unique_ids
from flawsmith.data.writing import Lines, Spec, write_file, write_picture
from flawsmith.errors import InputError
from flawsmith.sample import Masks, Sample, check_id

NAME = "folder"
MASK_FOLDERS = ("masks", "annotations", "labels")
MASK_ENDINGS = ("", "_mask", "_label", "_gt")
DEFECTIVE_NAMES = frozenset({"defective", "defect", "defects", "bad", "ng", "abnormal", "anomaly"})
# Without a list of names, numbers up to this are classes; a larger one is more likely a grey value.
MAX_UNNAMED = 32


@dataclass(frozen=True)
class IndexMask:
    """One index picture; ``values[v]`` is the plane of value v, other values are an error."""

    path: Path
    values: tuple[tuple[int, int], ...]

    def read(self, shape: tuple[int, int, int]) -> Masks:
        index = read_index(self.path)
        check_mask_size(self.path, index.shape, shape)
        masks = np.zeros(shape, bool)
        known = dict(self.values)
        for value in np.flatnonzero(np.bincount(index.ravel(), minlength=256)):
            if value == 0:
                continue
            if value not in known:
                raise InputError(
                    f"the mask holds the value {value}, which is no class "
                    f"(known: 0 and {', '.join(map(str, known)) or 'none'})",
                    where=self.path,
                    mend="list the classes in classes.txt, a line each, or correct the mask",
                )
            masks[known[int(value)]] |= index == value
        return masks


@dataclass(frozen=True)
class PlaneMasks:
    """One 0/255 picture a class."""

    planes: tuple[MaskSource, ...]

    def read(self, shape: tuple[int, int, int]) -> Masks:
        masks = np.zeros(shape, bool)
        for plane in self.planes:
            masks |= plane.read(shape)
        return masks


@dataclass(frozen=True)
class TwoMasks:
    """Two mask files that fit one image: which one holds cannot be known."""

    first: Path
    second: Path

    def read(self, shape: tuple[int, int, int]) -> Masks:
        raise InputError(
            f"two masks for one image: {self.first.name} and {self.second.name}",
            where=self.first,
            mend="keep one of them",
        )


def detect(root: Path) -> str | None:
    """Return what was seen if there are ``images/`` and a folder of mask pictures, or only images.

    ``labels/`` with text files and ``train.csv`` beside the images belong to other formats.
    """
    if not (root / "images").is_dir() or (root / "train.csv").is_file():
        return None
    reading = Reading(root, "skip")
    for folder in MASK_FOLDERS:
        if (root / folder).is_dir():
            kinds = {p.suffix.lower() for p in reading.files(folder)}
            if kinds and not kinds & {".txt", ".json", ".xml"}:
                return f"images/ and {folder}/ with {', '.join(sorted(kinds))}"
    others = any(reading.root.glob("*.json")) or any(
        (root / f).is_dir() for f in (*MASK_FOLDERS, "ground_truth")
    )
    return None if others or not reading.images("images") else "images/ without any masks"


def read(reading: Reading, classes: tuple[str, ...] | None) -> DataSet:
    """Pair images and masks by their relative paths; what has no partner is named."""
    root = reading.root
    images = reading.images("images")
    mask_root = next((root / f for f in MASK_FOLDERS if (root / f).is_dir()), root / "masks")
    masks = reading.images(mask_root.name) if mask_root.is_dir() else []
    ids = unique_ids(reading, images, root / "images")
    classes = _listed(root) if classes is None else classes
    planes = _class_folders(masks, mask_root, images, root / "images", classes)
    if planes is None:
        values = _values(masks, classes)
        sources, names = _index_sources(masks, mask_root, values), classes or _names(values)
    else:
        names = classes or tuple(planes)
        sources = _plane_sources(masks, mask_root, names)
    records, missing = [], []
    for image in images:
        key = image.relative_to(root / "images").with_suffix("").as_posix()
        source = next((sources.pop(key + e) for e in MASK_ENDINGS if key + e in sources), None)
        declared = _declared(image.relative_to(root / "images"), source)
        if image in ids:
            missing += [image.name] if source is None and declared != "good" else []
            records.append(Record(ids[image], image, source or NoMask(), declared))
    if missing:
        reading.notices.append(
            f"{len(missing)} images have no mask (label unknown, not used): {_few(missing)}"
        )
    for key in sources:
        reading.pass_over(f"{mask_root.name}/{key}", "a mask without an image")
    return DataSet(root, NAME, names, tuple(records))


def _listed(root: Path) -> tuple[str, ...] | None:
    path = own_file(root, "classes.txt")
    if path is None:
        return None
    names = tuple(line.strip() for line in read_text(path).splitlines() if line.strip())
    if not names or len(set(names)) != len(names):
        raise InputError("needs one class name a line, each once", where=path)
    return names


def _declared(image: Path, source: MaskSource | None) -> Declared:
    if any(map(is_good_name, image.parts[:-1])):
        return "good"
    among_defects = bool(DEFECTIVE_NAMES & {part.lower() for part in image.parts[:-1]})
    if source is None:
        return "unknown" if among_defects else "unlabelled"
    return "defective" if among_defects else "by-mask"


def _class_folders(
    masks: list[Path],
    mask_root: Path,
    images: list[Path],
    image_root: Path,
    classes: tuple[str, ...] | None,
) -> list[str] | None:
    """Return the class folders below the masks, or None if sub-folders mirror the images'."""
    tops = {p.relative_to(mask_root).parts[0] for p in masks if p.parent != mask_root}
    mirrored = {p.relative_to(image_root).parts[0] for p in images if p.parent != image_root}
    if not tops or tops <= mirrored or any(p.parent == mask_root for p in masks):
        return None
    return sorted(tops) if classes is None or tops <= set(classes) else None


def _values(masks: list[Path], classes: tuple[str, ...] | None) -> tuple[tuple[int, int], ...]:
    """Return (value, plane) pairs: from the list of classes, else from the values in the masks."""
    if classes is not None:
        return index_values(len(classes))
    seen: set[int] = set()
    for path in masks:
        # An unreadable mask is reported when its sample is loaded.
        with suppress(InputError):
            seen |= set(np.unique(read_index(path)).tolist())
    seen.discard(0)
    if seen == {255}:
        return ((255, 0),)
    return tuple((v, plane) for plane, v in enumerate(sorted(v for v in seen if v <= MAX_UNNAMED)))


def index_values(classes: int) -> tuple[tuple[int, int], ...]:
    """Return the (value, plane) pairs of a known number of classes; 255 may mark an only one."""
    if classes == 1:
        return ((1, 0), (255, 0))
    return tuple((value, value - 1) for value in range(1, classes + 1))


def index_picture(masks: Masks) -> NDArray[np.uint8]:
    """Return (H, W) class numbers from 1, 0 elsewhere; the planes must not overlap."""
    index = np.zeros(masks.shape[1:], np.uint8)
    for number, plane in enumerate(masks, 1):
        # Most planes are empty, and seeing that is far cheaper than an assignment.
        if plane.any():
            index[plane] = number
    return index


def _names(values: tuple[tuple[int, int], ...]) -> tuple[str, ...]:
    if values == ((255, 0),):
        return (DEFAULT_CLASS,)
    return tuple(str(value) for value, _ in values)


def _index_sources(
    masks: list[Path], mask_root: Path, values: tuple[tuple[int, int], ...]
) -> dict[str, MaskSource]:
    sources: dict[str, MaskSource] = {}
    first: dict[str, Path] = {}
    for path in masks:
        key = path.relative_to(mask_root).with_suffix("").as_posix()
        other = first.setdefault(key, path)
        sources[key] = IndexMask(path, values) if other == path else TwoMasks(other, path)
    return sources


def _plane_sources(
    masks: list[Path], mask_root: Path, classes: tuple[str, ...]
) -> dict[str, MaskSource]:
    sources: dict[str, PlaneMasks] = {}
    first: dict[tuple[str, ...], Path] = {}
    for path in masks:
        top, *rest = path.relative_to(mask_root).with_suffix("").parts
        known = sources.get("/".join(rest), PlaneMasks(()))
        plane: MaskSource = ThresholdMask(path, classes.index(top))
        twin = first.setdefault((top, *rest), path)
        if twin != path:
            plane = TwoMasks(twin, path)
        sources["/".join(rest)] = replace(known, planes=(*known.planes, plane))
    return dict(sources)


def _few(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:5]) + (" ..." if len(listed) > 5 else "")


def write_sample(root: Path, index: int, sample: Sample, spec: Spec) -> dict[str, Any]:
    """Write the image and its mask; grey index values, since OpenCV expands a palette's colours.

    Raises InputError, before anything is written, for a class that cannot be a folder's name where
    each has a folder of its own.
    """
    _check_folders(spec)
    image = write_picture(root, f"images/{sample.id}", sample, spec)
    if sample.label == "unknown":
        return {"image": image}
    if one_index_holds(spec):
        write_file(root / f"masks/{sample.id}.png", encode_png(index_picture(sample.masks)))
    else:
        for name, plane in zip(spec.classes, sample.masks, strict=True):
            pixels = plane.astype(np.uint8) * 255
            write_file(root / "masks" / name / f"{sample.id}.png", encode_png(pixels))
    return {"image": image}


def one_index_holds(spec: Spec) -> bool:
    """Tell whether one index picture a sample can hold all masks of such a data set."""
    return not spec.overlap and len(spec.classes) < 255


def finish(root: Path, spec: Spec, lines: Lines) -> list[str]:
    """Write ``classes.txt``."""
    _check_folders(spec)
    write_file(root / "classes.txt", "".join(name + "\n" for name in spec.classes))
    return []


def _check_folders(spec: Spec) -> None:
    if not one_index_holds(spec):
        for name in spec.classes:
            check_id(name)
