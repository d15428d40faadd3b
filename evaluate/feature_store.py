"""Features kept on disk by the digest of the pixels, so that no picture is computed twice.

A version of the features has a folder of its own with shards ``<sha256 of the file>.safetensors``:
``keys`` uint8 (n, 32), the digests' hex digits as ASCII, and ``features`` float32 (n, D). A shard
appears whole and is never changed, so any number of processes may write at once.
"""

import hashlib
import os
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from flawsmith.errors import InputError, printable
from flawsmith.progress import say
from flawsmith.sample import check_id

Features = NDArray[np.float32]
SUFFIX = ".safetensors"
PARTIAL = ".partial"
KEY = 32
# What reading a stranger's file may raise: the last three come of number types that NumPy lacks.
ODD = (OSError, SafetensorError, ValueError, TypeError, KeyError, AttributeError)
# What a killed process left half-written is removed after a day: no writing takes that long.
STALE = 86400.0


def default_folder() -> Path:
    """Return the cache's folder: FLAWSMITH_CACHE, XDG_CACHE_HOME/flawsmith or ~/.cache/flawsmith.

    Raises InputError if this user has no home folder.
    """
    if own := os.environ.get("FLAWSMITH_CACHE"):
        return Path(own)
    if cache := os.environ.get("XDG_CACHE_HOME"):
        return Path(cache) / "flawsmith"
    try:
        return Path.home() / ".cache" / "flawsmith"
    except RuntimeError as error:
        raise InputError("no home folder for the cache", mend="set FLAWSMITH_CACHE") from error


class FeatureStore:
    """The features of one version (network, weights, resizing), in ``folder/version``.

    A shard that is damaged, foreign or of another dimension is named once on standard error and
    passed over: never trusted, never deleted. A folder that cannot be written is said once too, and
    the job goes on without.
    """

    def __init__(self, folder: Path, version: str) -> None:
        check_id(version)
        self.folder = folder / version
        self._writable = True
        self._bad: set[Path] = set()
        # key -> (shard, row); filled on the first look.
        self._index: dict[str, tuple[Path, int]] | None = None
        self._opened: dict[tuple[Path, int], Any] = {}

    @property
    def writable(self) -> bool:
        """Whether all that was put so far could be written."""
        return self._writable

    def get(self, key: str, dimension: int) -> Features | None:
        """Return the (D,) features of a pixel digest, or None if they are not known."""
        if self._index is None:
            self._index = self._read_index()
        while key in self._index:
            path, row = self._index[key]
            if self._is_whole(path, dimension):
                found: Features = self._opened[path, dimension][row : row + 1][0]
                return found
            # Another shard may know the same keys.
            self._index = self._read_index()
        return None

    def put(self, keys: Sequence[str], features: Features) -> None:
        """Add a shard with the (n, D) float32 features of n pixel digests (32 hex digits each)."""
        digits = np.frombuffer("".join(keys).encode("ascii"), np.uint8).reshape(len(keys), KEY)
        if features.dtype != np.float32 or features.ndim != 2 or len(features) != len(keys):
            raise ValueError(f"{len(keys)} keys, but features {features.dtype} {features.shape}")
        if not self._writable or not keys:
            return
        content = save({"keys": digits, "features": np.ascontiguousarray(features)})
        path = self.folder / f"{hashlib.sha256(content).hexdigest()}{SUFFIX}"
        try:
            _write(path, content)
        except OSError as error:
            self._writable = False
            told = f"features are not kept, the cache cannot be written: {error}"
            say(printable(f"{self.folder}: {told}"))
            return
        self._bad.discard(path)
        if self._index is not None:
            self._index.update({key: (path, row) for row, key in enumerate(keys)})

    def _read_index(self) -> dict[str, tuple[Path, int]]:
        """Return where each key is; of the shards only the keys are read."""
        index: dict[str, tuple[Path, int]] = {}
        for path in _listing(self.folder):
            if path in self._bad:
                continue
            try:
                named = _keys(path)
            except ODD as error:
                self._pass_over(path, str(error))
                continue
            index.update({key: (path, row) for row, key in enumerate(named)})
        return index

    def _is_whole(self, path: Path, dimension: int) -> bool:
        """Check all of a shard the first time; from then on its rows come from a memory map."""
        if (path, dimension) in self._opened:
            return True
        try:
            fault = _fault(path, dimension)
            if not fault:
                opened: Any = safe_open(path, "np")
                self._opened[path, dimension] = opened.get_slice("features")
        except ODD as error:
            fault = str(error)
        if fault:
            self._pass_over(path, fault)
        return not fault

    def _pass_over(self, path: Path, why: str) -> None:
        self._bad.add(path)
        say(printable(f"{path}: passed over in the cache of features: {why}"))


def _keys(path: Path) -> list[str]:
    with safe_open(path, "np") as shard:
        keys = shard.get_tensor("keys")
    if keys.dtype != np.uint8 or keys.shape[1:] != (KEY,):
        raise ValueError(f"keys {keys.dtype} {keys.shape}, wanted uint8 (n, {KEY})")
    return [key.tobytes().decode("ascii") for key in keys]


def _fault(path: Path, dimension: int) -> str:
    """Return what is wrong with a shard; empty if nothing is."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != path.stem:
        return "damaged, or not written by flawsmith: its name is not its SHA-256"
    found = load(content)
    features, count = found.get("features", np.zeros(0)), len(found["keys"])
    if features.dtype != np.float32 or features.shape != (count, dimension):
        return f"features {features.dtype} {features.shape}, wanted float32 ({count}, {dimension})"
    return "" if np.isfinite(features).all() else "features that are not finite"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{uuid.uuid4().hex}{PARTIAL}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _listing(folder: Path) -> list[Path]:
    """Return the shards of a folder in a fixed order; what was left half-written long ago goes."""
    try:
        paths = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        say(printable(f"{folder}: the cache of features cannot be read: {error}"))
        return []
    for path in paths:
        # Another process's file may become a shard, or go, while this one looks at it.
        with suppress(OSError):
            if path.suffix == PARTIAL and time.time() - path.stat().st_mtime > STALE:
                path.unlink()
    return [path for path in paths if path.suffix == SUFFIX]
