"""What there is to see of a detector's judgement: all scores by kind, and some of its maps.

The maps that are shown are chosen by their pictures' scores alone, so the same judgement shows the
same: of each kind the picture with the highest score, with the middle one and with the lowest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.data.images import read_image, write_png
from flawsmith.data.manifest import class_colours
from flawsmith.data.thumbnails import outline_thickness, outlined
from flawsmith.data.writing import make_folder
from flawsmith.errors import InputError
from flawsmith.evaluate.detectors.figures import Scores
from flawsmith.evaluate.detectors.frames import Fitted, Form, fitted, fitted_mask
from flawsmith.evaluate.detectors.judgement import threshold
from flawsmith.sample import Image, Masks

if TYPE_CHECKING:
    from flawsmith.evaluate.detectors.base import Scored

CLEAN, DEFECTS = "real clean", "real defects"
MADE_CLEAN, MADE_DEFECTS = "synthetic clean", "synthetic defects"
KINDS = (CLEAN, DEFECTS, MADE_CLEAN, MADE_DEFECTS)
RANKS = ("highest", "middle", "lowest")
# Pixels of a panel's side, and between panels.
PANEL, GAP = 160, 4
FOLDER = "maps"


@dataclass(frozen=True, eq=False)
class Heat:
    """A picture with its map. kind: one of KINDS; rank: its score's among those of its kind.

    strip: (PANEL, W, 3) uint8 RGB: the picture as the detector sees it; the same with its mask
    outlined, if it has one (``masked``); and the map, if the method has maps (``mapped``).
    """

    kind: str
    rank: str
    id: str
    score: float
    masked: bool
    mapped: bool
    strip: Image


@dataclass(frozen=True)
class HeatFile:
    """A ``Heat`` without its strip, as a file has it."""

    kind: Literal["real clean", "real defects", "synthetic clean", "synthetic defects"]
    rank: Literal["highest", "middle", "lowest"]
    id: str
    score: float
    masked: bool
    mapped: bool


@dataclass(frozen=True)
class SeenFile:
    """What ``Seen.to_json`` gives, as a file has it."""

    scores: dict[str, tuple[float, ...]]
    limit: float | None
    heats: tuple[HeatFile, ...]


@dataclass(frozen=True, eq=False)
class Seen:
    """scores: of the first training, by kind. limit: the threshold that 95% of real clean pass;
    None where there are too few of them (``judgement.FEWEST``).
    """

    scores: dict[str, tuple[float, ...]] = field(default_factory=dict)
    limit: float | None = None
    heats: tuple[Heat, ...] = ()

    def to_json(self) -> dict[str, Any]:
        heats = [{k: v for k, v in vars(heat).items() if k != "strip"} for heat in self.heats]
        return {"scores": {k: [*v] for k, v in self.scores.items()}, "limit": self.limit,
                "heats": heats}  # fmt: skip

    def above(self, kind: str) -> float | None:
        """Return the share of this kind's pictures above the threshold; None without either."""
        scores = self.scores.get(kind, ())
        if not scores or self.limit is None:
            return None
        return float(np.mean(np.array(scores) > self.limit))

    def write_maps(self, folder: Path) -> None:
        """Write the strips as numbered PNGs; raises OutputError."""
        make_folder(folder)
        for number, heat in enumerate(self.heats):
            write_png(folder / f"{number:02d}.png", heat.strip)

    @staticmethod
    def read(content: dict[str, Any], folder: Path) -> "Seen":
        """Return what ``to_json`` and ``write_maps`` kept; raises InputError."""
        heats = tuple(
            Heat(**told, strip=_read_strip(folder / f"{number:02d}.png"))
            for number, told in enumerate(content["heats"])
        )
        scores = {kind: tuple(values) for kind, values in content["scores"].items()}
        return Seen(scores, content["limit"], heats)


