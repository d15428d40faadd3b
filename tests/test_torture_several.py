"""What hurts trainings on several processes waits for nothing without end, and leaves nothing."""

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests import torture_several
from tests.nursery import Hung, state_of
from tests.torture_several import Job, started

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
# What it starts is known by the mark that it inherits.
IDLE = (
    "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(99)'])"
)


@pytest.fixture
def idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A command that starts a process, and neither heeds signals nor trains; nobody waits long."""
    start = subprocess.Popen

    def instead(words: Any, **more: Any) -> subprocess.Popen[bytes]:
        return start([sys.executable, "-c", IDLE], **more)

    monkeypatch.setattr(torture_several, "LIMIT", 2.0)
    monkeypatch.setattr(subprocess, "Popen", instead)
    here = SimpleNamespace(root=tmp_path, home=SimpleNamespace(root=tmp_path))
    return here, SimpleNamespace(at=lambda home, work: []), tmp_path / "work"


def test_a_command_that_never_heeds_signals(idle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[Job] = []
    monkeypatch.setattr(torture_several, "Job", lambda *parts: jobs.append(Job(*parts)) or jobs[0])
    with pytest.raises(Hung, match="nothing came in 2 s"), started(*idle):
        pass
    assert_over(jobs[0])


@pytest.mark.parametrize("awaited", ["rank 0", "processes", "training", "the end"])
def test_what_never_comes(idle: Any, monkeypatch: pytest.MonkeyPatch, awaited: str) -> None:
    monkeypatch.setattr(torture_several, "_catches", lambda pid, number: True)
    kind = {"processes": 1, "training": 2}.get(awaited, 0)
    random: Any = SimpleNamespace(uniform=lambda: 0.0, integers=lambda bound: np.int64(kind))
    waits = {
        "rank 0": lambda job: torture_several._victim(job, "rank 0"),
        "the end": Job.ended,
    }
    wait = waits.get(awaited, lambda job: torture_several._wait(job, idle[-1], 1.0, random))
    with started(*idle) as job:
        while not job.family():
            time.sleep(0.01)
        with pytest.raises(Hung, match="2 s"):
            wait(job)
    assert_over(job)


def assert_over(job: Job) -> None:
    until = time.monotonic() + 10
    while family := job.family():
        assert time.monotonic() < until, family
        time.sleep(0.01)
    assert state_of(job.process.pid) == "X"
