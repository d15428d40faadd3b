"""How seams of assembled plates compare with the same lines of real ones: figures and a verdict."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from flawsmith.data.dataset import DataSet
from flawsmith.data.parallel import ordered_map
from flawsmith.gen.seams import seam_score
from flawsmith.progress import track

QUANTILES = (5, 50, 95)
# Fewer real plates do not say where their 95% quantile lies.
MIN_REAL = 20
# Of real plates 5% lie beyond either quantile by definition; more than this share of the
# assembled ones is no chance, not even with the quantiles of MIN_REAL plates.
BEYOND = 0.2
LIKE_REAL, STANDS_OUT, TOO_SMOOTH = "like real plates", "stands out", "smoother than real plates"
NOT_JUDGED = "not judged"
Scores = Sequence[float | None]  # one a plate; None where a seam could not be measured


@dataclass(frozen=True)
class Spread:
    """Scores of one seam over ``plates`` plates: median, and 5% and 95% quantiles."""

    plates: int
    low: float
    median: float
    high: float

    @staticmethod
    def of(scores: Iterable[float]) -> "Spread | None":
        values = list(scores)
        if not values:
            return None
        low, median, high = (round(float(q), 4) for q in np.percentile(values, QUANTILES))
        return Spread(len(values), low, median, high)


@dataclass(frozen=True)
class SeamFigures:
    """One seam: scores of the plates made and of real ones, and what follows.

    above, below: share of the plates made beyond the real ones' 95% and 5% quantiles; None where
    not judged.
    """

    seam: str
    row: int
    made: Spread | None
    real: Spread | None
    above: float | None
    below: float | None
    verdict: str
    why: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(content: dict[str, Any]) -> "SeamFigures":
        made, real = (Spread(**s) if (s := content[k]) else None for k in ("made", "real"))
        return SeamFigures(**{**content, "made": made, "real": real})


def judge_seam(seam: str, row: int, made: Scores, real: Scores | None) -> SeamFigures:
    """Compare the scores of one seam; ``real`` is None when no real plates were given.

    ``stands out``: more than ``BEYOND`` of the plates made lie above the real ones' 95% quantile.
    ``smoother than real plates``: as many lie below their 5% quantile.
    """
    own = [score for score in made if score is not None]
    others = [score for score in real or () if score is not None]
    spread, truth = Spread.of(own), Spread.of(others)
    why = _unjudged(len(own), real is not None, len(others))
    if why or truth is None:
        return SeamFigures(seam, row, spread, truth, None, None, NOT_JUDGED, why)
    above = sum(score > truth.high for score in own) / len(own)
    below = sum(score < truth.low for score in own) / len(own)
    if above > BEYOND:
        verdict, why = STANDS_OUT, f"{above:.0%} lie above the real plates' 95% quantile"
    elif below > BEYOND:
        verdict, why = TOO_SMOOTH, f"{below:.0%} lie below the real plates' 5% quantile"
    else:
        verdict, why = LIKE_REAL, f"{above:.0%} lie above the real plates' 95% quantile"
    return SeamFigures(seam, row, spread, truth, round(above, 4), round(below, 4), verdict, why)


def _unjudged(made: int, given: bool, real: int) -> str:
    """Return why there can be no verdict, or nothing."""
    if not made:
        return "no seam could be measured: defects cover all columns"
    if not given:
        return "no real plates given (--real)"
    if real < MIN_REAL:
        return f"{real} real plates measured, {MIN_REAL} needed"
    return ""


@dataclass(frozen=True)
class _Score:
    plates: DataSet
    rows: tuple[int, ...]

    def __call__(self, index: int) -> list[float | None]:
        plate = self.plates[index]
        return [seam_score(plate.image, row, plate.union) for row in self.rows]


def real_scores(plates: DataSet, rows: tuple[int, ...], workers: int) -> list[list[float | None]]:
    """Return for each row the scores of the real plates, all of them of one size."""
    results = ordered_map(_Score(plates, rows), range(len(plates)), workers)
    scored = list(track(results, "real seams", len(plates)))
    return [[scores[n] for scores in scored] for n in range(len(rows))]
