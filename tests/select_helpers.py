"""Clean parts with a bright disc, as real and as generated pictures; things that are none."""

import cv2
import numpy as np

from flawsmith.sample import Sample
from flawsmith.seeding import rng
from tests.augment_helpers import write_scan

SHAPE = (48, 64)
REAL, HELD = 40, 24


def clean_part(seed):
    """Return uint8 (48, 64): a grained surface with a disc, each a little otherwise."""
    generator = rng(seed, "clean part")
    grain = cv2.GaussianBlur(generator.normal(0, 1, SHAPE), (0, 0), 1.0)
    image = 100 + generator.normal(0, 4) + 16 * grain + generator.normal(0, 2, SHAPE)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    x, y = 32 + generator.normal(0, 3), 24 + generator.normal(0, 3)
    inside = np.hypot(columns - x, rows - y) < 11 + generator.normal(0, 0.7)
    image[inside] += 60 + generator.normal(0, 4)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def sample(name, image, *, group="", method="gen", label="good"):
    masks = np.zeros((0, *image.shape[:2]), bool)
    return Sample(name, image, masks, label, group or name, {"method": method} if method else {})


def near(image, seed):
    """Return the picture with a grey level more or less here and there."""
    shift = rng(seed, "near").integers(-1, 2, image.shape)
    return np.clip(image.astype(int) + shift, 0, 255).astype(np.uint8)


def real_parts(root, count=REAL):
    """Write so many real pictures, two of a part, and scan them."""
    found = [
        sample(f"r{i}", clean_part(i), group=f"part-{i // 2}", method="") for i in range(count)
    ]
    return write_scan(root, found, ())


def candidates():
    """Return pictures by what they are: held-out real ones, and each kind of fault."""
    held = {f"held-{i}": clean_part(1000 + i) for i in range(HELD)}
    noise = rng(0, "noise").integers(0, 256, SHAPE).astype(np.uint8)
    blurred = np.asarray(cv2.GaussianBlur(clean_part(2000), (0, 0), 2.0), np.uint8)
    whole = clean_part(2001).astype(int)
    # Of the same tone, contrast and detail: a dark disc where real parts have a bright one.
    other = np.clip(2 * round(whole.mean()) - whole, 0, 255).astype(np.uint8)
    faults = {
        "noise": noise,
        "blurred": blurred,
        "pale": (clean_part(2002) // 2 + 60).astype(np.uint8),
        "exact": clean_part(7),
        "near": near(clean_part(8), 0),
        "other": other,
        "twice": held["held-3"],
        "twin": near(held["held-4"], 1),
    }
    return held | faults
