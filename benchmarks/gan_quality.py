"""What do generators of whole parts reach in equal time? A table of distances, made by commands.

    python benchmarks/gan_quality.py TRAIN TEST WORK --resize 64x64 [--minutes 8] [--only ARM,ARM]

Every arm learns from the clean pictures of TRAIN for the same wall time (a short try tells its
steps a second), then draws as many samples as TRAIN has clean pictures. They are compared with the
pictures of TEST, other parts, all at the size that the networks see. Two more rows are measured
the same way: the pictures of TRAIN themselves (``real``), and blurred with sigma 2 (``blurred``).
Of each: KID beside its floor (what real halves give at the same number), precision and recall,
their mean distance from one another, and near copies of training pictures.

WORK keeps everything: the same command again goes on, ``--only`` adds an arm, more ``--minutes``
train on. Prints the table, writes ``WORK/results.json``; ``WORK/<arm>/run/previews`` and
``WORK/<arm>/grid.png`` are to be looked at. With ``--list`` it says which arms there are. Pin it
(``taskset -c 1``) and leave that core alone: arms are compared by the clock.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from flawsmith import __version__
from flawsmith.benchmarks.shared import flawsmith, result, tell
from flawsmith.data.build import build
from flawsmith.data.formats import read_dataset
from flawsmith.data.scan import Scan, scan
from flawsmith.data.staging import staged
from flawsmith.data.writing import Spec
from flawsmith.gen.sizes import fitted
from flawsmith.sample import Sample

# Steps of the try that tells the rate, and of those the first are slow.
TRIED = 40
BLUR = 2.0
# Settings beside the preset ``small``.
ARMS: dict[str, dict[str, Any]] = {
    "dcgan": {"arch": "dcgan"},
    "wgan-gp": {"arch": "wgan-gp"},
    "fastgan": {"arch": "fastgan", "critic": "own"},
    "stylegan2": {"arch": "stylegan2", "critic": "own"},
    "dcgan-fast": {"arch": "dcgan", "generator_rate": 1e-3, "critic_rate": 1e-3},
    "wgan-gp-fast": {"arch": "wgan-gp", "generator_rate": 1e-3, "critic_rate": 1e-3},
    "dcgan-projected": {"arch": "dcgan", "critic": "projected"},
    "fastgan-projected": {"arch": "fastgan", "critic": "projected"},
    "stylegan2-projected": {"arch": "stylegan2", "critic": "projected"},
}
SHOWN = ("KID", "precision", "recall", "diversity", "near copies")


@dataclass(frozen=True)
class Seen:
    """The recipe: clean pictures as the networks see them, blurred or not."""

    found: Scan
    size: tuple[int, int]
    sigma: float

    def make(self, index: int) -> Sample:
        sample = self.found.dataset[index]
        image, masks = fitted(sample.image, sample.masks[:0], self.size)
        if self.sigma:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), self.sigma), np.uint8)
        return Sample(sample.id, image, masks, "good", sample.group, {})


def as_seen(src: Path, out: Path, size: tuple[int, int], sigma: float = 0.0) -> Path:
    """Write the clean pictures of ``src`` at the networks' size; return the folder."""
    found = scan(read_dataset(src))
    clean = found.select(found.where("good"))
    job = {"command": "gan_quality", "flawsmith": __version__, "size": size, "sigma": sigma}
    with staged(out, job | {"src": str(src.resolve())}) as stage:
        if not stage.done:
            recipe = Seen(clean, size, sigma)
            build(
                stage.path,
                recipe,
                len(clean.facts),
                format_name="folder",
                spec=Spec(()),
                made_by=job,
                workers=1,
                label="as seen",
            )
    return out


