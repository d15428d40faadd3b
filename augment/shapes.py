"""Where masks come from: real ones (bank), drawn ones (procedural), the user's own (folder).

A fourth source samples a trained generator (gan); it lies in ``gen``, and callers pass it in.

Each source gives tight masks by class for a frame of (H, W); whoever paints decides on the look.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from flawsmith.augment.bank import MIN_AREA, Bank, cut_out, draw_entry, make_bank, margin_for, vary
from flawsmith.augment.noise import perlin
from flawsmith.augment.region import Wish
from flawsmith.augment.settings import AugmentSettings
from flawsmith.data.cache import SampleCache
from flawsmith.data.images import read_index
from flawsmith.data.reading import Reading
from flawsmith.data.scan import Scan
from flawsmith.data.visibility import window
from flawsmith.errors import InputError
from flawsmith.sample import Masks


@dataclass(frozen=True)
class Shape:
    """A tight (h, w) mask, where it came from, and where it would like to lie."""

    mask: Masks
    origin: str
    wish: Wish = field(default_factory=Wish)


class ShapeSource(Protocol):
    """Draws masks; picklable. ``classes`` names the planes it can draw."""

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def planes(self) -> tuple[int, ...]: ...
    def draw(
        self, generator: np.random.Generator, plane: int, frame: tuple[int, int]
    ) -> Shape | str:
        """Return a mask of the class, or why this draw gave none: then another one is due."""
        ...


class RunShapes(ShapeSource, Protocol):
    """Masks that a trained run draws; ``digest`` identifies its weights."""

    @property
    def digest(self) -> str: ...


def tight(mask: Masks) -> Masks:
    """Return the mask cut to its box; it must not be empty."""
    return mask[window(mask, 0)]


@dataclass(frozen=True)
class BankShapes:
    """Real masks of a data set, flipped, turned, scaled and wobbled; now and then two joined."""

    samples: SampleCache
    bank: Bank
    settings: AugmentSettings

    @property
    def classes(self) -> tuple[str, ...]:
        return self.samples.dataset.classes

    @property
    def planes(self) -> tuple[int, ...]:
        return tuple(sorted(self.bank))

    def draw(self, generator: np.random.Generator, plane: int, frame: tuple[int, int]) -> Shape:
        entry = draw_entry(generator, self.bank, plane)
        whole = cut_out(self.samples, entry, margin_for(self.settings))
        cutout = vary(generator, whole, self.settings)
        origin = self.samples.dataset.ids[entry.sample]
        # Shrinking can miss nearly every pixel of a thin mask; then it stays as it was.
        mask = tight(cutout.mask if cutout.mask.sum() >= MIN_AREA else whole.mask)
        if generator.random() < JOIN_SHARE and not cutout.touches:
            other = draw_entry(generator, self.bank, plane)
            whole = cut_out(self.samples, other, margin_for(self.settings))
            second = vary(generator, whole, self.settings).mask
            if second.any():
                mask = _join(generator, mask, tight(second))
                origin += "+" + self.samples.dataset.ids[other.sample]
        return Shape(mask, origin, Wish(cutout.touches, cutout.centre))


JOIN_SHARE = 0.25


def _join(generator: np.random.Generator, first: Masks, second: Masks) -> Masks:
    """Put two masks of a class side by side, overlapping by up to half of the smaller."""
    reach = np.minimum(first.shape, second.shape)
    shift = [int(generator.integers(n // 2, n + 1)) for n in first.shape]
    shift[int(generator.integers(2))] = int(generator.integers(0, reach.min()))
    joined = np.zeros(np.maximum(first.shape, np.add(shift, second.shape)), bool)
    joined[: first.shape[0], : first.shape[1]] = first
    joined[shift[0] : shift[0] + second.shape[0], shift[1] : shift[1] + second.shape[1]] |= second
    return tight(joined)


KINDS = ("blob", "pits", "scratch")


@dataclass(frozen=True)
class ProceduralShapes:
    """Drawn masks for users without any: Perlin-shaped blobs, clouds of pits, scratches.

    Sizes follow the frame's shorter side.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        return KINDS

    @property
    def planes(self) -> tuple[int, ...]:
        return tuple(range(len(KINDS)))

    def draw(self, generator: np.random.Generator, plane: int, frame: tuple[int, int]) -> Shape:
        side = min(frame)
        draw = (_blob, _pits, _scratch)[plane]
        return Shape(tight(draw(generator, side)), f"procedural {KINDS[plane]}")


def _blob(generator: np.random.Generator, side: int) -> Masks:
    """A disc whose edge follows gradient noise: the largest piece of noise minus distance."""
    size = max(8, int(side * generator.uniform(0.06, 0.25)))
    rows, columns = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    stretch = generator.uniform(1, 2)
    field = 0.6 * perlin(generator, (size, size), size / 2.5) - np.hypot(rows * stretch, columns)
    mask = field > -0.6
    if not mask.any():
        mask = np.hypot(rows, columns) < 0.6
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8))
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])) if count > 1 else 0
    return np.asarray(labels == largest)


