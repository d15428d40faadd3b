"""Helpers of the tests of the formats: what the writing engine does, and samples to write."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from flawsmith.data.dataset import DataSet
from flawsmith.data.formats import read_dataset
from flawsmith.data.images import write_png
from flawsmith.data.manifest import write_manifest
from flawsmith.data.writing import Spec, Writer
from flawsmith.sample import Label, Masks, Sample

# ``FLAWSMITH_FUZZ=3000`` runs that many new examples of each test of any input.
FUZZ = settings(
    max_examples=int(os.environ.get("FLAWSMITH_FUZZ", "60")),
    deadline=None,
    derandomize="FLAWSMITH_FUZZ" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def write_set(root: Path, writer: Writer, samples: Iterable[Sample], spec: Spec) -> list[str]:
    """Write samples as the engine does, in index order, without the manifest; return notices."""
    lines = write_lines_of(root, writer, samples, spec)
    return writer.finish(root, spec, lambda: iter(lines))


def write_lines_of(
    root: Path, writer: Writer, samples: Iterable[Sample], spec: Spec
) -> list[dict[str, Any]]:
    root.mkdir(parents=True, exist_ok=True)
    lines = []
    for index, sample in enumerate(samples):
        part = writer.write_sample(root, index, sample, spec)
        lines.append(
            {
                "id": sample.id,
                "label": sample.label,
                "group": sample.group,
                "width": sample.size[0],
                "height": sample.size[1],
                "image": part["image"],
                "meta": sample.meta,
                "part": part,
            }
        )
    return lines


def round_trip(
    root: Path, writer: Writer, name: str, samples: Sequence[Sample], spec: Spec
) -> DataSet:
    """Write samples with their manifest and read the folder back."""
    lines = write_lines_of(root, writer, samples, spec)
    writer.finish(root, spec, lambda: iter(lines))
    write_manifest(root, name, spec.classes, {}, lines)
    return read_dataset(root)


def assert_same(found: DataSet, samples: Sequence[Sample]) -> None:
    """Compare ids, labels, groups and every pixel of images and masks."""
    by_id = {sample.id: sample for sample in found}
    assert set(by_id) == {sample.id for sample in samples}
    for wanted in samples:
        sample = by_id[wanted.id]
        assert (sample.label, sample.group) == (wanted.label, wanted.group)
        assert np.array_equal(sample.image, wanted.image)
        assert np.array_equal(sample.masks, wanted.masks)


def make_sample(key: str, masks: Masks, label: Label | None = None, **meta: Any) -> Sample:
    """Return a sample of grey noise that only depends on the masks' size."""
    height, width = masks.shape[1:]
    image = np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width), np.uint8)
    found: Label = "defective" if masks.any() else "good"
    return Sample(key, image, masks, label or found, f"part-{key}", meta)


def save_grey(path: Path, height: int = 6, width: int = 8, value: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, np.full((height, width), value, np.uint8))
    return path


def save_mask(path: Path, height: int = 6, width: int = 8, value: int = 255) -> Path:
    """Save a mask picture that marks row 1, columns 2 to 4."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((height, width), np.uint8)
    pixels[1, 2:5] = value
    write_png(path, pixels)
    return path


@st.composite
def mask_stacks(draw: st.DrawFn, classes: int = 2, overlap: bool = True) -> Masks:
    """(classes, H, W) masks from dots to noise to solid, with holes and shared pixels."""
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    density = draw(st.sampled_from([0.0, 0.02, 0.3, 0.5, 0.8, 1.0]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    coarse = draw(st.sampled_from([1, 1, 3]))
    small = random.random((classes, -(-height // coarse), -(-width // coarse))) < density
    masks = small.repeat(coarse, 1).repeat(coarse, 2)[:, :height, :width]
    if not overlap:
        masks[1:] &= ~np.logical_or.accumulate(masks, axis=0)[:-1]
    return np.ascontiguousarray(masks)
