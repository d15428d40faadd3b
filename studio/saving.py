"""Data sets that grow by one sample at a time, whole at each moment."""

import json
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flawsmith import __version__
from flawsmith.data.folder import NAME, write_sample
from flawsmith.data.manifest import MANIFEST, SAMPLES, manifest_text, read_manifest
from flawsmith.data.staging import held
from flawsmith.data.tables import read_jsonl
from flawsmith.data.writing import Spec, make_folder
from flawsmith.errors import InputError, OutputError
from flawsmith.sample import Sample
from flawsmith.train.files import replace_file

LOCK = ".lock"
MADE_BY = {"command": "studio", "flawsmith": __version__}


class Growing:
    """A data set in the layout ``folder`` that samples are added to.

    The picture and its mask come first, then the line that names them: a kill in between leaves
    files that readers pass over.
    """

    def __init__(self, root: Path, classes: tuple[str, ...]) -> None:
        self.root = root
        self.classes = classes
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raise InputError if the folder holds something else than such a data set."""
        if not self.root.is_dir():
            if self.root.exists() or self.root.is_symlink():
                raise InputError("it is no folder", where=self.root, mend="another --save")
            return
        for path in (self.root, *(self.root / name for name in ("images", "masks"))):
            if path.is_symlink():
                raise InputError(
                    "a link: nothing is written through it", where=path, mend="another --save"
                )
        manifest = read_manifest(self.root)
        if manifest is None:
            if {path.name for path in self.root.iterdir()} - {LOCK, "images", "masks"}:
                raise InputError(
                    "it holds no data set of flawsmith", where=self.root, mend="another --save"
                )
        elif manifest.format != NAME or manifest.classes != self.classes:
            raise InputError(
                f"a data set of {manifest.format} with {', '.join(manifest.classes)}",
                where=self.root,
                mend=f"another --save: the run paints {', '.join(self.classes)}",
            )

    def add(self, prefix: str, make: Callable[[str], Sample], name: str | None = None) -> str:
        """Add what ``make(id)`` returns, under the next free id (or this one); return the id.

        Raises InputError as ``check`` and as ``make`` do, OutputError when it cannot be written.
        """
        with self._lock:
            self.check()
            make_folder(self.root)
            with held(self.root / LOCK, "another process is writing it", self.root):
                lines = self._lines()
                ids = {line["id"] for line in lines}
                if name in ids:
                    return str(name)
                sample = make(name or self._free(prefix, ids))
                spec = Spec(self.classes)
                try:
                    part = write_sample(self.root, len(lines), sample, spec)
                    self._put(lines, sample, part["image"])
                except OSError as error:
                    raise OutputError(f"{self.root}: cannot be written: {error}") from error
                return sample.id

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
            if name not in ids and not (self.root / "images" / f"{name}.png").exists():
                return name
            number += 1

    def _put(self, lines: list[dict[str, Any]], sample: Sample, image: str) -> None:
        width, height = sample.size
        line = {
            "id": sample.id,
            "image": image,
            "label": sample.label,
            "group": sample.group,
            "width": width,
            "height": height,
            "meta": sample.meta,
        }
        lines = [*lines, line]
        text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lines)
        replace_file(self.root / "classes.txt", "".join(c + "\n" for c in self.classes).encode())
        replace_file(self.root / SAMPLES, text.encode())
        labels = Counter(str(one["label"]) for one in lines)
        notes: dict[str, Any] = {"refused": {}, "notices": [], "redrawn": {}}
        content = manifest_text(NAME, self.classes, {**MADE_BY, **notes}, labels)
        replace_file(self.root / MANIFEST, content.encode())
