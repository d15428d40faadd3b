"""How time and memory grow: each command at 1, 4 and 16 times its input or count.

    python benchmarks/growth.py [WORK] [--only NAME,NAME] [--base 24] [--json]

On drawn strips and plate photos. Each command is run in a process of its own, twice where it is
small, on one core (on Linux) and so with one worker: the start of more would hide what so few
samples cost.
Time is the CPU time of all its processes, each on one thread (unless OMP_NUM_THREADS says
otherwise), so that other jobs on the machine matter little; with t = a + b n^k (a: the start-up)
three sizes, each four times the one before, give

    4^k = (t3 - t2) / (t2 - t1)

Memory is the largest sum of the resident sizes of all its processes, looked at 10 times a second,
fitted as c n^k: start-up included, as a user would see it. Goals: 1.0, with 0.1 for the scatter of
so small jobs, and 0.0, with 0.05. WORK keeps the inputs and what was measured: the same command
again goes on.
"""

import argparse
import json
import math
import os
import signal
import sys
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flawsmith.benchmarks.cost import Cost, cost_of
from flawsmith.benchmarks.shared import flawsmith, result, stop_by_signal, tell

SIZES = (1, 4, 16)
TIME_SLACK, MEMORY_SLACK = 0.1, 0.05
# Strips or plates where their number is not what grows.
FEW = 24
GROWING = ("strips", "plates", "made", "samples")
FIXED = ("few", "other", "run", "gen", "parts")
# The exit code of ``stop_by_signal``.
STOPPED = 128 + signal.SIGTERM


@dataclass(frozen=True)
class Case:
    """A command, and its samples at 1x as a multiple of --base.

    words: {strips}, {plates}, {made}, {samples} are inputs that grow; {few}, {other}, {run},
    {gen}, {parts} are not; {n} is the count. runs: of the two smaller sizes, whose share of the
    fit's error is the largest; the quickest counts. warm: once more before, on the same cache.
    """

    words: str
    times: int = 1
    runs: int = 2
    warm: bool = False


IMAGES = "evaluate distance {strips} {made} --images --device cpu --cache {cache}"
CASES = {
    "demo": Case("demo {out} --count {n}"),
    "data info": Case("data info {strips}", 2),
    "data check": Case("data check {strips}", 2),
    "data convert": Case("data convert {strips} {out} --to folder", 2),
    "data split": Case("data split {strips} {out}", 2),
    "data plates": Case("data plates {plates} {out} --whole"),
    "augment classical": Case("augment {few} {out} --method classical --count {n}", 8),
    "augment paste": Case("augment {few} {out} --method paste --count {n}", 8),
    "augment procedural": Case("augment {few} {out} --method procedural --count {n}", 8),
    "inpaint apply": Case("inpaint apply {run} {few} {out} --count {n} --device cpu", 4),
    "gen sample": Case("gen sample {gen} {out} --count {n} --device cpu", 64),
    "gen select": Case("gen select {samples} {out} --real {few} --device cpu --cache {cache}", 4),
    "gen assemble": Case(
        "gen assemble --anode {parts}/anode --glass {parts}/glass --cathode {parts}/cathode {out} "
        "--count {n}",
        2,
    ),
    "filter": Case("filter {made} {out} --real {few} --no-segmenter --device cpu --cache {cache}"),
    "evaluate distance": Case(IMAGES, 4, 1),
    # Features are known: what is left is reading, arithmetic and the report.
    "report of distances": Case(IMAGES + " --report {out}/report.html", 4, 1, warm=True),
    "evaluate detect": Case(
        "evaluate detect --clean {strips} --real {other} --candidates {made} --device cpu", 4, 1
    ),
}


class Inputs:
    """What the commands read, each made once in ``work`` when it is first asked for."""

    def __init__(self, work: Path, base: int) -> None:
        self.work, self.base = work, base

    def get(self, name: str, n: int) -> Path:
        makers: dict[str, Callable[[Path, int], object]] = {
            "strips": lambda out, n: flawsmith("demo", out, "--count", n, "--seed", 1),
            "plates": lambda out, n: self._plates(out, n),
            "made": lambda out, n: flawsmith(
                "augment", self.few, out, "--method", "paste", "--count", n
            ),
            "samples": lambda out, n: flawsmith(
                "gen", "sample", self.gen, out, "--count", n, "--device", "cpu"
            ),
        }
        return self._once(f"{name}-{n}", lambda out: makers[name](out, n))

    def of(self, words: str, n: int) -> dict[str, Path]:
        """Return the inputs that a command names."""
        named = [name for name in (*GROWING, *FIXED) if "{" + name + "}" in words]
        return {
            name: self.get(name, n) if name in GROWING else getattr(self, name) for name in named
        }

    @property
    def few(self) -> Path:
        return self.get("strips", FEW)

    @property
    def other(self) -> Path:
        make = ("--count", FEW, "--seed", 2)
        return self._once("other", lambda out: flawsmith("demo", out, *make))

    @property
    def run(self) -> Path:
        how = ("--preset", "small", "--steps", 1, "--device", "cpu")
        return self._once("run", lambda out: flawsmith("inpaint", "train", self.few, out, *how))

    @property
    def gen(self) -> Path:
        how = ("--arch", "dcgan", "--steps", 1, "--device", "cpu")
        return self._once("gen", lambda out: flawsmith("gen", "train", self.few, out, *how))

    @property
    def parts(self) -> Path:
        photos = self.get("plates", FEW)  # many enough that no plate has to come twice
        return self._once("parts", lambda out: flawsmith("data", "plates", photos, out, "--whole"))

    def _plates(self, out: Path, n: int) -> None:
        flawsmith("demo", out, "--kind", "plates", "--count", n, "--scale", 0.08, "--seed", 1)

    def _once(self, name: str, make: Callable[[Path], object]) -> Path:
        """Commands leave a folder that is whole, or resume: only a finished one has its mark."""
        out, mark = self.work / "inputs" / name, self.work / "inputs" / f"{name}.made"
        if not mark.is_file():
            make(out)
            mark.touch()
        return out


