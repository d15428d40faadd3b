"""A training on two processes that loses one of them, or its launcher, or is stopped.

Real processes, no forks of a nursery: what is tried is how they start, wait and end.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flawsmith.errors import EXIT_INTERRUPTED
from tests.nursery import Ended, Hung, parent_of, state_of
from tests.torture import Skipped, Torture, assert_same, assert_told
from tests.torture_commands import Case, left

MARK = "FLAWSMITH_SEVERAL"
# Seconds from a fault to the end of the command, and from there to the end of all its processes.
# What is waited for before a fault gets LIMIT, too.
LIMIT, REST = 120.0, 60.0
# What is sent to whom. A terminal's Ctrl-C goes to all that have not left its group.
SENT = (
    *(("SIGKILL", "rank 0"), ("SIGKILL", "rank 1"), ("SIGKILL", "launcher")),
    *(("SIGTERM", "launcher"), ("SIGINT", "launcher"), ("SIGINT", "group")),
)


@dataclass
class Job:
    """A running command. All its processes have its mark among their variables."""

    process: subprocess.Popen[bytes]
    mark: str
    log: Path
    began: float

    def family(self) -> list[int]:
        """Return its living processes but the command itself, the oldest first."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != self.process.pid:
                with suppress(OSError):
                    own = f"{MARK}={self.mark}".encode() in (entry / "environ").read_bytes()
                    if own and state_of(int(entry.name)) not in "ZX":
                        found.append(int(entry.name))
        return sorted(found)

    def ranks(self) -> list[int]:
        """Return the training processes that were started so far, the first rank first."""
        return [
            pid
            for pid in self.family()
            if parent_of(pid) == self.process.pid and b"spawn_main" in _words(pid)
        ]

    def pause(self, until: float) -> None:
        """Wait a moment for what is to come; raises Hung if it is later than that."""
        if time.monotonic() > until:
            raise Hung(f"nothing came in {LIMIT:g} s: {self._told('.err')}")
        time.sleep(0.002)

    def ended(self) -> Ended:
        """Wait for its end and that of all its processes; raises Hung."""
        try:
            code = self.process.wait(LIMIT)
        except subprocess.TimeoutExpired as error:
            raise Hung(f"not over after {LIMIT:g} s: {self._told('.err')}") from error
        until = time.monotonic() + REST
        while self.family():
            if time.monotonic() > until:
                raise Hung(f"left behind: {[*map(_words, self.family())]}")
            time.sleep(0.02)
        seconds = time.monotonic() - self.began
        return Ended(code, self._told(".out"), self._told(".err"), 0, seconds)

    def kill(self) -> None:
        """End it and all its processes, if they are not over."""
        self.process.kill()  # first: it starts no more of them
        self.process.wait()
        for pid in self.family():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _told(self, suffix: str) -> str:
        return self.log.with_suffix(suffix).read_text("utf-8", "replace")


@contextmanager
def started(here: Torture, case: Case, work: Path) -> Iterator[Job]:
    """Start a command on two processes, wait until it heeds signals, and leave nothing of it.

    Raises Hung if it never heeds them.
    """
    log = here.root / f"{work.name}-{time.monotonic_ns()}"
    words = [*case.at(here.home.root, work), "--num-processes", "2"]
    # A shell's background job ignores SIGINT, and so would all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with log.with_suffix(".out").open("wb") as out, log.with_suffix(".err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "flawsmith", *words],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            env={**os.environ, MARK: log.name, "OMP_NUM_THREADS": "1"},
        )
    job = Job(process, log.name, log, time.monotonic())
    try:
        while process.poll() is None and not _catches(process.pid, signal.SIGTERM):
            job.pause(job.began + LIMIT)
        yield job
    finally:
        job.kill()


def whole_of_two(here: Torture, case: Case) -> tuple[dict[str, str], float]:
    """Return what an undisturbed run on two processes leaves, and its seconds."""
    if case.name not in here.of_two:
        here.home.need(*case.needs)
        with here.place() as work, started(here, case, work) as job:
            done = job.ended()
            assert done.code == case.code, done.told
            here.of_two[case.name] = left(work, done.out), done.seconds
    return here.of_two[case.name]


def lost_process(here: Torture, case: Case, random: np.random.Generator) -> str:
    """One of two training processes, or what started them, gets a signal at any time."""
    if not case.several:
        raise Skipped("it trains on no several processes")
    tree, seconds = whole_of_two(here, case)
    name, whom = SENT[int(random.integers(len(SENT)))]
    with here.place() as work:
        with started(here, case, work) as job:
            after = _wait(job, work, seconds, random)
            victim = _victim(job, whom)
            at = time.monotonic() - job.began
            if victim:
                with suppress(ProcessLookupError):
                    send = os.killpg if whom == "group" else os.kill
                    send(victim, getattr(signal, name))
            done = job.ended()
        if whom == "launcher" and name == "SIGKILL":
            assert done.code in (-signal.SIGKILL, case.code), (done.code, done.told)
        elif done.code != case.code:  # too late, or stopped
            assert_told(done, EXIT_INTERRUPTED)
            assert "the same command" in done.told, done.told
            assert name != "SIGKILL" or f"{whom} " in done.told, done.told
        here.sound(case, work)
        with started(here, case, work) as job:
            again = job.ended()
        assert again.code == case.code, (again.code, again.told)
        assert_same(left(work, again.out), tree)
    took = done.seconds - at
    if victim is None:
        return "over before there was anything to hit"
    return f"{name} to {whom}, {after}, {at:.1f} of {seconds:.1f} s: {done.code} in {took:.1f} s"


def _wait(job: Job, work: Path, seconds: float, random: np.random.Generator) -> str:
    """Wait for any time, or until the processes start or train; say which. Raises Hung."""
    share, kind = float(random.uniform()), int(random.integers(3))
    if kind == 0:
        time.sleep(share * seconds)
        return "any time"
    until = time.monotonic() + LIMIT
    while job.process.poll() is None:
        if (work / "out" / "metrics.jsonl").is_file() if kind == 2 else job.ranks():
            break
        job.pause(until)
    time.sleep(share * (0.1 if share < 0.3 else 1 if kind == 2 else seconds / 2))
    return "training" if kind == 2 else "started"


def _victim(job: Job, whom: str) -> int | None:
    """Return the process of that name, once it is there; None if all is over. Raises Hung."""
    until = time.monotonic() + LIMIT
    while job.process.poll() is None:
        if not whom.startswith("rank"):
            return job.process.pid
        ranks = job.ranks()
        if len(ranks) > int(whom[-1]):
            return ranks[int(whom[-1])]
        job.pause(until)
    return None


def _catches(pid: int, number: int) -> bool:
    """Tell whether a process has a handler of its own for a signal."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        mask = next(line for line in lines if line.startswith("SigCgt:")).split()[1]
        return bool(int(mask, 16) >> (number - 1) & 1)
    return False


def _words(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
