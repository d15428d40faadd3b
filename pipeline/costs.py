"""What each stage cost: seconds, added up over interruptions, in ``costs.json`` of the run."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flawsmith.data.tables import read_json
from flawsmith.data.writing import write_file, writing_in
from flawsmith.errors import InputError

COSTS = "costs.json"
# Seconds of a stage, beyond which the file is not ours: some three thousand years.
LONGEST = 1e11


class Costs:
    """Seconds by stage. A stage that is made anew, of other inputs, begins at 0.

    What a kill cuts off is lost from the last time on that a stage began; a stop by a signal loses
    nothing. A file that cannot be read counts for none: it says what was, and decides no data.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, dict[str, Any]] = {}
        try:
            content = read_json(path) if path.is_file() else {}
        except InputError:
            content = {}
        if isinstance(content, dict):
            self._known = {name: entry for name, entry in content.items() if _is_entry(entry)}

    @contextmanager
    def timed(self, stage: str, digest: str) -> Iterator[None]:
        """Add the time of what is done in here to the stage that has these inputs."""
        start, before = time.monotonic(), self._of(stage, digest)
        try:
            yield
        finally:
            seconds = before + time.monotonic() - start
            self._known[stage] = {"inputs": digest, "seconds": round(seconds, 2)}
            self._write()

    def seconds(self, stage: str) -> float | None:
        """Return what a stage took, or None if nobody knows."""
        entry = self._known.get(stage)
        return float(entry["seconds"]) if entry else None

    def total(self, stages: Iterable[str]) -> float:
        """Return the seconds of these stages, as far as they are known."""
        return sum(self.seconds(stage) or 0.0 for stage in stages)

    def _of(self, stage: str, digest: str) -> float:
        entry = self._known.get(stage)
        return float(entry["seconds"]) if entry and entry["inputs"] == digest else 0.0

    def _write(self) -> None:
        new = self.path.with_name(self.path.name + ".new")
        write_file(new, json.dumps(self._known, indent=1, ensure_ascii=False) + "\n")
        with writing_in(self.path):
            new.replace(self.path)


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("inputs"), str)
        and type(entry.get("seconds")) in (int, float)
        and 0 <= entry["seconds"] < LONGEST
    )
