"""One writer at a time in a data set: decisions and saved pairs, of this process and of others."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from flawsmith.errors import InputError, OutputError

WRITING = ".write.lock"
# A writer reads and replaces a list of samples: long before this it is done.
PATIENCE = 20.0


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold a data set for a short write; waits for others. Raises InputError, OutputError."""
    with locked(folder / WRITING, "another process is writing it", folder, PATIENCE):
        yield


@contextmanager
def locked(path: Path, taken: str, where: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold a lock file for these calls; raises InputError saying ``taken`` after the patience."""
    if path.is_symlink():
        # Opening it would empty the file that it leads to.
        raise InputError("a link: nothing is written through it", where=path, mend="remove it")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=patience)
    except Timeout as error:
        raise InputError(taken, where=where, mend="wait for it") from error
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()
