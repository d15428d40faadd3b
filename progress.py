"""Progress bars and messages on standard error; standard output belongs to results."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")


def say(message: str) -> None:
    """Print one message to standard error."""
    print(message, file=sys.stderr, flush=True)


def track(items: Iterable[T], label: str, total: int, done: int = 0) -> Iterator[T]:
    """Yield the items and show a bar with the rate's remaining time; ``done`` were made before."""
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(label, total=total, completed=done)
        for item in items:
            yield item
            progress.advance(task)
