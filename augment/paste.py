"""Copy-paste: a real defect, cut by its mask, joined into clean surface. The baseline to beat."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from flawsmith.augment.bank import (
    MIN_AREA,
    Bank,
    Cutout,
    cut_out,
    draw_entry,
    make_bank,
    margin_for,
    vary,
)
from flawsmith.augment.blend import feather, hole_of, match_tone, poisson
from flawsmith.augment.canvas import SIDE, Canvas, Defect, View, fill, pick_background
from flawsmith.augment.region import Region, Regions, Wish, places
from flawsmith.augment.reshape import as_channels, fits, reshape
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
from flawsmith.data.visibility import window
from flawsmith.errors import InputError
from flawsmith.sample import Image, Masks, Sample
from flawsmith.seeding import rng

# Places tried for a defect; the one whose surface differs least from the donor's is taken.
CHOICES = 6


@dataclass(frozen=True)
class Paste:
    """The recipe: sample i is background and defects drawn from (seed, i)."""

    samples: SampleCache
    backgrounds: tuple[Surface, ...]
    regions: Regions
    bank: Bank
    shapes: ShapeSource
    planes: tuple[int, ...]
    settings: AugmentSettings

    @staticmethod
    def of(
        scan: Scan, settings: AugmentSettings, workers: int = 1, drawn: RunShapes | None = None
    ) -> "Paste":
        """Prepare the recipe from the surfaces and the defects of a scan; drawn: a run's masks."""
        samples = SampleCache(scan.dataset)
        source = shape_source(settings, scan, samples, drawn)
        names = scan.dataset.classes
        bank = make_bank(scan, tuple(range(len(names))))
        if settings.mask_source == "procedural":
            wanted: tuple[str, ...] = settings.classes or tuple(names[p] for p in sorted(bank))
        else:
            wanted = tuple(source.classes[p] for p in wanted_planes(settings, source))
        planes = tuple(_plane_of(name, names, bank) for name in wanted)
        surfaces = surfaces_of(scan, SIDE, workers, Region(settings.roi).of)
        regions = Regions(settings.roi)
        return Paste(samples, surfaces, regions, bank, source, planes, settings)

    def make(self, index: int) -> Sample | Refused:
        generator = rng(self.settings.seed, "paste", index)
        classes = self.samples.dataset.classes
        wanted = {plane: classes[plane] for plane in self.planes}
        background, region, planes = pick_background(
            generator, self.samples, self.backgrounds, self.regions, wanted
        )
        canvas = Canvas(background, len(classes), region)
        add = partial(self._add, generator, canvas)
        defects, redrawn = fill(generator, planes, self.settings, add)
        if not defects:
            return Refused(redrawn.most_common(1)[0][0])
        meta = {"blend": self.settings.blend, "defects": defects, "redrawn": dict(redrawn)}
        return canvas.finish(f"paste_{index:06d}", "paste", self.settings, meta)

    def _add(self, generator: np.random.Generator, canvas: Canvas, plane: int) -> Defect | str:
        """Try one defect; return where it is from, or what hindered it."""
        entry = draw_entry(generator, self.bank, plane)
        whole = cut_out(self.samples, entry, margin_for(self.settings))
        cutout = vary(generator, whole, self.settings)
        if not cutout.mask.any():
            return "nothing left of the mask"
        shaped = self._shaped(generator, cutout, plane, canvas)
        if isinstance(shaped, str):
            return shaped
        cutout, origin = shaped
        if cutout.mask.sum() < MIN_AREA:
            return "nothing left of the mask"
        rows, columns = window(cutout.mask, 0)
        mask = cutout.mask[rows, columns]
        wish = with_position(Wish(cutout.touches, cutout.centre), self.settings)
        spots = places(generator, mask, canvas.region, canvas.taken, wish, CHOICES)
        if not spots:
            return "no room in the region"
        corners = [(row - rows.start, column - columns.start) for row, column in spots]
        best = min((fit(canvas, cutout, corner) for corner in corners), key=lambda f: f.seam)
        if not self._join(canvas, best, plane):
            return "change not visible"
        donor = self.samples.dataset.ids[entry.sample]
        name = self.samples.dataset.classes[plane]
        return {"class": name, "donor": donor, "mask": origin}

    def _shaped(
        self, generator: np.random.Generator, cutout: Cutout, plane: int, canvas: Canvas
    ) -> tuple[Cutout, str] | str:
        """Return the cutout under the mask wanted: its own, or one of another source that fits.

        If there is none, the reason.
        """
        if self.settings.mask_source == "bank":
            return cutout, "bank"
        name = self.samples.dataset.classes[plane]
        frame = canvas.image.shape[:2]
        # Drawn shapes have no class of their own: any of them may carry any defect's look.
        kinds = self.shapes.classes
        kind = kinds.index(name) if name in kinds else int(generator.integers(len(kinds)))
        shape = self.shapes.draw(generator, kind, (frame[0], frame[1]))
        if isinstance(shape, str):
            return shape
        if not fits(cutout, shape.mask):
            return "no defect of about the mask's shape"
        reshaped = reshape(cutout, shape.mask, margin_for(self.settings))
        centre = shape.wish.centre or cutout.centre
        return replace(reshaped, touches=shape.wish.touches, centre=centre), shape.origin

    def _join(self, canvas: Canvas, fitted: "Fitted", plane: int) -> bool:
        """Blend the fitted patch into the canvas; False if nothing could be seen of it."""
        blend = poisson if self.settings.blend == "poisson" else feather
        width = self.settings.feather
        painted = blend(canvas.image[fitted.view], fitted.patch, fitted.mask, width)
        hole = hole_of(fitted.mask, width)
        return canvas.paint(plane, fitted.view, painted, fitted.mask, hole)


@dataclass(frozen=True)
class Fitted:
    """A patch toned for one place: its view of the canvas, and how far its surface differs there.

    seam: mean absolute difference of the two surfaces around the defect, in grey levels.
    """

    view: View
    patch: Image
    mask: Masks
    seam: float


def fit(canvas: Canvas, cutout: Cutout, corner: tuple[int, int]) -> Fitted:
    """Tone a cutout for the place where its window's top left is ``corner`` (row, column)."""
    view, own = canvas.overlap(cutout.mask.shape, corner)
    target, mask, clean = canvas.image[view], cutout.mask[own], cutout.clean[own]
    patch = as_channels(cutout.image[own], target.ndim)
    free = canvas.clean(view)
    patch = match_tone(patch, clean, target, free)
    both = clean & free
    if not both.any():
        return Fitted(view, patch, mask, 255.0)
    return Fitted(
        view, patch, mask, float(np.abs(patch[both] - target[both].astype(np.float32)).mean())
    )


def _plane_of(name: str, names: tuple[str, ...], bank: Bank) -> int:
    if name not in names or names.index(name) not in bank:
        have = ", ".join(names[plane] for plane in sorted(bank))
        raise InputError(f"no real defect of the class {name!r}", mend=f"one of {have}")
    return names.index(name)
