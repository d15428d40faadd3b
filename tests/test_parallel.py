"""Worker processes: what they find loaded; those that die are one clear error, and no waiting."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flawsmith.data.parallel import ordered_map
from flawsmith.errors import Interrupted


def test_a_worker_that_dies_while_another_one_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool ends those that it knows of, and once waited for ever for the late one."""
    inner = ProcessPoolExecutor._spawn_process

    def slowly(pool: Any) -> None:
        for process in list(pool._processes.values()):
            process.join(20)
            time.sleep(0.5)  # until the pool's thread has seen it, too
        inner(pool)

    monkeypatch.setattr(ProcessPoolExecutor, "_spawn_process", slowly)
    with pytest.raises(Interrupted, match="a worker process died"):
        list(ordered_map(os._exit, range(64), 2))


HEAVY = """
import os, pathlib, time
print(os.getpid(), file=(pathlib.Path(__file__).with_name("loaded")).open("a"))
time.sleep(1.5)
def double(number):
    return 2 * number
"""
COMMAND = """
import signal, sys
from flawsmith.data.parallel import PRELOAD, load_early, ordered_map
# What a shell starts in the background ignores it, and so does what that starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
if sys.argv[1] == "heeds not":
    signal.signal(signal.SIGINT, lambda *_: print("asked to stop", flush=True))
def main():
    PRELOAD.append("heavy") if sys.argv[1] == "never early" else load_early("heavy")
    print("begun", flush=True)
    if sys.argv[1] == "heeds not":
        import heavy
    print(list(ordered_map(abs, range(8), 2, chunk=1)), flush=True)
if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped", flush=True)
"""


def stopped(folder: Path, how: str) -> list[str]:
    """Return what a command says that is stopped while the fork server loads heavy modules."""
    (folder / "heavy.py").write_text(HEAVY)
    (folder / "command.py").write_text(COMMAND)
    paths = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    job = subprocess.Popen(
        [sys.executable, str(folder / "command.py"), how],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    assert job.stdout is not None
    assert job.stdout.readline() == "begun\n"
    time.sleep(0.5)
    os.killpg(job.pid, signal.SIGINT)
    told, errors = job.communicate(timeout=60)  # also of all that it started
    assert not errors
    return told.splitlines()


def test_heavy_modules_are_loaded_once_for_all_workers(tmp_path: Path) -> None:
    """And Ctrl-C, which the fork server gets, too, does not end it while it loads them."""
    assert stopped(tmp_path, "heeds not") == ["asked to stop", "[0, 1, 2, 3, 4, 5, 6, 7]"]
    loaded = (tmp_path / "loaded").read_text().split()
    assert len(loaded) == len(set(loaded)) == 2  # the command and the fork server; no worker


@pytest.mark.parametrize("how", ["early", "never early"])
def test_stopped_while_workers_are_awaited(tmp_path: Path, how: str) -> None:
    """What was asked of the fork server by then once ended in a traceback, of a worker's.

    Never early: without ``load_early`` once the server itself did.
    """
    assert stopped(tmp_path, how) == ["stopped"]
