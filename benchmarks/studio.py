"""The page of ``flawsmith studio``: 10,000 candidates to review, and one stroke to paint.

A client asks for what the page asks for, on six connections as browsers do: the page itself, the
list, the first candidate, and the tiles that are on the screen; then it scrolls through the whole
list, twice. The server's memory is read after each part.

    python benchmarks/studio.py [--count N] [--strokes N] [--json]

Goals: the page is usable 2 s after it was asked for; the server grows by less than 100 MB over a
scroll through all; a stroke on a 1600x256 strip is painted by a ``small`` run within 1 s on a CPU.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np

import flawsmith.studio
from flawsmith.benchmarks.shared import result, tell
from flawsmith.data.images import write_png
from flawsmith.data.manifest import write_manifest

USABLE, GROWTH, STROKE = 2.0, 100.0, 1.0
CONNECTIONS = 6
# Tiles of a window of 1280x800, and pictures that the candidates share the content of.
SCREEN = 30
DISTINCT = 50
SHAPE = (64, 96)
STATIC = Path(flawsmith.studio.__file__).parent / "static"
ASSETS = ("", "studio.css", *sorted(path.name for path in STATIC.glob("*.js")))


def make_candidates(root: Path, count: int) -> Path:
    """Write a data set of so many small pictures with a square each."""
    generator = np.random.default_rng(0)
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    (root / "classes.txt").write_text("dent\n", "utf-8")
    index = np.zeros(SHAPE, np.uint8)
    index[20:32, 40:56] = 1
    lines = []
    for i in range(count):
        image, mask = (root / name / f"made_{i:06d}.png" for name in ("images", "masks"))
        if i < DISTINCT:
            write_png(image, generator.integers(90, 140, SHAPE, np.uint8))
            write_png(mask, index)
        else:
            os.link(image.with_name(f"made_{i % DISTINCT:06d}.png"), image)
            os.link(mask.with_name(f"made_{i % DISTINCT:06d}.png"), mask)
        meta = {"method": "paste", "defects": [{"class": "dent"}], "scores": {"contrast": i / 7}}
        size = {"width": SHAPE[1], "height": SHAPE[0]}
        told = {"id": image.stem, "image": f"images/{image.name}", "label": "defective"}
        lines.append({**told, "group": image.stem, **size, "meta": meta})
    write_manifest(root, "folder", ("dent",), {"command": "benchmark"}, lines)
    return root


@contextmanager
def studio(*words: object) -> Iterator[tuple[int, str]]:
    """Run the command; yields its process id and its address."""
    command = [sys.executable, "-m", "flawsmith", "studio", *map(str, words), "--no-browser"]
    with subprocess.Popen(
        [*command, "--device", "cpu"], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr
            told = next((line for line in process.stderr if line.startswith("open ")), "")
            if not told:
                sys.exit("the studio did not start")
            yield process.pid, told.split()[1]
        finally:
            process.terminate()


class Client:
    """Asks on some connections, each kept open."""

    def __init__(self, address: str) -> None:
        self._place = urlsplit(address)
        self._pool = ThreadPoolExecutor(CONNECTIONS)
        self._free = [self._connection() for _ in range(CONNECTIONS)]

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(str(self._place.hostname), self._place.port)

    def ask(self, path: str, sent: Any = None) -> bytes:
        own = self._free.pop()
        try:
            body = None if sent is None else json.dumps(sent)
            own.request("GET" if sent is None else "POST", self._place.path + path, body)
            answer = own.getresponse()
            content = answer.read()
        finally:
            self._free.append(own)
        if answer.status != 200:
            sys.exit(f"{path}: {answer.status} {content[:200]!r}")
        return content

    def all(self, paths: Iterable[str]) -> None:
        for _ in self._pool.map(self.ask, paths):
            pass


def memory(pid: int) -> float:
    """Return the megabytes that a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