def trained(arm: str, src: Path, work: Path, minutes: float) -> Path:
    """Return the run folder of an arm that learned for so many minutes."""
    work.mkdir(parents=True, exist_ok=True)
    settings = work / "settings.json"
    settings.write_text(json.dumps(ARMS[arm]) + "\n")
    plan = work / "rate.json"
    words = ("gen", "train", src, "--config", settings, "--json", "--device", "cpu")
    if not plan.is_file():
        tried = json.loads(flawsmith(*words[:3], work / "try", *words[3:], "--steps", TRIED))
        plan.write_text(json.dumps(tried["steps_per_second"]))
    steps = round(json.loads(plan.read_text()) * 60 * minutes)
    run = work / "run"
    made = json.loads(flawsmith(*words[:3], run, *words[3:], "--steps", steps))
    told = work / "trained.json"
    before = json.loads(told.read_text()) if told.is_file() else {"seconds": 0.0}
    if made["made"]:  # one that was broken off has a part of its seconds only, and says so
        kept = {"steps": made["steps"], "seconds": before["seconds"] + made["seconds"]}
        told.write_text(json.dumps(kept | {"warnings": made["warnings"]}) + "\n")
    return run


def distances(test: Path, made: Path, train: Path) -> dict[str, Any]:
    """Return the figures of clean pictures by name, as ``evaluate distance`` gives them."""
    words = ("evaluate", "distance", test, made, "--train", train, "--images", "--json")
    found = json.loads(flawsmith(*words))
    entry = next(e for e in found["comparisons"] if not e["refused"])
    figures = {figure["name"]: figure for figure in entry["figures"]}
    return {"n": entry["n"], "figures": figures}


def measured(arm: str, seen: dict[str, Path], work: Path, minutes: float) -> dict[str, Any]:
    """Train an arm, draw from it, compare."""
    run = trained(arm, seen["train"], work, minutes)
    count = sum(1 for _ in (seen["train"] / "images").rglob("*.png"))
    out = work / "samples"
    grid = ("--preview", work / "grid.png", "--overwrite")
    flawsmith("gen", "sample", run, out, "--count", count, *grid)
    told = work / "trained.json"
    how = json.loads(told.read_text()) if told.is_file() else {}
    return distances(seen["test"], out, seen["train"]) | how


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("train", type=Path, nargs="?")
    parser.add_argument("test", type=Path, nargs="?")
    parser.add_argument("work", type=Path, nargs="?")
    parser.add_argument("--resize", default="64x64")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--only", default="stylegan2-projected,fastgan-projected,dcgan,wgan-gp")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--json", action="store_true", help="one JSON line a result")
    given = parser.parse_args()
    if given.list or given.work is None:
        print("\n".join(f"{name}: {json.dumps(settings)}" for name, settings in ARMS.items()))
        return
    if unknown := [name for name in given.only.split(",") if name not in ARMS]:
        parser.error(f"no arm {unknown[0]}; one of {', '.join(ARMS)}")
    width, height = map(int, given.resize.split("x"))
    seen = {
        "train": as_seen(given.train, given.work / "train", (width, height)),
        "test": as_seen(given.test, given.work / "test", (width, height)),
    }
    path = given.work / "results.json"
    results = json.loads(path.read_text()) if path.is_file() else {}
    blurred = as_seen(given.train, given.work / "blurred", (width, height), BLUR)
    results["real"] = distances(seen["test"], seen["train"], seen["train"])
    results["blurred"] = distances(seen["test"], blurred, seen["train"])
    told = told_as_json if given.json else show
    told("real", results["real"])
    told("blurred", results["blurred"])
    for arm in given.only.split(","):
        results[arm] = measured(arm, seen, given.work / arm, given.minutes)
        path.write_text(json.dumps(results, indent=1) + "\n")
        told(arm, results[arm])


def told_as_json(name: str, found: dict[str, Any]) -> None:
    """Print a row as a result: its KID, and as the baseline what halves of real ones give."""
    kid = found["figures"]["KID"]
    more = {key: found["figures"][key]["value"] for key in SHOWN[1:]}
    sides = {"ours": kid["value"], "baseline": kid["floor"], "unit": "KID"}
    tell(result(f"gan_quality {name}", **sides, n=found["n"], **more))


def show(name: str, found: dict[str, Any]) -> None:
    """Print a row."""
    figures = found["figures"]
    told = [f"{n} {figures[n]['value']:.3f} (floor {figures[n]['floor']:.3f})" for n in SHOWN]
    steps = f", {found['steps']} steps, {found['seconds']:.0f} s" if "steps" in found else ""
    print(f"{name}: n {found['n']}{steps}; " + "; ".join(told), flush=True)


if __name__ == "__main__":
    main()
