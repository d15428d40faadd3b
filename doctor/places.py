"""The folders that flawsmith writes to: can it, and is there room."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from flawsmith.doctor.findings import Finding, error_line

GIB = 1 << 30
# 10,000 strips of 1600x256 with their masks are about 3 GiB.
LITTLE = 5 * GIB


def places() -> list[Finding]:
    """Return the findings on the cache, the folder for temporary files and this folder."""
    return [_cache(), _temporary(), _here()]


def _here() -> Finding:
    """Nothing has to be written to the current folder: where it cannot be, that is no fault."""
    serves, mend = "results that are named without a folder", "name a folder that can be written"
    try:
        found = _place("this folder", Path.cwd(), serves, mend)
    except OSError as error:  # it was removed
        return Finding("this folder", "note", error_line(error), serves, mend)
    return replace(found, state="note") if found.state == "wrong" else found


def _cache() -> Finding:
    serves = "features and segmenters, kept for the next time"
    mend = "set FLAWSMITH_CACHE to a folder that can be written, or use --cache"
    try:
        from flawsmith.evaluate.feature_store import default_folder

        folder = default_folder()
    except Exception as error:  # no home folder, or a library that is broken
        return Finding("cache", "wrong", error_line(error), serves, mend)
    return _place("cache", folder, serves, mend)


def _temporary() -> Finding:
    serves, mend = "the self-test, trainings, other libraries", "set TMPDIR"
    try:
        folder = Path(tempfile.gettempdir())
    except OSError as error:
        return Finding("temporary files", "wrong", error_line(error), serves, mend)
    return _place("temporary files", folder, serves, mend)


def _place(name: str, folder: Path, serves: str, mend: str) -> Finding:
    """Write a file that has no name, or is gone at once, and look at the room."""
    there = folder
    try:
        while not there.exists() and there != there.parent:  # raises behind a closed folder
            there = there.parent
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"flawsmith")
            file.flush()
        free = shutil.disk_usage(there).free
    except OSError as error:
        told = f"{folder} cannot be written: {error.strerror or error}"
        return Finding(name, "wrong", told, serves, mend)
    told = f"{folder}{'' if there == folder else ' (not made yet)'}, {free / GIB:.1f} GiB free"
    if free < LITTLE:
        return Finding(name, "note", told, serves, "make room: a data set may need gigabytes")
    return Finding(name, "ok", told, serves)
