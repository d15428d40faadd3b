"""The generators of whole parts: training, and drawing samples.

On smooth random pictures of 240x400 RGB, each side in turns with its baseline within this one run:

- training: real pictures that the critic is shown a second by ``train`` with the preset's settings,
  against a plain loop over the same networks (``plain_step``), as in PyTorch's DCGAN tutorial: the
  same losses, penalties and Adam; real and generated pictures judged in turns, the critic's weights
  given gradients in the generator's half as well, pictures made anew for it after several critic
  steps; eager, in float32 with torch's defaults (on a GPU they let convolutions compute in TF32).
  It has no augmentation, averaged weights, checks or log, and its pictures lie decoded in memory:
  less work than ours. Timed from step to step after a warm-up, so without the files at a run's end.
  The share of the device's own matrix rate (bfloat16 on a GPU, else float32) is of the products and
  convolutions that torch counts in a step, forward and backward;
- drawing: samples a second of ``Sampler.sample``, from the run that was trained.

    python benchmarks/gan.py [--archs A,B] [--preset P] [--device cpu] [--steps 30] [--rounds 3]
        [--projected] [--json]

Without --preset: ``small`` on the CPU; on a GPU, where there is one, ``plates`` for the archs it is
of and ``large`` for the others. --projected: with the projected critic, where an arch can have it.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from flawsmith.benchmarks.shared import matrix_rate, of_line, settle
from flawsmith.data.formats import read_dataset
from flawsmith.data.images import write_png
from flawsmith.data.scan import Scan, scan
from flawsmith.gen import losses
from flawsmith.gen.modulated import by_values
from flawsmith.gen.pictures import Pictures
from flawsmith.gen.sampler import load_sampler
from flawsmith.gen.settings import ARCHS, PRESETS, GenSettings
from flawsmith.gen.task import GenTask
from flawsmith.gen.training import Setup, setup_of
from flawsmith.seeding import rng
from flawsmith.train.batches import Batches
from flawsmith.train.devices import pick_device
from flawsmith.train.loop import train
from flawsmith.train.reduce import Processes
from flawsmith.train.task import Context

PICTURES = 64
SIZE = (400, 240)
WARM_UP = 3  # steps before the clock starts: a GPU chooses its kernels
SAMPLES = 64
Line = dict[str, Any]
# Of one update of the critic: real pictures, latents, and how far the penalty mixes each pair.
Given = tuple[Tensor, Tensor, Tensor]


class Timed(GenTask):
    """The task, noting its seconds from the warm-up to the last step."""

    def step(self, context: Context) -> dict[str, Tensor]:
        if context.step == WARM_UP:
            self.began = settle(context.device)
        if context.step + 1 == context.total:
            self.seconds = settle(context.device) - self.began
        return super().step(context)


def task_of(found: Scan, setup: Setup) -> Timed:
    task = Timed(Pictures(found, setup.gen), setup.gen, setup.loop.seed)
    task.fixed_length = True  # so that the loop tells how many steps there are
    return task


def plain(task: GenTask, setup: Setup) -> float:
    """Train as the tutorial does; return the seconds from the warm-up to the last step."""
    device, settings, times = torch.device(setup.loop.device), setup.gen, []
    for model in task.models.values():
        model.to(device).train()
    if isinstance(getattr(task.critic, "dropout", None), nn.Module):
        task.critic.dropout = nn.Dropout(settings.dropout)
    feed = batches(task.pictures.batch(range(len(task.pictures))), setup.loop.batch, device)
    for step in range(setup.loop.steps):
        if step in (WARM_UP, setup.loop.steps - 1):
            times.append(settle(device))
        given = []
        for real in (next(feed).to(device) for _ in range(settings.critic_steps)):
            z = torch.randn(len(real), settings.latent, device=device)
            given.append((real, z, torch.rand(len(real), device=device)))
        plain_step(task.models, task.optimizers, settings, step, given)
    return times[1] - times[0]


def batches(pictures: Tensor, batch: int, device: torch.device) -> Iterator[Tensor]:
    """Yield batches for ever, shuffled anew each epoch."""
    pinned = device.type == "cuda"
    loader = DataLoader(
        TensorDataset(pictures), batch, shuffle=True, drop_last=True, pin_memory=pinned
    )
    while True:
        for (real,) in loader:
            yield real


def plain_step(
    models: dict[str, nn.Module],
    optimizers: dict[str, torch.optim.Optimizer],
    settings: GenSettings,
    step: int,
    given: list[Given],
) -> None:
    """Improve the critic once for each of ``given``, then the generator, as one writes it first."""
    generator, critic = models["generator"], models["critic"]
    against = losses.ADVERSARIAL[settings.adversarial]
    for number, (real, z, shares) in enumerate(given):
        optimizers["critic"].zero_grad()
        fake = generator(z)
        if hasattr(critic, "judged_and_drawn"):
            known, missed = critic.judged_and_drawn(real)
            loss = against.real(known) + settings.reconstruction * missed
        else:
            loss = against.real(critic(real))
        loss.backward()
        against.fake(critic(fake.detach())).backward()
        if settings.penalty:
            penalty = losses.gradient_penalty(critic, real, fake, shares)
            (settings.penalty * penalty).backward()
        elif settings.penalised and (step * len(given) + number) % settings.r1_every == 0:
            weight = settings.r1 / 2 * settings.r1_every
            (weight * losses.r1(critic, real)).backward()
        optimizers["critic"].step()
    optimizers["generator"].zero_grad()
    if len(given) > 1:
        fake = generator(z)
    against.generator(critic(fake)).backward()
    optimizers["generator"].step()


def compare(found: Scan, folder: Path, name: str, setup: Setup, rounds: int) -> Line:
    times: dict[str, list[float]] = {"plain": [], "ours": []}
    run, device = folder / "run", torch.device(setup.loop.device)
    for _, side in product(range(rounds), times):
        task = task_of(found, setup)
        if side == "plain":
            times[side].append(plain(task, setup))
            continue
        shutil.rmtree(run, ignore_errors=True)
        sampled = {"shape": vars(task.shape), "classes": [], "label": "good"}
        train(task, setup.loop, run, {"settings": setup.gen.model_dump(mode="json"), **sampled})
        times[side].append(task.seconds)
    ratios = [a / b for a, b in zip(times["plain"], times["ours"], strict=True)]
    steps = setup.loop.steps - WARM_UP - 1
    a_step = {side: statistics.median(seconds) / steps for side, seconds in times.items()}
    shown = setup.loop.batch * setup.gen.critic_steps
    line: Line = {
        "name": f"gen train {name}, {device.type}",
        "size": f"{task.shape.width}x{task.shape.height}",
        "batch": setup.loop.batch,
        "threads": torch.get_num_threads(),
        **{f"{side} images/s": round(shown / s, 2) for side, s in a_step.items()},
        "ratio": round(statistics.median(ratios), 2),
        "lowest ratio": round(min(ratios), 2),
        "goal": {"cpu": 1.0, "cuda": 2.0}[device.type],
        **{f"{side} ms a step": round(1000 * s, 1) for side, s in a_step.items()},
        **share_of_rate(task, setup, 1 / a_step["ours"]),
        "samples/s": round(drawing_rate(run, device), 1),
    }
    shutil.rmtree(run)
    return line


class Whole(nullcontext[None]):
    """In place of the counter's module by module account, which has no second derivatives."""

    parents = frozenset({"Global"})


