"""Small pictures made once and kept on the disk, so that the next visit finds them."""

import hashlib
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flawsmith.errors import OutputError
from flawsmith.progress import say

# Of our own drawing: pictures of another one are not reused.
REVISION = 1


class Shelf:
    """Files by what they were made of; a folder that cannot be written is said once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writable = True

    def get(self, source: Path, about: Any, make: Callable[[], bytes]) -> bytes:
        """Return the content made of a file, making it if that file or ``about`` is new.

        about: JSON-able, what else decides the content.
        """
        facts = source.stat()
        key = [REVISION, str(source), facts.st_size, facts.st_mtime_ns, about]
        name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:40]
        path = self._folder / name[:2] / name
        try:
            return path.read_bytes()
        except OSError:
            content = make()
        if self._writable:
            self._keep(path, content)
        return content

    def _keep(self, path: Path, content: bytes) -> None:
        partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content)
            partial.replace(path)
        except OSError as error:
            self._writable = False
            partial.unlink(missing_ok=True)
            told = OutputError(f"{self._folder}: small pictures are not kept: {error.strerror}")
            say(f"note: {told}")
