"""The formats by name, and the choice among them: what was seen, why, and when it is in doubt."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from flawsmith.data.dataset import DataSet
from flawsmith.data.groups import apply_groups
from flawsmith.data.manifest import apply_manifest, read_manifest
from flawsmith.data.reading import OnError, Reading
from flawsmith.data.shard_manifest import is_shard
from flawsmith.data.writing import Writer
from flawsmith.errors import InputError, printable

# In the order in which they are named to the user; each module has detect and read.
READERS = {
    "severstal": "severstal",
    "folder": "folder",
    "pairs": "pairs",
    "mvtec": "mvtec",
    "anomalib-folder": "anomalib_folder",
    "coco": "coco",
    "yolo-seg": "yolo_seg",
    "plates": "plate_photos",
}
WRITERS = {
    "folder": "folder",
    "severstal": "severstal",
    "mvtec": "mvtec",
    "coco": "coco",
    "yolo-seg": "yolo_seg",
    "webdataset": "shards",
    "plates": "plate_photos",  # raw photos: for the demo data alone
}
NAMES_SHOWN = 8
CONVERTIBLE = tuple(name for name in WRITERS if name != "plates")


@dataclass(frozen=True)
class ReadOptions:
    """How a folder is read.

    format: a name from READERS, or None to look.
    on_error: stop at the first bad entry, or skip and list it.
    group_regex: its first group (or the whole match) in an image's relative path is its group.
    assume_good: count images without any mask as clean instead of unknown, unless they lie in a
    folder of defects.
    """

    format: str | None = None
    on_error: OnError = "stop"
    group_regex: str | None = None
    assume_good: bool = False


def read_dataset(root: Path, options: ReadOptions | None = None) -> DataSet:
    """Read a folder in any layout; raises InputError that says what was seen and how to mend it."""
    options = options or ReadOptions()
    _check_folder(root)
    if is_shard(root):
        raise InputError(
            "one shard of a divided job, no data set", where=root, mend="flawsmith merge them all"
        )
    manifest = read_manifest(root)
    name, saw = (manifest.format, "dataset.json") if manifest else (None, "")
    if options.format:
        name, saw = options.format, "named by --format"
    if name is None:
        name, saw = detect(root)
    if name not in READERS:
        raise InputError(f"the format {name!r} cannot be read", where=root, mend=_choices())
    reading = Reading(root, options.on_error)
    module = import_module(f"flawsmith.data.{READERS[name]}")
    read = cast("Callable[[Reading, tuple[str, ...] | None], DataSet]", module.read)
    dataset = read(reading, manifest.classes if manifest else None)
    if manifest:
        dataset = apply_manifest(dataset, manifest, reading)
    if not dataset.records:
        raise _nothing_left(reading, name)
    if options.assume_good:
        dataset = _assume_good(dataset)
    dataset = apply_groups(dataset, reading, options.group_regex)
    reading.notices.insert(0, f"read as {name}: {saw}")
    return replace(
        dataset,
        skipped=dataset.skipped + tuple(reading.skipped),
        notices=dataset.notices + tuple(map(printable, reading.notices)),
    )


def detect(root: Path) -> tuple[str, str]:
    """Return the format and what was seen of it; raises InputError when none or several fit."""
    claims: dict[str, str] = {}
    for name, module in READERS.items():
        saw = import_module(f"flawsmith.data.{module}").detect(root)
        if saw:
            claims[name] = saw
    if len(claims) == 1:
        return claims.popitem()
    if not claims:
        raise InputError(f"no known layout: it holds {_holding(root)}", where=root, mend=_choices())
    seen = "; ".join(f"{name} ({saw})" for name, saw in claims.items())
    raise InputError(f"several layouts fit: {seen}", where=root, mend="choose one with --format")


def get_writer(name: str) -> Writer:
    """Return the format module that writes ``name``."""
    if name not in WRITERS:
        raise InputError(
            f"the format {name!r} cannot be written", mend=f"one of {', '.join(CONVERTIBLE)}"
        )
    return cast("Writer", import_module(f"flawsmith.data.{WRITERS[name]}"))


def _check_folder(root: Path) -> None:
    reason = "no such folder"
    # A name too long for the system, or a link to itself, raises.
    with suppress(OSError, RuntimeError):
        if root.is_dir():
            return
        if root.exists():
            reason = "it is a file, not a folder"
    raise InputError(reason, where=root, mend="give the folder of images")


def _nothing_left(reading: Reading, name: str) -> InputError:
    bad = [entry for entry in reading.skipped if entry.bad]
    if bad:
        return InputError(f"all images are bad, such as {bad[0]}", where=reading.root)
    return InputError(f"no image found (read as {name})", where=reading.root, mend=_choices())


def _holding(root: Path) -> str:
    """Return the first entries of a folder, as text."""
    try:
        names = sorted(path.name + "/" * path.is_dir() for path in root.iterdir())
    except OSError as error:
        return f"what cannot be read ({error.strerror})"
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return printable(", ".join(names[:NAMES_SHOWN]) + more) or "nothing"


def _assume_good(dataset: DataSet) -> DataSet:
    def mend(record: Any) -> Any:
        return replace(record, declared="good") if record.declared == "unlabelled" else record

    return replace(dataset, records=tuple(map(mend, dataset.records)))


def _choices() -> str:
    return f"name one with --format: {', '.join(READERS)}"
