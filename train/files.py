"""Files that are whole or not there: written under another name, flushed, then renamed."""

import os
from pathlib import Path

from flawsmith.data.writing import writing_in


def replace_file(path: Path, content: bytes) -> None:
    """Give the file new content at once; raises OutputError naming it."""
    new = path.with_name(path.name + ".new")
    with writing_in(path):
        write_synced(new, content)
        new.replace(path)
        sync_folder(path.parent)


def write_synced(path: Path, content: bytes) -> None:
    """Write a new file, in place of any old one, and flush it to the disk; raises OSError.

    Nothing is written through a link that has the name: it is removed, and "x" follows none.
    """
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Flush a folder's names to the disk; raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
