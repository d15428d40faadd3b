"""Processes that are one job: started together, stopped together, over together.

Whichever of them is lost at whatever moment, none waits for it without end, and none outlives what
started them.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

from flawsmith.data.parallel import ctrl_c_held_back
from flawsmith.errors import EXIT_BUG, EXIT_OK, EXIT_USER, OF_DISKS, FlawsmithError
from flawsmith.train.signals import WATCHED

# After one process has failed, the others get this long to end by themselves, seconds.
GRACE = 5.0


@dataclass(frozen=True)
class Bug:
    """What a process broke off with that nobody foresaw."""

    trace: str


@dataclass(frozen=True)
class Ended:
    """How a job ended. words: by rank, a process's result, or what it broke off with: its
    FlawsmithError, an OSError of OF_DISKS, or a Bug; None where it said nothing.

    codes: by rank, as Python counts exit codes; None for one that was ended here, as it would have
    waited for another. stopped: whether SIGINT or SIGTERM came.
    """

    words: list[Any]
    codes: list[int | None]
    stopped: bool

    def lost(self) -> tuple[int, int] | None:
        """Return rank and exit code of a process that ended, without a word and unasked."""
        for rank, (word, code) in enumerate(zip(self.words, self.codes, strict=True)):
            asked = self.stopped and code == -signal.SIGTERM
            if word is None and code is not None and not asked:
                return rank, code
        return None


def run_members(work: Callable[..., Any], args: tuple[Any, ...], count: int) -> Ended:
    """Call ``work(rank, *args)`` in so many new processes and wait until all are over.

    work: a function of a module, picklable, as are ``args`` and the results, which are not None.
    SIGINT and SIGTERM are handed on, as SIGTERM: where nothing heeds it, it ends a process without
    words.
    """
    members: list[BaseProcess] = []
    lines: list[Connection] = []
    words: list[Any] = [None] * count
    with _handing_on(members) as seen:
        try:
            with ctrl_c_held_back():
                for rank in range(count):
                    _start(rank, members, lines)
            if seen:
                _send(members, BaseProcess.terminate)
            for line in lines:
                # Not by way of Process: its start would wait for ever for one that dies meanwhile.
                with suppress(BrokenPipeError, ConnectionResetError):
                    line.send((work, args))
            _listen(members, lines, words)
            codes = _listen(members, lines, words, GRACE)
        finally:
            for end in (BaseProcess.terminate, BaseProcess.kill):
                _send(members, end)
                _listen(members, lines, words, GRACE)
        return Ended(words, codes, bool(seen))


def _start(rank: int, members: list[BaseProcess], lines: list[Connection]) -> None:
    """Start a process; add it to the members, and the line to it to the lines."""
    spawn = get_context("spawn")
    line, other = spawn.Pipe()
    member = spawn.Process(target=_member, args=(rank, other))
    member.start()
    members.append(member)
    lines.append(line)
    other.close()


def _member(rank: int, line: Connection) -> None:
    """Be one of the processes: what it comes to goes into the line."""
    _heed_the_parent_alone()
    try:
        work, args = line.recv()
    except EOFError:
        return  # what started it is gone
    word, code = _do(work, rank, args)
    with suppress(BrokenPipeError, ConnectionResetError):
        line.send(word)
    # Not 0 also when stopped: none of the others is to wait for this one.
    sys.exit(code)


def _do(work: Callable[..., Any], rank: int, args: tuple[Any, ...]) -> tuple[Any, int]:
    """Do the work; return what it came to, and the exit code for that."""
    try:
        return work(rank, *args), EXIT_OK
    except FlawsmithError as error:
        return error, error.exit_code
    except Exception as error:
        if isinstance(error, OSError) and error.errno in OF_DISKS:
            # Not itself: a library's own kind might not come through the line.
            return OSError(error.errno, error.strerror, error.filename), EXIT_USER
        return Bug(traceback.format_exc()), EXIT_BUG


def _heed_the_parent_alone() -> None:
    """Leave the terminal's Ctrl-C to the parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if hasattr(os, "setsid"):
        os.setsid()
    threading.Thread(target=_stop_with_parent, daemon=True).start()


def _stop_with_parent() -> None:
    """Once the parent is gone, stop as a SIGTERM stops: after a checkpoint, or at once."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


def _listen(
    members: list[BaseProcess],
    lines: list[Connection],
    words: list[Any],
    seconds: float | None = None,
) -> list[int | None]:
    """Take their words as they come, until all are over or for so long; return exit codes.

    Without a time: until all are over or one failed. A word may be longer than what a pipe takes
    without anybody reading it, and its process does not end before.
    """
    until = None if seconds is None else time.monotonic() + seconds
    while True:
        codes = [member.exitcode for member in members]
        # After the codes: what one that is over said is in its line by now.
        for rank, line in enumerate(lines):
            if not line.closed and wait([line], 0):
                words[rank] = _word(line)
        left = None if until is None else until - time.monotonic()
        failed = any(
            code is not None and (code != EXIT_OK or word is None)
            for code, word in zip(codes, words, strict=False)
        )
        living = [one.sentinel for one, code in zip(members, codes, strict=True) if code is None]
        if not living or (failed if left is None else left <= 0):
            return codes
        wait([*living, *(line for line in lines if not line.closed)], left)


def _send(members: list[BaseProcess], end: Callable[[BaseProcess], None]) -> None:
    for member in members:
        end(member)  # nothing happens to one that is over


def _word(line: Connection) -> Any:
    """Return what a process says at its end; None if it died before, or in the middle of it."""
    try:
        return line.recv()
    except (EOFError, OSError):
        return None
    finally:
        line.close()  # there is one word, and what has ended would be ready for ever


@contextmanager
def _handing_on(members: list[BaseProcess]) -> Iterator[list[int]]:
    """Hand signals on to the processes; yield those that came."""
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield seen
        return

    def hand_on(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        _send(members, BaseProcess.terminate)

    before = {number: signal.signal(number, hand_on) for number in WATCHED}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
