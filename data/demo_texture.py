"""Noise fields and marks that the demo pictures are made of, and what of a mark can be seen.

Fields are float32, of zero mean and about unit spread, so that a caller's factor is an amplitude.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.sample import Masks

Field = NDArray[np.float32]
Shape = tuple[int, int]


class Span(NamedTuple):
    """A closed range that a random setting is drawn from."""

    low: float
    high: float

    def draw(self, generator: np.random.Generator) -> float:
        """A uniform draw from the range."""
        return float(generator.uniform(self.low, self.high))


# A change counts as seen when it exceeds this many local standard deviations plus this many grey
# levels; below, neither a person nor a labelled training set should call it a defect.
SEEN_DEVIATIONS = 0.9
SEEN_LEVELS = 4.0
NOISE_SIGMA = 8.0  # px, the neighbourhood over which the local noise is taken
SEEN_SIGMA = 0.7  # px, the eye's blur: a lone noisy pixel is not a mark


def blobs(generator: np.random.Generator, shape: Shape, cell: tuple[float, float]) -> Field:
    """(H, W) smooth noise with features of about ``cell`` (height, width) pixels."""
    height, width = shape
    # Two spare cells, so that a random crop moves the lattice and no feature sits on the border.
    rows, columns = (int(np.ceil(n / c)) + 3 for n, c in zip(shape, cell, strict=True))
    lattice = generator.standard_normal((rows, columns), dtype=np.float32)
    to_lattice = np.array(
        [
            [1 / cell[1], 0, 1 + generator.random() * 0.999],
            [0, 1 / cell[0], 1 + generator.random() * 0.999],
        ]
    )
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    field = cv2.warpAffine(
        lattice, to_lattice, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(field / 0.8, dtype=np.float32)  # 0.8: what cubic interpolation leaves


def fractal(
    generator: np.random.Generator, shape: Shape, cell: tuple[float, float], octaves: int = 4
) -> Field:
    """(H, W) sum of ``octaves`` blob fields, each of half the size and half the amplitude."""
    total = np.zeros(shape, dtype=np.float32)
    for octave in range(octaves):
        size = (max(1.0, cell[0] / 2**octave), max(1.0, cell[1] / 2**octave))
        total += blobs(generator, shape, size) / 2**octave
    return total / np.float32(np.sqrt((1 - 0.25**octaves) / 0.75))


def grain(generator: np.random.Generator, shape: Shape, sigma: tuple[float, float]) -> Field:
    """(H, W) white noise blurred by ``sigma`` (down, across) pixels, scaled to spread 1."""
    white = generator.standard_normal(shape, dtype=np.float32)
    soft = np.asarray(blur(white, sigma), dtype=np.float32)
    return soft / np.float32(max(float(soft.std()), 1e-6))


def blur(field: Field, sigma: tuple[float, float]) -> Field:
    """Gaussian blur by ``sigma`` (down, across) pixels; the border is reflected."""
    down, across = (max(s, 1e-3) for s in sigma)
    out = cv2.GaussianBlur(field, (0, 0), sigmaX=across, sigmaY=down, borderType=cv2.BORDER_REFLECT)
    return np.asarray(out, dtype=np.float32)


def ribbon(shape: Shape, top: int, centre: Field, width: Field, strength: Field) -> Field:
    """(H, W) a line that runs down the rows from ``top``, one entry of each profile a row.

    centre: column, px. width: half width at 0.6 of the peak, px. strength: amplitude.
    """
    out = np.zeros(shape, dtype=np.float32)
    first, last = max(top, 0), min(top + len(centre), shape[0])
    if last <= first:
        return out
    rows = slice(first - top, last - top)
    middle, half, peak = (p[rows, None] for p in (centre, width, strength))
    reach = 4 * float(half.max())
    left = int(np.clip(np.floor(middle.min() - reach), 0, shape[1]))
    right = int(np.clip(np.ceil(middle.max() + reach) + 1, 0, shape[1]))
    columns = np.arange(left, right, dtype=np.float32)[None, :]
    out[first:last, left:right] = peak * np.exp(-0.5 * np.abs((columns - middle) / half) ** 2.6)
    return out


def profile(generator: np.random.Generator, length: int, cell: float) -> Field:
    """(length,) smooth noise along a line with features of about ``cell`` pixels."""
    return blobs(generator, (length, 1), (cell, 1.0))[:, 0]


def relief(height: Field, slope: float) -> Field:
    """(H, W) shading of a height map lit from the upper left, squashed into -1 to 1."""
    down = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3)
    across = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3)
    return np.asarray(np.tanh(slope * (0.8 * down + 0.6 * across)), dtype=np.float32)


def visible_change(before: Field, after: Field) -> Masks:
    """(H, W) bool: where ``after`` differs from ``before`` by more than its local noise."""
    fine = before - blur(before, (NOISE_SIGMA / 4,) * 2)
    noise = np.sqrt(blur(fine * fine, (NOISE_SIGMA,) * 2))
    change = np.abs(blur(after - before, (SEEN_SIGMA,) * 2))
    return np.asarray(change > SEEN_DEVIATIONS * noise + SEEN_LEVELS)


def tidy(mask: Masks, join: int, least: int) -> Masks:
    """(H, W) bool: gaps up to ``2 * join`` px closed, pieces under ``least`` pixels dropped."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * join + 1, 2 * join + 1))
    # The border is padded so that closing treats it as open ground, not as defect.
    padded = np.pad(mask, join).astype(np.uint8)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc)
    closed = closed[join : join + mask.shape[0], join : join + mask.shape[1]]
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(closed), connectivity=8
    )
    keep = np.zeros(count, dtype=bool)
    keep[1:] = stats[1:, cv2.CC_STAT_AREA] >= least
    return np.asarray(keep[labels])
