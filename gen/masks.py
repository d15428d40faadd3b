"""Mask source ``gan``: shapes of defects from a generator that was trained ``--with-masks``.

Its pictures are thrown away; only what its planes mark is used, by whoever paints.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from flawsmith.augment.bank import CLUSTER_GAP, MIN_AREA
from flawsmith.augment.region import Wish
from flawsmith.augment.shapes import Shape, tight
from flawsmith.data.clusters import clusters
from flawsmith.data.scan import components
from flawsmith.data.writing import resolved
from flawsmith.errors import InputError
from flawsmith.gen.candidates import TrainedRun, sampler_of
from flawsmith.gen.sampler import load_sampler
from flawsmith.sample import Masks

# Samples are numbered below this; so many that hardly any is drawn twice.
INDICES = 1 << 31
# A scaled pixel is marked if so much of it is covered; of a shrunken one less, for thin lines.
HALF, QUARTER = 0.5, 0.25
EMPTY = "the masks' generator marked nothing of the class"
CUT = "the masks' generator marked only what its picture's edge cuts"


@dataclass(frozen=True)
class GanShapes:
    """Masks of a run, one defect of a sample at a time; picklable, a worker loads the run itself.

    Which sample is drawn comes from the caller's generator, what it shows from (seed, index) and
    the weights alone: networks run on the CPU, whatever device there is. windows: the run learned
    windows of full size; else whole pictures, scaled, so that its masks are scaled back.
    """

    run: TrainedRun
    classes: tuple[str, ...]
    seed: int
    windows: bool

    @property
    def digest(self) -> str:
        """The SHA-256 of the run's weights."""
        return self.run.digest

    @property
    def planes(self) -> tuple[int, ...]:
        return tuple(range(len(self.classes)))

    def draw(
        self, generator: np.random.Generator, plane: int, frame: tuple[int, int]
    ) -> Shape | str:
        index = int(generator.integers(INDICES))
        (sample,) = sampler_of(self.run).sample(1, self.seed, start=index)
        found = one_defect(generator, sample.masks[plane], frame, windows=self.windows)
        if isinstance(found, str):
            return found
        mask, wish = found
        return Shape(mask, f"gan {self.digest} seed {self.seed} index {index}", wish)


def open_masks(run: Path, seed: int) -> GanShapes:
    """Return a run's masks; raises InputError if the folder holds no run of ``gen`` with masks."""
    sampler = load_sampler(run, "cpu")
    if not sampler.classes:
        raise InputError(
            "this run makes pictures without masks",
            where=run,
            mend="flawsmith gen train SRC RUN --with-masks, in a new folder",
        )
    trained = TrainedRun(resolved(run), sampler.digest, "cpu")
    return GanShapes(trained, sampler.classes, seed, sampler.settings.crop is not None)


def one_defect(
    generator: np.random.Generator, plane: Masks, frame: tuple[int, int], *, windows: bool
) -> tuple[Masks, Wish] | str:
    """Return the tight mask of one of the defects that a plane marks, and where it would lie.

    plane: (h, w) bool; frame: (H, W) of the picture to paint on. Whole pictures were scaled to
    cover (h, w), then cut in the middle (``sizes.fitted``): that is undone. What a cut goes through
    is no defect's shape, and a plane may mark nothing at all: then the reason is returned.
    """
    factor = 1.0 if windows else min(frame[0] / plane.shape[0], frame[1] / plane.shape[1])
    mask = scaled(plane, factor)
    parts = [(c.x, c.y, c.width, c.height) for c in components(mask[None]) if c.area >= MIN_AREA]
    if not parts:
        return EMPTY
    # Where the picture ends with the frame, but for a pixel that rounding took, nothing is cut.
    short = np.subtract(frame, mask.shape)
    whole = (not windows) & (short <= factor)
    usable = [(box, _touched(box, mask.shape)) for box, _ in clusters(parts, CLUSTER_GAP)]
    usable = [(box, sides) for box, sides in usable if _is_whole(sides, whole)]
    if not usable:
        return CUT
    (x, y, width, height), sides = usable[generator.integers(len(usable))]
    middle = (x + width / 2 + short[1] / 2, y + height / 2 + short[0] / 2)
    centre = None if windows else (float(middle[0] / frame[1]), float(middle[1] / frame[0]))
    return tight(mask[y : y + height, x : x + width]), Wish(frozenset(sides), centre)


def scaled(mask: Masks, factor: float) -> Masks:
    """Return the (h, w) mask scaled by a factor, at least a pixel large."""
    if factor == 1:
        return mask
    height, width = (max(1, round(side * factor)) for side in mask.shape)
    how = cv2.INTER_LINEAR if factor > 1 else cv2.INTER_AREA
    covered = cv2.resize(mask.astype(np.float32), (width, height), interpolation=how)
    return np.asarray(covered >= (HALF if factor > 1 else QUARTER))


def _touched(box: tuple[int, int, int, int], shape: tuple[int, ...]) -> set[str]:
    x, y, width, height = box
    sides = {"left": x == 0, "top": y == 0}
    sides |= {"right": x + width == shape[1], "bottom": y + height == shape[0]}
    return {side for side, touched in sides.items() if touched}


def _is_whole(sides: set[str], whole: np.ndarray) -> bool:
    """Tell whether a defect at these sides is cut by none; whole: down, across."""
    down, across = whole
    return bool(
        (down or not sides & {"top", "bottom"}) and (across or not sides & {"left", "right"})
    )
