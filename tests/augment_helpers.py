"""Made-up parts for the tests of augmentation: noisy surfaces, marks of known place and class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from flawsmith.data import folder
from flawsmith.data.scan import Scan, scan
from flawsmith.data.writing import Spec
from flawsmith.sample import Image, Masks, Sample
from tests.format_helpers import round_trip

HEIGHT, WIDTH = 48, 64
CLASSES = ("pit", "streak")
# Grey levels of the two classes on a surface of 110.
MARKS = (30, 200)
Box = tuple[int, int, int, int]  # x0, y0, x1, y1


def surface(seed: int, *, rgb: bool = False, level: int = 110, size: Box | None = None) -> Image:
    """Return a flat surface with a little noise."""
    height, width = (HEIGHT, WIDTH) if size is None else (size[3], size[2])
    shape = (height, width, 3) if rgb else (height, width)
    noise = np.random.default_rng(seed).normal(0, 2, shape)
    tint = np.array([20, 0, -20]) if rgb else 0
    return np.asarray(np.clip(np.rint(level + tint + noise), 0, 255), np.uint8)


def part(key: str, marks: Sequence[tuple[int, Box]] = (), *, image: Image) -> Sample:
    """Return a sample with a filled box a mark, each (plane, box)."""
    image = image.copy()
    masks = np.zeros((len(CLASSES), *image.shape[:2]), bool)
    for plane, (x0, y0, x1, y1) in marks:
        image[y0:y1, x0:x1] = MARKS[plane]
        masks[plane, y0:y1, x0:x1] = True
    return Sample(key, image, masks, "defective" if marks else "good", f"group-{key}")


def write_scan(root: Path, samples: Sequence[Sample], classes: tuple[str, ...] = CLASSES) -> Scan:
    """Write the samples as a data set and scan it."""
    overlap = any((s.masks.sum(axis=0) > 1).any() for s in samples)
    return scan(round_trip(root, folder, "folder", samples, Spec(classes, overlap)))


def make_parts(*, rgb: bool = False, clean: int = 5) -> list[Sample]:
    """Return clean parts, three with a pit at (16, 12), and three with a streak at (48, 36)."""
    samples = [part(f"clean-{i}", image=surface(i, rgb=rgb)) for i in range(clean)]
    for i in range(3):
        pit = (0, (13 + i, 9, 19 + i, 15))
        streak = (1, (40, 34 + i, 56, 37 + i))
        samples.append(part(f"pit-{i}", [pit], image=surface(20 + i, rgb=rgb)))
        samples.append(part(f"streak-{i}", [streak], image=surface(30 + i, rgb=rgb)))
    return samples


def blob_masks(shape: tuple[int, int], seed: int = 0) -> Masks:
    """Return (H, W) bool: an irregular mask with holes and single pixels, away from no border."""
    coarse = np.random.default_rng(seed).random((shape[0] // 4 + 1, shape[1] // 4 + 1)) < 0.3
    return coarse.repeat(4, 0).repeat(4, 1)[: shape[0], : shape[1]]


def assert_stands_out(before, after, piece) -> None:
    """Assert, without the code's own check, that a painted piece differs from what was there."""
    shift = np.abs(
        after.astype(float)[piece].mean(axis=0) - before.astype(float)[piece].mean(axis=0)
    )
    assert shift.max() > 3
