"""Several processes of one machine for one training run, without ``accelerate launch``.

They find one another through the same environment variables, so that Accelerate treats both alike.
"""

import contextlib
import os
import signal
import socket
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from flawsmith.data.parallel import default_workers
from flawsmith.errors import FlawsmithError, InputError, Interrupted
from flawsmith.progress import say
from flawsmith.train.devices import pick_device
from flawsmith.train.members import Bug, Ended, run_members

T = TypeVar("T")


def launch(
    work: Callable[..., T], args: tuple[Any, ...], num_processes: int, device: str = "auto"
) -> T:
    """Call ``work(*args)`` in so many processes at once and return the first one's result.

    work: a function of a module, picklable, as are ``args`` and the (small) result. One process:
    it is simply called here, also under ``accelerate launch``. A FlawsmithError of any process, or
    an OSError of OF_DISKS, is raised here; SIGINT and SIGTERM are handed on. Raises InputError when
    there are fewer GPUs, Interrupted when stopped or when a process dies.
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
    ended = run_members(_rank, (work, args, _environment(num_processes, kind)), num_processes)
    return result_of(ended)  # type: ignore[no-any-return]


def result_of(ended: Ended) -> Any:
    """Return the first process's result, or raise what stands in its way, causes first."""
    errors = [word for word in ended.words if isinstance(word, (FlawsmithError, OSError))]
    for error in errors:
        if not isinstance(error, Interrupted):
            raise error
    if lost := ended.lost():
        rank, code = lost
        raise _lost(rank, code)
    if errors:
        raise errors[0]
    if all(isinstance(word, tuple) for word in ended.words):
        return ended.words[0][0]
    if ended.stopped:
        raise Interrupted("stopped; the same command goes on from the last checkpoint")
    for place, (word, end) in enumerate(zip(ended.words, ended.codes, strict=True)):
        if isinstance(word, tuple) and end:  # at its very end, so that the others were not awaited
            raise _lost(place, end)
    bugs = [word.trace for word in ended.words if isinstance(word, Bug)]
    raise RuntimeError("\n" + "\n".join(bugs))


def _lost(rank: int, code: int) -> Interrupted:
    return Interrupted(
        f"the training process of rank {rank} {_how(code)}; the same command goes on from the last "
        "checkpoint"
    )


def _how(code: int) -> str:
    """Say how a process ended without a word, of its exit code."""
    if code >= 0:
        return f"ended by itself, with exit code {code}"
    name = _name_of(-code)
    if name == "SIGKILL":
        return "was killed, most likely for lack of memory"
    return f"was ended by {name}"


def _name_of(number: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


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


def _rank(
    rank: int, work: Callable[..., Any], args: tuple[Any, ...], environment: dict[str, str]
) -> tuple[Any]:
    """Do one process's part; only the first one's result is told."""
    os.environ.update(environment, RANK=str(rank), LOCAL_RANK=str(rank))
    if "OMP_NUM_THREADS" in environment:  # torch is loaded already
        torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))
    result = work(*args)
    if dist.is_initialized():
        dist.destroy_process_group()
    return (result if rank == 0 else None,)
