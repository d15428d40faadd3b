"""No file outside of the opened folders is read or written, wherever a link leads."""

from collections.abc import Iterable
from pathlib import Path

from flawsmith.errors import InputError


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
