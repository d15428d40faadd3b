"""Decisions of a person in ``samples.jsonl``: each on the disk before it is confirmed.

The file is replaced whole (written aside, flushed, renamed), so a kill leaves the old or the new
one. Only the line of the candidate changes: two tabs that decide on different ones lose nothing,
and on the same one the second is told what the first decided.
"""

import json
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from flawsmith.data.manifest import SAMPLES
from flawsmith.data.review import Choice, choice_of, with_choice
from flawsmith.data.tables import jsonl_lines, parse_object
from flawsmith.errors import InputError
from flawsmith.studio.locking import writing
from flawsmith.studio.paths import Roots
from flawsmith.train.files import replace_file

Signature = tuple[int, int, int]


class Conflict(Exception):
    """The candidate was decided elsewhere since: ``choice`` is what holds."""

    def __init__(self, choice: Choice | None) -> None:
        super().__init__("decided elsewhere")
        self.choice = choice


class Remade(Exception):
    """The candidate is another one by now than when it was opened: nobody saw it."""


class Decisions:
    """The decisions on the candidates of one data set, by id."""

    def __init__(self, path: Path, roots: Roots) -> None:
        self._path = path
        self._roots = roots
        self._lock = threading.Lock()
        self._signature: Signature | None = None
        self._lines: list[bytes] = []
        self._places: dict[str, int] = {}
        self._choices: dict[str, Choice] = {}
        self._read()
        self._opened = {sample: self._lines[place] for sample, place in self._places.items()}

    def choice(self, sample: str) -> Choice | None:
        """Return what was decided on a candidate."""
        # Without the lock: the event loop asks, and must not wait for a write to the disk.
        return self._choices.get(sample)

    def decide(self, sample: str, choice: Choice | None, was: Choice | None) -> None:
        """Write a decision; ``was`` is what the one who decides saw.

        Raises Conflict if something else holds by now, Remade if the candidate is not the one that
        was opened, and OutputError when it cannot be written.
        """
        with self._lock, writing(self._path.parent):
            if _signature(self._path) != self._signature:
                self._read()
            if sample not in self._places:
                raise InputError(f"no candidate {sample!r} any more", where=self._path)
            place = self._places[sample]
            if not _same(self._lines[place], self._opened.get(sample)):
                raise Remade
            held = self._choices.get(sample)
            if held != was:
                raise Conflict(held)
            line = parse_object(self._lines[place].decode(), self._path)
            at = datetime.now(timezone.utc).isoformat(timespec="seconds")
            line["meta"] = with_choice(line.get("meta", {}), choice, at)
            lines = list(self._lines)
            lines[place] = json.dumps(line, ensure_ascii=False).encode()
            replace_file(self._roots.inside(self._path), b"\n".join(lines) + b"\n")
            self._lines, self._signature = lines, _signature(self._path)
            if choice is None:
                self._choices.pop(sample, None)
            else:
                self._choices[sample] = choice

    def _read(self) -> None:
        path = self._roots.inside(self._path)
        signature = _signature(path)
        lines: list[bytes] = []
        places: dict[str, int] = {}
        choices: dict[str, Choice] = {}
        for number, text in jsonl_lines(path):
            line = parse_object(text, f"{path}:{number}")
            sample, meta = line.get("id"), line.get("meta", {})
            if isinstance(sample, str) and isinstance(meta, dict):
                places[sample] = len(lines)
                if found := choice_of(meta):
                    choices[sample] = found
            lines.append(text.encode())
        # Only now, and the signature last: ``choice`` asks at any time, and a file that cannot be
        # read must be read again.
        self._lines, self._places, self._choices = lines, places, choices
        self._signature = signature


def _same(line: bytes, opened: bytes | None) -> bool:
    """Tell whether two lines differ in nothing but a decision."""
    return line == opened or (opened is not None and _undecided(line) == _undecided(opened))


def _undecided(text: bytes) -> dict[str, Any]:
    line = parse_object(text.decode(), SAMPLES)
    return {**line, "meta": with_choice(line.get("meta", {}), None, "")}


def _signature(path: Path) -> Signature:
    facts = path.stat()
    return facts.st_ino, facts.st_size, facts.st_mtime_ns
