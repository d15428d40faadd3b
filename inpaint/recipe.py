"""Candidates painted by a trained generator: background, masks and look drawn from (seed, i)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from flawsmith.augment.canvas import Canvas, Defect, fill, pick_background
from flawsmith.augment.region import Regions, places
from flawsmith.augment.settings import AugmentSettings
from flawsmith.augment.shapes import ShapeSource, with_position
from flawsmith.data.build import Refused
from flawsmith.data.cache import SampleCache
from flawsmith.data.surfaces import Surface
from flawsmith.errors import InputError, OutputError, printable
from flawsmith.inpaint.hole import hole_of
from flawsmith.inpaint.painter import Painter, load_painter
from flawsmith.sample import Sample
from flawsmith.seeding import rng
from flawsmith.train.devices import one_thread
from flawsmith.train.runs import WEIGHTS
from flawsmith.train.weights import file_sha256


@dataclass(frozen=True)
class TrainedRun:
    """A run to paint with: its folder, the SHA-256 of its weights, and the device's name."""

    path: Path
    digest: str
    device: str

    def painter(self) -> Painter:
        """Return the painter, loaded once a process."""
        return _painter(self)


@lru_cache(maxsize=1)
def _painter(run: TrainedRun) -> Painter:
    painter = load_painter(run.path, run.device)
    # A training that goes on beside this job writes better ones: half a job by each is neither's.
    if file_sha256(run.path / WEIGHTS) != run.digest:
        raise InputError(
            "the weights changed since this job began", where=run.path, mend="paint anew"
        )
    return painter


@dataclass(frozen=True)
class Inpaint:
    """The recipe: sample i is a background, masks, and what the generator paints there.

    backgrounds: surfaces of ``samples``; regions: where defects may lie on them. kinds: a plane of
    the run, the planes of ``shapes`` that its masks may be of. settings: how many, where and of
    which size; strength: lowest and highest. Workers load the generator themselves and compute on
    one thread each, so that the bytes do not depend on their number.
    """

    run: TrainedRun
    samples: SampleCache
    backgrounds: tuple[Surface, ...]
    regions: Regions
    shapes: ShapeSource
    kinds: Mapping[int, tuple[int, ...]]
    settings: AugmentSettings
    strength: tuple[float, float]

    def make(self, index: int) -> Sample | Refused:
        with one_thread():
            return self._make(f"inpaint_{index:06d}", rng(self.settings.seed, "inpaint", index))

    def _make(self, name: str, generator: np.random.Generator) -> Sample | Refused:
        painter = self.run.painter()
        wanted = {plane: painter.classes[plane] for plane in self.kinds}
        background, region, planes = pick_background(
            generator, self.samples, self.backgrounds, self.regions, wanted
        )
        canvas = Canvas(background, len(painter.classes), region)
        add = partial(self._add, generator, canvas, painter)
        defects, redrawn = fill(generator, planes, self.settings, add)
        if not defects:
            return Refused(redrawn.most_common(1)[0][0])
        grow = painter.settings.grow
        check_untouched(name, canvas, grow)
        meta = {
            "run": printable(self.run.path.resolve().name),
            "weights": self.run.digest,
            "hole_px": grow,
            "defects": defects,
            "redrawn": dict(redrawn),
        }
        return canvas.finish(name, "inpaint", self.settings, meta)

    def _add(
        self, generator: np.random.Generator, canvas: Canvas, painter: Painter, plane: int
    ) -> Defect | str:
        """Try one defect; return where its mask is from, or what hindered it."""
        frame = (canvas.taken.shape[0], canvas.taken.shape[1])
        kinds = self.kinds[plane]
        shape = self.shapes.draw(generator, kinds[generator.integers(len(kinds))], frame)
        if isinstance(shape, str):
            return shape
        if shape.mask.shape[0] > frame[0] or shape.mask.shape[1] > frame[1]:
            return "mask larger than the image"
        wish = with_position(shape.wish, self.settings)
        spots = places(generator, shape.mask, canvas.region, canvas.taken, wish)
        if not spots:
            return "no room in the region"
        # So much surface around that the painter's window ends only where the image does.
        grow = painter.settings.grow
        reach = max(painter.settings.size, *shape.mask.shape) + grow
        mask = np.pad(shape.mask, reach)
        view, own = canvas.overlap(mask.shape, (spots[0][0] - reach, spots[0][1] - reach))
        masks = np.zeros((len(painter.classes), *mask[own].shape), bool)
        masks[plane] = mask[own]
        strength = float(generator.uniform(*self.strength))
        painted = painter.paint(canvas.image[view], masks, generator, strength)
        if not canvas.paint(plane, view, painted, masks[plane], hole_of(masks[plane], grow)):
            return "change not visible"
        name = painter.classes[plane]
        return {"class": name, "mask": shape.origin, "strength": f"{strength:.3f}"}


def check_untouched(name: str, canvas: Canvas, grow: int) -> None:
    """Raise OutputError if a pixel farther than ``grow`` from every mask is not as it was."""
    changed = canvas.image != canvas.background.image
    changed[hole_of(np.asarray(canvas.masks.any(axis=0)), grow)] = False
    if changed.any():
        stray = np.count_nonzero(changed if changed.ndim == 2 else changed.any(axis=2))
        raise OutputError(
            f"{name}: not written: {stray} pixels outside of its holes were changed; "
            "this is a fault of flawsmith, please report it"
        )
