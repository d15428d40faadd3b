"""The entries of COCO's JSON files, checked one by one: images, categories, annotations."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flawsmith.data.reading import Reading
from flawsmith.data.tables import read_json
from flawsmith.errors import InputError

KEYS = ("images", "annotations", "categories")
# Standard, standard in a sub-folder, and one file a split as Roboflow exports it.
PLACES = ("*.json", "annotations/*.json", "*/_annotations.coco.json")
SPLIT = re.compile(r"(?:^|[_.-])((?:train|valid|val|test)[a-z0-9]*)")


@dataclass
class Picture:
    """One entry of ``images``.

    path: its file, or None where there is none. size: (width, height) if stated.
    segments: (category's name, ``segmentation``, the annotation's place in words).
    bad: an entry or annotation was refused, so its mask would be incomplete.
    """

    path: Path | None
    size: tuple[int, int] | None
    split: str
    table: Path
    segments: list[tuple[str, Any, str]] = field(default_factory=list)
    bad: bool = False


@dataclass
class Table:
    """One annotation file: category names and pictures by their ids."""

    path: Path
    names: dict[Any, str] = field(default_factory=dict)
    pictures: dict[Any, Picture] = field(default_factory=dict)


def annotation_files(reading: Reading) -> list[Path]:
    """Return the JSON files that hold images, annotations and categories.

    Where some are called ``instances_...`` the others (keypoints, captions) repeat their images.
    """
    found = []
    for path in (p for place in PLACES for p in sorted(reading.root.glob(place))):
        with reading.entry():
            reading.inside(path.relative_to(reading.root).as_posix(), path)
            if not path.name.startswith(".") and path.is_file() and _looks_right(path):
                found.append(path)
    return [p for p in found if p.name.startswith("instances")] or found


def _looks_right(path: Path) -> bool:
    """Search the bytes for the keys: a damaged file must be claimed too, so that it is named."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error
    return all(f'"{key}"'.encode() in content for key in KEYS)


def read_table(reading: Reading, path: Path) -> Table:
    """Return the checked content of one file; raises InputError if it is no COCO file at all."""
    content = read_json(path)
    if not isinstance(content, dict) or not all(isinstance(content.get(k), list) for k in KEYS):
        raise InputError(f"wanted an object with the lists {', '.join(KEYS)}", where=path)
    table = Table(path)
    for number, entry in enumerate(content["categories"]):
        with reading.entry():
            _add_category(table, entry, f"{path}: categories[{number}]")
    table.names = dict(sorted(table.names.items(), key=lambda item: (str(type(item[0])), item[0])))
    for number, entry in enumerate(content["images"]):
        with reading.entry():
            _add_picture(reading, table, entry, f"{path}: images[{number}]")
    strangers = []
    for number, entry in enumerate(content["annotations"]):
        with reading.entry():
            key = _add_annotation(table, entry, f"{path}: annotations[{number}]")
            strangers += [] if key is None else [key]
    if strangers:
        reading.pass_over(
            path, f"{len(strangers)} annotations of images that it does not list, "
            f"such as image_id {strangers[0]!r}"
        )  # fmt: skip
    return table


def merge_names(tables: list[Table], classes: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the classes: the given ones, else each file's categories by id, without repeats."""
    names = {name: table.path for table in tables for name in table.names.values()}
    strange = [name for name in names if classes is not None and name not in classes]
    if strange:
        raise InputError(f"the category {strange[0]!r} is no class", where=names[strange[0]])
    return classes or tuple(names)


def pictures(reading: Reading, tables: list[Table]) -> Iterator[tuple[Path, Picture]]:
    """Yield all pictures that exist; those named twice are bad."""
    seen: dict[Path, Picture] = {}
    for table in tables:
        for key, picture in table.pictures.items():
            if picture.path is None:
                continue
            first = seen.setdefault(picture.path, picture)
            if first is not picture:
                first.bad = True
                reading.refuse(
                    InputError(
                        f"the image {key!r} is a second entry for {reading.name(picture.path)}",
                        where=table.path,
                        mend="keep one entry a file",
                    )
                )
    yield from seen.items()


def _add_category(table: Table, entry: object, where: str) -> None:
    key, entry = _with_id(entry, where)
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip():
        raise InputError("'name' must be a text", where=where)
    if key in table.names or name in table.names.values():
        raise InputError(f"the category {name!r} (id {key!r}) occurs twice", where=where)
    table.names[key] = name


def _add_picture(reading: Reading, table: Table, entry: object, where: str) -> None:
    key, entry = _with_id(entry, where)
    if key in table.pictures:
        table.pictures[key].bad = True
        raise InputError(f"the image id {key!r} occurs twice", where=where)
    # First as bad, so that its annotations are known to belong to a refused image.
    table.pictures[key] = Picture(None, None, "", table.path, bad=True)
    name = entry.get("file_name")
    if not isinstance(name, str):
        raise InputError("'file_name' must be a text", where=where)
    sides = tuple(entry.get(side) for side in ("width", "height"))
    if any(side is not None and (type(side) is not int or side < 1) for side in sides):
        raise InputError("'width' and 'height' must be whole numbers above 0", where=where)
    split = _split_of(table.path, reading.root)
    path = _locate(reading, table.path.parent, name, split, where)
    if path is None:
        reading.pass_over(name[:200], f"{reading.name(table.path)} lists it, but it does not exist")
    size = None if None in sides else sides
    table.pictures[key] = Picture(path, size, split, table.path)  # type: ignore[arg-type]


def _add_annotation(table: Table, entry: object, where: str) -> object:
    """Store an annotation with its picture; return the image_id if there is no such picture."""
    if not isinstance(entry, dict):
        raise InputError("the annotation is no object", where=where)
    key = entry.get("image_id")
    picture = table.pictures.get(key) if _is_key(key) else None
    if picture is None:
        return "(none)" if key is None else str(key)[:40]
    category = entry.get("category_id")
    name = table.names.get(category) if _is_key(category) else None
    segmentation = entry.get("segmentation")
    if name is None or not segmentation or not isinstance(segmentation, (list, dict)):
        picture.bad = True
        if name is None:
            raise InputError(f"unknown category_id {str(category)[:40]}", where=where)
        raise InputError(
            "no 'segmentation' (polygons or run lengths)",
            where=where,
            mend="boxes alone are not enough: export the masks",
        )
    picture.segments.append((name, segmentation, where))
    return None


def _with_id(entry: object, where: str) -> tuple[Any, dict[str, Any]]:
    if not isinstance(entry, dict) or not _is_key(entry.get("id")):
        raise InputError("wanted an object with a number or text as 'id'", where=where)
    return entry["id"], entry


def _is_key(key: object) -> bool:
    return type(key) in (int, str)


def _split_of(path: Path, root: Path) -> str:
    """Return the split that the file's name tells (``instances_val2017``), or its folder's."""
    found = SPLIT.search(path.stem.lower())
    if found is None and path.parent != root:
        found = SPLIT.fullmatch(path.parent.name.lower())
    return found[1] if found else ""


def _locate(reading: Reading, beside: Path, name: str, split: str, where: str) -> Path | None:
    root = reading.root
    for base in (root / "images" / split, root / split, beside, root / "images", root):
        path = reading.inside(name, where, base)
        if path.is_file():
            return path
    return None
