"""Folders that appear under their final name only when complete, and resume where they stopped.

While a job runs, its output lies in ``<out>.partial`` with ``job.json`` (what makes it) and a lock.
The same job finds the same partial folder and goes on in it; another job starts afresh.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from flawsmith.data.tables import read_json
from flawsmith.data.writing import make_folder, resolved, write_file, writing_in
from flawsmith.errors import InputError, OutputError
from flawsmith.progress import say

JOB = "job.json"
LOCK = ".lock"
# Noted in job.json once the folder has a seal (``kept.seal``); no part of the job.
SEALED = "sealed"


@dataclass(frozen=True)
class Stage:
    """Where to write, and whether there is anything left to do."""

    path: Path
    done: bool


def job_digest(job: dict[str, Any]) -> str:
    """Return the SHA-256 of a JSON-able description of a job."""
    return hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()


def differences(one: Any, other: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield (dotted name, value, value) for each difference between two JSON values."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            inner = f"{name}.{key}" if name else key
            yield from differences(one.get(key), other.get(key), inner)
    elif one != other:
        yield name, one, other


def note_sealed(folder: Path) -> None:
    """Note in a folder's job.json, if it has one, that there is a seal; raises OutputError."""
    if (folder / JOB).is_file():
        _write_job(folder, {**read_json(folder / JOB), SEALED: True})


def is_sealed(folder: Path) -> bool:
    """Tell whether a folder's job.json notes a seal."""
    path = folder / JOB
    content = read_json(path) if path.is_file() else None
    return isinstance(content, dict) and SEALED in content


@contextmanager
def staged(
    out: Path,
    job: dict[str, Any],
    *,
    overwrite: bool = False,
    check: Callable[[], None] | None = None,
) -> Iterator[Stage]:
    """Yield the folder to write into; on leaving without error it becomes ``out``.

    check: called unless ``out`` is done, before another job's unfinished folder makes way.

    If ``out`` already holds this very job, ``done`` is true and nothing is to be written.
    Raises InputError when ``out`` holds something else (unless ``overwrite``, which replaces a
    folder that flawsmith made) or when another process is at work on it.
    """
    out = resolved(out)  # "." and "x/.." have no name to add ".partial" to
    partial = out.with_name(out.name + ".partial")
    if _is_done(out, job, overwrite):
        # What a kill just after the renaming leaves; on a disk that is read-only it stays.
        with suppress(OSError):
            (out / LOCK).unlink(missing_ok=True)
            _remove_replaced(out.with_name(out.name + ".replaced"))
        yield Stage(out, done=True)
        return
    make_folder(partial)
    with held(partial / LOCK, "another process is writing it", out):
        # Another process may have finished between the first look and the lock.
        if _is_done(out, job, overwrite):
            shutil.rmtree(partial, ignore_errors=True)
            yield Stage(out, done=True)
            return
        try:
            if check is not None:
                check()
            _prepare(partial, job)
            yield Stage(partial, done=False)
        except InputError:
            # Refused before anything was written: leave nothing behind.
            if {path.name for path in partial.iterdir()} <= {JOB, LOCK}:
                shutil.rmtree(partial, ignore_errors=True)
            raise
        _publish(partial, out)


@contextmanager
def held(path: Path, taken: str, where: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold a lock file for this process; raises InputError saying ``taken`` if another has it.

    patience: seconds to wait for it.
    """
    if path.is_symlink():
        # Opening it would empty the file that it leads to.
        raise InputError("a link: nothing is written through it", where=path, mend="remove it")
    lock = FileLock(path)
    with writing_in(path):
        try:
            lock.acquire(timeout=patience)
        except Timeout as error:  # an OSError itself
            raise InputError(taken, where=where, mend="wait for it") from error
    try:
        yield
    finally:
        lock.release()


def _is_done(out: Path, job: dict[str, Any], overwrite: bool) -> bool:
    """Tell whether ``out`` holds this job; raises InputError when it may not be written."""
    if _holds_job(out, job):
        return True
    if out.exists() and not _is_empty(out) and not (overwrite and (out / JOB).is_file()):
        raise InputError(
            "it exists and was not made by this command with these settings",
            where=out,
            mend="choose another folder, or --overwrite one that flawsmith made",
        )
    return False


def _holds_job(folder: Path, job: dict[str, Any]) -> bool:
    path = folder / JOB
    if not path.is_file():
        return False
    content = read_json(path)
    if isinstance(content, dict):
        content.pop(SEALED, None)
    return bool(content == json.loads(json.dumps(job)))


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _prepare(partial: Path, job: dict[str, Any]) -> None:
    if _holds_job(partial, job):
        say(f"resuming {partial}")
        return
    others = [path for path in partial.iterdir() if path.name not in (LOCK, JOB + ".new")]
    if others and not (partial / JOB).is_file():
        raise InputError(
            "holds files that flawsmith did not write", where=partial, mend="move it away"
        )
    if others:
        say(f"starting afresh: {partial} belongs to other settings")
        # job.json goes last: a kill in between must not leave files without it.
        with writing_in(partial):
            for path in sorted(others, key=lambda path: path.name == JOB):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    _write_job(partial, job)


def _write_job(folder: Path, job: dict[str, Any]) -> None:
    temporary = folder / (JOB + ".new")
    write_file(temporary, json.dumps(job, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    with writing_in(folder):
        temporary.replace(folder / JOB)


def _publish(partial: Path, out: Path) -> None:
    """Give the complete folder its name; an old one is moved aside first and removed after."""
    old = out.with_name(out.name + ".replaced")
    try:
        _sync(partial)
        if out.exists() and _is_empty(out):
            out.rmdir()
        if out.exists():
            _remove_replaced(old)
            out.rename(old)
        partial.rename(out)
        (out / LOCK).unlink(missing_ok=True)
        _remove_replaced(old)
    except OSError as error:
        raise OutputError(f"{out}: cannot be put in place: {error.strerror or error}") from error


def _remove_replaced(old: Path) -> None:
    # A user's own folder of that name is not ours to remove.
    if (old / JOB).is_file():
        shutil.rmtree(old)


def _sync(folder: Path) -> None:
    """Flush the files at the folder's top and its directory to the disk."""
    for path in (*folder.glob("*.json*"), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
