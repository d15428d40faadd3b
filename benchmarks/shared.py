"""What the benchmarks share: commands of ours, one form of result, the rate of a device.

Imported as ``flawsmith.benchmarks.shared``: found where the package is installed from this folder
(``make`` does that), and no part of the wheel.
"""

import json
import signal
import subprocess
import sys
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

KEYS = ("name", "ours", "baseline", "ratio", "goal", "unit", "n")


def flawsmith(*words: object) -> str:
    """Run a command of ours, shown; return what it prints on standard output."""
    print("flawsmith", *words, file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "flawsmith", *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def result(
    name: str,
    *,
    ours: float | None,
    unit: str,
    n: int,
    baseline: float | None = None,
    ratio: float | None = None,
    goal: float | None = None,
    at_most: bool = False,
    slack: float = 0.0,
    **more: Any,
) -> dict[str, Any]:
    """Return one result in the form that all benchmarks print.

    The goal is of the ratio, or of ours where there is none; from it on unless ``at_most``, and
    with so much slack. n: how many samples, rows or steps were timed. more: what else was found.
    """
    figure = ours if ratio is None else ratio
    reached = None
    if goal is not None and figure is not None:
        reached = figure <= goal + slack if at_most else figure >= goal - slack
    values = (name, ours, baseline, ratio, goal, unit, n)
    limits = {"at most": at_most, "slack": slack} if goal is not None else {}
    return dict(zip(KEYS, values, strict=True)) | {"reached": reached} | limits | {"more": more}


def of_line(line: dict[str, Any], ours: str, baseline: str = "", **given: Any) -> dict[str, Any]:
    """Return the result of a line of figures; ours, baseline: the names of its two rates."""
    rest = dict(line)
    both = {"ours": rest.pop(ours), "baseline": rest.pop(baseline) if baseline else None}
    known = {key: rest.pop(key, None) for key in ("ratio", "goal")}
    return result(rest.pop("name"), **{**both, **known, **given}, **rest)


def tell(found: dict[str, Any]) -> None:
    """Print a result as one JSON line."""
    print(json.dumps(found), flush=True)


def settle(device: "torch.device") -> float:
    """Return the time once the device has done all that it was given."""
    import torch

    getattr(torch, device.type).synchronize()
    return time.perf_counter()


def stop_by_signal() -> None:
    """Let SIGTERM end this script as an error does: what it started is ended, too."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


@lru_cache
def matrix_rate(device: "torch.device") -> float:
    """Return the operations a second of a large square product, the best of several."""
    import torch

    side, kind = (2048, torch.float32) if device.type == "cpu" else (8192, torch.bfloat16)
    a, b = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
    times = []
    for _ in range(5):
        start = settle(device)
        torch.mm(a, b)
        times.append(settle(device) - start)
    return float(2 * side**3 / min(times))
