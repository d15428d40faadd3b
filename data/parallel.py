"""An ordered map over worker processes: bounded memory, and the same results for any number.

Workers are started by a fork server (where the platform has one): it imports the heavy libraries
once, and no thread or lock of the parent is copied.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any, TypeVar

from flawsmith.errors import Interrupted

T = TypeVar("T")
# Chunks in flight a worker: enough to hide the parent's writing, few enough to bound memory.
WINDOW = 4
PRELOAD = ["flawsmith.data.build", "flawsmith.data.scan"]

# What load_early named.
_early: list[str] = []
_awaited = False
_task: Callable[[int], Any]


def default_workers() -> int:
    """Return the number of CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_early(*modules: str) -> None:
    """Let the workers of this process find these modules loaded, beside what all of them need.

    For a command whose workers need torch: it is loaded once, in the fork server, while the command
    loads its own. To be called before the first ``ordered_map``; later, and where there is no fork
    server, it changes nothing.
    """
    _early.extend(modules)
    _context()


@contextmanager
def ctrl_c_held_back() -> Iterator[None]:
    """Keep a terminal's Ctrl-C from processes started in here, until they let it through.

    It goes to the whole group, and one that still loads would end with a traceback. This process
    hears of it afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # by the first start it would let SIGINT through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ordered_map(
    task: Callable[[int], T], indices: range, workers: int, chunk: int = 8
) -> Iterator[T]:
    """Yield ``task(i)`` for each index, in order; ``task`` must be picklable if workers > 1.

    An exception of the task is raised in its place. Raises Interrupted when a worker dies.
    """
    chunk = max(1, min(chunk, len(indices) // (2 * workers)))
    if workers == 1 or len(indices) <= 1:
        yield from map(task, indices)
        return
    chunks = iter([indices[i : i + chunk] for i in range(0, len(indices), chunk)])
    others = set(multiprocessing.active_children())
    context = _context()
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(task,)
    )
    try:
        _await_server(context)
        yield from _stream(pool, chunks, workers * WINDOW)
    except BrokenProcessPool as error:
        # Python's pool ends the workers that it knows of when one dies. One that was just being
        # started then is waited for, but never told: without this, for ever.
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
        raise Interrupted(
            "a worker process died, most likely for lack of memory; what is done is kept: "
            "run the same command again, with fewer --workers"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _stream(pool: ProcessPoolExecutor, chunks: Iterator[range], window: int) -> Iterator[Any]:
    pending: deque[Future[list[Any]]] = deque()
    for chunk in chunks:
        pending.append(_submit(pool, chunk))
        if len(pending) >= window:
            yield from _unpack(pending.popleft())
    while pending:
        yield from _unpack(pending.popleft())


def _submit(pool: ProcessPoolExecutor, chunk: range) -> "Future[list[Any]]":
    try:
        # A worker half started is none that the pool would wait for: it would find nothing left.
        with ctrl_c_held_back():
            return pool.submit(_run_chunk, chunk)
    except (OSError, EOFError) as error:
        # It starts workers as they are needed, and cannot once one has died.
        raise BrokenProcessPool("a worker died while another one was started") from error


def _unpack(future: "Future[list[Any]]") -> Iterator[Any]:
    for result in future.result():
        if isinstance(result, _Raised):
            raise result.error
        yield result


class _Raised:
    """An exception in its place among a chunk's results, so that those before it are kept."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _run_chunk(indices: range) -> list[Any]:
    results: list[Any] = []
    for index in indices:
        try:
            results.append(_task(index))
        except Exception as error:
            results.append(_Raised(error))
            break
    return results


def _context() -> Any:
    """Return how workers are started; where that is by a fork server, it runs, or loads."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    # Only here: not every platform has it.
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOAD, *_early])
    with ctrl_c_held_back():
        forkserver.ensure_running()
    return context


def _await_server(context: Any) -> None:
    """Wait until the fork server has loaded what it is to load, which takes seconds with torch.

    A stop may come meanwhile, and what was asked of the server is started none the less, later: a
    worker would end in a traceback, as its pool is gone; this process needs nothing.
    """
    global _awaited
    if _awaited or context.get_start_method() != "forkserver":
        return
    process = context.Process(target=_do_nothing)
    try:
        process.start()
    except (OSError, EOFError) as error:
        raise BrokenProcessPool("the fork server died") from error
    process.join()
    _awaited = True


def _do_nothing() -> None:
    pass


def _start_worker(task: Callable[[int], Any]) -> None:
    global _task
    _task = task
    import cv2

    # One process a core already; OpenCV's own threads would only compete.
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """Leave when the parent was killed: a pool's workers would wait for it for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
