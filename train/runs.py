"""The folder of a training run: who may write it, and what it holds.

``config.json`` (what is trained and how), ``model.safetensors`` (the averaged weights),
``metrics.jsonl``, ``previews/``, ``tensorboard/`` and ``state/`` (what a resume needs). The same
command finds its run there and goes on.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from flawsmith import __version__
from flawsmith.data.staging import differences, held
from flawsmith.data.tables import parse_object, read_json
from flawsmith.data.writing import make_folder, resolved
from flawsmith.errors import InputError
from flawsmith.progress import say
from flawsmith.train.checkpoint import newest
from flawsmith.train.files import replace_file

FORMAT = 1
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
METRICS = "metrics.jsonl"
STATE = "state"
PREVIEWS = "previews"
BOARD = "tensorboard"
LOCK = ".lock"
# What may lie in a folder that was killed before its config.json was in place.
BARE = {LOCK, CONFIG + ".new"}
# How many differing settings an error message lists.
NAMED = 3


@dataclass(frozen=True)
class Run:
    """An open run folder, and its newest checkpoint if there is one."""

    path: Path
    checkpoint: Path | None

    @property
    def step(self) -> int:
        """Steps done when the newest checkpoint was written."""
        return int(self.checkpoint.name) if self.checkpoint else 0

    @property
    def weights(self) -> Path:
        return self.path / WEIGHTS


@contextmanager
def opened(out: Path, job: dict[str, Any], free: dict[str, Any]) -> Iterator[Run]:
    """Make or reopen a run's folder and hold its lock.

    job: JSON-able, all that decides what the run computes; a folder of another job is refused.
    free: JSON-able settings that may change when it goes on; written beside them.
    Raises InputError, naming the settings that differ, for another run's folder, for one with
    files of somebody else, and when another process is at work in it.
    """
    out = resolved(out)
    job = json.loads(json.dumps(job))
    _check(out, job)
    make_folder(out)
    with held(out / LOCK, "another process is training in it", out):
        _check(out, job)
        config = {"format": FORMAT, "flawsmith": __version__, "job": job, "settings": free}
        text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        replace_file(out / CONFIG, text.encode())
        run = Run(out, newest(out / STATE))
        if run.checkpoint:
            say(f"going on in {out} after step {run.step}")
        yield run


def read_job(out: Path) -> dict[str, Any]:
    """Return what decides a run; raises InputError if the folder is no run of flawsmith."""
    path = out / CONFIG
    config = read_json(path)
    job = config.get("job") if isinstance(config, dict) else None
    if not isinstance(job, dict):
        raise InputError("no training run of flawsmith", where=path)
    if config.get("format") != FORMAT:
        raise InputError(
            f"a run of format {config.get('format')!r}; this flawsmith reads {FORMAT}", where=path
        )
    return job


def read_weights_facts(path: Path) -> dict[str, Any]:
    """Return what ``model.safetensors`` says of itself: flawsmith, kind, step, config.

    Raises InputError if it cannot be read or flawsmith did not write it.
    """
    try:
        with path.open("rb"), safe_open(path, framework="pt") as file:
            facts = (file.metadata() or {}).get("flawsmith")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=path) from error
    except SafetensorError as error:
        raise InputError(f"no valid safetensors file: {error}", where=path) from error
    if facts is None:
        raise InputError("these weights are not flawsmith's", where=path)
    return parse_object(facts, path)


def _check(out: Path, job: dict[str, Any]) -> None:
    """Raise InputError unless the folder is empty, missing, or holds this very job."""
    if (out / CONFIG).is_file():
        different = [
            f"{name} {json.dumps(there)[:80]} there, {json.dumps(now)[:80]} now"
            for name, there, now in differences(read_job(out), job)
        ]
        if different:
            more = f" and {len(different) - NAMED} more" if len(different) > NAMED else ""
            raise InputError(
                f"it was trained with other settings: {'; '.join(different[:NAMED])}{more}",
                where=out,
                mend="choose another folder, or those settings",
            )
    elif out.is_dir() and {path.name for path in out.iterdir()} - BARE:
        raise InputError(
            "holds files that are no training run", where=out, mend="choose another folder"
        )
