"""Does it help where defects are few? Arms of added data, each one change, all against real alone.

    python benchmarks/few_shot.py SRC WORK [--classes A,B] [--per-class 20] [--only ARM,ARM]

Half of the groups of SRC are for learning, cut down to ``--per-class`` defective images a class;
the other half is for testing. Each arm is a set of candidates made with flawsmith's own commands,
which are printed, and settings of ``flawsmith evaluate segment``; all arms share the runs on real
images alone. WORK keeps everything: the same command again goes on, ``--only`` adds an arm. Prints
what they come to and writes ``WORK/results.json``. With ``--list`` it says which arms there are.

Arms with ``negatives: real`` are one change away from ``real-negatives``, others from ``paste``.
On two CPU cores a run of 400 steps takes four minutes: an arm of three seeds a quarter of an hour.
"""

import argparse
import json
import os
import shutil
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flawsmith.benchmarks.shared import flawsmith, result, tell

COUNT = 600
BASE = {"steps": 400, "seeds": 3}


@dataclass(frozen=True)
class Arm:
    """What is added, and how it is mixed in.

    made: the name in SETS of the candidates. settings: of ``evaluate segment``, beside BASE.
    """

    made: str
    settings: dict[str, Any] = field(default_factory=dict)


# Each a flawsmith command without its folders: {train} is what is learned from, {made} another set.
PASTE = "augment {train} {out} --method paste --count " + str(COUNT)
PAINT = "inpaint apply {run} {train} {out} --count " + str(COUNT)
SETS: dict[str, str] = {
    "paste": PASTE,
    "paste-wide": PASTE + " --per-image 1-4 --config {wide}",
    "paste-placed": PASTE + " --position empirical",
    "paste-poisson": PASTE + " --blend poisson",
    "paste-drawn": PASTE + " --masks procedural",
    "classical": "augment {train} {out} --method classical --count " + str(COUNT),
    "inpaint": PAINT,
    "inpaint-one-look": PAINT.replace("{run}", "{run_one_look}"),
    "paste-filtered": "filter {paste} {out} --real {train}",
    "inpaint-filtered": "filter {inpaint} {out} --real {train}",
}
# Generators: settings beside the preset ``small``.
RUNS: dict[str, dict[str, Any]] = {
    "run": {},
    # The first recipe: the diversity term bends a painting away from its mask.
    "run_one_look": {"diversity": 0.0, "matching": 1.0},
}
WIDE = {"scale": [0.6, 1.6], "rotate": 45.0, "elastic": 0.25}
REAL = {"negatives": "real"}
ARMS: dict[str, Arm] = {
    "paste": Arm("paste"),
    "real-negatives": Arm("paste", REAL),
    "constant": Arm("paste", REAL | {"mixing": "constant", "share": 0.4}),
    "falling": Arm("paste", REAL | {"mixing": "falling", "share": 0.8, "fraction": 0.75}),
    "rim": Arm("paste", {"rim": 2}),
    "wide": Arm("paste-wide"),
    "placed": Arm("paste-placed"),
    "poisson": Arm("paste-poisson"),
    "drawn": Arm("paste-drawn"),
    "classical": Arm("classical"),
    "inpaint": Arm("inpaint"),
    "one-look": Arm("inpaint-one-look"),
    "paste-filtered": Arm("paste-filtered", REAL),
    "inpaint-filtered": Arm("inpaint-filtered"),
}


def config(path: Path, content: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content) + "\n")  # JSON is YAML
    return path


def candidates(work: Path, name: str) -> Path:
    """Return the folder of a set of candidates, made if it is not there."""
    out = work / "sets" / name
    places: dict[str, Path] = {"train": work / "parts" / "train", "out": out}
    words = SETS[name]
    for run in RUNS:
        if "{" + run + "}" in words:
            places[run] = generator(work, run)
    for other in SETS:
        if "{" + other + "}" in words:
            places[other] = candidates(work, other)
    if "{wide}" in words:
        places["wide"] = config(work / "wide.yaml", WIDE)
    flawsmith(*(word.format(**places) for word in words.split()))
    return out / "accepted" if words.startswith("filter") else out


def generator(work: Path, name: str) -> Path:
    """Return the folder of a trained generator; the same command goes on or finds it done."""
    settings = config(work / f"{name}.yaml", RUNS[name])
    flawsmith("inpaint", "train", work / "parts" / "train", work / name, "--config", settings)
    return work / name


def measure(work: Path, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return what ``evaluate segment`` says of an arm."""
    arm = ARMS[name]
    made = candidates(work, arm.made)
    # An arm has its folder's name, so that arms of one set do not share runs.
    own = work / "arms" / name
    if not own.is_dir():
        partial = own.with_suffix(".partial")  # a copy that was broken off is none
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(made, partial, copy_function=os.link)
        partial.rename(own)
    settings = config(work / "settings" / f"{name}.yaml", given | arm.settings)
    parts = ("--train", work / "parts" / "train", "--test", work / "parts" / "test")
    words = (*parts, "--add", own, "--config", settings, "--runs", work / "runs", "--json")
    found: dict[str, Any] = json.loads(flawsmith("evaluate", "segment", *words))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("src", type=Path, nargs="?")
    parser.add_argument("work", type=Path, nargs="?")
    parser.add_argument("--classes", help="leave out images of others")
    parser.add_argument("--per-class", type=int, default=20)
    parser.add_argument("--only", default="paste", help="arms, by comma")
    parser.add_argument("--steps", type=int, default=BASE["steps"])
    parser.add_argument("--seeds", type=int, default=BASE["seeds"])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--json", action="store_true", help="one JSON line a result")
    given = parser.parse_args()
    if given.list or given.src is None or given.work is None:
        for name, arm in ARMS.items():
            print(f"{name}: {SETS[arm.made]}; {json.dumps(arm.settings)}")
        return
    names = given.only.split(",")
    if unknown := [name for name in names if name not in ARMS]:
        parser.error(f"no arm {unknown[0]}; one of {', '.join(ARMS)}")
    few = ("--classes", given.classes) if given.classes else ()
    parts = given.work / "parts"
    flawsmith("data", "split", given.src, parts, "--per-class", given.per_class, *few)
    settings = {"steps": given.steps, "seeds": given.seeds}
    results = {name: measure(given.work, name, settings) for name in names}
    path = given.work / "results.json"
    kept = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(kept | results, indent=1) + "\n")
    for name, found in results.items():
        if given.json:
            tell(judged(name, found))
        else:
            show(name, found)


def judged(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return an arm as a result: its mIoU, the mean of its seeds, against that of real alone."""
    means = [statistics.mean(run["miou"] for run in arm["runs"]) for arm in found["arms"]]
    told = [difference["sentence"] for difference in found["findings"]]
    sides = {"ours": round(means[-1], 4), "baseline": round(means[0], 4), "unit": "mIoU"}
    return result(f"few_shot {name}", **sides, n=len(found["arms"][0]["runs"]), findings=told)


def show(name: str, found: dict[str, Any]) -> None:
    """Print an arm's figures beside the real one's, and the differences."""
    print(f"\n{name}: {SETS[ARMS[name].made]}; {json.dumps(ARMS[name].settings)}")
    for arm in found["arms"]:
        seeds = [f"{run['miou']:.3f}" for run in arm["runs"]]
        alarms = sum(run["alarmed"] or 0 for run in arm["runs"]) / len(seeds)
        print(f"{arm['name']}: mIoU {', '.join(seeds)}; {alarms:.0f} clean images alarmed")
    for difference in found["findings"] + found["details"]:
        print(difference["sentence"])


if __name__ == "__main__":
    main()
