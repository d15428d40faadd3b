"""The inpainting GAN: training, and painting one crop; ``inpaint_apply.py`` paints whole pairs.

All on drawn 1600x256 strips, each side in turns with its baseline within this one run:

- training: real crops a second of ``train`` with the preset's settings, against the bare loop over
  the same task's steps (``plain``): the same networks, losses, Adam, crops and threads, eager, in
  float32 with torch's defaults (on a GPU they let convolutions compute in TF32), no average of the
  weights, no checks, no log. Timed from step to step after a warm-up, so without the files at a
  run's end. The share of time making crops is of ours; a GPU may work meanwhile. The share of the
  device's own matrix rate (bfloat16 on a GPU, float32 elsewhere) is of the matrix products and
  convolutions that torch counts in a step, forward and backward;
- painting: ``Painter.paint`` with one mask, on a piece of a strip as ``apply`` cuts it, against the
  generator's forward pass and ``compose`` on tensors that lie ready; one thread, as in ``apply``.

    python benchmarks/inpaint.py [--presets A,B] [--device cpu] [--steps 30] [--rounds 3] [--json]

Without --device: the CPU, and the GPU where there is one; ``large`` only there, unless it is named.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from flawsmith.benchmarks.shared import matrix_rate, of_line, settle
from flawsmith.data.formats import read_dataset
from flawsmith.data.jobs import write_demo
from flawsmith.data.scan import Scan, scan
from flawsmith.data.symmetry import flips_of
from flawsmith.inpaint.crops import Crop, Crops, batch_of, crop_of
from flawsmith.inpaint.generators import build_generator, compose
from flawsmith.inpaint.noise import draw_noise
from flawsmith.inpaint.painter import Painter
from flawsmith.inpaint.settings import PRESETS
from flawsmith.inpaint.sites import sites_of
from flawsmith.inpaint.task import InpaintTask
from flawsmith.inpaint.training import Setup, channels_of, setup_of
from flawsmith.inpaint.windows import Window, window_at
from flawsmith.sample import Image, Masks
from flawsmith.seeding import rng
from flawsmith.train.batches import Batches
from flawsmith.train.devices import one_thread, pick_device
from flawsmith.train.loop import train
from flawsmith.train.reduce import Processes
from flawsmith.train.task import Context

TRAINING_GOAL = {("large", "cuda"): 2.0}
STRIPS = 48
# Steps before the clock starts: the sample cache fills, and a GPU chooses its kernels.
WARM_UP = 4
# Paintings a side and round, and before the first round.
PAINTINGS, FIRST_PAINTINGS = 20, 3
Line = dict[str, Any]


class Watched(Crops):
    """The crops, noting the seconds that it takes to make them."""

    seconds = 0.0

    def defect(self, place: int, generator: np.random.Generator) -> tuple[Crop, Window]:
        start = time.perf_counter()
        made = super().defect(place, generator)
        self.seconds += time.perf_counter() - start
        return made

    def moved(self, place: int, generator: np.random.Generator) -> Crop:
        start = time.perf_counter()
        made = super().moved(place, generator)
        self.seconds += time.perf_counter() - start
        return made


class Timed(InpaintTask):
    """The task, noting its seconds from the warm-up to the last step, and those making crops."""

    crops: Watched

    def step(self, context: Context) -> dict[str, Tensor]:
        if context.step == WARM_UP:
            self.crops.seconds = 0.0
            self.began = settle(context.device)
        if context.step + 1 == context.total:
            self.seconds = settle(context.device) - self.began
            self.making = self.crops.seconds
        return super().step(context)


def setup_for(preset: str, device: torch.device, steps: int) -> Setup:
    """Return the preset's settings; the pictures that show a run's progress are left out."""
    return setup_of(preset, None, {"device": str(device), "steps": steps, "preview_every": 0})


def plain(task: InpaintTask, setup: Setup) -> None:
    """Train as a user would: the task's losses, backward passes and Adam, step after step."""
    device = torch.device(setup.loop.device)
    for model in task.models.values():
        model.to(device).train()
    task.prepare(device)
    for step in range(setup.loop.steps):
        task.step(plain_context(task, setup, step))


