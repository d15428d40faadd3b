"""Faults done to commands: each is stopped or hindered, then run again, then compared.

What must hold: the right exit code and one plain line; nothing half-written under a final name; no
process left behind; and after the same command again, the bytes of an undisturbed call.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flawsmith.errors import EXIT_INTERRUPTED, EXIT_USER
from flawsmith.train.runs import read_weights_facts
from tests.nursery import Child, Ended, Nursery, parent_of, state_of
from tests.torture_commands import CASES, Case, Home, left

DAY = 86400
BLOCK = 4096


class Skipped(Exception):
    """This fault cannot be done here, or not to this command: why."""


@dataclass(frozen=True)
class Whole:
    """An undisturbed call: what it left, how many writes it began, its seconds, bytes on a disk."""

    tree: dict[str, str]
    ops: int
    seconds: float
    room: int


class Torture:
    """A place for the commands to be hurt in. ``second`` resumes what ``first`` began."""

    def __init__(self, root: Path, first: Nursery, second: Nursery) -> None:
        self.root, self.first, self.second = root, first, second
        self.home = Home(root / "home", first)
        self._wholes: dict[str, Whole] = {}
        self.of_two: dict[str, tuple[dict[str, str], float]] = {}  # see torture_several
        self._count = 0

    def whole(self, case: Case) -> Whole:
        if case.name not in self._wholes:
            self.home.need(*case.needs)
            with self.place() as work:
                done = self.second.run(case.at(self.home.root, work), below=str(work))
                assert done.code == case.code, done.told
                room = sum(_blocks(path) for path in work.rglob("*"))
                self._wholes[case.name] = Whole(left(work, done.out), done.ops, done.seconds, room)
        return self._wholes[case.name]

    @contextmanager
    def place(self) -> Iterator[Path]:
        """Yield an empty folder; kept if what is done there fails."""
        self._count += 1
        work = self.root / f"work-{self._count}"
        work.mkdir()
        yield work
        shutil.rmtree(work)

    def start(self, case: Case, work: Path, workers: int = 1, **faults: Any) -> Child:
        words = case.at(self.home.root, work, workers)
        return self.first.start(words, below=str(work), **faults)

    def finish(self, case: Case, work: Path, **faults: Any) -> Ended:
        """Run the same command again: it must end as an undisturbed one does."""
        done = self.second.run(case.at(self.home.root, work), **faults)
        assert done.code == case.code, (done.code, done.told)
        assert_same(left(work, done.out), self.whole(case).tree)
        return done

    def sound(self, case: Case, work: Path) -> None:
        """Nothing that was stopped may look complete, and weights that are there are whole."""
        if case.staged and (work / "out").exists():
            own = {k: v for k, v in left(work, "").items() if k.startswith("out/")}
            wanted = {k: v for k, v in self.whole(case).tree.items() if k.startswith("out/")}
            assert_same(own, wanted)
        for weights in work.rglob("model.safetensors"):
            read_weights_facts(weights)


def assert_same(found: dict[str, str], wanted: dict[str, str]) -> None:
    names = sorted(found.keys() | wanted.keys())
    other = [name for name in names if found.get(name) != wanted.get(name)]
    assert not other, f"other than undisturbed: {other[:8]}"


def assert_told(done: Ended, *codes: int) -> None:
    """The exit code is one of these, and the reason is one plain last line."""
    assert done.code in codes, (done.code, done.told)
    assert "Traceback" not in done.told, done.told
    lines = [line for line in done.told.splitlines() if line.startswith("flawsmith: ")]
    assert len(lines) == 1, done.told
    assert done.told.splitlines()[-1] == lines[0], done.told


def killed(here: Torture, case: Case, random: np.random.Generator) -> str:
    """SIGKILL before a write or at any time; now and then the second call is killed, too."""
    whole, told = here.whole(case), []
    with here.place() as work:
        for _ in range(1 + int(random.integers(3) == 0)):
            told.append(_stopped(here, case, work, whole, "SIGKILL", random)[1])
            here.sound(case, work)
        here.finish(case, work)
    return ", then ".join(told)


def terminated(here: Torture, case: Case, random: np.random.Generator) -> str:
    return _signalled(here, case, "SIGTERM", random)


def interrupted(here: Torture, case: Case, random: np.random.Generator) -> str:
    return _signalled(here, case, "SIGINT", random)


def _signalled(here: Torture, case: Case, name: str, random: np.random.Generator) -> str:
    with here.place() as work:
        done, told = _stopped(here, case, work, here.whole(case), name, random)
        if done.code != case.code:  # too late to stop it, or stopped
            assert_told(done, EXIT_INTERRUPTED)
        here.sound(case, work)
        here.finish(case, work)
    return told


def _stopped(
    here: Torture, case: Case, work: Path, whole: Whole, name: str, random: np.random.Generator
) -> tuple[Ended, str]:
    """Send a signal before a random write, or after a random time."""
    if random.integers(2):
        at = int(random.integers(1, whole.ops + 1))
        done = here.first.wait(here.start(case, work, signal=name, at=at))
        return done, f"write {at} of {whole.ops}"
    after = float(random.uniform(0, whole.seconds))
    child = here.start(case, work)
    time.sleep(after)
    with suppress(ProcessLookupError):
        os.kill(child.pid, getattr(signal, name))
    return here.first.wait(child), f"{after:.3f} of {whole.seconds:.3f} s"


def full(here: Torture, case: Case, random: np.random.Generator) -> str:
    """A disk that holds a random part of what is written, then one that holds all."""
    whole = here.whole(case)
    room = BLOCK * int(random.integers(1, max(2, whole.room // BLOCK)))
    with here.place() as work, mounted(work, f"size={room}"):
        done = here.first.wait(here.start(case, work))
        if done.code != case.code:
            assert_told(done, EXIT_USER)
            assert "No space left on device" in done.told, done.told
        here.sound(case, work)
        _mount("-o", f"remount,size={4 * whole.room + (64 << 20)}", str(work))
        here.finish(case, work)
    return f"{room >> 10} of {whole.room >> 10} KiB"


def doubled(here: Torture, case: Case, random: np.random.Generator) -> str:
    """A second call while the first is in the middle: it refuses, or does nothing wrong."""
    if not case.locked:
        raise Skipped("writes one file, whole: there is no folder to hold")
    whole = here.whole(case)
    at = int(random.integers(2, whole.ops + 1))
    with here.place() as work:
        child = here.start(case, work, signal="SIGSTOP", at=at)
        while state_of(child.pid) not in "TZ":
            time.sleep(0.002)
        other = here.second.run(case.at(here.home.root, work))
        if other.code != case.code:
            assert_told(other, EXIT_USER)
            assert "another" in other.told, other.told
        with suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGCONT)
        done = here.first.wait(child)
        if done.code != case.code:  # it had not begun when the second came
            assert_told(done, EXIT_USER)
            assert other.code == case.code
        here.sound(case, work)
        here.finish(case, work)
    return f"write {at} of {whole.ops}: the second ended with {other.code}"


def lost_worker(here: Torture, case: Case, random: np.random.Generator) -> str:
    """One of two worker processes is killed, as for lack of memory."""
    if not case.pool:
        raise Skipped("its work is done in one process")
    whole = here.whole(case)
    with here.place() as work:
        child = here.start(case, work, workers=2)
        wanted, victim = int(random.integers(1, 4)), None
        until = time.monotonic() + float(random.uniform(0.0, 1.0)) + 60
        while state_of(child.pid) != "Z" and time.monotonic() < until:
            workers = [pid for pid in here.first.family(child) if parent_of(pid) != child.pid]
            if len(workers) >= min(wanted, 2):
                time.sleep(float(random.uniform(0, 0.3)))
                victim = workers[int(random.integers(len(workers)))]
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                break
            time.sleep(0.002)
        done = here.first.wait(child)
        if done.code != case.code:
            assert_told(done, EXIT_INTERRUPTED)
            assert "worker process died" in done.told, done.told
        here.sound(case, work)
        here.finish(case, work)
    return f"ended with {done.code} of {whole.seconds:.1f} s" if victim else "no worker was seen"


def clock_back(here: Torture, case: Case, random: np.random.Generator) -> str:
    """Killed; then files are of the day after tomorrow, and the clock says three days ago."""
    with here.place() as work:
        told = _stopped(here, case, work, here.whole(case), "SIGKILL", random)[1]
        later = time.time() + 2 * DAY
        for path in (work, *work.rglob("*")):
            os.utime(path, (later, later), follow_symlinks=False)
        here.finish(case, work, clock=-3 * DAY)
    return told


def read_only(here: Torture, case: Case, random: np.random.Generator) -> str:
    """Killed; then the file system is mounted read-only, then writable again."""
    with here.place() as work, mounted(work, "size=256m"):
        told = _stopped(here, case, work, here.whole(case), "SIGKILL", random)[1]
        before = left(work, "")
        _mount("-o", "remount,ro", str(work))
        done = here.first.wait(here.start(case, work))
        if done.code != case.code:
            assert_told(done, EXIT_USER)
            assert "Read-only file system" in done.told, done.told
        assert_same(left(work, ""), before)
        _mount("-o", "remount,rw", str(work))
        here.finish(case, work)
    return f"{told}: ended with {done.code}"


def forbidden(here: Torture, case: Case, random: np.random.Generator) -> str:
    """As a user who may not write into the folder."""
    here.whole(case)
    with here.place() as work:
        work.chmod(0o555)
        cache = {"FLAWSMITH_CACHE": str(work / "cache")}
        done = here.first.wait(here.start(case, work, env=cache, bound=True))
        work.chmod(0o755)
        assert_told(done, EXIT_USER)
        assert "Permission denied" in done.told, done.told
        assert not list(work.iterdir())
        here.finish(case, work)
    return "refused"


Fault = Callable[[Torture, Case, np.random.Generator], str]
FAULTS: dict[str, Fault] = {
    "kill -9": killed,
    "SIGTERM": terminated,
    "SIGINT": interrupted,
    "full disk": full,
    "two at once": doubled,
    "worker killed": lost_worker,
    "clock set back": clock_back,
    "read-only disk": read_only,
    "no permission": forbidden,
}


@contextmanager
def mounted(place: Path, options: str) -> Iterator[None]:
    """Mount a file system in memory; raises Skipped where that is not allowed."""
    try:
        _mount("-t", "tmpfs", "-o", options, "none", str(place))
    except (OSError, subprocess.CalledProcessError) as error:
        raise Skipped("needs the right to mount a tmpfs") from error
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)


def _blocks(path: Path) -> int:
    """Return the bytes that a file takes on a tmpfs: whole pages."""
    return -(-path.stat().st_size // BLOCK) * BLOCK if path.is_file() else 0


def trial(here: Torture, fault: Fault, name: str, seed: int) -> str:
    """Do a fault to a command once; the seed says when and where. Returns what was done."""
    return fault(here, CASES[name], np.random.default_rng(seed))