def measured(case: Case, inputs: Inputs) -> list[tuple[int, Cost]]:
    """Return the count and the cost at each size."""
    found = []
    for factor in SIZES:
        n = factor * case.times * inputs.base
        places = inputs.of(case.words, n)
        runs = []
        with tempfile.TemporaryDirectory(dir=inputs.work) as folder:
            for turn in range(-case.warm, case.runs if factor < SIZES[-1] else 1):
                own = Path(folder) / ("warm" if case.warm else f"{turn}")
                named = {**places, "out": Path(folder) / f"out{turn}", "cache": own, "n": n}
                cost = cost_of([str(word).format(**named) for word in case.words.split()])
                runs += [cost] * (turn >= 0)
        found.append((n, min(runs, key=lambda cost: cost.cpu)))
    return found


def time_exponent(seconds: list[float]) -> float | None:
    """Return k of a + b n^k at three sizes in a row; None where the times do not rise."""
    first, second, third = seconds
    if not first < second < third:
        return None
    return math.log((third - second) / (second - first)) / math.log(SIZES[1] / SIZES[0])


def memory_exponent(peaks: list[int]) -> float:
    """Return k of c n^k by least squares of the logarithms."""
    x = [math.log(size) for size in SIZES]
    y = [math.log(peak) for peak in peaks]
    middle_x, middle_y = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y, strict=True))
    return slope / sum((a - middle_x) ** 2 for a in x)


def results(name: str, costs: list[tuple[int, Cost]]) -> list[dict[str, Any]]:
    """Return a command's two results: how its time grows, and its memory."""
    counts, seconds = [n for n, _ in costs], [cost.cpu for _, cost in costs]
    k, memory = time_exponent(seconds), [cost.memory for _, cost in costs]
    told: dict[str, Any] = {"samples": counts, "wall s": [round(c.wall, 2) for _, c in costs]}
    return [
        result(
            f"growth, {name}: time",
            ours=None if k is None else round(k, 2),
            unit="exponent",
            n=counts[-1],
            goal=1.0,
            at_most=True,
            slack=TIME_SLACK,
            **told | {"CPU s": [round(s, 2) for s in seconds]},
        ),
        result(
            f"growth, {name}: memory",
            ours=round(memory_exponent(memory), 3),
            unit="exponent",
            n=counts[-1],
            goal=0.0,
            at_most=True,
            slack=MEMORY_SLACK,
            **told | {"MiB": [peak >> 20 for peak in memory]},
        ),
    ]


def run(work: Path, names: list[str], base: int) -> int:
    """Measure the cases that ``work`` does not know, and tell all; return how many failed."""
    inputs, failed = Inputs(work, base), 0
    (work / "inputs").mkdir(parents=True, exist_ok=True)
    for name in names:
        # Another form of the case is another measurement.
        form = zlib.crc32(repr(CASES[name]).encode())
        kept = work / "told" / f"{name.replace(' ', '_')}-{base}-{form:08x}.json"
        try:
            if not kept.is_file():
                keep(kept, [(n, vars(cost)) for n, cost in measured(CASES[name], inputs)])
        except SystemExit as end:
            if end.code == STOPPED:
                raise
            print(f"{name} failed: {end.code}", file=sys.stderr)
            failed += 1
            continue
        costs = [(n, Cost(**cost)) for n, cost in json.loads(kept.read_text())]
        for line in results(name, costs):
            tell(line)
    return failed


def keep(path: Path, found: list[tuple[int, dict[str, Any]]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(found) + "\n")
    new.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("work", type=Path, nargs="?", help="[default: a folder that is removed]")
    parser.add_argument("--only", metavar="NAME,NAME", help=", ".join(CASES))
    parser.add_argument("--base", type=int, default=24, help="samples at 1x of the dearest")
    parser.add_argument("--json", action="store_true", help="(always)")
    given = parser.parse_args()
    names = given.only.split(",") if given.only else list(CASES)
    if unknown := [name for name in names if name not in CASES]:
        parser.error(f"no case {unknown[0]!r}; one of {', '.join(CASES)}")
    stop_by_signal()
    # A second thread that waits for the first one spins, and where cores are shared that would be
    # most of what is counted.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if given.work:
        sys.exit(run(given.work, names, given.base) > 0)
    with tempfile.TemporaryDirectory(prefix="flawsmith-growth-") as folder:
        sys.exit(run(Path(folder), names, given.base) > 0)


if __name__ == "__main__":
    main()