def _read_strip(path: Path) -> Image:
    """Return a strip that ``write_maps`` wrote; raises InputError for another picture."""
    strip = read_image(path)
    if strip.ndim != 3 or strip.shape[0] != PANEL or strip.shape[1] > 3 * PANEL + 2 * GAP:
        raise InputError("no strip of maps", where=path)
    return strip


@dataclass(frozen=True, eq=False)
class Side:
    """Real or synthetic pictures, and what was said of them, in one order."""

    pictures: Fitted
    told: Scores
    scored: "Scored"

    def of(self, defective: bool) -> list[int]:
        """Return the places of the defective pictures, or of the clean ones."""
        return np.flatnonzero(self.told.anomalous == defective).tolist()


def look(real: Side, made: Side | None) -> Seen:
    """Return what there is to see of one detector; real has clean pictures."""
    kinds = {CLEAN: (real, False), DEFECTS: (real, True)}
    if made is not None:
        kinds |= {MADE_CLEAN: (made, False), MADE_DEFECTS: (made, True)}
    scores, chosen = {}, []
    for kind, (side, defective) in kinds.items():
        places = side.of(defective)
        if places:
            scores[kind] = tuple(side.scored.scores[places].tolist())
            chosen += [(kind, rank, side, i) for rank, i in _chosen(side, places)]
    clean = np.array(scores[CLEAN])
    found = float(threshold(clean, np.ones((1, len(clean))))[0])
    limit = None if np.isnan(found) else found
    maps = [side.scored.maps[i] for _, _, side, i in chosen if side.scored.maps is not None]
    ends = (float(np.min(maps)), float(np.max(maps))) if maps else (0.0, 0.0)
    return Seen(scores, limit, tuple(_heat(*one, ends) for one in chosen))


def _chosen(side: Side, places: Sequence[int]) -> list[tuple[str, int]]:
    """Return (rank, place): highest, middle and lowest score; fewer if there are fewer."""
    falling = sorted(places, key=lambda i: (-side.scored.scores[i], i))
    wanted = (0, len(falling) // 2, len(falling) - 1)
    found: dict[int, str] = {}
    for rank, place in zip(RANKS, wanted, strict=True):
        found.setdefault(falling[place], rank)
    return [(rank, place) for place, rank in found.items()]


def _heat(kind: str, rank: str, side: Side, i: int, ends: tuple[float, float]) -> Heat:
    values = None if side.scored.maps is None else side.scored.maps[i]
    mask = side.pictures.mask(i)
    return Heat(
        kind=kind,
        rank=rank,
        id=side.pictures.samples.dataset.ids[side.pictures.indices[i]],
        score=float(side.scored.scores[i]),
        masked=bool(mask.any()),
        mapped=values is not None,
        strip=_strip(side.pictures[i], mask, values, ends),
    )


def _strip(
    picture: Image, mask: Masks, values: NDArray[np.float32] | None, ends: tuple[float, float]
) -> Image:
    """Return the panels side by side. ends: of all maps that are shown, so that they compare."""
    plain = fitted(picture, Form(PANEL, PANEL, 3))
    panels = [plain]
    if mask.any():
        plane = fitted_mask(mask, Form(PANEL, PANEL, 1))[None]
        panels.append(
            outlined(plain, plane, class_colours(1), thickness=outline_thickness(2 * PANEL))
        )
    if values is not None:
        panels.append(_coloured(values, ends))
    space = np.full((PANEL, GAP, 3), 255, np.uint8)
    joined = [part for panel in panels for part in (space, panel)][1:]
    return np.ascontiguousarray(np.concatenate(joined, axis=1))


def _coloured(values: NDArray[np.float32], ends: tuple[float, float]) -> Image:
    """Return a map as colours that rise in lightness, dark to light, whoever sees them."""
    low, high = ends
    shares = (values - low) / (high - low) if high > low else np.zeros_like(values)
    grey = np.rint(255 * np.clip(shares, 0, 1)).astype(np.uint8)
    grey = np.asarray(cv2.resize(grey, (PANEL, PANEL), interpolation=cv2.INTER_LINEAR), np.uint8)
    found = cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), np.uint8)
