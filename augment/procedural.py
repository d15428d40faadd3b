"""Drawn defects on clean surface, for users without any: shape from a mask source, look from noise.

The idea is DRAEM's (arXiv 2108.07610), with the check that it lacks: a change that cannot be seen
against the surface gets no label.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from flawsmith.augment.blend import feather, hole_of
from flawsmith.augment.canvas import SIDE, Canvas, Defect, fill, pick_background
from flawsmith.augment.noise import perlin
from flawsmith.augment.region import Region, Regions, places
from flawsmith.augment.settings import AugmentSettings
from flawsmith.augment.shapes import (
    RunShapes,
    ShapeSource,
    shape_source,
    wanted_planes,
    with_position,
)
from flawsmith.data.build import Refused
from flawsmith.data.cache import SampleCache
from flawsmith.data.scan import Scan
from flawsmith.data.surfaces import Surface, surfaces_of
from flawsmith.data.visibility import MIN_GAIN, to_grey
from flawsmith.sample import Image, Masks, Sample
from flawsmith.seeding import rng

# Painted change in units of the surface's own contrast, and in grey levels at least.
STRENGTH = (2.0, 5.0)
MIN_STRENGTH = 6 * MIN_GAIN


@dataclass(frozen=True)
class Procedural:
    """The recipe: sample i is background, masks and look drawn from (seed, i)."""

    samples: SampleCache
    backgrounds: tuple[Surface, ...]
    regions: Regions
    shapes: ShapeSource
    planes: tuple[int, ...]
    settings: AugmentSettings

    @staticmethod
    def of(
        scan: Scan, settings: AugmentSettings, workers: int = 1, drawn: RunShapes | None = None
    ) -> "Procedural":
        """Prepare the recipe from a scan's surfaces, and its masks if wanted; drawn: a run's."""
        samples = SampleCache(scan.dataset)
        source = shape_source(settings, scan, samples, drawn)
        planes = wanted_planes(settings, source)
        surfaces = surfaces_of(scan, SIDE, workers, Region(settings.roi).of)
        return Procedural(samples, surfaces, Regions(settings.roi), source, planes, settings)

    def make(self, index: int) -> Sample | Refused:
        generator = rng(self.settings.seed, "procedural", index)
        wanted = {plane: self.shapes.classes[plane] for plane in self.planes}
        background, region, planes = pick_background(
            generator, self.samples, self.backgrounds, self.regions, wanted
        )
        canvas = Canvas(background, len(self.shapes.classes), region)
        defects, redrawn = fill(
            generator, planes, self.settings, partial(self._add, generator, canvas)
        )
        if not defects:
            return Refused(redrawn.most_common(1)[0][0])
        meta = {"defects": defects, "redrawn": dict(redrawn)}
        return canvas.finish(f"procedural_{index:06d}", "procedural", self.settings, meta)

    def _add(self, generator: np.random.Generator, canvas: Canvas, plane: int) -> Defect | str:
        height, width = canvas.taken.shape
        shape = self.shapes.draw(generator, plane, (height, width))
        if isinstance(shape, str):
            return shape
        wish = with_position(shape.wish, self.settings)
        spots = places(generator, shape.mask, canvas.region, canvas.taken, wish)
        if not spots:
            return "no room in the region"
        margin = self.settings.feather + 1
        mask = np.pad(shape.mask, margin)
        view, own = canvas.overlap(mask.shape, (spots[0][0] - margin, spots[0][1] - margin))
        target, mask = canvas.image[view], mask[own]
        painted = feather(target, render(generator, target, mask), mask, self.settings.feather)
        if not canvas.paint(plane, view, painted, mask, hole_of(mask, self.settings.feather)):
            return "change not visible"
        return {"class": self.shapes.classes[plane], "mask": shape.origin}


def render(generator: np.random.Generator, target: Image, mask: Masks) -> Image:
    """Return (h, w[, 3]) uint8: the surface darkened or lightened with a texture of its own.

    The change is some multiple of the surface's contrast, mottled by gradient noise; the texture
    underneath shines through, as it does in pits and stains.
    """
    surface = target.astype(np.float32)
    contrast = float(to_grey(target).std())
    strength = max(generator.uniform(*STRENGTH) * contrast, MIN_STRENGTH) * generator.uniform(
        1, 1.5
    )
    level = float(surface.mean())
    # Away from the limit that is near: a dark surface cannot show darker marks.
    darker = generator.random() < np.clip(level / 160, 0.1, 0.9)
    sign = -1.0 if darker else 1.0
    cell = max(3.0, min(mask.shape) / 3)
    mottle = 1 + 0.5 * perlin(generator, (mask.shape[0], mask.shape[1]), cell)
    keep = generator.uniform(0.3, 0.9)
    change = sign * strength * mottle.astype(np.float64)
    if target.ndim == 3:
        change = change[..., None] * generator.uniform(0.8, 1.2, 3)
    painted = level + keep * (surface - level) + change
    return np.asarray(np.clip(np.rint(painted), 0, 255), np.uint8)
