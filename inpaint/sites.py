"""Sites: the places of a picture that are painted at once, each one connected hole."""

from dataclasses import dataclass

import cv2
import numpy as np

from flawsmith.inpaint.hole import hole_of
from flawsmith.inpaint.windows import Box
from flawsmith.sample import Masks


@dataclass(frozen=True)
class Site:
    """A connected hole: its box (x, y, width, height) and its pixels in there, (height, width)."""

    box: Box
    hole: Masks

    @property
    def view(self) -> tuple[slice, slice]:
        """Where the box lies in its picture."""
        x, y, w, h = self.box
        return slice(y, y + h), slice(x, x + w)


def sites_of(union: Masks, grow: int) -> list[Site]:
    """Return each connected hole around the marked pixels of (H, W), the largest first.

    Marks whose holes touch share one.
    """
    hole = np.ascontiguousarray(hole_of(union, grow))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(hole.view(np.uint8), connectivity=8)
    sites = []
    for label in 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable"):
        x, y, w, h = (int(n) for n in stats[label, :4])
        sites.append(Site((x, y, w, h), labels[y : y + h, x : x + w] == label))
    return sites
