"""One picture of what a run can do: a class a block, and in each row one thing alone changes."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from flawsmith.augment.shapes import Shape, ShapeSource
from flawsmith.data.manifest import class_colours
from flawsmith.data.surfaces import showing
from flawsmith.data.thumbnails import outlined
from flawsmith.inpaint.painter import Painter
from flawsmith.inpaint.recipe import Inpaint
from flawsmith.sample import Image, Masks
from flawsmith.seeding import rng

COLUMNS = 8
# A view shows so many times the crop's side, so that the defect's surroundings are seen.
VIEW = 2
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
TILE = 112
HEAD = 18
GAP = 2
PAPER = 245
INK = (40, 40, 40)
# A mask may take so much of a tile, so that its surroundings show.
SHARE = 0.7
TRIES = 50


def draw_sheet(recipe: Inpaint) -> Image:
    """Return the sheet of a prepared painting job, on views drawn from its seed."""
    painter = recipe.run.painter()
    sheet = Sheet(painter, recipe.shapes, recipe.kinds, recipe.settings.seed)
    return sheet.draw({plane: _view(recipe, plane) for plane in recipe.kinds})


def _view(recipe: Inpaint, plane: int) -> Image:
    """Return a square of clean surface; of several drawn, the one that shows the most of the part.

    All classes' views have one size only if the images have.
    """
    generator = rng(recipe.settings.seed, "sheet view", plane)
    names = recipe.samples.dataset.classes
    name = recipe.run.painter().classes[plane]
    fitting = showing(recipe.backgrounds, {names.index(name)} if name in names else ())
    surface = fitting[generator.integers(len(fitting))]
    whole = surface.of(recipe.samples[surface.sample])
    shown = recipe.regions.of(surface, recipe.samples[surface.sample].image)
    side = min(VIEW * recipe.run.painter().settings.size, *shown.shape)
    best, most = (slice(0, side), slice(0, side)), -1
    for _ in range(TRIES):
        y, x = (int(generator.integers(0, n - side + 1)) for n in shown.shape)
        view = slice(y, y + side), slice(x, x + side)
        if shown[view].sum() > most:
            best, most = view, int(shown[view].sum())
    return np.ascontiguousarray(whole.image[best])


@dataclass(frozen=True)
class Sheet:
    """Draws the rows of each class, from a seed.

    shapes: where masks are from; kinds: a class, the planes of ``shapes`` that its masks are of.
    """

    painter: Painter
    shapes: ShapeSource
    kinds: Mapping[int, tuple[int, ...]]
    seed: int

    def draw(self, views: dict[int, Image]) -> Image:
        """Return the sheet, uint8 (H, W, 3): for each plane of ``views`` its three rows.

        views: uint8 (T, T) or (T, T, 3), clean surface.
        """
        rows = [row for plane, view in views.items() for row in self._block(plane, view)]
        return np.concatenate(rows)

    def _block(self, plane: int, view: Image) -> list[Image]:
        name = self.painter.classes[plane]
        first = self._mask(plane, view, 0)
        noises = [self._painted(view, first, i) for i in range(1, COLUMNS)]
        masks = [self._mask(plane, view, i) for i in range(COLUMNS - 1)]
        moved = [self._painted(view, mask, 1) for mask in masks]
        strengths = [self._painted(view, first, 1, strength) for strength in STRENGTHS]
        told = " ".join(f"{strength:g}" for strength in STRENGTHS)
        return [
            _row(f"{name}: its mask, then other noise", [self._marked(view, first), *noises]),
            _row(f"{name}: clean, then other masks", [view, *moved]),
            _row(
                f"{name}: its mask, then strength {told}", [self._marked(view, first), *strengths]
            ),
        ]

    def _marked(self, view: Image, masks: Masks) -> Image:
        return outlined(view, masks, class_colours(len(masks)), thickness=1)

    def _painted(self, view: Image, masks: Masks, look: int, strength: float = 1.0) -> Image:
        return self.painter.paint(view, masks, rng(self.seed, "sheet look", look), strength)

    def _mask(self, plane: int, view: Image, index: int) -> Masks:
        """Return (K, T, T): a mask of the class; the first lies in the middle, others anywhere."""
        generator = rng(self.seed, "sheet mask", plane, index)
        side = view.shape[0]
        shape = self._fitting(generator, self.kinds[plane][0], side)
        room = [side - n for n in shape.mask.shape]
        corner = [r // 2 if index == 0 else int(generator.integers(0, r + 1)) for r in room]
        masks = np.zeros((len(self.painter.classes), side, side), bool)
        rows, columns = (slice(c, c + n) for c, n in zip(corner, shape.mask.shape, strict=True))
        masks[plane, rows, columns] = shape.mask
        return masks

    def _fitting(self, generator: np.random.Generator, kind: int, side: int) -> Shape:
        """Return a shape that leaves surroundings; the smallest of many if none does."""
        drawn = []
        for _ in range(TRIES):
            shape = self.shapes.draw(generator, kind, (side, side))
            assert isinstance(shape, Shape)  # a bank always has one
            if max(shape.mask.shape) <= SHARE * side:
                return shape
            drawn.append(shape)
        least = min(drawn, key=lambda shape: max(shape.mask.shape))
        return Shape(least.mask[:side, :side], least.origin, least.wish)


def _row(title: str, tiles: list[Image]) -> Image:
    shown = [cv2.resize(_coloured(t), (TILE, TILE), interpolation=cv2.INTER_CUBIC) for t in tiles]
    padded = [np.pad(t, ((0, GAP), (0, GAP), (0, 0)), constant_values=PAPER) for t in shown]
    body = np.concatenate(padded, axis=1)
    head = np.full((HEAD, body.shape[1], 3), PAPER, np.uint8)
    cv2.putText(head, title, (3, HEAD - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)
    return np.concatenate([head, body])


def _coloured(view: Image) -> Image:
    picture = view.copy() if view.ndim == 3 else np.repeat(view[..., None], 3, axis=2)
    return np.ascontiguousarray(picture)
