"""Commands started as forks of a process that has loaded everything, with faults built in.

A start costs milliseconds, so commands can be stopped by the dozen. As a script this is the nursery
itself: it reads orders, a JSON object a line, and answers each with one.
"""

import ctypes
import faulthandler
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

# What the commands load when called; a start in the nursery has it already.
PRELOAD = (
    *("flawsmith.commands.run", "flawsmith.pipeline.run", "flawsmith.pipeline.inpaint"),
    *("flawsmith.inpaint.apply", "flawsmith.inpaint.training", "flawsmith.gen.training"),
    *("flawsmith.gen.candidates", "flawsmith.gen.assemble", "flawsmith.evaluate.detect"),
    *("flawsmith.evaluate.distance", "flawsmith.evaluate.segment", "flawsmith.data.splitting"),
    *("flawsmith.evaluate.filtering.job", "flawsmith.evaluate.filtering.whole_job"),
    *("flawsmith.evaluate.detectors.knn", "flawsmith.evaluate.detectors.learned"),
    *("flawsmith.augment.job", "flawsmith.data.jobs", "flawsmith.data.plates"),
)
# For a short form, which makes data sets only.
SOME = ("flawsmith.data.jobs", "flawsmith.data.build")
WRITES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
MARK = "FLAWSMITH_NURSERY"


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code (negative: by a signal), what it said, writes it began."""

    code: int
    out: str
    told: str
    ops: int
    seconds: float


@dataclass
class Child:
    pid: int
    log: Path
    began: float


class Hung(AssertionError):
    """A command did not end, or left a process behind."""


class Nursery:
    """A process that forks commands; ``hash_seed`` orders the sets of strings in them."""

    def __init__(self, logs: Path, hash_seed: int = 1, preload: Sequence[str] = PRELOAD) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self.logs, self._count = logs, 0
        self.mark = f"{os.getpid()}-{hash_seed}"
        chosen = {"PYTHONHASHSEED": str(hash_seed), MARK: self.mark, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, __file__, *preload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **chosen},
        )

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def start(self, words: Sequence[object], **faults: Any) -> Child:
        """Start ``flawsmith words...``; faults: see ``_child``."""
        self._count += 1
        log = self.logs / str(self._count)
        answer = self._ask({"words": [*map(str, words)], "log": str(log), **faults})
        return Child(answer["pid"], log, time.monotonic())

    def wait(self, child: Child, limit: float = 300.0) -> Ended:
        """Wait for the end of a command and of all processes that it started."""
        until = child.began + limit
        while state_of(child.pid) != "Z":
            if time.monotonic() > until:
                os.kill(child.pid, signal.SIGUSR1)
                time.sleep(1)
                self._end(child)
                raise Hung(f"not over after {limit:g} s: {_text(child.log.with_suffix('.err'))}")
            time.sleep(0.002)
        seconds = time.monotonic() - child.began
        code = self._ask({"reap": child.pid})["code"]
        self._no_others(child)
        texts = [_text(child.log.with_suffix(s)) for s in (".out", ".err", ".ops")]
        return Ended(code, texts[0], texts[1], int(texts[2] or 0), seconds)

    def run(self, words: Sequence[object], **faults: Any) -> Ended:
        return self.wait(self.start(words, **faults))

    def family(self, child: Child) -> list[int]:
        """Return the living processes that a command started, the oldest first."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != child.pid:
                with suppress(OSError):
                    own = f"{MARK}={self.mark}".encode() in (entry / "environ").read_bytes()
                    of_it = os.getsid(int(entry.name)) == child.pid
                    # Another command of this nursery is none of its family.
                    ours = own and self._process.pid not in (
                        int(entry.name), parent_of(int(entry.name))
                    )  # fmt: skip
                    if (of_it or ours) and state_of(int(entry.name)) not in "ZX":
                        found.append(int(entry.name))
        return sorted(found)

    def _no_others(self, child: Child) -> None:
        until = time.monotonic() + 20
        while left := self.family(child):
            if time.monotonic() > until:
                names = [_text(Path(f"/proc/{pid}/cmdline")).replace("\0", " ") for pid in left]
                self._end(child)
                raise Hung(f"left behind: {names}")
            time.sleep(0.02)

    def _end(self, child: Child) -> None:
        for pid in (*self.family(child), child.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def state_of(pid: int) -> str:
    """Return a process's state as the kernel names it: R, S, T (stopped), Z (ended); X: gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def parent_of(pid: int) -> int:
    """Return a process's parent; 0 if it is gone."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _text(path: Path) -> str:
    return path.read_text("utf-8", "replace") if path.is_file() else ""


def _serve() -> None:
    for name in sys.argv[1:]:
        import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        if "reap" in order:
            told = {"code": os.waitstatus_to_exitcode(os.waitpid(order["reap"], 0)[1])}
        else:
            pid = os.fork()
            if pid == 0:
                _child(order)
            told = {"pid": pid}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


def _child(order: dict[str, Any]) -> None:
    """Become the command. Of the order:

    words, log; env: variables; signal, at: to send to itself before that write, of those that this
    process begins below the folder ``below``; clock: seconds that it is off; bound: even root is to
    be bound by the permissions of files.
    """
    os.setsid()
    log, code = Path(order["log"]), 1
    _redirect(log)
    os.environ.update(order.get("env", {}))
    sys.argv = ["flawsmith", *order["words"]]
    faulthandler.register(signal.SIGUSR1)  # where it hangs, if it does
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    seen = [0]
    if "below" in order:
        _watch(order, seen)
    if "clock" in order:
        now, now_ns, off = time.time, time.time_ns, order["clock"]
        time.time = lambda: now() + off
        time.time_ns = lambda: now_ns() + int(off * 1e9)
    if order.get("bound"):
        _give_up_power()
    try:
        from flawsmith.__main__ import main

        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    if "below" in order:
        order.pop("below")
        with suppress(OSError):
            log.with_suffix(".ops").write_text(str(seen[0]))
    os._exit(code)


def _redirect(log: Path) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, suffix in ((1, ".out"), (2, ".err")):
        os.dup2(os.open(log.with_suffix(suffix), os.O_CREAT | os.O_WRONLY, 0o666), number)


def _watch(order: dict[str, Any], seen: list[int]) -> None:
    at, number = order.get("at"), getattr(signal, order.get("signal", "SIGKILL"))
    below = order["below"].rstrip("/") + "/"

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if not _is_write(event, args) or "below" not in order:
            return
        path = os.fspath(args[0]) if isinstance(args[0], (str, bytes, os.PathLike)) else ""
        path = os.fsdecode(path)
        # A name without a folder is meant within an open one: rmtree goes so.
        if path and (path.startswith(below) or "/" not in path):
            seen[0] += 1
            if seen[0] == at:
                os.kill(os.getpid(), number)

    sys.addaudithook(hook)


def _give_up_power() -> None:
    """Let go of CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, by which root writes anywhere."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        head = (ctypes.c_uint32 * 2)(0x20080522, 0)
        sets = (ctypes.c_uint32 * 6)()
        assert libc.capget(head, sets) == 0
        sets[0] &= ~0b110
        assert libc.capset(head, sets) == 0, os.strerror(ctypes.get_errno())


def _is_write(event: str, args: tuple[Any, ...]) -> bool:
    if event == "open":
        mode, flags = args[1], args[2]
        if isinstance(mode, str):
            return bool(set(mode) & set("wax+"))
        return bool(flags and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return event in WRITES


if __name__ == "__main__":
    _serve()
