"""The inpainting GAN: painting a whole data set, and where a pair's time goes.

``apply`` with the preset ``small`` on the CPU, on clean drawn 1600x256 strips, from the call to the
published folder, against reading so many pictures and writing so many pictures and masks with the
same functions, in as many processes; in turns within this one run. Those processes are up already,
ours start within the time. Then the milliseconds a pair by stage, in one process under a profiler.

    python benchmarks/inpaint_apply.py [--pairs 1000] [--rounds 3] [--json]
"""

import argparse
import cProfile
import json
import multiprocessing
import pstats
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import lru_cache
from itertools import cycle, repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from flawsmith.augment.canvas import Canvas, pick_background
from flawsmith.augment.region import foreground, places
from flawsmith.augment.shapes import BankShapes
from flawsmith.benchmarks.shared import of_line
from flawsmith.data.build import Refused
from flawsmith.data.formats import get_writer, read_dataset
from flawsmith.data.images import read_image, read_index, write_png
from flawsmith.data.jobs import write_demo
from flawsmith.data.parallel import default_workers
from flawsmith.data.scan import Scan, scan
from flawsmith.inpaint.apply_settings import ApplySettings
from flawsmith.inpaint.blocks import Generator
from flawsmith.inpaint.painter import Painter
from flawsmith.inpaint.prepare import open_run, prepare
from flawsmith.inpaint.recipe import check_untouched
from flawsmith.inpaint.training import setup_of, train_on
from flawsmith.settings import load_settings
from flawsmith.train.devices import one_thread

GOAL = 2.0
PRESET = "small"
STRIPS = 48
# The run is hardly trained: it paints as fast, and what it paints is seen.
STEPS = 1
# Pairs of the first painting, whose masks the baseline writes; pairs under the profiler.
FEW = 16
PROFILED = 100
Line = dict[str, Any]
APPLY = """
import json, sys, time
from pathlib import Path
from flawsmith.inpaint.apply import apply
from flawsmith.inpaint.apply_settings import ApplySettings
run, backgrounds, out = map(Path, sys.argv[1:4])
settings, workers = ApplySettings(count=int(sys.argv[4])), int(sys.argv[5])
start = time.perf_counter()
built = apply(run, backgrounds, out, settings, device="cpu", workers=workers)
seconds = time.perf_counter() - start
print(json.dumps([seconds, sum(built.labels.values()), sum(built.redrawn.values())]))
"""


def compare_apply(found: Scan, folder: Path, pairs: int, rounds: int) -> list[Line]:
    run, backgrounds, workers = folder / "run", folder / "backgrounds", default_workers()
    write_backgrounds(found, backgrounds / "images" / "good", pairs)
    flags = {"device": "cpu", "steps": STEPS, "preview_every": 0}
    train_on(found, run, setup_of(PRESET, None, flags), {})
    few, *_ = paint(run, backgrounds, folder / "few", FEW, workers)
    masks = sorted((folder / "few" / "masks").iterdir())
    times: dict[str, list[float]] = {"alone": [], "ours": []}
    with processes(workers) as pool:
        list(pool.map(time.sleep, repeat(0.2, workers)))  # all are up before the clock starts
        for turn in range(rounds):
            out = [folder / f"{name}-{turn}" for name in times]
            times["alone"].append(read_and_write(pool, backgrounds, masks, out[0]))
            seconds, made, again = paint(run, backgrounds, out[1], pairs, workers)
            times["ours"].append(seconds)
            for path in out:
                shutil.rmtree(path)
    ratios = [b / a for a, b in zip(times["alone"], times["ours"], strict=True)]
    line: Line = {
        "name": f"inpaint apply {PRESET}, cpu, {pairs} pairs of 1600x256",
        "workers": workers,
        "read and write alone s": round(statistics.median(times["alone"]), 2),
        "ours s": round(statistics.median(times["ours"]), 2),
        "ratio": round(statistics.median(ratios), 2),
        "highest ratio": round(max(ratios), 2),
        "goal": GOAL,
        f"ours, {FEW} pairs s": round(few, 2),
        "pairs made": made,
        "defects drawn again": again,
    }
    return [line, stages(run, backgrounds, folder / "profiled", min(pairs, PROFILED))]


