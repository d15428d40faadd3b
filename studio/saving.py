"""Data sets that grow by one sample at a time, whole at each moment."""

import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from flawsmith import __version__
from flawsmith.data.folder import NAME, index_picture, one_index_holds
from flawsmith.data.images import encode_png
from flawsmith.data.manifest import MANIFEST, SAMPLES, manifest_text, read_manifest
from flawsmith.data.tables import read_jsonl
from flawsmith.data.writing import Spec, make_folder
from flawsmith.errors import InputError
from flawsmith.sample import Sample
from flawsmith.studio.locking import WRITING, writing
from flawsmith.train.files import replace_file

COMMAND = "studio"
MADE_BY = {"command": COMMAND, "flawsmith": __version__}
CLASSES = "classes.txt"
FOLDERS = ("images", "masks")
# What a kill before the first manifest leaves.
STARTED = frozenset(
    {WRITING, CLASSES, SAMPLES, *(f"{name}.new" for name in (CLASSES, SAMPLES, MANIFEST))}
)


class Growing:
    """A data set in the layout ``folder`` that samples are added to.

    The manifest of no samples comes first, then each picture and its mask, then the line that names
    them: a kill in between leaves files that readers pass over.
    """

    def __init__(self, root: Path, classes: tuple[str, ...]) -> None:
        self.root = root
        self.classes = classes

    def check(self) -> None:
        """Raise InputError if the folder holds something else than such a data set."""
        if not one_index_holds(Spec(self.classes)):
            raise InputError(f"{len(self.classes)} classes: too many for one mask", where=self.root)
        if not self.root.is_dir():
            if os.path.lexists(self.root):
                raise InputError("it is no folder", where=self.root, mend="another --save")
            return
        for path in (self.root, *(self.root / name for name in FOLDERS)):
            if path.is_symlink():
                raise InputError(
                    "a link: nothing is written through it", where=path, mend="another --save"
                )
        manifest = read_manifest(self.root)
        if manifest is None:
            if {path.name for path in self.root.iterdir()} - STARTED:
                raise InputError(
                    "it holds no data set of flawsmith", where=self.root, mend="another --save"
                )
        elif manifest.command != COMMAND:
            # Another command's masks may lie otherwise: ours beside them would hide theirs.
            raise InputError(
                "a data set that the studio did not begin", where=self.root, mend="another --save"
            )
        elif manifest.format != NAME or manifest.classes != self.classes:
            raise InputError(
                f"a data set of {manifest.format} with {', '.join(manifest.classes)}",
                where=self.root,
                mend=f"another --save: the run paints {', '.join(self.classes)}",
            )

    def add(self, make: Callable[[], Sample], prefix: str = "") -> tuple[str, int]:
        """Add a sample, under the next free id with this prefix, or else under its own, once.

        Returns its id and how many samples there are. ``make`` is called before anything is held:
        it takes seconds, in which decisions on the same data set are written.

        Raises InputError as ``check`` and as ``make`` do, OutputError when it cannot be written.
        """
        self.check()
        sample = make()
        make_folder(self.root)
        with writing(self.root):
            self.check()
            lines = self._lines()
            ids = {line["id"] for line in lines}
            if prefix:
                sample = replace(sample, id=self._free(prefix, ids))
            elif sample.id in ids:
                return sample.id, len(lines)
            if not (self.root / MANIFEST).is_file():
                self._list([])
            self._put(sample)
            self._list([*lines, self._line(sample)])
            return sample.id, len(lines) + 1

    def count(self) -> int:
        """Return how many samples there are."""
        return len(self._lines())

    def _lines(self) -> list[dict[str, Any]]:
        path = self.root / SAMPLES
        return [line for _, line in read_jsonl(path)] if path.is_file() else []

    def _free(self, prefix: str, ids: set[str]) -> str:
        number = len(ids)
        while True:
            name = f"{prefix}_{number:06d}"
            # A link that leads nowhere is something, too.
            taken = (os.path.lexists(self.root / folder / f"{name}.png") for folder in FOLDERS)
            if name not in ids and not any(taken):
                return name
            number += 1

    def _put(self, sample: Sample) -> None:
        """Write picture and mask, flushed: the line that names them comes later."""
        for folder, pixels in zip(
            FOLDERS, (sample.image, index_picture(sample.masks)), strict=True
        ):
            make_folder(self.root / folder)
            replace_file(self.root / folder / f"{sample.id}.png", encode_png(pixels))

    def _line(self, sample: Sample) -> dict[str, Any]:
        width, height = sample.size
        return {
            "id": sample.id,
            "image": f"{FOLDERS[0]}/{sample.id}.png",
            "label": sample.label,
            "group": sample.group,
            "width": width,
            "height": height,
            "meta": sample.meta,
        }

    def _list(self, lines: list[dict[str, Any]]) -> None:
        text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lines)
        replace_file(self.root / CLASSES, "".join(c + "\n" for c in self.classes).encode())
        replace_file(self.root / SAMPLES, text.encode())
        labels = Counter(str(one["label"]) for one in lines)
        notes: dict[str, Any] = {"refused": {}, "notices": [], "redrawn": {}}
        content = manifest_text(NAME, self.classes, {**MADE_BY, **notes}, labels)
        replace_file(self.root / MANIFEST, content.encode())
