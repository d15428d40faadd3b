"""One writer at a time in a data set: decisions and saved pairs, of this process and of others."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flawsmith.data.staging import held

WRITING = ".write.lock"
# A writer reads and replaces a list of samples: long before this it is done.
PATIENCE = 20.0


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold a data set for a short write; waits for others. Raises InputError, OutputError."""
    with held(folder / WRITING, "another process is writing it", folder, PATIENCE):
        yield
