"""Real-like parts with squares and discs, candidates made of them, and segmenters that are told."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from flawsmith.data.scan import Scan
from flawsmith.evaluate.filtering.crops import ClassCrops
from flawsmith.sample import Image, Sample
from flawsmith.seeding import rng
from tests.augment_helpers import write_scan

CLASSES = ("square", "disc")
SHAPE = (160, 200)
LEVELS = (200, 30)


def surface(seed: int) -> Image:
    """Return a surface whose grey level wanders a little."""
    noise = rng(seed, "filter surface").normal(0, 30, SHAPE)
    return np.clip(110 + cv2.GaussianBlur(noise, (0, 0), 1.5), 0, 255).astype(np.uint8)


def shape_of(plane: int, x: int, y: int, radius: int):
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    across, down = np.abs(columns - x), np.abs(rows - y)
    return np.maximum(across, down) <= radius if plane == 0 else np.hypot(across, down) <= radius


def drawn(name: str, seed: int, plane: int | None, method: str = "", group: str = "") -> Sample:
    """Return a part with a square or a disc of a drawn place, size and level, or a clean one."""
    generator = rng(seed, "filter part")
    image, masks = surface(seed), np.zeros((2, *SHAPE), bool)
    if plane is not None:
        x, y = int(generator.integers(30, 170)), int(generator.integers(30, 130))
        masks[plane] = shape_of(plane, x, y, int(generator.integers(8, 15)))
        level = LEVELS[plane] + generator.normal(0, 10) + generator.normal(0, 5, SHAPE)
        image[masks[plane]] = np.clip(level, 0, 255)[masks[plane]]
    meta = {"method": method} if method else {}
    label = "good" if plane is None else "defective"
    return Sample(name, image, masks, label, group or f"group-{name}", meta)


def real_parts(count: int = 20) -> list[Sample]:
    """Return so many parts a class, two of each group, and a few clean ones."""
    marked = [
        drawn(f"real-{i}", i, i % 2, group=f"part-{i // 4}-{i % 2}") for i in range(2 * count)
    ]
    return marked + [drawn(f"clean-{i}", 500 + i, None) for i in range(4)]


def scanned(root: Path, samples: Sequence[Sample]) -> Scan:
    return write_scan(root, samples, CLASSES)


class Seers:
    """Stand-ins for segmenters: a pixel far from the usual grey is a square, or a disc if dark."""

    size = 64

    def __init__(self, halves: Mapping[str, int] | None = None) -> None:
        self.halves = halves or {}
        self.asked: list[tuple[int, int]] = []

    def half(self, sample: str) -> int:
        return self.halves.get(sample, sum(map(ord, sample)) % 2)

    def chances(self, pictures, half):
        self.asked.append((half, len(pictures)))
        grey = np.stack(pictures).astype(np.float32)
        return np.stack([grey > 160, grey < 65], axis=1) * np.float32(0.9) + np.float32(0.05)


def crops_of(rows, samples=None, groups=None) -> ClassCrops:
    """Return crops of these features, by default each of a sample and a group of its own."""
    rows = np.asarray(rows, np.float32)
    rows = rows[:, None] if rows.ndim == 1 else rows
    places = range(len(rows)) if samples is None else samples
    names = [f"g{i}" for i in range(len(rows))] if groups is None else groups
    return ClassCrops(rows, np.array(places, np.int64), tuple(names))
