"""Files that flawsmith wrote for itself and reads again: as written, or one line why not.

What is read is held against the type that was written, all of it, before anything is made of it;
and a folder's files can be sealed with their digests, so that a changed digit is told, too.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, overload

from pydantic import TypeAdapter, ValidationError

from flawsmith.data.reading import file_sha256, read_text
from flawsmith.data.staging import is_sealed, job_digest, note_sealed
from flawsmith.data.tables import jsonl_lines, parse_object, read_json
from flawsmith.data.writing import write_file, writing_in
from flawsmith.errors import InputError

T = TypeVar("T")
SEAL = "seal.json"
OTHER = "not as it was written"
# What comes of making something of content that is not ours.
ODD = (
    *(KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError),
    RecursionError,
)
# Whole numbers up to here a float holds exactly: more steps than any training makes.
EXACT = 1 << 53
# What no name of a file in the folder itself has.
SEPARATORS = frozenset("/\\\0")
# As many digits as the least whole number that no float holds.
LONG = re.compile(r"\d{309}")


@contextmanager
def as_written(
    path: Path, remove: Path | None = None, *, line: int = 0, mend: str = ""
) -> Iterator[None]:
    """Turn what comes of content that flawsmith did not write into an InputError with its mend.

    remove: the file or folder without which the same command makes it again; None: the folder that
    the file lies in. line: of the file, counted from 1; mend: another one. What a disk or a right
    refuses (``of_disk``) keeps its own words: to remove the file would not help.
    """
    mend = mend or f"remove {remove or path.parent}, and the same command makes it again"
    where = f"{path}:{line}" if line else path
    try:
        yield
    except InputError as error:
        if of_disk(error):
            raise
        raise InputError(error.what, where=error.where or where, mend=mend) from error
    except ODD as error:
        raise InputError(f"{OTHER}: {_told(error)}", where=where, mend=mend) from error


def of_disk(error: InputError) -> bool:
    """Tell whether a disk or a right refused a file that is there, whatever it holds."""
    cause = error.__cause__
    return isinstance(cause, OSError) and not isinstance(
        cause, (FileNotFoundError, IsADirectoryError)
    )


def _told(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(map(str, first["loc"]))
        return f"{name[:80]}: {first['msg'].lower()}"[:200] if name else first["msg"].lower()[:200]
    return f"{type(error).__name__}: {error}"[:200]


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def fits(content: Any, shape: Any) -> Any:
    """Return JSON content as it is; raises ValueError unless it has this type, to the last value.

    shape: whatever pydantic knows: a dataclass, of which a file may hold more,
    ``tuple[str, ...]``. Numbers, texts and truths are not taken for one another; a whole number
    is a float, too. One that no float holds is none where the type asks for a number.
    """
    text = json.dumps(content)
    _adapter(shape).validate_json(text, strict=True)
    if LONG.search(text):
        # Where both a number and a text will do, anything does.
        again = json.dumps(json.loads(text, parse_int=_held_by_float))
        _adapter(shape).validate_json(again, strict=True)
    return content


def _held_by_float(digits: str) -> int | str:
    """Return a whole number; as text if it is too large for a float."""
    number = int(digits)
    try:
        float(number)
    except OverflowError:
        return digits
    return number


def _same(content: Any) -> Any:
    return content


@overload
def read_kept(path: Path, shape: Any, *, remove: Path | None = None) -> Any: ...
@overload
def read_kept(
    path: Path, shape: Any, made: Callable[[Any], T], *, remove: Path | None = None
) -> T: ...
def read_kept(
    path: Path, shape: Any, made: Callable[[Any], Any] = _same, *, remove: Path | None = None
) -> Any:
    """Return ``made`` of a JSON file's content, which has this ``shape``.

    Raises InputError that names the file and what to remove (``as_written``) for any other one, and
    where ``made`` takes exception to it.
    """
    with as_written(path, remove):
        return made(fits(read_json(path), shape))


def read_kept_lines(
    path: Path,
    shape: Any,
    made: Callable[[Any], Any] = _same,
    *,
    mend: str = "",
    mend_file: str = "",
) -> list[Any]:
    """Return ``made`` of each line of a JSONL file, as ``read_kept`` does of a file.

    mend: of a line that is not as it was written; mend_file: of a file that is no text, or missing.
    """
    with as_written(path, mend=mend_file):
        lines = list(jsonl_lines(path))
    found = []
    for number, text in lines:
        with as_written(path, line=number, mend=mend):
            found.append(made(fits(parse_object(text, f"{path}:{number}"), shape)))
    return found


def read_digest(path: Path) -> str:
    """Return the SHA-256 in hex that a file of ours holds; raises InputError as ``read_kept``."""
    with as_written(path):
        text = read_text(path, 1 << 10).strip()
        if len(text) != 64 or set(text) - set("0123456789abcdef"):
            raise ValueError("no SHA-256")
        return text


@dataclass(frozen=True)
class _Seal:
    """What seal.json holds. files: SHA-256 by name; sha256: of these entries."""

    files: dict[str, str]
    sha256: str


def seal(folder: Path, leave: Iterable[str]) -> None:
    """Write the digests of the files at the top of a folder; none where there are no files.

    leave: names of those that may change later, or hold what a clock said. That there is a seal is
    noted in the folder's job.json, if it has one.
    """
    names = {path.name for path in folder.iterdir() if path.is_file()} - {*leave, SEAL}
    # A desktop's own (.DS_Store), which comes, changes and goes by itself.
    names = {name for name in names if not name.startswith(".")}
    # What a kill left half-written, maybe of this very file.
    names = {name for name in names if not name.endswith(".new")}
    if names:
        digests = {name: file_sha256(folder / name) for name in sorted(names)}
        content = {"files": digests, "sha256": job_digest(digests)}
        new = folder / (SEAL + ".new")
        write_file(new, json.dumps(content, indent=1) + "\n")
        with writing_in(new):
            new.replace(folder / SEAL)
        note_sealed(folder)


def check_seal(folder: Path) -> None:
    """Raise InputError for a file of a folder that is not the sealed one, and for a lost seal.

    Folders whose job.json notes none may have none.
    """
    path = folder / SEAL
    if not path.is_file():
        with as_written(path, folder):
            if is_sealed(folder):
                raise InputError("it is missing")
        return
    for name, digest in read_kept(path, _Seal, _entries).items():
        with as_written(folder / name, folder):
            if file_sha256(folder / name) != digest:
                raise InputError("changed since it was written")


def _entries(content: dict[str, Any]) -> dict[str, str]:
    files: dict[str, str] = content["files"]
    for name in files:
        # Before any path is made of it: an absolute one would lead elsewhere.
        if name in ("", ".", "..") or SEPARATORS & set(name):
            raise InputError("names no file of this folder")
    if content["sha256"] != job_digest(files):
        raise InputError("its digest is another one")
    return files
