"""Does a map mark the right place? Pixel AUROC, PRO and the share of mass inside the mask.

Maps are counted into fine bins by quantiles, image by image: so no draw of the interval looks at a
pixel again. With 2,000 bins a figure is off by less than a thousandth.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import auc, roc_auc_score  # type: ignore[import-untyped]

from flawsmith.evaluate.detectors.figures import DRAWS, Figure, Scores, interval
from flawsmith.evaluate.paired import codes, weightings
from flawsmith.sample import Masks
from flawsmith.seeding import rng

Values = NDArray[np.float64]
BINS = 2000
# PRO is the area up to this false positive rate (Bergmann et al. 2021, "The MVTec anomaly
# detection dataset", section 5.2).
LIMIT = 0.3
# Values that the bins are made from.
LOOKED_AT = 2_000_000
# Numbers held at a time by the curves of draws.
BLOCK = 4_000_000


def pixel_figures(
    masks: Sequence[Masks],
    maps: NDArray[np.float32],
    groups: Sequence[str],
    seed: int = 0,
    draws: int = DRAWS,
) -> tuple[Figure, ...]:
    """Return pixel AUROC and PRO of N maps (N, H, W) under masks (H, W), with their intervals.

    PRO: of each 8-connected defect the share of its pixels at or above a threshold, the mean over
    defects, against the share of all other pixels there; the area up to a false positive rate of
    0.3, divided by it. Groups are drawn as for the images' figures. No mask marks a pixel, or one
    marks all of them: there is no figure, and nothing is returned.
    """
    numbers = codes(groups)
    tables = _tables(masks, maps, int(numbers.max()) + 1, numbers)
    inside, outside, _, _ = (table.sum(axis=0) for table in tables)
    if not inside.any() or not outside.any():
        return ()
    values = (_pixel_auroc(inside, outside), float(_pro(tables, np.ones((1, len(tables[0]))))[0]))
    block = max(1, BLOCK // BINS) * len(tables[0])
    drawn = weightings(len(tables[0]), seed, draws, block)
    joined = np.concatenate([np.stack([_areas(tables, w), _pro(tables, w)], 1) for w in drawn])
    marked = np.array([bool(mask.any()) for mask in masks])
    told = Scores(np.zeros(len(marked)), marked, tuple(groups))
    names = ("pixel AUROC", "PRO")
    return tuple(
        interval(name, np.array([value]), joined[:, i], told, seed=seed)
        for i, (name, value) in enumerate(zip(names, values, strict=True))
    )


def mass_figure(
    name: str,
    masks: Sequence[Masks],
    maps: NDArray[np.float32],
    groups: Sequence[str],
    seed: int = 0,
    draws: int = DRAWS,
) -> Figure | None:
    """Return the mean of ``mass_inside`` over the maps (N, H, W) of images that show a defect.

    Groups are drawn as for the images' figures. None where no map under a marked mask has a mass.
    """
    shares = [mass_inside(m, v) if m.any() else np.nan for m, v in zip(masks, maps, strict=True)]
    known = np.flatnonzero(~np.isnan(shares))
    if not len(known):
        return None
    values, named = np.array(shares)[known], tuple(groups[i] for i in known.tolist())
    numbers = codes(named)
    sums, counts = np.bincount(numbers, values), np.bincount(numbers)
    drawn = np.concatenate(
        [(w @ sums) / (w @ counts) for w in weightings(len(counts), seed, draws, BLOCK)]
    )
    told = Scores(values, np.ones(len(known), bool), named)
    return interval(name, np.array([values.mean()]), drawn, told, seed=seed)


def mass_inside(mask: Masks, values: NDArray[np.float32]) -> float:
    """Return which share of a map's mass, above its median, lies inside the mask; nan for none.

    The median is taken off, or a map's floor, that is everywhere, would outweigh its peaks.
    """
    above = np.maximum(values - np.median(values), 0).astype(np.float64)
    total = float(above.sum())
    return float(above[mask].sum()) / total if total else float("nan")


def _tables(
    masks: Sequence[Masks], maps: NDArray[np.float32], groups: int, numbers: NDArray[np.int64]
) -> tuple[Values, Values, Values, Values]:
    """Return, a group, pixels inside and outside of masks by bin (G, B), shares by bin, defects.

    The shares are those of each defect's pixels, summed over the group's defects. Bins fall.
    """
    edges = _edges(maps)
    inside, outside, shares = (np.zeros((groups, BINS)) for _ in range(3))
    defects = np.zeros(groups)
    for group, mask, values in zip(numbers, masks, maps, strict=True):
        bins = BINS - 1 - np.clip(np.searchsorted(edges, values, side="right"), 0, BINS - 1)
        inside[group] += np.bincount(bins[mask], minlength=BINS)
        outside[group] += np.bincount(bins[~mask], minlength=BINS)
        if mask.any():
            count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
            for number in range(1, count):
                found = np.bincount(bins[labels == number], minlength=BINS)
                shares[group] += found / found.sum()
            defects[group] += count - 1
    return inside, outside, shares, defects


def _edges(maps: NDArray[np.float32]) -> Values:
    """Return rising edges between bins that hold about as many pixels each."""
    looked = maps.reshape(-1)
    if len(looked) > LOOKED_AT:
        # Each k-th would be, at some sizes, one column of all maps.
        looked = looked[rng(0, "edges").integers(len(looked), size=LOOKED_AT)]
    return np.unique(np.quantile(looked, np.linspace(0, 1, BINS + 1)[1:-1]))


def _pixel_auroc(inside: Values, outside: Values) -> float:
    """Return scikit-learn's AUROC of pixels counted by falling bins."""
    score = -np.arange(BINS)
    labels = np.repeat([1, 0], BINS)
    weights = np.concatenate([inside, outside])
    return float(roc_auc_score(labels, np.tile(score, 2), sample_weight=weights))


def _areas(tables: tuple[Values, ...], weights: Values) -> Values:
    """Return (D,) the pixel AUROC under weightings (D, G) of groups."""
    inside, outside = weights @ tables[0], weights @ tables[1]
    hits = np.cumsum(inside, axis=1)
    total = hits[:, -1] * outside.sum(axis=1)
    area = (outside * (hits - inside / 2)).sum(axis=1)
    return np.asarray(np.divide(area, total, out=np.full(len(area), np.nan), where=total > 0))


def _pro(tables: tuple[Values, ...], weights: Values) -> Values:
    """Return (D,) the PRO under weightings (D, G) of groups."""
    alarms = np.cumsum(weights @ tables[1], axis=1)
    shares = np.cumsum(weights @ tables[2], axis=1)
    defects = weights @ tables[3]
    found = np.full(len(weights), np.nan)
    for i in np.flatnonzero((defects > 0) & (alarms[:, -1] > 0)):
        rate = np.append(0.0, alarms[i] / alarms[i, -1])
        overlap = np.append(0.0, shares[i] / defects[i])
        end = np.interp(LIMIT, rate, overlap)
        kept = rate < LIMIT
        found[i] = auc(np.append(rate[kept], LIMIT), np.append(overlap[kept], end)) / LIMIT
    return found
