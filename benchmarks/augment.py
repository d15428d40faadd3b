"""Classical augmentation end to end: images a second against the loop that a user would write.

Both sides read the same files, run the same Albumentations policy (flips, shift, brightness and
contrast) and write images and masks as PNG into a fresh folder, in turns within this one run:

- baseline: one process, cv2.imread, transform, cv2.imwrite with its defaults;
- ours: ``flawsmith augment --method classical`` with every core, from command line to complete
  data set (start-up, the scan of the source, manifest and provenance included).

    python benchmarks/augment.py [--images N] [--rounds R] [--memory]

Sources: ``magnetic_tile`` of FLAWSMITH_TEST_DATA where that is set, and drawn 1600x256 strips. Also
measured: our peak memory at 10,000 outputs against 1,000 (--memory).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flawsmith.benchmarks.cost import cost_of
from flawsmith.benchmarks.shared import of_line, result, tell

GOAL, MEMORY_GOAL = 1.8, 1.1
STRIPS = "strips_1600x256"


def baseline(source: Path, out: Path, count: int) -> float:
    """Run the user's loop in a process of its own; return its seconds."""
    return timed([sys.executable, __file__, "--baseline", str(source), str(out), str(count)])


def ours(source: Path, out: Path, count: int) -> float:
    command = [sys.executable, "-m", "flawsmith", "augment", str(source), str(out)]
    command += ["--method", "classical", "--count", str(count), "--flips", "all"]
    return timed(command)


def timed(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def run_baseline(source: Path, out: Path, count: int) -> None:
    """The loop that a user would write: all classes in one index mask, all in one process."""
    import cv2
    import numpy as np

    from flawsmith.augment.policies import safe_policy

    pairs = json.loads((source / "pairs.json").read_text())
    (out / "images").mkdir(parents=True)
    (out / "masks").mkdir()
    policy = safe_policy((True, True))
    for i in range(count):
        image_path, mask_path = pairs[i % len(pairs)]
        image = cv2.imread(image_path, cv2.IMREAD_UNCHANGED)
        mask = cv2.imread(mask_path, cv2.IMREAD_UNCHANGED)
        done = policy(image=image, mask=mask)
        cv2.imwrite(str(out / "images" / f"{i:06d}.png"), done["image"])
        cv2.imwrite(str(out / "masks" / f"{i:06d}.png"), np.asarray(done["mask"]))


def prepare(folder: Path, kind: str) -> Path:
    """Write the source once as a folder data set of index masks; list its defective pairs."""
    from flawsmith.data.formats import read_dataset
    from flawsmith.data.jobs import convert

    out = folder / kind
    if kind == STRIPS:
        draw_strips(out)
    else:
        convert(Path(os.environ["FLAWSMITH_TEST_DATA"]) / kind, out, to="folder", workers=2)
    dataset = read_dataset(out)
    pairs = [
        (str(record.image), str(out / "masks" / record.image.name))
        for record, sample in zip(dataset.records, dataset, strict=True)
        if sample.label == "defective"
    ]
    (out / "pairs.json").write_text(json.dumps(pairs))
    return out


def draw_strips(out: Path) -> None:
    """Draw 120 strips; where classes overlap the last one keeps the pixel, as index masks do."""
    from flawsmith.data.demo import demo_sample
    from flawsmith.data.folder import index_picture
    from flawsmith.data.images import write_png

    (out / "images").mkdir(parents=True)
    (out / "masks").mkdir()
    for i in range(120):
        sample = demo_sample("severstal", 1, i)
        write_png(out / "images" / f"{i:04d}.png", sample.image)
        write_png(out / "masks" / f"{i:04d}.png", index_picture(sample.masks))
    (out / "classes.txt").write_text("1\n2\n3\n4\n")


def compare(source: Path, folder: Path, count: int, rounds: int) -> dict[str, float | str]:
    times: dict[str, list[float]] = {"baseline": [], "ours": []}
    for turn in range(rounds):
        for name, side in (("baseline", baseline), ("ours", ours)):
            times[name].append(side(source, folder / f"{name}_{source.name}_{turn}", count))
    ratios = [b / o for b, o in zip(times["baseline"], times["ours"], strict=True)]
    return {
        "name": f"augment {source.name}",
        "baseline images/s": round(count / statistics.median(times["baseline"]), 1),
        "ours images/s": round(count / statistics.median(times["ours"]), 1),
        "ratio": round(statistics.median(ratios), 2),
        "lowest ratio": round(min(ratios), 2),
        "goal": GOAL,
    }


def peak_memory(source: Path, folder: Path, count: int) -> int:
    """Return the largest resident size of all processes of one of our jobs together, in bytes."""
    out = folder / f"memory_{count}"
    command = ["augment", source, out, "--method", "classical", "--count", count]
    return cost_of([str(word) for word in command]).memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=10000, help="outputs a side and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="measure memory instead")
    parser.add_argument("--baseline", nargs=3, metavar=("SOURCE", "OUT", "COUNT"))
    given = parser.parse_args()
    if given.baseline:
        run_baseline(Path(given.baseline[0]), Path(given.baseline[1]), int(given.baseline[2]))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.memory:
            source = prepare(folder, STRIPS)
            small, large = (
                peak_memory(source, folder, n) for n in (given.images // 10, given.images)
            )
            sizes = {"ours": large >> 20, "baseline": small >> 20, "unit": "MiB", "n": given.images}
            limit = {"ratio": round(large / small, 3), "goal": MEMORY_GOAL, "at_most": True}
            tell(result("augment memory, all outputs against a tenth", **sizes, **limit))
            return
        kinds = [STRIPS]
        if os.environ.get("FLAWSMITH_TEST_DATA"):
            kinds.insert(0, "magnetic_tile")
        for kind in kinds:
            source = prepare(folder, kind)
            line = compare(source, folder, given.images, given.rounds)
            rates = ("ours images/s", "baseline images/s")
            tell(of_line(line, *rates, unit="images/s", n=given.images))


if __name__ == "__main__":
    main()
