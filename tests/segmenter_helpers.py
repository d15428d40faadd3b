"""Scanned sets of squares and discs, small settings, and runs of the segmenter trained on them."""

import numpy as np
import torch

from flawsmith.data.formats import read_dataset
from flawsmith.data.images import write_png
from flawsmith.data.scan import scan
from flawsmith.evaluate.segmenter.settings import SegmentSettings
from flawsmith.evaluate.segmenter.sources import arm_of
from flawsmith.evaluate.segmenter.training import train_arm
from flawsmith.train.reduce import Processes
from flawsmith.train.task import Context
from tests.inpaint_run_helpers import make_source

SMALL = {"crop": 64, "batch": 4, "rate": 2e-3, "ema": 0.9}


def settings(**changes):
    return SegmentSettings(**SMALL | changes)


def write_set(root, images, masks, classes=("square", "disc")):
    """Write pictures and their (K, H, W) masks as a folder data set; return its scan."""
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    (root / "classes.txt").write_text("\n".join(classes) + "\n")
    for i, (image, planes) in enumerate(zip(images, masks, strict=True)):
        index = np.zeros(image.shape[:2], np.uint8)
        for plane, mask in enumerate(planes):
            index[mask] = 1 + plane
        write_png(root / "images" / f"{i:03d}.png", image)
        write_png(root / "masks" / f"{i:03d}.png", index)
    return scan(read_dataset(root))


def shapes_of(root):
    """Return ten pictures a class and a few clean ones to learn from, and others to test on."""
    found = scan(read_dataset(make_source(root, 16, 8)))
    learned = [*range(20), *range(32, 36)]
    return found.select(learned), found.select([i for i in range(40) if i not in learned])


def blank(height, width, *boxes, planes=2):
    """Return a grey picture and masks with a box (plane, row, column, height, width) each."""
    masks = np.zeros((planes, height, width), bool)
    for plane, row, column, h, w in boxes:
        masks[plane, row : row + h, column : column + w] = True
    return np.full((height, width), 100, np.uint8), masks


def train_shapes(found, out, synthetic=None, seed=3, changes=None, **machine):
    """Train an arm of scanned shapes with one thread, as its bytes are compared."""
    torch.set_num_threads(1)
    own = settings(**changes or {})
    loop = own.loop(seed, **{"device": "cpu", "log_every": 1} | machine)
    arm = arm_of("shapes", found, synthetic, own)
    return train_arm(arm, own, loop, out, flips=(True, True), source={})


def context_of(task, step=0, places=range(4), seed=3, total=10):
    return Context(
        step=step,
        total=total,
        seed=seed,
        indices=tuple(places),
        places=places,
        processes=Processes(torch.device("cpu")),
        optimizers=task.optimizers,
    )
