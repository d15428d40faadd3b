"""Worker processes that die: one clear error, and no waiting for ever."""

import os
import time
from concurrent.futures import ProcessPoolExecutor
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
