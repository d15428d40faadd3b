"""Bright squares on grey, 24x16, and generators trained on them.

As a script, called by ``in_processes``: for each kill point a run that is killed there and resumed;
under a launcher, one process's part of runs in two.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch

from flawsmith.data.formats import read_dataset
from flawsmith.data.images import write_png
from flawsmith.data.scan import scan
from flawsmith.gen.pictures import Pictures
from flawsmith.gen.settings import ARCHS
from flawsmith.gen.task import GenTask
from flawsmith.gen.training import Setup, setup_of, train_on
from flawsmith.seeding import rng
from flawsmith.train import loop
from flawsmith.train.reduce import Processes
from flawsmith.train.settings import TrainSettings
from flawsmith.train.task import Context

CLASSES = ("square", "stripe")
SHAPE = (24, 16)
TINY = {
    "preset": "tiny", "width": 4, "critic_width": 4, "heads": 8, "longest": 0, "batch": 8,
    "seed": 3, "device": "cpu", "ema": 0.9, "log_every": 1,
}  # fmt: skip


def picture(index, shape=SHAPE):
    """Return a picture and its index mask: nothing, a bright square or a dark stripe in turns."""
    generator = rng(index, "picture")
    image = generator.normal(110, 6, shape)
    mask = np.zeros(shape, np.uint8)
    top, left = generator.integers(2, shape[0] - 8), generator.integers(2, shape[1] - 8)
    if index % 3 == 1:
        mask[top : top + 6, left : left + 6] = 1
        image[mask > 0] += 100
    elif index % 3 == 2:
        mask[top : top + 2] = 2
        image[mask > 0] -= 90
    return np.clip(image, 0, 255).astype(np.uint8), mask


def make_source(root, count=12, sizes=(SHAPE,), classes=CLASSES):
    """Write pictures with masks in the layout ``folder``; return the folder."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    (root / "classes.txt").write_text("\n".join(classes) + "\n")
    for i in range(count):
        image, mask = picture(i, sizes[i % len(sizes)])
        write_png(root / "images" / f"{i:03d}.png", image)
        write_png(root / "masks" / f"{i:03d}.png", mask)
    return root


def setup(**flags):
    flags = TINY | flags
    return setup_of(flags.pop("preset"), None, flags)


def train_squares(source, out, num_processes=1, **flags):
    """Train on the folder with one thread, as its bytes are compared."""
    torch.set_num_threads(1)
    given = {"images": "all"} if not flags.get("with_masks") else {}
    return train_on(
        scan(read_dataset(source)), out, setup(**given | flags), {}, num_processes=num_processes
    )


def squares_task(source, **flags):
    """Return a task on the folder, where a test wants to look into it."""
    given = {"images": "all"} if not flags.get("with_masks") else {}
    settings = setup(**given | flags).gen
    return GenTask(Pictures(scan(read_dataset(source)), settings), settings, TINY["seed"])


def context_of(task, step=0, places=range(8), world=1, **more):
    return Context(
        step=step,
        total=more.pop("total", None),
        seed=3,
        indices=tuple(places),
        places=places,
        processes=Processes(torch.device("cpu"), 0, world),
        optimizers=task.optimizers,
        **more,
    )


def loop_settings(**changes) -> TrainSettings:
    made: Setup = setup(**changes)
    return made.loop


def killed(source, folder, *kill_points):
    """For each point: a run that is killed there, then the same run to its end."""
    sys.path.append(str(Path(__file__).parent))
    from train_helpers import forked, kill_at

    flags = {"arch": "dcgan", "steps": 4, "checkpoint_every": 2, "with_masks": True}
    for i, point in enumerate(kill_points):
        run = partial(train_squares, source, folder / str(i), **flags)
        ended = forked(lambda p=point, run=run: (kill_at(*p), run()))
        assert ended == -signal.SIGKILL, (point, ended)
        assert forked(run) == 0, point


class Noted:
    """What this process draws and ends each step with, and the checkpoints that it writes."""

    def __init__(self):
        self.latents, self.weights, self.checkpoints = [], [], 0
        self._of(GenTask, "_draw", lambda draw: self.latents.append(draw.z[:, 0].tolist()))
        self._of(loop, "save_checkpoint", self._count)
        step = GenTask.step

        def stepped(task, context):
            told = step(task, context)
            self.weights.append(digest(task.models))
            return told

        GenTask.step = stepped

    def _count(self, _):
        self.checkpoints += 1

    def _of(self, owner, name, note):
        inner = getattr(owner, name)

        def outer(*args):
            made = inner(*args)
            note(made)
            return made

        setattr(owner, name, outer)


def digest(models):
    """Return the SHA-256 of all weights and buffers."""
    found = hashlib.sha256()
    for model in models.values():
        for tensor in model.state_dict().values():
            found.update(tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


def all_in_two(source, folder):
    """One process's part: a short run of each architecture, and two that another world shares."""
    noted = Noted()
    for arch in ARCHS:
        train_squares(source, folder / arch, arch=arch, steps=3)
    train_squares(source, folder / "moved", arch="wgan-gp", steps=1)
    train_squares(source, folder / "back", arch="dcgan", steps=2)
    (folder / f"rank{os.environ['RANK']}.json").write_text(json.dumps(vars(noted)))


def in_processes(source, folder, *kill_points):
    """Make ``killed`` runs in a fresh Python, then ``all_in_two``'s; return what they said.

    The latter as a user without GPUs has ``accelerate launch`` start two processes.
    """
    accelerate = "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"
    given = "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"
    words = [__file__, source, folder, json.dumps(kill_points)]
    said = python(*words)
    return said + python(*accelerate, *given, "--main_process_port", "0", *words)


def python(*words):
    """Run a fresh Python on one thread; return what it said."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, *map(str, words)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stderr


def main(source, folder, kill_points):
    if "RANK" in os.environ:
        all_in_two(source, folder)
        return
    killed(source, folder, *json.loads(kill_points))
    train_squares(source, folder / "back", arch="dcgan", steps=1)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]), sys.argv[3])
