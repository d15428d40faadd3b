"""``shard.json``: what one shard of a divided job says of itself, written last.

``lines.jsonl`` holds a line a sample, refused ones too, and ``files.jsonl`` a line a file (path,
size in bytes, SHA-256), sorted by path; shard.json holds the digests of both.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, StrictBool, StrictInt

from flawsmith.data.division import Shard
from flawsmith.data.manifest import META_DEPTH, checked_classes, nests
from flawsmith.data.reading import file_sha256, own_file
from flawsmith.data.staging import JOB, LOCK
from flawsmith.data.tables import read_json
from flawsmith.data.writing import Spec, resolved, write_file, write_lines
from flawsmith.errors import InputError
from flawsmith.progress import track
from flawsmith.settings import Settings, load_settings

VERSION = 1
SHARD = "shard.json"
LINES = "lines.jsonl"
FILES = "files.jsonl"
OWN = frozenset({JOB, LOCK, SHARD, LINES, FILES, JOB + ".new", SHARD + ".new"})


class ShardFile(Settings):
    """The content of shard.json. count: samples of the whole job; built: what became of ours."""

    flawsmith: Literal[1]
    shard: StrictInt
    of: StrictInt
    count: StrictInt = Field(ge=1)
    first: StrictInt
    end: StrictInt
    format: str
    classes: tuple[str, ...]
    overlap: StrictBool
    jpeg: StrictBool
    built: dict[str, Any]
    lines: str = Field(pattern="^[0-9a-f]{64}$")
    files: str = Field(pattern="^[0-9a-f]{64}$")
    file_count: StrictInt
    job: dict[str, Any]

    @property
    def part(self) -> Shard:
        return Shard(self.shard, self.of)

    @property
    def span(self) -> range:
        """The samples of this shard, refused ones counted."""
        return range(self.first, self.end)

    @property
    def spec(self) -> Spec:
        return Spec(self.classes, self.overlap, self.jpeg)


def write_shard(
    root: Path,
    shard: Shard,
    count: int,
    format_name: str,
    spec: Spec,
    job: dict[str, Any],
    built: dict[str, Any],
) -> None:
    """List a shard's files and write its manifest; its lines are complete."""
    names = sorted(_names(root))
    write_lines(root / FILES, _listing(root, names))
    span = shard.samples(count)
    content = {
        "flawsmith": VERSION,
        "shard": shard.number,
        "of": shard.of,
        "count": count,
        "first": span.start,
        "end": span.stop,
        "format": format_name,
        "classes": list(spec.classes),
        "overlap": spec.overlap,
        "jpeg": spec.jpeg,
        "built": built,
        "lines": file_sha256(root / LINES),
        "files": file_sha256(root / FILES),
        "file_count": len(names),
        "job": job,
    }
    # Its presence says that the shard is complete, so it must appear whole.
    new = root / (SHARD + ".new")
    write_file(new, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    new.replace(root / SHARD)


def _names(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name).relative_to(root).as_posix()
            if path not in OWN:
                yield path


def _listing(root: Path, names: list[str]) -> Iterator[str]:
    for name in track(names, "digests", len(names)):
        path = root / name
        entry = {"path": name, "size": path.stat().st_size, "sha256": file_sha256(path)}
        yield json.dumps(entry, ensure_ascii=False)


def is_shard(folder: Path) -> bool:
    """Tell whether a folder holds a shard of ours, not a data set."""
    path = own_file(folder, SHARD)
    if path is None:
        return False
    content = read_json(path)
    return isinstance(content, dict) and "flawsmith" in content


def read_shard(folder: Path) -> ShardFile:
    """Return a shard's manifest; raises InputError that says in what way the folder is none."""
    path = own_file(folder, SHARD)
    name = str(resolved(folder))  # "." has no name
    if name.endswith(".partial") or (path is None and Path(name + ".partial").is_dir()):
        raise InputError("unfinished: run its command again", where=folder)
    if path is None:
        whole = "a whole data set, no shard" if (folder / "dataset.json").is_file() else "no shard"
        raise InputError(whole if folder.is_dir() else "no such folder", where=folder)
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError("no manifest of a shard", where=path)
    try:
        found = load_settings(ShardFile, None, content)
        if found.span != found.part.samples(found.count):
            raise InputError(f"samples {found.first} to {found.end} are not those of {found.part}")
    except InputError as error:
        raise InputError(f"no manifest of a shard: {error.what}", where=path) from error
    checked_classes(list(found.classes), path)
    if not nests(found.job, META_DEPTH):
        raise InputError("its job nests too deep", where=path)
    return found
