"""Distances end to end: ``flawsmith evaluate distance`` against the FID commands in use.

All sides read the same drawn pictures (two folders, 256x256 grey PNG) on the CPU with the same
random Inception weights, each as the command that a user would type, in a fresh process with its
own defaults (batch, threads, loaders), in turns within this one run:

- ``python -m pytorch_fid``; its cache, with ``--npz``, is a file of one folder's mean and
  covariance (made beforehand, not timed);
- ``python -m torch_fidelity.fidelity --fid``; its cache is kept under names that the user gives;
- clean-fid, only where it is installed and its own file lies where it looks; the weights are then
  those in that file, so only its time is compared;
- ours, which also scans images and masks and draws 300 times for its figures and floors.

All pictures are clean, so that ours, too, compares one set with one. From cold, torch-fidelity and
ours fill their caches; then new candidates meet the cached real side, then the first ones come
again. ``ratio`` is against the fastest command from cold, as a user without caches has it; ``ratio
to cached`` against the fastest with its own cache. Our distance is the ``full`` one, over all
pictures; torch-fidelity resizes otherwise, so its distance is another.

    python benchmarks/distance.py [--count 300] [--rounds 1] [--npz]
"""

import argparse
import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from pytorch_fid.fid_score import calculate_frechet_distance  # type: ignore[import-untyped]
from safetensors.torch import save_file

from flawsmith.benchmarks.shared import of_line, tell
from flawsmith.data.demo_strips import STRIP_SHAPE, draw_strip
from flawsmith.data.images import write_png
from flawsmith.evaluate.frechet import frechet_distance
from flawsmith.evaluate.inception import untrained
from flawsmith.seeding import rng

FRECHET_GOAL = 50
COLD_GOAL = 1.3
CACHED_GOAL = 20
SIDE = STRIP_SHAPE[0]
SEEDS = {"real": 1, "made": 2, "new": 3}
# Where pytorch-fid and torch-fidelity find their weights below TORCH_HOME, without a download.
CHECKPOINTS = (
    "pt_inception-2015-12-05-6726825d.pth",
    "weights-inception-2015-12-05-6726825d.pth",
)
CLEAN_FID_WEIGHTS = Path(tempfile.gettempdir(), "inception-2015-12-05.pt")
CLEAN_FID = """
import sys, torch
from cleanfid import fid
if __name__ == "__main__":
    cpu = torch.device("cpu")
    print("FID: ", fid.compute_fid(*sys.argv[1:], device=cpu, use_dataparallel=False))
"""
STATISTICS = "real.npz"
# Seconds and the distance found; by case and side.
Timed = tuple[float, float]
Round = dict[str, dict[str, Timed]]


def draw(folder: Path, seed: int, count: int) -> None:
    """Write a folder data set of clean squares, cut side by side from drawn steel strips."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    (folder / "classes.txt").write_text("scratch\n")
    a_strip = STRIP_SHAPE[1] // SIDE
    for index in range(count):
        strip, place = divmod(index, a_strip)
        if place == 0:
            image, _ = draw_strip(rng(seed, "bench", strip), defective=False)
        square = np.ascontiguousarray(image[:, place * SIDE : (place + 1) * SIDE])
        write_png(folder / "images" / f"{index:04d}.png", square)
        write_png(folder / "masks" / f"{index:04d}.png", np.zeros_like(square))


def write_weights(folder: Path) -> None:
    """Write the same random weights for every side, at He's scale: features differ visibly."""
    generator = torch.Generator().manual_seed(3)
    made = {}
    for name, old in untrained().state_dict().items():
        noise = torch.randn(old.shape, generator=generator)
        if name.endswith(("conv.weight", "fc.weight")):
            made[name] = noise * (2 / old[0].numel()) ** 0.5
        elif name.endswith(("running_var", "bn.weight")):
            made[name] = (noise * 0.2).exp()
        else:
            made[name] = noise * 0.1 if old.is_floating_point() else old
    save_file(made, folder / "weights.safetensors")
    checkpoints = folder / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    for name in CHECKPOINTS:
        torch.save(made, checkpoints / name)


def run(work: Path, *arguments: str) -> tuple[float, str]:
    """Return the seconds and the output of a python command; its errors end this one."""
    environment = os.environ | {"TORCH_HOME": str(work)}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=work, env=environment, capture_output=True, text=True
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}\n{done.stderr[-3000:]}")
    return seconds, done.stdout


def pytorch_fid(work: Path, real: str, made: str) -> Timed:
    seconds, out = run(work, "-m", "pytorch_fid", real, made, "--device", "cpu")
    return seconds, float(re.findall(r"FID: +(\S+)", out)[0])


def torch_fidelity(work: Path, real: str, made: str, cache: str) -> Timed:
    command = ["-m", "torch_fidelity.fidelity", "--fid", "--cpu", "--json", "--cache-root", cache]
    command += ["--input1", f"{real}/images", "--input1-cache-name", real]
    command += ["--input2", f"{made}/images", "--input2-cache-name", made]
    seconds, out = run(work, *command)
    return seconds, float(json.loads(out)["frechet_inception_distance"])


def clean_fid(work: Path, real: str, made: str) -> Timed:
    seconds, out = run(work, "-c", CLEAN_FID, f"{real}/images", f"{made}/images")
    return seconds, float(re.findall(r"FID: +(\S+)", out)[0])


def ours(work: Path, real: str, made: str, cache: str) -> Timed:
    command = ["-m", "flawsmith", "evaluate", "distance", real, made, "--images", "--json"]
    command += ["--features", "inception", "--weights", "weights.safetensors"]
    seconds, out = run(work, *command, "--device", "cpu", "--cache", cache)
    figures = json.loads(out)["comparisons"][0]["figures"]
    return seconds, next(float(f["full"]) for f in figures if f["name"].startswith("FD"))