def share_of_rate(task: GenTask, setup: Setup, rate: float) -> Line:
    """Return a step's cost, the device's matrix rate, and the share of it at ``rate`` steps/s."""
    settings = setup.gen
    lazy = settings.r1_every if settings.penalised and not settings.penalty else 1
    # R1 comes in the first of so many updates; torch overcounts the gradients of grouped
    # convolutions, so products are counted where samples share their weights: they are as many.
    costs = []
    for step in (0, 1):
        counter = FlopCounterMode(display=False)
        counter.mod_tracker = Whole()
        with patch("flawsmith.gen.modulated.by_weights", by_values), counter:
            task.step(plain_context(task, setup, step))
        costs.append(counter.get_total_flops())
    cost = (costs[0] + (lazy - 1) * costs[1]) / lazy
    most = matrix_rate(torch.device(setup.loop.device))
    return {
        "GFLOP a step": round(cost / 1e9, 1),
        "matrix TFLOP/s": round(most / 1e12, 3),
        "share of matrix rate": round(cost * rate / most, 4),
    }


def plain_context(task: GenTask, setup: Setup, step: int) -> Context:
    loop = setup.loop
    return Context(
        step=step,
        total=None,
        seed=loop.seed,
        indices=Batches(task.size, loop.batch, loop.seed).indices(step),
        places=range(loop.batch),
        processes=Processes(torch.device(loop.device)),
        optimizers=task.optimizers,
        precision=loop.precision,
        channels_last=loop.channels_last,
    )


