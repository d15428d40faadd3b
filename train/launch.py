"""Several processes of one machine for one training run, without ``accelerate launch``.

They find one another through the same environment variables, so that Accelerate treats both alike.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from types import FrameType
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import (
    ProcessContext,
    ProcessExitedException,
    start_processes,
)

from flawsmith.data.parallel import default_workers
from flawsmith.errors import FlawsmithError, InputError, Interrupted
from flawsmith.progress import say
from flawsmith.train.devices import pick_device
from flawsmith.train.signals import WATCHED

T = TypeVar("T")
# After one process has failed, the others get this long to end by themselves, seconds.
GRACE = 5.0


def launch(
    work: Callable[..., T], args: tuple[Any, ...], num_processes: int, device: str = "auto"
) -> T:
    """Call ``work(*args)`` in so many processes at once and return the first one's result.

    work: a function of a module, picklable, as are ``args`` and the (small) result. One process:
    it is simply called here, also under ``accelerate launch``. A FlawsmithError of any process is
    raised here; SIGINT and SIGTERM are handed on. Raises InputError when there are fewer GPUs.
    """
    if num_processes == 1:
        _tell_if_alone()
        return work(*args)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(
            "processes were started by a launcher already", mend="leave --num-processes out"
        )
    kind = pick_device(device).type
    if kind == "cuda" and num_processes > torch.cuda.device_count():
        raise InputError(
            f"{num_processes} processes, but {torch.cuda.device_count()} GPUs",
            mend="one process a GPU, or --device cpu",
        )
    box = get_context("spawn").SimpleQueue()
    environment = _environment(num_processes, kind)
    context = start_processes(  # type: ignore[no-untyped-call]
        _child, (work, args, environment, box), num_processes, join=False, start_method="spawn"
    )
    with _handing_on(context) as seen:
        failure = _join(context)
    told = []
    while not box.empty():
        told.append(box.get())
    for word in told:
        if isinstance(word, FlawsmithError):
            raise word
    if seen or isinstance(failure, ProcessExitedException):
        why = "stopped" if seen else "a training process died, most likely for lack of memory"
        raise Interrupted(f"{why}; the same command goes on from the last checkpoint")
    if failure:
        raise failure
    (result,) = told[0]
    return result  # type: ignore[no-any-return]


def first_process() -> bool:
    """Tell whether this is the only training process, or the first."""
    return int(os.environ.get("RANK", "0")) == 0


def _tell_if_alone() -> None:
    """Say so if ``accelerate launch`` was asked for several processes and started this one alone.

    That is what it does without GPUs, unless an MPI is there or ``--multi_gpu`` is given.
    """
    several = {"ACCELERATE_MIXED_PRECISION", "MASTER_ADDR"} <= os.environ.keys()
    if several and "WORLD_SIZE" not in os.environ:
        say(
            "note: accelerate launch started one process only, as it does without GPUs; its "
            "--multi_gpu (there too), torchrun or our --num-processes start several"
        )


def _environment(num_processes: int, kind: str) -> dict[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(num_processes),
        "LOCAL_WORLD_SIZE": str(num_processes),
    }
    if kind == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        found["OMP_NUM_THREADS"] = str(max(1, default_workers() // num_processes))
    return found


def _child(
    rank: int,
    work: Callable[..., Any],
    args: tuple[Any, ...],
    environment: dict[str, str],
    box: Any,
) -> None:
    """Run one process: its result (the first one's only) or its error goes into the box."""
    if hasattr(os, "setsid"):
        os.setsid()  # the terminal's Ctrl-C goes to the parent alone, which hands it on
    os.environ.update(environment, RANK=str(rank), LOCAL_RANK=str(rank))
    if "OMP_NUM_THREADS" in environment:  # torch is loaded already
        torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))
    try:
        result = work(*args)
    except Interrupted as stopped:
        box.put(stopped)
    except FlawsmithError as error:
        box.put(error)
        sys.exit(error.exit_code)  # the parent then ends those that wait for this one
    else:
        if rank == 0:
            box.put((result,))
    if dist.is_initialized():
        dist.destroy_process_group()


def _join(context: ProcessContext) -> Exception | None:
    """Wait for all processes; return what the first failing one died of."""
    try:
        while not context.join(grace_period=GRACE):
            pass
    except Exception as error:
        return error
    return None


@contextlib.contextmanager
def _handing_on(context: ProcessContext) -> Iterator[list[int]]:
    """Send the signals that this process gets to the processes; yield those that came."""
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield seen
        return

    def hand_on(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        for pid in context.pids():  # type: ignore[no-untyped-call]
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    before = {number: signal.signal(number, hand_on) for number in WATCHED}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
