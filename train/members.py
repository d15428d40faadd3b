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
from flawsmith.errors import EXIT_BUG, EXIT_OK, FlawsmithError
from flawsmith.train.signals import WATCHED

# After one process has failed, the others get this long to end by themselves, seconds.
GRACE = 5.0
# Of a traceback so many characters are told: what a pipe takes without anybody reading it.
LONGEST = 8000


@dataclass(frozen=True)
class Bug:
    """What a process broke off with that nobody foresaw."""

    trace: str


@dataclass(frozen=True)
class Ended:
    """How a job ended. words: by rank, a process's result, its FlawsmithError or Bug, or None.

    codes: by rank, as Python counts exit codes; None for one that was ended here, as it would have
    waited for another. stopped: whether SIGINT or SIGTERM came.
    """

    words: list[Any]
    codes: list[int | None]
    stopped: bool

    def lost(self) -> tuple[int, int] | None:
        """Return rank and exit code of a process that died, without a word and unasked."""
        for rank, (word, code) in enumerate(zip(self.words, self.codes, strict=True)):
            if word is None and code and not (self.stopped and code == -signal.SIGTERM):
                return rank, code
        return None


def run_members(work: Callable[..., Any], args: tuple[Any, ...], count: int) -> Ended:
    """Call ``work(rank, *args)`` in so many new processes and wait until all are over.

    work: a function of a module, picklable, as are ``args`` and the (small) results. SIGINT and
    SIGTERM are handed on, as SIGTERM: where nothing heeds it, it ends a process without words.
    """
    members: list[BaseProcess] = []
    with _handing_on(members) as seen:
        try:
            with ctrl_c_held_back():
                lines = [_start(rank, members) for rank in range(count)]
            if seen:
                _send(members, BaseProcess.terminate)
            for line in lines:
                # Not by way of Process: its start would wait for ever for one that dies meanwhile.
                with suppress(BrokenPipeError, ConnectionResetError):
                    line.send((work, args))
            codes = _wait(members)
        finally:
            for end in (BaseProcess.terminate, BaseProcess.kill):
                _send(members, end)
                _join(members, GRACE)
        return Ended([_word(line) for line in lines], codes, bool(seen))


def _start(rank: int, members: list[BaseProcess]) -> Connection:
    """Start a process, add it to the members and return the line to it."""
    spawn = get_context("spawn")
    line, other = spawn.Pipe()
    member = spawn.Process(target=_member, args=(rank, other))
    member.start()
    members.append(member)
    other.close()
    return line


def _member(rank: int, line: Connection) -> None:
    """Be one of the processes: what it comes to goes into the line."""
    _heed_the_parent_alone()
    word: Any
    code = EXIT_OK
    try:
        work, args = line.recv()
        word = work(rank, *args)
    except EOFError:
        return  # what started it is gone
    except FlawsmithError as error:
        word, code = error, error.exit_code
    except Exception:
        word, code = Bug(traceback.format_exc()[-LONGEST:]), EXIT_BUG
    with suppress(BrokenPipeError, ConnectionResetError):
        line.send(word)
    # Not 0 also when stopped: none of the others is to wait for this one.
    sys.exit(code)


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


def _wait(members: list[BaseProcess]) -> list[int | None]:
    """Wait until all are over, or one failed and the others had their time; return exit codes."""
    while True:
        codes = [member.exitcode for member in members]
        if any(codes):
            _join(members, GRACE)
            return [member.exitcode for member in members]
        living = [one.sentinel for one, code in zip(members, codes, strict=True) if code is None]
        if not living:
            return codes
        wait(living)


def _join(members: list[BaseProcess], seconds: float) -> None:
    until = time.monotonic() + seconds
    for member in members:
        member.join(max(0.0, until - time.monotonic()))


def _send(members: list[BaseProcess], end: Callable[[BaseProcess], None]) -> None:
    for member in members:
        end(member)  # nothing happens to one that is over


def _word(line: Connection) -> Any:
    """Return what a process said at its end; None if it died before, or in the middle of it."""
    try:
        return line.recv() if line.poll() else None
    except (EOFError, OSError):
        return None


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
