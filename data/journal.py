"""A file of JSON lines that only grows: the resume point of a build, and what it is finished from.

A kill may leave half a line at its end; ``resume`` removes it.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from flawsmith.data.tables import stream_jsonl
from flawsmith.data.writing import Line, writing_in


def resume(journal: Path) -> int:
    """Return the number of whole lines; a last line cut off by a kill is removed."""
    if not journal.is_file():
        return 0
    with writing_in(journal), journal.open("r+b") as file:
        count = whole = 0
        for line in file:
            if line.endswith(b"\n"):
                count, whole = count + 1, whole + len(line)
        file.truncate(whole)
    return count


def append(
    journal: Path, lines: Iterable[Line], after: Callable[[int], None] | None = None
) -> None:
    """Append lines, each flushed before the next is asked for; raises OutputError.

    after: called with the number of each line, from 0 in this call, once it is in the file.
    """
    with writing_in(journal), journal.open("a", encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(lines):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            if after is not None:
                after(number)


def read(journal: Path) -> Iterator[Line]:
    """Yield the lines of a journal that ``append`` wrote; raises InputError for other ones."""
    for _, line in stream_jsonl(journal):
        yield line
