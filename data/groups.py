"""Which samples show the same physical part: ``groups.csv``, a regular expression, or neither."""

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from flawsmith.data.dataset import DataSet
from flawsmith.data.reading import Reading, own_file
from flawsmith.data.tables import read_csv
from flawsmith.errors import InputError, printable

TABLE = "groups.csv"
FILE_COLUMNS = ("file", "image", "filename", "path", "ImageId")


def apply_groups(dataset: DataSet, reading: Reading, pattern: str | None) -> DataSet:
    """Return the data set with its groups set; a given pattern goes before ``groups.csv``."""
    if pattern is not None:
        found = _by_pattern(dataset, reading, pattern)
    elif table := own_file(dataset.root, TABLE):
        found = _by_table(dataset, reading, table)
    else:
        return dataset
    missing = [r.id for r in dataset.records if r.id not in found]
    if missing:
        source = "--group-regex" if pattern is not None else TABLE
        reading.notices.append(
            f"{source} gives no group for {len(missing)} images (each counts as its own): "
            + ", ".join(missing[:5])
        )
    records = (replace(r, group=found.get(r.id, r.group)) for r in dataset.records)
    return replace(dataset, records=tuple(records))


def _by_pattern(dataset: DataSet, reading: Reading, pattern: str) -> dict[str, str]:
    if not pattern:
        raise InputError("--group-regex is empty", mend="give the part of the path that is shared")
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--group-regex is no regular expression: {error}") from error
    groups = {}
    for record in dataset.records:
        match = compiled.search(reading.name(record.image))
        if match:
            groups[record.id] = match[1] if compiled.groups else match[0]
    return {key: printable(value) for key, value in groups.items() if value}


def _by_table(dataset: DataSet, reading: Reading, path: Path) -> dict[str, str]:
    """Match rows to images by file name, and by the other columns where names repeat.

    Other columns help when their value is a folder of the image's path: ``class`` = MT_Break,
    ``split`` = test. Surplus rows are counted together.
    """
    rows = list(read_csv(path, ()))
    columns = list(rows[0][1]) if rows else []
    file_column = next((c for c in FILE_COLUMNS if c in columns), None)
    group_column = next((c for c in columns if c == "group" or c.endswith("_group")), None)
    if file_column is None or group_column is None:
        raise InputError(
            f"needs a column 'file' and a column 'group' (or ..._group); found {columns}",
            where=path,
        )
    by_name: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for record in dataset.records:
        by_name[record.image.name].append((record.id, record.image.relative_to(dataset.root)))
    places = {part for hits in by_name.values() for _, p in hits for part in p.parts[:-1]}
    # A column that names folders (class, split) must agree with the path; others say nothing of it.
    hints = [
        c for c in columns
        if c not in (file_column, group_column) and any(row[c] in places for _, row in rows)
    ]  # fmt: skip
    groups: dict[str, str] = {}
    surplus: list[str] = []
    for line, row in rows:
        with reading.entry():
            file = Path(row[file_column])
            hits = _matching(by_name.get(file.name, []), file, {row[c] for c in hints})
            if len(hits) > 1:
                raise InputError(
                    f"{file} fits {len(hits)} images",
                    where=f"{path}:{line}",
                    mend="give the path relative to the data folder",
                )
            if not hits:
                surplus.append(row[file_column])
            elif groups.setdefault(hits[0], row[group_column]) != row[group_column]:
                raise InputError(f"{file} has two groups", where=f"{path}:{line}")
    if surplus:
        reading.pass_over(
            path, f"{len(surplus)} rows without an image, such as {', '.join(surplus[:3])}"
        )
    return groups


def _matching(candidates: list[tuple[str, Path]], file: Path, folders: set[str]) -> list[str]:
    return [
        i
        for i, path in candidates
        if path.parts[-len(file.parts) :] == file.parts and folders <= set(path.parts)
    ]