def plain_context(task: InpaintTask, setup: Setup, step: int) -> Context:
    """Return a step's context, eager and in float32; the loop gives its own the same samples."""
    loop = setup.loop
    return Context(
        step=step,
        total=loop.steps,
        seed=loop.seed,
        indices=Batches(task.size, loop.batch, loop.seed).indices(step),
        places=range(loop.batch),
        processes=Processes(torch.device(loop.device)),
        optimizers=task.optimizers,
    )


def compare_training(
    found: Scan, folder: Path, preset: str, device: torch.device, steps: int, rounds: int
) -> Line:
    # One step more, at whose beginning the clock stops.
    setup = setup_for(preset, device, WARM_UP + steps + 1)
    settings, run = setup.inpaint, folder / "training"
    geometry = settings.geometry
    crops, channels = Watched(found, geometry, flips_of(found)), channels_of(found)
    times: dict[str, list[float]] = {"plain": [], "ours": []}
    making = []
    for _, name in product(range(rounds), times):
        task = Timed(crops, channels, len(found.dataset.classes), settings, setup.loop.seed)
        if name == "plain":
            plain(task, setup)
        else:
            train(task, setup.loop, run, {})
            shutil.rmtree(run)
            making.append(task.making / task.seconds)
        times[name].append(task.seconds)
    ratios = [a / b for a, b in zip(times["plain"], times["ours"], strict=True)]
    a_step = {name: statistics.median(seconds) / steps for name, seconds in times.items()}
    line: Line = {
        "name": f"inpaint train {preset}, {device.type}",
        "batch": setup.loop.batch,
        "threads": torch.get_num_threads(),
        **{f"{name} crops/s": round(setup.loop.batch / s, 2) for name, s in a_step.items()},
        "ratio": round(statistics.median(ratios), 2),
        "lowest ratio": round(min(ratios), 2),
        **{f"{name} ms a step": round(1000 * s, 1) for name, s in a_step.items()},
        "share of time making crops": round(statistics.median(making), 3),
    }
    if (preset, device.type) in TRAINING_GOAL:
        line["goal"] = TRAINING_GOAL[preset, device.type]
    return line | share_of_rate(task, setup, 1 / a_step["ours"])


def share_of_rate(task: InpaintTask, setup: Setup, rate: float) -> Line:
    """Return a step's cost, the device's matrix rate, and the share of it at ``rate`` steps/s."""
    with FlopCounterMode(display=False) as counter:
        task.step(plain_context(task, setup, 0))
    cost, most = counter.get_total_flops(), matrix_rate(torch.device(setup.loop.device))
    return {
        "GFLOP a step": round(cost / 1e9, 1),
        "matrix TFLOP/s": round(most / 1e12, 3),
        "share of matrix rate": round(cost * rate / most, 4),
    }