def paint(run: Path, backgrounds: Path, out: Path, count: int, workers: int) -> list[float]:
    """Return the seconds of ``apply``, the pairs made, and the defects drawn again for them."""
    command = [sys.executable, "-c", APPLY, *map(str, (run, backgrounds, out, count, workers))]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return list(json.loads(done.stdout))


def processes(workers: int) -> Executor:
    """Return the baseline's processes, which begin as our workers do."""
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), one_thread_of_cv2)


def write_backgrounds(found: Scan, out: Path, count: int) -> None:
    """Write so many clean strips that differ: the drawn ones, turned over and a little brighter."""
    clean = [found.dataset[index].image for index in found.where("good")]
    out.mkdir(parents=True)
    for number in range(count):
        turn, which = divmod(number, len(clean))
        brighter, flips = divmod(turn, 4)
        image = clean[which][:: 1 - 2 * (flips & 1), :: 1 - (flips & 2)]
        changed = np.minimum(image, 255 - brighter) + brighter
        write_png(out / f"{number:06d}.png", np.asarray(changed, np.uint8))


def read_and_write(pool: Executor, backgrounds: Path, masks: Sequence[Path], out: Path) -> float:
    """Return the seconds to read each background and write it, and a mask, in all processes."""
    for name in ("images", "masks"):
        (out / name).mkdir(parents=True)
    pictures, start = sorted(backgrounds.rglob("*.png")), time.perf_counter()
    list(pool.map(copy_pair, pictures, cycle(masks), repeat(out), chunksize=8))
    return time.perf_counter() - start


def one_thread_of_cv2() -> None:
    """Begin a process as our workers begin."""
    cv2.setNumThreads(1)


def copy_pair(picture: Path, mask: Path, out: Path) -> None:
    write_png(out / "images" / picture.name, read_image(picture))
    write_png(out / "masks" / picture.name, kept_index(mask))


kept_index = lru_cache(maxsize=FEW)(read_index)


def stages(run: Path, backgrounds: Path, out: Path, count: int) -> Line:
    """Return the milliseconds a pair by stage, in one process of one thread, under a profiler."""
    settings = load_settings(ApplySettings, None, {"count": count})
    candidates = prepare(open_run(run, "cpu"), scan(read_dataset(backgrounds)), settings)
    write, profile = get_writer("folder").write_sample, cProfile.Profile()
    candidates.recipe.make(count)  # loads the generator
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    with one_thread(), profile:
        for index in range(count):
            sample = candidates.recipe.make(index)
            if not isinstance(sample, Refused):
                write(out, index, sample, candidates.spec)
    cv2.setNumThreads(threads)
    spent = pstats.Stats(profile)

    def ms(function: Any) -> float:
        code = function.__code__
        key = (code.co_filename, code.co_firstlineno, code.co_name)
        return float(1000 * spent.stats[key][3] / count)  # type: ignore[attr-defined]

    part, network = ms(foreground), ms(Generator.forward)
    found = {
        "read a background": ms(pick_background) - part,
        "find the part": part,
        "draw masks": ms(BankShapes.draw),
        "find places": ms(places),
        "network": network,
        "around the network": ms(Painter.paint) - network,
        "look and paste": ms(Canvas.paint),
        "check what is untouched": ms(check_untouched),
        "write": ms(write),
    }
    whole = 1000 * spent.total_tt / count  # type: ignore[attr-defined]
    found |= {"rest": whole - sum(found.values()), "whole": whole}
    shown = {name: round(value, 2) for name, value in found.items()}
    return {"name": f"inpaint apply {PRESET}, ms a pair of {count}, one process", **shown}


def show(line: Line, as_json: bool, **told: Any) -> None:
    name, *facts = line.items()
    plainly = "\n".join([name[1], *(f"  {key:<26} {value}" for key, value in facts)])
    print(json.dumps(of_line(line, **told)) if as_json else plainly, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=1000, help="pairs to paint a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON line a result")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        strips, count = folder / "strips", STRIPS
        write_demo(strips, kind="severstal", count=count, scale=1.0, seed=1, workers=1)
        found = scan(read_dataset(strips))
        whole, parts = compare_apply(found, folder, given.pairs, given.rounds)
        sides = {"ours": "ours s", "baseline": "read and write alone s", "unit": "s"}
        show(whole, given.json, **sides, n=given.pairs, at_most=True)
        show(parts, given.json, ours="whole", unit="ms", n=min(given.pairs, PROFILED))


if __name__ == "__main__":
    main()
