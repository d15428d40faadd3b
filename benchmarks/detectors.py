"""Which detectors find real defects, and what do they cost? A table, made by flawsmith's commands.

    python benchmarks/detectors.py SRC WORK [--only NAME,NAME] [--seeds 2] [--augment thesis,safe]

Half of the groups of SRC are for learning (their clean images alone), the other half is tested on.
Each detector is one call of ``flawsmith evaluate detect``, which is printed; ganomaly, cvae, advae
and alad see pictures of 64 pixels a side, the others of 128. ``brightness`` and ``pixels`` are the
baselines: how far the mean is off, and the distance to the nearest clean picture. With
``--augment`` each detector is fitted a second time, on the same clean images and 400 that the
preset of ``flawsmith augment --method classical`` made of them, for as many steps: does that help?
WORK keeps everything: the same command again goes on, ``--only`` adds a detector. Prints the table
and writes ``WORK/results.json``; ``--list`` says which detectors there are and what they are told.
Pin it (``taskset -c 1``) and leave that core alone: seconds are by the clock.
"""

import argparse
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flawsmith.benchmarks.shared import flawsmith, result, tell

NETWORKS, TRAINED = 128, 64
MADE, BATCH = 400, 16


@dataclass(frozen=True)
class Arm:
    """A detector, the side of its pictures in pixels, and its settings beside ``small``.

    steps: of its training, in batches of 16, whatever the number of clean images; 0 for none.
    """

    detector: str
    side: int
    settings: dict[str, Any] = field(default_factory=dict)
    steps: int = 0


ARMS: dict[str, Arm] = {
    "brightness": Arm("brightness", NETWORKS),
    "pixels": Arm("pixels", NETWORKS),
    "knn": Arm("knn", NETWORKS),
    "patchcore": Arm("patchcore", NETWORKS),
    "padim": Arm("padim", NETWORKS),
    "padim-30": Arm("padim", NETWORKS, {"features": 30}),
    "dfm": Arm("dfm", NETWORKS),
    "stfpm": Arm("stfpm", NETWORKS, steps=200),
    "fastflow": Arm("fastflow", NETWORKS, {"weights": "random"}, 100),
    "reverse_distillation": Arm("reverse_distillation", NETWORKS, {"weights": "random"}, 100),
    "ganomaly": Arm("ganomaly", TRAINED, steps=600),
    "cvae": Arm("cvae", TRAINED, steps=400),
    "advae": Arm("advae", TRAINED, steps=300),
    "alad": Arm("alad", TRAINED, steps=400),
    "cpc": Arm("cpc", NETWORKS, steps=1200),
    "cpc-context": Arm("cpc", NETWORKS, {"context": True}, 200),
    **{f"alad-{n}": Arm("alad", TRAINED, {"latent": n}, 400) for n in (100, 300, 500, 800)},
}
USUAL = ("brightness", "pixels", "knn", "ganomaly", "cvae", "advae", "alad")
SHOWN = ("AUROC", "AP", "found", "pixel AUROC", "PRO")


def augmented(work: Path, preset: str) -> Path:
    """Return the folder of clean images that a preset made of those learned from."""
    out = work / "augmented" / preset
    how = ("--method", "classical", "--sources", "good", "--preset", preset, "--count", MADE)
    flawsmith("augment", work / "parts" / "train", out, *how)
    return out