def drawing_rate(run: Path, device: torch.device) -> float:
    """Return the samples a second, on a CPU of one thread, as one worker of ``gen sample``."""
    sampler = load_sampler(run, str(device))
    list(sampler.sample(SAMPLES, 0))
    start = time.perf_counter()
    list(sampler.sample(SAMPLES, 1))
    return SAMPLES / (time.perf_counter() - start)


def write_pictures(root: Path, count: int) -> None:
    (root / "images").mkdir(parents=True)
    for i in range(count):
        coarse = rng(i, "picture").integers(0, 256, (25, 15, 3)).astype("uint8")
        picture = cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
        write_png(root / "images" / f"{i:03d}.png", picture)


def plan(given: argparse.Namespace) -> list[tuple[str, Setup]]:
    """Return what to compare: names, and settings."""
    places = [given.device] if given.device else ["cpu", *["cuda"] * torch.cuda.is_available()]
    planned = []
    for device, arch in product(places, given.archs.split(",") if given.archs else ARCHS):
        thesis, gpu = arch in ("dcgan", "wgan-gp"), pick_device(device).type == "cuda"
        preset = given.preset or (("plates" if thesis else "large") if gpu else "small")
        critic = "projected" if given.projected and arch != "wgan-gp" else "own"
        flags = {"arch": arch, "critic": critic, "device": device, "preview_every": 0}
        half = {"precision": "bf16", "channels_last": True} if gpu else {}
        steps = WARM_UP + given.steps + 1  # at the last one's beginning the clock stops
        setup = setup_of(preset, None, {**flags, **half, "steps": steps})
        planned.append((f"{arch} {preset}" + " projected" * (critic != "own"), setup))
    return planned


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--archs", metavar="A,B", help="[default: all]")
    parser.add_argument("--preset", choices=PRESETS, help="[default: by device]")
    parser.add_argument("--device", help="cpu or cuda  [default: both where there are both]")
    parser.add_argument("--steps", type=int, default=30, help="timed steps a side and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--projected", action="store_true", help="judge by the projected critic")
    parser.add_argument("--json", action="store_true", help="one JSON line a result")
    given = parser.parse_args()
    planned = plan(given)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pictures(folder / "pictures", PICTURES)
        pictures = scan(read_dataset(folder / "pictures"))
        for title, setup in planned:
            line = compare(pictures, folder, title, setup, given.rounds)
            plainly = "\n  ".join(f"{key:<22} {value}" for key, value in line.items())
            rates = ("ours images/s", "plain images/s")
            found = of_line(line, *rates, unit="images/s", n=given.steps)
            print(json.dumps(found) if given.json else plainly, flush=True)


if __name__ == "__main__":
    main()
