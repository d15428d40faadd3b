"""No file outside of the opened folders is read or written, wherever a link leads."""

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

from flawsmith.data.dataset import Record
from flawsmith.errors import InputError

# Of each file of a sample: when it was written (ns) and its bytes; None of one that is not there.
Version = tuple[tuple[int, int] | None, ...]


class Roots:
    """The folders that were opened; links in there must not lead out of all of them."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self.folders = tuple(dict.fromkeys(folder.resolve() for folder in folders))

    def inside(self, path: Path) -> Path:
        """Return the path with its links followed; raises InputError when that leaves the folders.

        To be asked at each use: what was a file when the folder was read may be a link by now.
        """
        try:
            found = path.resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError("cannot be followed", where=path) from error
        if not any(found.is_relative_to(folder) for folder in self.folders):
            raise InputError(
                "leaves the opened folder", where=path, mend="put the file itself there"
            )
        return found

    def keep(self, record: Record) -> None:
        """Raise InputError if the picture of a sample, or its mask, leaves the folders."""
        for path in files_of(record):
            self.inside(path)


def files_of(record: Record) -> list[Path]:
    """Return the files that a sample is read from: its picture, then those of its masks."""
    return [record.image, *_paths(record.masks)]


def version_of(record: Record) -> Version:
    """Return what tells whether a sample was made anew since."""
    return tuple(_facts(path) for path in files_of(record))


def _paths(value: object) -> Iterator[Path]:
    """Yield the paths in a source of masks: every one is a dataclass of paths and plain facts."""
    if isinstance(value, Path):
        yield value
    elif is_dataclass(value):
        for own in fields(value):
            yield from _paths(getattr(value, own.name))
    elif isinstance(value, tuple) and value and is_dataclass(value[0]):
        for one in value:
            yield from _paths(one)


def _facts(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size
