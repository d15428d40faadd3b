"""Bright squares and dark discs on a textured surface, and runs trained on them.

As a script, called by ``in_a_process``: for each kill point a run that is killed there and resumed,
and a run in two processes.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from flawsmith.data.formats import read_dataset
from flawsmith.data.images import write_png
from flawsmith.data.scan import scan
from flawsmith.inpaint.crops import Crops
from flawsmith.inpaint.settings import InpaintSettings
from flawsmith.inpaint.task import InpaintTask
from flawsmith.inpaint.training import Setup, train_on
from flawsmith.seeding import rng
from flawsmith.train.launch import launch
from flawsmith.train.loop import train
from flawsmith.train.reduce import Processes
from flawsmith.train.settings import TrainSettings
from flawsmith.train.task import Context

CLASSES = ("square", "disc")
LOSSES = {
    *("d_real", "d_fake", "d_wrong", "g_adversarial", "g_l1", "g_matching", "g_diversity"),
    *("e_kl", "g_latent"),
}
LEVELS = (205, 25)
SURFACE = 110
SHAPE = (56, 72)
TINY = {"size": 32, "width": 8, "heads": 16, "grow": 2, "feather": 2}
LOOP = {"batch": 4, "seed": 3, "device": "cpu", "ema": 0.9, "log_every": 1}


def texture(seed, shape=SHAPE):
    """Return a surface whose grey level wanders by about 8 around 110."""
    noise = rng(seed, "texture").normal(0, 30, shape)
    return np.clip(SURFACE + cv2.GaussianBlur(noise, (0, 0), 1.5), 0, 255).astype(np.uint8)


def mark(plane, x, y, radius, shape=SHAPE):
    """Return (K, H, W) masks with a square (0) or a disc (1) around a place."""
    masks = np.zeros((len(CLASSES), *shape), bool)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    across, down = np.abs(columns - x), np.abs(rows - y)
    inside = np.maximum(across, down) <= radius if plane == 0 else np.hypot(across, down) <= radius
    masks[plane] = inside
    return masks


def make_source(root, count=10, clean=6):
    """Write so many pictures a class with one mark each, and clean ones; return the folder."""
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    (root / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    for i in range(2 * count + clean):
        image, index = texture(i), np.zeros(SHAPE, np.uint8)
        if i < 2 * count:
            generator = rng(i, "mark")
            x, y = generator.integers(10, SHAPE[1] - 10), generator.integers(10, SHAPE[0] - 10)
            inside = mark(i % 2, x, y, generator.integers(4, 7))[i % 2]
            level = LEVELS[i % 2] + generator.normal(0, 12) + generator.normal(0, 6, SHAPE)
            image = np.where(inside, np.clip(level, 0, 255), image).astype(np.uint8)
            index[inside] = 1 + i % 2
        write_png(root / "images" / f"{i:03d}.png", image)
        write_png(root / "masks" / f"{i:03d}.png", index)
    return root


def setup(inpaint=None, **changes):
    return Setup(InpaintSettings(**TINY | (inpaint or {})), TrainSettings(**LOOP | changes))


def train_shapes(source, out, inpaint=None, **changes):
    """Train on the folder with one thread, as its bytes are compared."""
    torch.set_num_threads(1)
    return train_on(scan(read_dataset(source)), out, setup(inpaint, **changes), {})


def shapes_task(source, inpaint=None):
    """Return a task on the folder, where a test wants to look into it."""
    settings = setup(inpaint).inpaint
    geometry = settings.geometry
    crops = Crops(scan(read_dataset(source)), geometry, (True, True))
    return InpaintTask(crops, 1, len(CLASSES), settings, LOOP["seed"])


def train_task(task, out, **changes):
    torch.set_num_threads(1)
    return train(task, TrainSettings(**LOOP | changes), out, {})


def frozen_digest(task):
    """Return a digest of the frozen network's values."""
    state = hashlib.sha256()
    for tensor in task.discriminator._outside[0].state_dict().values():
        state.update(tensor.cpu().numpy().tobytes())
    return state.hexdigest()


def killed(source, folder, *kill_points):
    """For each point: a run that is killed there, then the same run to its end."""
    sys.path.append(str(Path(__file__).parent))
    from train_helpers import forked, kill_at

    for i, point in enumerate(kill_points):
        run = partial(train_shapes, source, folder / str(i), steps=4, checkpoint_every=2)
        ended = forked(lambda p=point, run=run: (kill_at(*p), run()))
        assert ended == -signal.SIGKILL, (point, ended)
        assert forked(run) == 0, point


def in_two(source, out):
    """One process's part; returns a digest of what must not be trained."""
    task = shapes_task(source)
    train_task(task, out, steps=4)
    return frozen_digest(task)


def in_a_process(source, folder, *kill_points):
    """Make ``killed`` runs and a run ``two`` in a fresh Python; return what ``in_two`` did."""
    words = [sys.executable, __file__, source, folder, json.dumps(kill_points)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def main(source, folder, kill_points):
    killed(source, folder, *json.loads(kill_points))
    print(launch(in_two, (source, folder / "two"), 2, "cpu"))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]), sys.argv[3])


def context_of(task, step=0, count=4, seed=3):
    return Context(
        step=step,
        total=10,
        seed=seed,
        indices=tuple(range(count)),
        places=range(count),
        processes=Processes(torch.device("cpu")),
        optimizers=task.optimizers,
    )