def trained(arm: Arm, folder: Path) -> dict[str, int]:
    """Return the settings that train for an arm's steps on the clean images of a folder."""
    if not arm.steps:
        return {}
    lines = (folder / "samples.jsonl").read_text().splitlines()
    clean = sum(json.loads(line)["label"] == "good" for line in lines)
    return {"batch": BATCH, "epochs": -(-arm.steps * BATCH // clean)}


def measured(name: str, work: Path, seeds: int, preset: str = "") -> dict[str, Any]:
    """Return what ``evaluate detect`` says of a detector; the same question is asked once."""
    arm, told = ARMS[name], work / "told" / f"{name}{preset and '+' + preset}.json"
    told.parent.mkdir(parents=True, exist_ok=True)
    config = told.with_suffix(".yaml")
    own = {**arm.settings, **trained(arm, work / "parts" / "train")}
    settings = {"detectors": [arm.detector], "options": {arm.detector: own} if own else {}}
    config.write_text(json.dumps(settings) + "\n")
    parts = ("--clean", work / "parts" / "train", "--real", work / "parts" / "test")
    how = ("--side", arm.side, "--seeds", seeds)
    kept = ("--config", config, "--runs", work / "runs" / told.stem)
    more = ("--add", augmented(work, preset)) if preset else ()
    words = [str(word) for word in (*parts, *how, *kept, *more)]
    asked = {"words": words, "settings": settings}
    answer = json.loads(told.read_text()) if told.is_file() else {}
    if answer.get("asked") != asked:
        answer = {
            "asked": asked,
            "said": json.loads(flawsmith("evaluate", "detect", *words, "--json")),
        }
        partial = told.with_suffix(".partial")
        partial.write_text(json.dumps(answer) + "\n")
        partial.replace(told)
    judged: list[dict[str, Any]] = answer["said"]["detectors"]
    return next(one for one in judged if one["name"] == arm.detector)


def judged(name: str, known: dict[str, Any]) -> dict[str, Any]:
    """Return a row as a result; its baseline is ``brightness``, where that is known."""
    found = known[name]
    areas = {
        row: next(f for f in entry["figures"] if f["name"] == "AUROC")
        for row, entry in known.items()
    }
    plain = areas["brightness"]["value"] if name != "brightness" and "brightness" in areas else None
    sides = {"ours": areas[name]["value"], "baseline": plain, "unit": "AUROC"}
    more = {"by seed": found["by_seed"], "costs": found["costs"]}
    return result(f"detect {name}", **sides, n=areas[name]["anomalous"], **more)


def show(name: str, found: dict[str, Any]) -> None:
    """Print a row."""
    figures = {figure["name"]: figure for figure in found["figures"]}
    spans = [
        f"{key} {f['value']:.3f} ({f['low']:.3f} to {f['high']:.3f})"
        for key in SHOWN
        if (f := figures.get(key))
    ]
    seeds = ", ".join(f"{value:.3f}" for value in found["by_seed"])
    costs, about = found["costs"], figures["AUROC"]
    if found["added"]:
        spans = [found["added"]["sentence"]]
    spans += [line for line in found["verdicts"] if line.startswith("real defects")]
    print(
        f"{name}: {'; '.join(spans)}; AUROC by seed {seeds}; {costs['fit_seconds']:.1f} s to fit "
        f"on {found['learned']}, {costs['milliseconds']:.1f} ms an image, "
        f"{costs['bytes'] / (1 << 20):.1f} MiB; {about['anomalous']} defective, "
        f"{about['clean']} clean, {about['groups']} parts",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("src", type=Path, nargs="?")
    parser.add_argument("work", type=Path, nargs="?")
    parser.add_argument("--only", default=",".join(USUAL), help="detectors, by comma")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--augment", help="presets, by comma")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--json", action="store_true", help="one JSON line a result")
    given = parser.parse_args()
    if given.list or given.work is None:
        for name, arm in ARMS.items():
            print(f"{name}: {arm.detector}, {arm.side} pixels, {json.dumps(arm.settings)}")
        return
    names = given.only.split(",")
    if unknown := [name for name in names if name not in ARMS]:
        parser.error(f"no detector {unknown[0]}; one of {', '.join(ARMS)}")
    flawsmith("data", "split", given.src, given.work / "parts", "--on-error", "skip")
    path = given.work / "results.json"
    results = json.loads(path.read_text()) if path.is_file() else {}
    presets = given.augment.split(",") if given.augment else [""]
    for name, preset in itertools.product(names, presets):
        row = f"{name}{preset and '+' + preset}"
        results[row] = measured(name, given.work, given.seeds, preset)
        path.write_text(json.dumps(results, indent=1) + "\n")
        if given.json:
            tell(judged(row, results))
        else:
            show(row, results[row])


if __name__ == "__main__":
    main()
