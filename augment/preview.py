"""A grid of candidates for a person to look at: each beside itself with its masks outlined."""

from pathlib import Path

import cv2
import numpy as np

from flawsmith.data.division import Shard
from flawsmith.data.formats import READERS, read_dataset
from flawsmith.data.images import write_png
from flawsmith.data.manifest import class_colours
from flawsmith.data.thumbnails import WIDE, Colour, outline_thickness, outlined, thumbnail
from flawsmith.data.writing import make_folder
from flawsmith.errors import InputError
from flawsmith.sample import Image, Sample

# Width and height of one picture in pixels, by layout: pairs side by side, or one above the other.
BESIDE = (320, 240)
ABOVE = (640, 170)
COLUMNS = 3
MOST = 18
GAP = 4
PAPER = 245


def check_preview(picture: Path, to: str, shard: Shard | None = None) -> None:
    """Raise before a long job what would make its preview fail."""
    if shard is not None:
        raise InputError("no preview of a shard", mend="flawsmith merge has --preview")
    if picture.suffix.lower() != ".png":
        raise InputError("a preview is a PNG", where=picture, mend="give a name that ends in .png")
    if to not in READERS:
        raise InputError(f"no preview of {to}, which is not read again", mend="leave out --preview")
    make_folder(picture.parent)


def write_preview(dataset: Path, picture: Path) -> None:
    """Draw the first samples of a data set that flawsmith wrote into one PNG.

    Each pair shows the crop around the defects, plain and outlined in the colours of the classes.
    """
    found = read_dataset(dataset)
    colours = class_colours(len(found.classes))
    samples = [found[i] for i in range(min(MOST, len(found)))]
    # Strips: side by side, a pair would be mostly paper.
    wide = np.median([sample.size[0] / sample.size[1] for sample in samples]) > 2 * WIDE
    pairs = [_pair(sample, colours, stacked=bool(wide)) for sample in samples]
    while len(pairs) % COLUMNS:
        pairs.append(np.full_like(pairs[0], PAPER))
    rows = [np.concatenate(pairs[i : i + COLUMNS], 1) for i in range(0, len(pairs), COLUMNS)]
    write_png(picture, np.concatenate(rows))


def _pair(sample: Sample, colours: list[Colour], *, stacked: bool) -> Image:
    width, height = ABOVE if stacked else BESIDE
    thumb = thumbnail(sample, width=BESIDE[0], zoom_to_defect=True)
    lines = outlined(thumb.image, thumb.masks, colours, thickness=outline_thickness(BESIDE[0]))
    cells = [_cell(image, width, height) for image in (thumb.image, lines)]
    pair = np.concatenate(cells, 0 if stacked else 1)
    return np.pad(pair, ((0, GAP), (0, GAP), (0, 0)), constant_values=PAPER)


def _cell(image: Image, width: int, height: int) -> Image:
    """Put the picture in the middle of a width x height cell with a gap around."""
    fitted = _fit(image, width, height)
    canvas = np.full((height + GAP, width + GAP, 3), PAPER, np.uint8)
    top, left = (height - fitted.shape[0]) // 2, (width - fitted.shape[1]) // 2
    canvas[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
    return canvas


def _fit(image: Image, width: int, height: int) -> Image:
    """Scale to fit within width x height, as RGB."""
    factor = min(width / image.shape[1], height / image.shape[0])
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    scaled = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    if scaled.ndim == 3:
        return scaled
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_GRAY2RGB), np.uint8)
