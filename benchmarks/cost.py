"""What a command of ours costs, with all of its processes: CPU seconds, seconds, memory."""

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import psutil

# Seconds from one look at the processes to the next.
TICK = 0.1


@dataclass(frozen=True)
class Cost:
    """CPU seconds and wall seconds of all processes of a command, and their peak memory (bytes)."""

    cpu: float
    wall: float
    memory: int


def cost_of(words: list[str]) -> Cost:
    """Run a command of ours and watch all of its processes; its errors end this one."""
    before, start = _reaped(), time.perf_counter()
    with tempfile.TemporaryFile("w+") as told:
        command = [sys.executable, "-m", "flawsmith", *words]
        job = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=told)
        spent: dict[int, float] = {}
        peak = 0
        try:
            while job.poll() is None:
                peak = max(peak, _look(job, spent))
                time.sleep(TICK)
        finally:
            if job.poll() is None:
                job.kill()
        wall = time.perf_counter() - start
        if job.wait():
            told.seek(0)
            sys.exit(f"{' '.join(words)}\n{told.read()[-3000:]}")
    # The fork server and its workers are nobody's children when they end: those are seen only.
    return Cost(max(sum(spent.values()), _reaped() - before), wall, peak)


def _look(job: psutil.Popen, spent: dict[int, float]) -> int:
    """Return the bytes that all processes of a job hold; note their CPU seconds in ``spent``."""
    memory = 0
    for process in (job, *_children(job)):
        try:
            with process.oneshot():
                times = process.cpu_times()
                spent[process.pid] = times.user + times.system
                memory += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return memory


def _children(job: psutil.Popen) -> list[psutil.Process]:
    try:
        return list(job.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _reaped() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
