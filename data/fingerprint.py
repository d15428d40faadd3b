"""A cheap digest of a source folder: whether a job that runs again reads what it read before."""

import hashlib
import json

from flawsmith.data.dataset import DataSet
from flawsmith.data.reading import Reading
from flawsmith.errors import InputError


def fingerprint(dataset: DataSet) -> str:
    """Return a SHA-256 over the format and each visible file's relative path, size and mtime.

    Contents are not read: a file rewritten with other bytes has another modification time.
    """
    state = hashlib.sha256(json.dumps([dataset.format, list(dataset.classes)]).encode())
    for path in Reading(dataset.root, "skip").files():
        try:
            facts = path.stat()
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", where=path) from error
        name = path.relative_to(dataset.root).as_posix()
        state.update(json.dumps([name, facts.st_size, facts.st_mtime_ns]).encode())
    return state.hexdigest()
