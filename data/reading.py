"""What all readers share: safe paths, the walk over a folder, and what happens to bad entries."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from flawsmith.data.dataset import Skipped
from flawsmith.data.images import IMAGE_SUFFIXES
from flawsmith.errors import InputError, printable
from flawsmith.sample import check_id

OnError = Literal["stop", "skip"]
STRAY_LINK = "a link that is broken or leaves the data folder"
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
    _passed: set[Path] = field(default_factory=set)

    def pass_over(self, where: object, reason: str) -> None:
        """Count and name an entry that takes no part (an orphan, a surplus row): never an error."""
        self.skipped.append(Skipped(printable(self.name(where)), printable(reason)))

    def refuse(self, error: InputError) -> None:
        """Raise a bad entry's error, or list it when the user chose to skip such entries."""
        if self.on_error == "stop":
            raise error
        where = printable(self.name(error.where))
        self.skipped.append(Skipped(where, printable(error.what), error.mend, bad=True))

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

    def inside(self, name: str, where: object, base: Path | None = None) -> Path:
        """Return the path of a file named in the user's data; raises InputError if it escapes.

        Names are relative to ``base`` (by default the data folder) and must stay in the data folder
        after links are followed. ``where`` is the place that names it, for the message.
        """
        parts = PurePosixPath(name.replace("\\", "/"))
        path = (base or self.root) / parts
        escapes = parts.is_absolute() or ".." in parts.parts or "\0" in name or name[1:2] == ":"
        if escapes or not name or not self._holds(path):
            raise InputError(
                f"the file name {name[:120]!r} points outside of the data folder",
                where=where,
                mend="use names relative to the data folder",
            )
        return path

    def files(self, *folders: str) -> list[Path]:
        """Return all visible files below these folders of the root (or the root), sorted.

        Folder links are not followed; a link to outside of the root, a pipe or a device is passed
        over.
        """
        try:
            found = [p for folder in folders or ("",) for p in self._walk(self.root / folder)]
        except RecursionError as error:
            raise InputError("the folders are nested too deeply", where=self.root) from error
        return sorted(found, key=lambda path: path.relative_to(self.root).as_posix())

    def images(self, *folders: str) -> list[Path]:
        return [p for p in self.files(*folders) if p.suffix.lower() in IMAGE_SUFFIXES]

    def _walk(self, top: Path) -> Iterator[Path]:
        if top != self.root and not self._holds(top):
            self._pass_over_once(top, STRAY_LINK)
            return
        for folder, subfolders, names in os.walk(top, onerror=self._unreadable):
            here = Path(folder)
            for sub in list(subfolders):
                if (here / sub).is_symlink():
                    self._pass_over_once(here / sub, "a link to a folder is not followed")
                    subfolders.remove(sub)
            subfolders[:] = sorted(s for s in subfolders if not hidden(s))
            for name in names:
                path = here / name
                if hidden(name):
                    continue
                if path.is_symlink() and not self._holds(path):
                    self._pass_over_once(path, STRAY_LINK)
                elif not path.is_file():
                    # Opening a pipe would wait for ever.
                    self._pass_over_once(path, "neither a file nor a folder")
                else:
                    yield path

    def _pass_over_once(self, path: Path, reason: str) -> None:
        # Two walks over one folder meet the same links.
        if path not in self._passed:
            self._passed.add(path)
            self.pass_over(path, reason)

    def _unreadable(self, error: OSError) -> None:
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            reason = f"cannot be read: {error.strerror or error}"
            self.refuse(InputError(reason, where=Path(error.filename)))

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


def unique_ids(reading: Reading, paths: Iterable[Path], base: Path) -> dict[Path, str]:
    """Return an id for each image: its stem, or its path with ``__`` where stems occur twice.

    Images without a usable id go through ``reading.refuse`` and are left out: ``a.png`` beside
    ``a.jpg``, since a mask ``a`` may be of either; a control character in the name.
    """
    listed = list(paths)
    short = len({path.stem for path in listed}) == len(listed)
    holders: dict[str, list[Path]] = defaultdict(list)
    for path in listed:
        parts = path.relative_to(base).with_suffix("").parts
        holders[path.stem if short else "__".join(parts)].append(path)
    ids = {}
    for name, found in holders.items():
        for path in found:
            with reading.entry():
                check_id(name, where=path)
                if len(found) > 1:
                    raise InputError(
                        f"two images share the id {name!r}: {found[0].name} and {found[1].name}",
                        where=path,
                        mend="rename one of them",
                    )
                ids[path] = name
    return ids


def own_file(root: Path, name: str) -> Path | None:
    """Return ``root/name`` if there is such a file; raises InputError if a link leads out of root.

    A table in a folder from elsewhere must not show the content of the user's other files.
    """
    path = root / name
    if not path.is_file():
        return None
    if not path.resolve().is_relative_to(root.resolve()):
        raise InputError(
            "a link that leaves the data folder", where=path, mend="put the file itself there"
        )
    return path


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces; raises InputError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=path) from error


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
