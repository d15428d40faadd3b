"""Where to compute: the device that a name means on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from flawsmith.errors import InputError


def pick_device(name: str = "auto") -> torch.device:
    """Return the device: ``auto`` is CUDA if there is one, else Apple's MPS, else the CPU.

    name: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:1``. Raises InputError for an unknown name,
    and for a device that this machine, or this build of torch, has not.
    """
    have = _present()
    if name == "auto":
        return torch.device(have[0])
    if name not in have:
        raise InputError(f"no such device here: {name!r}", mend=f"auto or one of {', '.join(have)}")
    return torch.device(name)


def best_precision(device: str = "auto") -> Literal["no", "bf16"]:
    """Return what forward passes are quickest in on a device, where bfloat16 loses nothing."""
    cuda = pick_device(device).type == "cuda" and torch.cuda.is_bf16_supported()
    return "bf16" if cuda else "no"


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread: sums of several are rounded otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _present() -> list[str]:
    """Return the names of this machine's devices, the fastest kind first."""
    cuda = range(torch.cuda.device_count()) if torch.cuda.is_available() else range(0)
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*(["cuda"] if cuda else []), *(f"cuda:{i}" for i in cuda), *mps, "cpu"]
