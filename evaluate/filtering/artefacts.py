"""Artefacts of whole pictures: is their detail, tone and tint within what real pictures have?

A picture that is a little blurred, grainy, pale or tinted stays near real ones for a network that
was made to see past that. So plain numbers are asked, too: how much detail of each fineness, which
tone, which tint.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from flawsmith.data.visibility import to_grey
from flawsmith.evaluate.neighbours import Rows
from flawsmith.sample import Image

# Deviations of the smoothing, in pixels, between which detail is measured.
SCALES = (1.0, 2.0, 4.0)
# Added to each deviation before its logarithm, in grey levels: a flat picture has none.
FLOOR = 0.1
# What a trait may differ by at least without being unusual: a logarithm; grey levels.
LEAST = np.array([0.02] * 5 + [0.5] * 3)
TRAITS = len(LEAST)
# Of a normal distribution, the deviation in median absolute deviations.
NORMAL = 1.4826


def traits(image: Image) -> Rows:
    """Return (TRAITS,) float64: logarithms of detail, fine to coarse, of contrast and of the tint's
    change over the picture; the mean grey and the mean tint, red and blue above green.

    image: uint8 (h, w) or (h, w, 3), RGB. Detail is the deviation of what smoothing at one scale
    keeps and at the next one takes away.
    """
    grey = to_grey(image).astype(np.float32)
    smooth = [grey, *(np.asarray(cv2.GaussianBlur(grey, (0, 0), scale)) for scale in SCALES)]
    deviations = [float((fine - coarse).std()) for fine, coarse in pairwise(smooth)]
    tint = np.zeros((1, 1, 2), np.float32)
    if image.ndim == 3:
        small = cv2.GaussianBlur(image, (0, 0), SCALES[-1]).astype(np.float32)
        tint = small[..., ::2] - small[..., 1:2]
    logs = np.log(np.array([*deviations, float(grey.std()), float(tint.std())]) + FLOOR)
    return np.concatenate([logs, [float(grey.mean())], tint.mean(axis=(0, 1))])


@dataclass(frozen=True)
class Usual:
    """What is usual among some pictures: the (TRAITS,) median of their traits, and the spread."""

    centre: Rows
    spread: Rows

    @staticmethod
    def of(known: Rows) -> "Usual":
        """Return it for (N, TRAITS) traits; the spread is robust: odd ones widen nothing."""
        centre = np.median(known, axis=0)
        spread = NORMAL * np.median(np.abs(known - centre), axis=0)
        return Usual(centre, np.maximum(spread, LEAST))

    def oddness(self, asked: Rows) -> Rows:
        """Return (M,) of (M, TRAITS) traits: the most unusual one's distance, in spreads."""
        found: Rows = (np.abs(asked - self.centre) / self.spread).max(axis=1)
        return found


def own_oddness(known: Rows, halves: Sequence[Sequence[int]]) -> Rows:
    """Return (N,): the oddness of real pictures that are not among those that say what is usual.

    halves: the places of each half; pictures of one part are in one of them.
    """
    found = np.zeros(len(known))
    for half, other in (halves, halves[::-1]):
        found[list(half)] = Usual.of(known[list(other)]).oddness(known[list(half)])
    return found
