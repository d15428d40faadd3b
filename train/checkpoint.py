"""Checkpoints: all that a run needs to go on as if it had never stopped, and no pickle in them.

``state/00000123/`` holds ``tensors.safetensors`` (models, average, optimisers' moments) and
``state.json`` (everything else, and the SHA-256 of the tensors and of itself). It is written under
another name and renamed when it is complete, before an older one goes: at every instant a whole
one exists.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from flawsmith.data.tables import read_json
from flawsmith.data.writing import make_folder, writing_in
from flawsmith.errors import InputError
from flawsmith.train.files import replace_file, sync_folder, write_synced
from flawsmith.train.weights import file_sha256, load_into, read_tensors

FORMAT = 1
TENSORS = "tensors.safetensors"
FACTS = "state.json"
NEW = ".new"
# In the facts: the SHA-256 of all others.
OWN = "own_sha256"
KEPT = 2
NAME = re.compile(r"\d{8,}")
KEYS = {"format": int, "step": int, "sha256": str, "optimizers": dict, "extra": dict, "sums": dict}
Optimizers = Mapping[str, torch.optim.Optimizer]
Models = Mapping[str, nn.Module]


def newest(folder: Path) -> Path | None:
    """Return the newest checkpoint below ``state/``, or None."""
    return next(reversed(_whole(folder)), None)


def save_checkpoint(
    folder: Path, step: int, models: Models, optimizers: Optimizers, facts: dict[str, Any]
) -> None:
    """Write the checkpoint of a step below ``state/`` and drop all but the last two.

    models: by name, the average among them. facts: JSON-able, ``extra`` and ``sums`` of the loop.
    Raises OutputError naming the folder; what was there before is still there then.
    """
    tensors, groups = _tensors(models), {}
    for name, optimizer in optimizers.items():
        moments, groups[name] = _flatten(optimizer)
        tensors |= {f"optimizers/{name}/{key}": value for key, value in moments.items()}
    content = save(tensors)
    digest = hashlib.sha256(content).hexdigest()
    state = {"format": FORMAT, "step": step, "sha256": digest, "optimizers": groups, **facts}
    state[OWN] = _digest_of(state)
    new, final = folder / f"{step:08d}{NEW}", folder / f"{step:08d}"
    with writing_in(folder):
        make_folder(folder)
        _clean(folder)
        new.mkdir()
        write_synced(new / TENSORS, content)
        write_synced(new / FACTS, json.dumps(state, indent=1, sort_keys=True).encode())
        sync_folder(new)
        new.rename(final)
        sync_folder(folder)
        for old in _whole(folder)[:-KEPT]:
            shutil.rmtree(old)


def load_checkpoint(path: Path, models: Models, optimizers: Optimizers) -> dict[str, Any]:
    """Put a checkpoint's tensors in place and return its facts, ``step`` among them.

    Raises InputError for one that is cut short, changed, of another version or of other models.
    """
    state = read_facts(path)
    tensors = path / TENSORS
    if file_sha256(tensors) != state["sha256"]:
        raise InputError(
            "the file is not the one that was written", where=tensors, mend=_mend(path)
        )
    values = read_tensors(tensors, {})
    for name, model in models.items():
        load_into(model, _under(values, f"models/{name}/"), tensors)
    if state["optimizers"].keys() != optimizers.keys():
        raise InputError("it is of other optimisers", where=path)
    for name, optimizer in optimizers.items():
        moments = _under(values, f"optimizers/{name}/")
        _unflatten(optimizer, moments, state["optimizers"][name], path)
    return state


def save_weights(path: Path, model: nn.Module, facts: Mapping[str, Any]) -> None:
    """Replace a safetensors file by the model's weights; ``facts`` are its metadata.

    Raises OutputError naming the file.
    """
    tensors = {name: _plain(value) for name, value in model.state_dict().items()}
    # One entry: the library writes several in an order that changes from process to process.
    replace_file(path, save(tensors, {"flawsmith": json.dumps(dict(facts), sort_keys=True)}))


def _whole(folder: Path) -> list[Path]:
    """Return the checkpoints, the oldest first."""
    found = (p for p in folder.glob("*") if p.is_dir() and NAME.fullmatch(p.name))
    return sorted(found, key=lambda path: int(path.name))


def _clean(folder: Path) -> None:
    """Remove what a kill left half-written."""
    for path in folder.glob("*" + NEW):
        shutil.rmtree(path)


def read_facts(path: Path) -> dict[str, Any]:
    """Return a checkpoint's facts; raises InputError for what is not as it was written."""
    file = path / FACTS
    found = read_json(file)
    state: dict[str, Any] = found if isinstance(found, dict) else {}
    if state.get("format", FORMAT) != FORMAT:
        raise InputError(
            f"a checkpoint of format {state['format']!r}; this flawsmith reads {FORMAT}",
            where=file,
            mend="go on with the flawsmith that wrote it",
        )
    whole = all(isinstance(state.get(key), kind) for key, kind in KEYS.items())
    if not whole or path.name != f"{state['step']:08d}":
        raise InputError("no checkpoint of flawsmith", where=file, mend=_mend(path))
    # Checkpoints of earlier versions have none.
    own = state.pop(OWN, None)
    if own is not None and own != _digest_of(state):
        raise InputError("the file is not the one that was written", where=file, mend=_mend(path))
    return state


def _digest_of(state: dict[str, Any]) -> str:
    """Return the SHA-256 of facts, however they are laid out in a file."""
    # As they are when read again: keys that are numbers sort otherwise than their texts.
    plain = json.loads(json.dumps(state))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _mend(path: Path) -> str:
    return f"remove {path}: the run then goes on from the checkpoint before it, if there is one"


def _plain(tensor: Tensor) -> Tensor:
    """Return a copy of its own on the CPU: files hold no shared and no strided tensors."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def _tensors(models: Models) -> dict[str, Tensor]:
    return {
        f"models/{name}/{key}": _plain(value)
        for name, model in models.items()
        for key, value in model.state_dict().items()
    }


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _flatten(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return an optimiser's tensors by ``<parameter>/<name>``, and the rest, JSON-able."""
    state = optimizer.state_dict()
    tensors, plain = {}, {}
    for index, values in state["state"].items():
        for key, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{index}/{key}"] = _plain(value)
            else:
                plain[f"{index}/{key}"] = value
    return tensors, {"values": plain, "groups": state["param_groups"]}


def _unflatten(
    optimizer: torch.optim.Optimizer,
    tensors: Mapping[str, Tensor],
    rest: Mapping[str, Any],
    where: Path,
) -> None:
    """Put back what ``_flatten`` took; raises InputError if it is another optimiser's."""
    own = optimizer.state_dict()["param_groups"]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    try:
        for key, value in (*tensors.items(), *rest["values"].items()):
            index, name = key.split("/")
            if isinstance(value, Tensor) and value.shape == parameters[int(index)].shape:
                # Laid out as the parameter is, or sums could round otherwise than before.
                like = parameters[int(index)].detach()
                value = torch.empty_like(like, device="cpu", dtype=value.dtype).copy_(value)
            elif isinstance(value, Tensor) and value.ndim:
                raise ValueError(f"{name} of another shape")
            state.setdefault(int(index), {})[name] = value
        groups = [
            # JSON turns the pairs of Adam's betas into lists.
            {k: tuple(v) if isinstance(mine.get(k), tuple) else v for k, v in group.items()}
            for mine, group in zip(own, rest["groups"], strict=True)
        ]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"it is of another optimiser: {error}", where=where) from error
