"""Ctrl-C and SIGTERM while training: finish the step, keep it, then stop."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any] | int | None
WATCHED = (signal.SIGINT, signal.SIGTERM)
# A launcher may hand on what the terminal has sent already: within this time it counts once.
ECHO_SECONDS = 1.0


@dataclass
class Stop:
    """Whether the user asked to stop."""

    asked: bool = False


@contextmanager
def watching() -> Iterator[Stop]:
    """Yield a flag that the first SIGINT or SIGTERM sets; the second one does what it did before.

    Only a process's main thread receives signals; elsewhere the flag stays unset.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in WATCHED}
    first = 0.0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if not stop.asked:
            stop.asked, first = True, time.monotonic()
        elif time.monotonic() - first > ECHO_SECONDS:
            _restore(before)
            signal.raise_signal(number)

    for number in WATCHED:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        _restore(before)


def _restore(before: Mapping[signal.Signals, Handler]) -> None:
    for number, handler in before.items():
        # None: set by something other than Python, and not to be had again.
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