def one_round(work: Path, turn: int) -> Round:
    """Run every command once, on caches of this round; odd rounds go the other way round."""
    theirs, mine = f"theirs-{turn}", f"ours-{turn}"
    cold: dict[str, Callable[[], Timed]] = {
        "pytorch-fid": lambda: pytorch_fid(work, "real/images", "made/images"),
        "torch-fidelity": lambda: torch_fidelity(work, "real", "made", theirs),
        "ours": lambda: ours(work, "real", "made", mine),
    }
    if importlib.util.find_spec("cleanfid") and CLEAN_FID_WEIGHTS.is_file():
        cold["clean-fid"] = lambda: clean_fid(work, "real", "made")
    new: dict[str, Callable[[], Timed]] = {
        "torch-fidelity": lambda: torch_fidelity(work, "real", "new", theirs),
        "ours": lambda: ours(work, "real", "new", mine),
    }
    if (work / STATISTICS).exists():
        new["pytorch-fid"] = lambda: pytorch_fid(work, STATISTICS, "new/images")
    again: dict[str, Callable[[], Timed]] = {
        name: cold[name] for name in ("torch-fidelity", "ours")
    }
    found: Round = {}
    for name, sides in (("cold", cold), ("real side cached", new), ("both sides cached", again)):
        order = sorted(sides, reverse=bool(turn % 2))
        found[name] = {side: sides[side]() for side in order}
    return found


def told(name: str, rounds: list[Round]) -> dict[str, float | str]:
    """Return a line: medians of the seconds; ratios round by round, then their median."""
    times = {side: [turn[name][side][0] for turn in rounds] for side in rounds[0][name]}
    mine = times.pop("ours")
    fastest = [min(t for side, (t, _) in turn["cold"].items() if side != "ours") for turn in rounds]
    ratios = [theirs / own for theirs, own in zip(fastest, mine, strict=True)]
    line: dict[str, float | str] = {"name": f"distance {name}"}
    line |= {f"{side} s": round(statistics.median(found), 1) for side, found in times.items()}
    line["ours s"] = round(statistics.median(mine), 1)
    line["baseline s"] = round(statistics.median(fastest), 1)
    line["ratio"] = round(statistics.median(ratios), 2)
    line["lowest ratio"] = round(min(ratios), 2)
    if name != "cold":
        cached = [min(found) / own for *found, own in zip(*times.values(), mine, strict=True)]
        line["ratio to cached"] = round(statistics.median(cached), 2)
    line["goal"] = COLD_GOAL if name == "cold" else CACHED_GOAL
    return line


def agreement(cold: dict[str, Timed]) -> dict[str, float | str]:
    """Return the distances that the commands found; ours must be pytorch-fid's."""
    own = cold["ours"][1]
    apart = {name: cold[name][1] / own - 1 for name in ("pytorch-fid", "torch-fidelity")}
    if abs(apart["pytorch-fid"]) > 1e-3:
        sys.exit(f"the distance is {own}, pytorch-fid finds {cold['pytorch-fid'][1]}")
    line: dict[str, float | str] = {"name": "distance found", "ours": own}
    return line | {f"{side} relative to ours": float(f"{x:.1e}") for side, x in apart.items()}


def arithmetic(count: int = 300, dimension: int = 2048) -> dict[str, float | str]:
    """Time the Frechet distance of given features; pytorch-fid's from means and covariances."""
    generator = rng(1, "bench", "features")
    a, b = (generator.gamma(0.5, 1 + 0.2 * k, (count, dimension)) for k in range(2))
    start = time.perf_counter()
    with warnings.catch_warnings():
        # pytorch-fid calls scipy's sqrtm in a manner that is soon to go.
        warnings.simplefilter("ignore")
        statistics_of = [(x.mean(axis=0), np.cov(x, rowvar=False)) for x in (a, b)]
        theirs = calculate_frechet_distance(*statistics_of[0], *statistics_of[1])
    slow = time.perf_counter() - start
    quick = []
    for _ in range(5):
        start = time.perf_counter()
        found = frechet_distance(a, b)
        quick.append(time.perf_counter() - start)
    return {
        "name": f"frechet arithmetic, {count} samples a side, {dimension} dimensions",
        "pytorch-fid s": round(slow, 2),
        "ours s": round(statistics.median(quick), 4),
        "relative difference": float(f"{theirs / found - 1:.1e}"),
        "ratio": round(slow / statistics.median(quick), 1),
        "lowest ratio": round(slow / max(quick), 1),
        "goal": FRECHET_GOAL,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=300, help="pictures a side, at least 20")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--npz", action="store_true", help="also pytorch-fid with its cache")
    given = parser.parse_args()
    tell(of_line(arithmetic(), "ours s", "pytorch-fid s", unit="s", n=300))
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for side, seed in SEEDS.items():
            draw(work / side, seed, given.count)
        write_weights(work)
        if given.npz:
            command = ("-m", "pytorch_fid", "--device", "cpu", "--save-stats", "real/images")
            run(work, *command, STATISTICS)
        rounds = [one_round(work, turn) for turn in range(given.rounds)]
    for case in rounds[0]:
        line = told(case, rounds)
        tell(of_line(line, "ours s", "baseline s", unit="s", n=given.count))
    tell(of_line(agreement(rounds[0]["cold"]), "ours", unit="FD", n=given.count))


if __name__ == "__main__":
    main()
