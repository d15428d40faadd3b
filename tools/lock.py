"""The lock file read: each package with its version and the hashes that an installer demands."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
PIN = re.compile(r"^([a-z0-9-]+)==([^\s\\;]+)\s*(?:;\s*(.*?))?\s*\\?$")
HASH = re.compile(r"^--hash=sha256:([0-9a-f]{64})\s*\\?$")


@dataclass(frozen=True)
class Locked:
    """One line of the lock; marker: where it is installed, "" for everywhere."""

    version: str
    hashes: tuple[str, ...]
    marker: str = ""


def read_lock(path: Path = LOCK) -> dict[str, Locked]:
    """Return the packages by name; raises ValueError for a line of another form."""
    found: dict[str, Locked] = {}
    name = ""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if pin := PIN.match(text):
            name = pin[1]
            if name in found:
                raise ValueError(f"{path.name}:{number}: {name} comes twice")
            found[name] = Locked(pin[2], (), pin[3] or "")
        elif (known := HASH.match(text)) and name:
            old = found[name]
            found[name] = Locked(old.version, (*old.hashes, known[1]), old.marker)
        else:
            raise ValueError(f"{path.name}:{number}: not understood: {text}")
    return found


def canonical(name: str) -> str:
    """Return a package's name as indexes write it."""
    return re.sub(r"[-_.]+", "-", name).lower()