def _pits(generator: np.random.Generator, side: int) -> Masks:
    size = max(12, int(side * generator.uniform(0.1, 0.3)))
    canvas = np.zeros((size, size), np.uint8)
    for _ in range(int(generator.integers(3, 15))):
        centre = np.clip(generator.normal(size / 2, size / 5, 2), 2, size - 3)
        axes = np.maximum(1, generator.uniform(0.01, 0.035, 2) * size * 2).astype(int)
        turn = float(generator.uniform(0, 180))
        point, radii = tuple(map(int, centre)), tuple(map(int, axes))
        cv2.ellipse(canvas, point, radii, turn, 0, 360, 1, -1)
    return canvas.view(np.bool_)


def _scratch(generator: np.random.Generator, side: int) -> Masks:
    """A thin curve: a straight run whose direction drifts."""
    length = side * generator.uniform(0.15, 0.6)
    steps = 24
    turn = generator.uniform(0, 2 * np.pi) + np.cumsum(generator.normal(0, 0.06, steps))
    points = np.cumsum(np.stack([np.cos(turn), np.sin(turn)], 1) * length / steps, axis=0)
    thickness = int(max(1, round(side * generator.uniform(0.003, 0.015))))
    points = np.rint(points - points.min(axis=0) + thickness).astype(np.int32)
    size = points.max(axis=0) + thickness + 1
    canvas = np.zeros((size[1], size[0]), np.uint8)
    cv2.polylines(canvas, [points[:, None]], False, 1, thickness)
    return canvas.view(np.bool_)


@dataclass(frozen=True)
class FolderShapes:
    """The user's masks: one sub-folder a class, non-zero where the defect is."""

    files: tuple[tuple[str, tuple[Path, ...]], ...]

    @staticmethod
    def of(folder: Path) -> "FolderShapes":
        """Read the names; raises InputError when there is no ``<class>/<mask>.png``."""
        if not folder.is_dir():
            raise InputError("no such folder", where=folder)
        by_class: dict[str, list[Path]] = {}
        for path in Reading(folder).images():
            if path.parent != folder:
                by_class.setdefault(path.relative_to(folder).parts[0], []).append(path)
        if not by_class:
            raise InputError("holds no masks", where=folder, mend="put them in <class>/<name>.png")
        return FolderShapes(tuple((name, tuple(by_class[name])) for name in sorted(by_class)))

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.files)

    @property
    def planes(self) -> tuple[int, ...]:
        return tuple(range(len(self.files)))

    def draw(self, generator: np.random.Generator, plane: int, frame: tuple[int, int]) -> Shape:
        paths = self.files[plane][1]
        path = paths[generator.integers(len(paths))]
        mask = read_index(path) > 0
        if not mask.any():
            raise InputError("the mask is empty", where=path, mend="draw it, or remove the file")
        if mask.shape == frame:
            rows, columns = window(mask, 0)
            centre = ((columns.start + columns.stop) / 2, (rows.start + rows.stop) / 2)
            relative = (centre[0] / frame[1], centre[1] / frame[0])
            return Shape(tight(mask), f"folder {path.name}", Wish(centre=relative))
        return Shape(tight(mask), f"folder {path.name}")


def shape_source(
    settings: AugmentSettings, scan: Scan, samples: SampleCache, drawn: RunShapes | None = None
) -> ShapeSource:
    """Return the source that the settings name; drawn: that of the run, where they name one."""
    if settings.mask_source == "gan":
        if drawn is None:
            raise InputError("masks of a trained run are of no use here", mend="masks: bank")
        return drawn
    if settings.mask_source == "procedural":
        return ProceduralShapes()
    if settings.mask_source == "folder":
        assert settings.mask_folder is not None
        return FolderShapes.of(settings.mask_folder)
    planes = tuple(range(len(scan.dataset.classes)))
    return BankShapes(samples, make_bank(scan, planes), settings)


def wanted_planes(settings: AugmentSettings, source: ShapeSource) -> tuple[int, ...]:
    """Return the planes to draw; raises InputError for a class that the source does not have."""
    if settings.classes is None:
        return source.planes
    have = {source.classes[plane]: plane for plane in source.planes}
    for name in settings.classes:
        if name not in have:
            raise InputError(
                f"no mask of the class {name!r}", mend=f"one of {', '.join(have) or '(none)'}"
            )
    return tuple(have[name] for name in settings.classes)


def with_position(wish: Wish, settings: AugmentSettings) -> Wish:
    """Return the wish with its centre only where positions are empirical."""
    return wish if settings.position == "empirical" else replace(wish, centre=None)
