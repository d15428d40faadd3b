"""Files of network weights: safetensors always, pickles only if known by their SHA-256.

A pickle can run code while it is read; so one that is not on a list of known files is never opened.
torch is imported on use: the hash of a file is asked for where no network will be built.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from flawsmith.data import reading
from flawsmith.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

SAFE = ".safetensors"
PICKLES = (".pt", ".pth")
# How many wrong names an error message lists.
NAMED = 3
# What settings that are not flawsmith's can bring about while a network is built of them.
BROKEN = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RuntimeError)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex. Raises InputError if it cannot be read."""
    try:
        return reading.file_sha256(path)
    except InputError as error:
        raise InputError(f"weights {error.what}", where=path) from error


def read_tensors(path: Path, trusted: Mapping[str, str]) -> "dict[str, Tensor]":
    """Return the tensors of a weights file by name, on the CPU.

    path: any ``.safetensors`` file, or a ``.pt`` / ``.pth`` file whose SHA-256 is in ``trusted``
    (hex digest -> what the file is). Raises InputError for anything else, in one line.
    """
    if _is_safetensors(path):
        return _read_safetensors(path)
    known_sha256(path, trusted)
    return _read_pickle(path)


def known_sha256(path: Path, trusted: Mapping[str, str]) -> str:
    """Return the SHA-256 of a weights file that ``read_tensors`` would open; no torch needed.

    Raises InputError for a file that it would refuse without looking inside.
    """
    digest = file_sha256(path)
    if not _is_safetensors(path) and digest not in trusted:
        known = "; ".join(trusted.values())
        raise InputError(
            "not opened: a pickle can run code, and this one is no file known by its hash"
            + (f" ({known})" if known else ""),
            where=path,
            mend="convert it to .safetensors",
        )
    return digest


def load_into(module: "nn.Module", tensors: "Mapping[str, Tensor]", where: object) -> None:
    """Copy tensors into a module of the very same names and shapes; on an error nothing is copied.

    BatchNorm's ``num_batches_tracked`` may be missing: old files lack it, and no result needs it.
    Raises InputError that names the first wrong ones: missing, surplus, of another shape or kind,
    or with values that are not finite.
    """
    own = module.state_dict()
    needed = (name for name in own if not name.endswith("num_batches_tracked"))
    both = [name for name in own if name in tensors]
    faults = [
        _few("missing", (name for name in needed if name not in tensors)),
        _few("surplus", (name for name in tensors if name not in own)),
        _few("of another shape", (_shapes(n, tensors[n], own[n]) for n in both)),
        _few("not finite", (n for n in both if _usual(tensors[n]) and not _finite(tensors[n]))),
    ]
    if any(faults):
        told = "; ".join(filter(None, faults))
        raise InputError(
            f"these are not the weights of {type(module).__name__}: {told}", where=where
        )
    module.load_state_dict(own | dict(tensors))


def check_outline(
    path: Path,
    build: "Callable[[], nn.Module]",
    what: str,
    weightless: AbstractContextManager[object] | None = None,
) -> None:
    """Raise InputError unless a safetensors file holds the tensors of what ``build`` makes.

    The network is built without memory for its weights, and of the file only the header is read: a
    stranger's small file cannot ask for more memory than it has bytes. what: for the message;
    weightless: in which ``build`` takes no memory, torch's meta device unless given.
    """
    import torch
    from safetensors import safe_open

    try:
        with weightless or torch.device("meta"):
            wanted = {k: list(value.shape) for k, value in build().state_dict().items()}
    except BROKEN as error:
        raise InputError(f"no {what}", where=path) from error
    with safe_open(path, framework="pt") as file:
        found = {k: list(file.get_slice(k).get_shape()) for k in file.keys()}  # noqa: SIM118
    different = sorted(k for k in found.keys() | wanted.keys() if found.get(k) != wanted.get(k))
    if different:
        name = different[0]
        raise InputError(
            f"no {what}: {name} is {found.get(name, 'missing')}, "
            f"its settings want {wanted.get(name, 'none')}",
            where=path,
        )


def _is_safetensors(path: Path) -> bool:
    kind = path.suffix.lower()
    if kind not in (SAFE, *PICKLES):
        found = kind or "no suffix"
        raise InputError(f"weights of an unknown kind: {found}", where=path, mend=f"a {SAFE} file")
    return kind == SAFE


def _shapes(name: str, found: "Tensor", wanted: "Tensor") -> str:
    """Return what is wrong with a tensor's shape or kind of number; empty if nothing is."""
    if found.shape != wanted.shape:
        return f"{name} {tuple(found.shape)}, wanted {tuple(wanted.shape)}"
    alike = _usual(found) and wanted.is_floating_point()
    if not alike and found.dtype != wanted.dtype:
        return f"{name} {found.dtype}, wanted {wanted.dtype}"
    return ""


def _usual(tensor: "Tensor") -> bool:
    """Return whether torch can reckon with the tensor: a stranger's file may hold odd floats."""
    kind = str(tensor.dtype).removeprefix("torch.")
    return kind in ("float16", "bfloat16", "float32", "float64")


def _finite(tensor: "Tensor") -> bool:
    return bool(tensor.isfinite().all())


def _few(fault: str, names: Iterable[str]) -> str:
    found = [name for name in names if name]
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"{fault}: {', '.join(found[:NAMED])}{more}" if found else ""


def _read_safetensors(path: Path) -> "dict[str, Tensor]":
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        # The library's own message for a file that cannot be opened names no reason.
        with path.open("rb"):
            return load_file(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"weights cannot be read: {reason}", where=path) from error
    except SafetensorError as error:
        raise InputError(f"no valid safetensors file: {error}", where=path) from error


def _read_pickle(path: Path) -> "dict[str, Tensor]":
    import torch

    content = torch.load(path, map_location="cpu", weights_only=True)
    return {str(name): tensor for name, tensor in content.items()}
