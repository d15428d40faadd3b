"""What all readers share: safe paths, the walk over a folder, and what happens to bad entries."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from flawsmith.data.dataset import Skipped
from flawsmith.data.images import IMAGE_SUFFIXES
from flawsmith.errors import InputError

OnError = Literal["stop", "skip"]
# Folder names by which people mark images without defect (MT_Free, train/good, normal_test ...).
GOOD_NAMES = frozenset({"good", "ok", "free", "normal", "clean", "defectfree"})


@dataclass
class Reading:
    """One reading of a folder: its options, and the log of what was passed over.

    on_error: ``stop`` raises the first bad entry, ``skip`` lists it and goes on.
    """

    root: Path
    on_error: OnError = "stop"
    skipped: list[Skipped] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def pass_over(self, where: object, reason: str) -> None:
        """Count and name an entry that takes no part (an orphan, a surplus row): never an error."""
        self.skipped.append(Skipped(self.name(where), reason))

    def refuse(self, error: InputError) -> None:
        """Raise a bad entry's error, or list it when the user chose to skip such entries."""
        if self.on_error == "stop":
            raise error
        self.skipped.append(Skipped(self.name(error.where), error.what, error.mend, bad=True))

    @contextmanager
    def entry(self) -> Iterator[None]:
        """Guard the reading of one entry: its InputError goes through ``refuse``."""
        try:
            yield
        except InputError as error:
            self.refuse(error)

    def name(self, where: object) -> str:
        """Return a path relative to the data folder, other things as text."""
        if isinstance(where, Path) and where.is_relative_to(self.root):
            return where.relative_to(self.root).as_posix()
        return str(where).removeprefix(f"{self.root}{os.sep}")

    def inside(self, name: str, base: Path | None = None) -> Path:
        """Return the path of a file named in the user's data; raises InputError if it escapes.

        Names are relative to ``base`` (by default the data folder) and must stay in the data folder
        after links are followed.
        """
        parts = PurePosixPath(name.replace("\\", "/"))
        path = (base or self.root) / parts
        escapes = parts.is_absolute() or ".." in parts.parts or "\0" in name or name[1:2] == ":"
        if escapes or not name or not self._holds(path):
            raise InputError(
                f"the file name {name[:120]!r} points outside of the data folder",
                where=base or self.root,
                mend="use names relative to the data folder",
            )
        return path

    def files(self, *folders: str) -> list[Path]:
        """Return all visible files below these folders of the root (or the root), sorted.

        Folder links are not followed, and a file that links to outside of the root is passed over.
        """
        found = [p for folder in folders or ("",) for p in self._walk(self.root / folder)]
        return sorted(found, key=lambda path: path.relative_to(self.root).as_posix())

    def images(self, *folders: str) -> list[Path]:
        return [p for p in self.files(*folders) if p.suffix.lower() in IMAGE_SUFFIXES]

    def _walk(self, top: Path) -> Iterator[Path]:
        if top != self.root and not self._holds(top):
            self.pass_over(top, "a link that is broken or leaves the data folder")
            return
        for folder, subfolders, names in os.walk(top):
            here = Path(folder)
            for sub in list(subfolders):
                if (here / sub).is_symlink():
                    self.pass_over(here / sub, "a link to a folder is not followed")
                    subfolders.remove(sub)
            subfolders[:] = sorted(s for s in subfolders if not hidden(s))
            for name in names:
                path = here / name
                if hidden(name):
                    continue
                if path.is_symlink() and not self._holds(path):
                    self.pass_over(path, "a link that is broken or leaves the data folder")
                else:
                    yield path

    def _holds(self, path: Path) -> bool:
        try:
            return path.resolve(strict=path.is_symlink()).is_relative_to(self.root.resolve())
        except (OSError, RuntimeError, ValueError):
            return False


def hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def is_good_name(name: str) -> bool:
    """Tell whether a folder's name marks clean images: ``good``, ``MT_Free``, ``normal_test``."""
    words = name.lower().replace("-", "_").replace(" ", "_").split("_")
    return "defectfree" in "".join(words) or (
        not {"no", "not", "non", "abnormal"} & set(words) and bool(GOOD_NAMES & set(words))
    )


def unique_ids(paths: Iterable[Path], root: Path) -> dict[Path, str]:
    """Return an id for each file: its stem, or its path with ``__`` where stems occur twice.

    Raises InputError when two files still share an id (``a.png`` beside ``a.jpg``).
    """
    listed = list(paths)
    if len({path.stem for path in listed}) == len(listed):
        return {path: path.stem for path in listed}
    ids = {p: "__".join(p.relative_to(root).with_suffix("").parts) for p in listed}
    first: dict[str, Path] = {}
    for path, name in ids.items():
        if name in first:
            raise InputError(
                f"two images share the id {name!r}: {first[name].name} and {path.name}",
                where=path,
                mend="rename one of them",
            )
        first[name] = path
    return ids


def read_text(path: Path, limit: int = 1 << 30) -> str:
    """Return a UTF-8 text file; raises InputError naming it when it is none or over ``limit``."""
    try:
        if path.stat().st_size > limit:
            raise InputError(f"over {limit >> 20} MiB", where=path, mend="is it the right file?")
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", where=path, mend="save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error
