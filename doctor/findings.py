"""One thing that was looked at, and what is to be said of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# ok: as it should be; note: works, but know it; absent: an optional part that is not here;
# wrong: flawsmith, or a command of it, cannot work like this.
State = Literal["ok", "note", "absent", "wrong"]


@dataclass(frozen=True)
class Finding:
    """What was found of ``name``; mend: the exact line to type or thing to do, where there is one.

    serves: what it is needed for. seconds: how long a step of the self-test took.
    """

    name: str
    state: State
    found: str
    serves: str = ""
    mend: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Section:
    """Findings of one kind, under a title."""

    title: str
    findings: tuple[Finding, ...]


def wrong(sections: Iterable[Section]) -> list[Finding]:
    """Return the findings that say something is wrong."""
    return [one for section in sections for one in section.findings if one.state == "wrong"]


def error_line(error: BaseException) -> str:
    """Return an error as one line: its kind and the first line of what it says."""
    told = str(error).strip().splitlines()
    return f"{type(error).__name__}: {told[0]}" if told else type(error).__name__
