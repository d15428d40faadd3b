"""Parts of drawn plates, written and joined."""

import json
from pathlib import Path

import numpy as np

from flawsmith.data import folder
from flawsmith.data.demo_plates import draw_plate
from flawsmith.data.plates import PARTS, divide, divide_masks
from flawsmith.data.writing import Spec
from flawsmith.gen.assemble import Assembled, AssembleSettings, Parts, assemble
from flawsmith.sample import Sample
from flawsmith.seeding import rng
from tests.format_helpers import round_trip

WIDTH, HEIGHT = 60, 100
SCALE = WIDTH / 880
CLASSES = ("scratch", "dent")


def sample_of(key: str, image, masks=None, label=None, **meta) -> Sample:
    masks = np.zeros((len(CLASSES), *image.shape[:2]), bool) if masks is None else masks
    label = label or ("defective" if masks.any() else "good")
    return Sample(key, image, masks, label, f"plate-{key}", meta)


def write(root: Path, samples, classes=CLASSES, writer=folder, name="folder") -> Path:
    overlap = any((s.masks.sum(axis=0) > 1).any() for s in samples)
    round_trip(root, writer, name, samples, Spec(classes, overlap))
    return root


def write_parts(root: Path, counts=(4, 3, 5)) -> Parts:
    """Write parts of drawn plates, of which every second shows a defect somewhere."""
    for number, (part, count) in enumerate(zip(PARTS, counts, strict=True)):
        samples = []
        for i in range(count):
            drawn = draw_plate(rng(8, part, i), defective=i % 2 == 1, scale=SCALE)
            image, masks = divide(drawn.image)[part], divide_masks(drawn.masks)[part]
            samples.append(sample_of(f"{part}-{i}", image, masks, seed=8, number=number))
        write(root / part, samples)
    return Parts(*(root / part for part in PARTS))


def made(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]


def join(parts: Parts, out: Path, *, workers=1, real=None, options=None, **settings) -> Assembled:
    chosen = AssembleSettings(**{"count": 9, "seed": 2, **settings})
    return assemble(parts, out, chosen, workers=workers, real=real, options=options)