def reviewed(work: Path, count: int) -> dict[str, float]:
    """Measure the review of so many candidates."""
    made = make_candidates(work / "made", count)
    start = time.perf_counter()
    with studio(made, "--cache", work / "cache") as (pid, address):
        found = {"start_s": time.perf_counter() - start}
        client = Client(address)
        start = time.perf_counter()
        client.all(ASSETS)
        client.ask("api/about")
        client.ask("api/candidates")
        client.all(["c/0/look", "c/0/crop.jpg", *(f"c/{i}/tile.jpg" for i in range(SCREEN))])
        found |= {"usable_s": time.perf_counter() - start, "before_mb": memory(pid)}
        for name in ("scroll", "again"):
            start = time.perf_counter()
            client.all(f"c/{i}/tile.jpg" for i in range(count))
            found[f"{name}_tiles_per_s"] = count / (time.perf_counter() - start)
            found[f"{name}_mb"] = memory(pid)
        start = time.perf_counter()
        for i in range(10):
            client.ask("api/decide", {"number": i, "choice": "accepted", "was": None})
        found["decision_s"] = (time.perf_counter() - start) / 10
    return found


def painted(work: Path, strokes: int) -> dict[str, float]:
    """Measure strokes on strips, by a ``small`` run: its time does not depend on its steps."""
    words = ("demo", work / "strips", "--kind", "severstal", "--count", 24, "--seed", 7)
    train = ("inpaint", "train", work / "strips", work / "run", "--preset", "small", "--steps", 1)
    for command in (words, (*train, "--device", "cpu")):
        subprocess.run(
            [sys.executable, "-m", "flawsmith", *map(str, command)], check=True, capture_output=True
        )
    save = ("--save", work / "painted", "--cache", work / "cache")
    with studio(work / "run", "--images", work / "strips", *save) as (_, address):
        client = Client(address)
        name = json.loads(client.ask("api/paint/pictures"))["ids"][0]
        client.ask(f"p/{quote(name, safe='')}/picture")
        # A scratch of 60x9 pixels.
        mask = {"box": [700, 120, 60, 9], "runs": [1, 540]}
        order = {"picture": name, "mask": mask, "strength": 1.0}
        seconds = []
        for seed in range(strokes + 1):
            start = time.perf_counter()
            client.ask("api/paint", {**order, "seed": seed})
            seconds.append(time.perf_counter() - start)
    return {"first_stroke_s": seconds[0], "stroke_s": median(seconds[1:])}


def tell_all(found: dict[str, float], grown: float, count: int, strokes: int) -> None:
    """Print the figures that have goals, the rest beside the first."""
    shown = {name: round(value, 3) for name, value in found.items()}
    goals = [
        ("usable", shown.pop("usable_s"), "s", count, USABLE),
        ("growth over a scroll", round(grown, 1), "MB", count, GROWTH),
    ]
    if strokes:
        goals.append(("a stroke", shown.pop("stroke_s"), "s", strokes, STROKE))
    for name, ours, unit, n, goal in goals:
        limit = {"ours": ours, "unit": unit, "n": n, "goal": goal, "at_most": True}
        tell(result(f"studio, {name}", **limit, **shown))
        shown = {}


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--strokes", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flawsmith-bench-") as folder:
        found = reviewed(Path(folder), given.count)
        if given.strokes:
            found |= painted(Path(folder), given.strokes)
    grown = max(found["scroll_mb"], found["again_mb"]) - found["before_mb"]
    if given.json:
        tell_all(found, grown, given.count, given.strokes)
        return
    for name, value in found.items():
        print(f"{name:22}{value:10.3f}")
    print(f"usable in {found['usable_s']:.2f} s (goal {USABLE:g})")
    print(f"memory grew by {grown:.0f} MB (goal {GROWTH:g})")
    if given.strokes:
        print(f"a stroke in {found['stroke_s']:.2f} s (goal {STROKE:g})")


if __name__ == "__main__":
    main()