def compare_painting(found: Scan, preset: str, device: torch.device, rounds: int) -> Line:
    settings, classes = setup_for(preset, device, 1).inpaint, found.dataset.classes
    channels = channels_of(found)
    generator = build_generator(settings.generator, channels, len(classes), settings.width, 1)
    generator.to(device).eval()
    painter = Painter(generator, classes, channels, settings, device)
    image, masks = piece_of(found, settings.size + settings.grow)
    box = sites_of(np.asarray(masks.any(axis=0)), settings.grow)[0].box
    window = window_at(box, image.shape, settings.size)
    crop = crop_of(image, masks, window, painter.settings.geometry)
    batch = batch_of([crop], channels).map(lambda planes: planes.to(device))
    noise = draw_noise([rng(1, "bench")], (settings.size, settings.size)).to(device)

    def plain() -> Tensor:
        with torch.inference_mode():
            raw = generator(batch.image, batch.hole, batch.masks, noise)
            return compose(batch.image, raw, batch.soft).cpu()

    def ours() -> Image:
        return painter.paint(image, masks, rng(1, "bench"))

    with one_thread() if device.type == "cpu" else nullcontext():
        (rows, columns), own = window.inside(image.shape)
        same = (plain()[0].mean(dim=0).numpy()[own] + 1) * 127.5 - ours()[rows, columns]
        assert np.abs(same).max() <= 1, "the two sides paint different pictures"
        times = in_turns({"plain": plain, "ours": ours}, rounds)
    ratios = [a / b for a, b in zip(times["plain"], times["ours"], strict=True)]
    return {
        "name": f"inpaint paint {preset}, {device.type}",
        "crop": settings.size,
        **{f"{name} ms": round(1000 * statistics.median(s), 2) for name, s in times.items()},
        "ratio": round(statistics.median(ratios), 2),
        "lowest ratio": round(min(ratios), 2),
    }


def in_turns(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds a call, by side and round; the result of a call lies on the CPU."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _, work in product(range(FIRST_PAINTINGS), sides.values()):
        work()
    for _, (name, work) in product(range(rounds), sides.items()):
        start = time.perf_counter()
        for _ in range(PAINTINGS):
            work()
        times[name].append((time.perf_counter() - start) / PAINTINGS)
    return times


def piece_of(found: Scan, reach: int) -> tuple[Image, Masks]:
    """Return a small mask, and a clean strip's middle ``reach`` pixels to each side of it."""
    strip = found.dataset[found.where("good")[0]].image
    middle = strip.shape[1] // 2
    image = np.ascontiguousarray(strip[:, middle - reach - 12 : middle + reach + 12])
    masks = np.zeros((len(found.dataset.classes), *image.shape), np.uint8)
    cv2.ellipse(masks[0], (image.shape[1] // 2, image.shape[0] // 2), (6, 4), 30, 0, 360, 1, -1)
    return image, masks.view(np.bool_)


def show(line: Line, as_json: bool, **told: Any) -> None:
    name, *facts = line.items()
    plainly = "\n".join([name[1], *(f"  {key:<26} {value}" for key, value in facts)])
    print(json.dumps(of_line(line, **told)) if as_json else plainly, flush=True)


def plan(given: argparse.Namespace) -> list[tuple[str, torch.device]]:
    """Return the presets to run and where."""
    names = [given.device] if given.device else ["cpu", *["cuda"] * torch.cuda.is_available()]
    wanted = given.presets.split(",") if given.presets else list(PRESETS)
    if set(wanted) - set(PRESETS):
        sys.exit(f"no such preset; of {', '.join(PRESETS)}")
    return [
        (preset, device)
        for device, preset in product(map(pick_device, names), wanted)
        if given.presets or preset != "large" or device.type == "cuda"
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", help="cpu or cuda  [default: both where there are both]")
    parser.add_argument("--presets", metavar="A,B", help="[default: all; large only on a GPU]")
    parser.add_argument("--steps", type=int, default=30, help="timed steps a side and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON line a result")
    given = parser.parse_args()
    planned = plan(given)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        strips, count = folder / "strips", STRIPS
        write_demo(strips, kind="severstal", count=count, scale=1.0, seed=1, workers=1)
        found = scan(read_dataset(strips))
        for preset, device in planned:
            rest = (given.steps, given.rounds)
            line = compare_training(found, folder, preset, device, *rest)
            rates = {"ours": "ours crops/s", "baseline": "plain crops/s", "unit": "crops/s"}
            show(line, given.json, **rates, n=given.steps)
            line = compare_painting(found, preset, device, given.rounds)
            times = {"ours": "ours ms", "baseline": "plain ms", "unit": "ms"}
            show(line, given.json, **times, n=PAINTINGS)


if __name__ == "__main__":
    main()
