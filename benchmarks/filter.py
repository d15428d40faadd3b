"""The filter end to end: seconds of ``flawsmith filter`` on pasted candidates, cold and cached.

The first call computes all features and trains both segmenters; the second one, into another
folder, finds them in the cache and does everything else again: reading, certificates, agreement,
selection, writing. The third leaves the segmenters out.

    python benchmarks/filter.py [--count N] [--steps N]

Source: the training part (20 defective images a class) of ``magnetic_tile`` of FLAWSMITH_TEST_DATA
where that is set, else of drawn 1600x256 strips. Goal: 2,000 candidates, cached, in under 300 s on
2 cores.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from flawsmith.benchmarks.shared import flawsmith, of_line, tell

GOAL = 300.0


def prepare(work: Path, count: int) -> str:
    """Write the real parts and the candidates made of their training part; return the name."""
    given = os.environ.get("FLAWSMITH_TEST_DATA")
    source = Path(given) / "magnetic_tile" if given else work / "strips"
    if not given:
        flawsmith("demo", source, "--kind", "severstal", "--count", 200, "--seed", 7)
    split = ("--fractions", "0.6,0.4", "--seed", 1, "--per-class", 20)
    flawsmith("data", "split", source, work / "parts", *split)
    made = ("--method", "paste", "--count", count, "--seed", 1)
    flawsmith("augment", work / "parts" / "train", work / "made", *made)
    return source.name


def filtered(work: Path, name: str, *flags: object) -> tuple[float, dict[str, object]]:
    """Filter the candidates into a folder of its own; return the seconds and the result."""
    out = work / name
    words = ("--real", work / "parts" / "train", "--cache", work / "cache", *flags)
    start = time.perf_counter()
    flawsmith("filter", work / "made", out, *words)
    return time.perf_counter() - start, json.loads((out / "filter.json").read_text("utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=2000, help="candidates")
    parser.add_argument("--steps", type=int, default=400, help="of each segmenter")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        source = prepare(work, given.count)
        cold, _ = filtered(work, "cold", "--steps", given.steps)
        cached, result = filtered(work, "cached", "--steps", given.steps)
        without, _ = filtered(work, "without", "--no-segmenter")
    line = {
        "name": f"filter, pasted into {source}",
        "candidates": result["candidates"],
        "accepted": result["accepted"],
        "rejected": result["rejected"],
        "cold s": round(cold, 1),
        "cached s": round(cached, 1),
        "cached, no segmenter s": round(without, 1),
        "goal": GOAL,
    }
    tell(of_line(line, "cached s", unit="s", n=given.count, at_most=True))


if __name__ == "__main__":
    main()
