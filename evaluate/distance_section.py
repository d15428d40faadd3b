"""The report's section on distances: verdicts in plain words, plots, tables and closest pairs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import cv2
import numpy as np

from flawsmith.data.dataset import DataSet
from flawsmith.data.thumbnails import WIDE
from flawsmith.evaluate.comparison import Box, Comparison, Distances, Figure, Pair, View
from flawsmith.evaluate.distance_plot import plot
from flawsmith.evaluate.pictures import data_uri
from flawsmith.evaluate.report import Section
from flawsmith.sample import Image, Sample

PAIRS_SHOWN = 4
PICTURE_SIDE = 288
VIEWS: dict[View, str] = {"image": "Whole images", "crop": "Defect crops"}
# The scopes that speak for a view; all others are classes.
OVERALL: dict[View, dict[str, str]] = {
    "image": {"(good)": "clean images", "(defective)": "defective images"},
    "crop": {"(all)": "all classes"},
}
# What it means that a figure lies beyond its floor; those not named here: farther.
MEANINGS = {
    "recall": "Less varied",
    "coverage": "Less varied",
    "diversity": "Less varied",
}
# What a figure is, and what it must not be taken for; "FD" stands for every Frechet distance.
EXPLAINED = {
    "KID": (
        "How far the made pictures as a whole are from the real ones, by a kernel.",
        "Unbiased: at any n it is 0 on average for alike sets, so it can be slightly negative. "
        "The figure to trust below some thousand samples.",
    ),
    "FD": (
        "The same question, answered by means and covariances (Frechet distance).",
        "Biased upward at small n: even two halves of one set are far from 0. Comparable with the "
        "floor at the same n only, not with figures from elsewhere.",
    ),
    "precision": (
        "Share of the made pictures that lie where real ones do: are they believable?",
        "One odd real picture widens the real region and lifts it; density does not fall for that.",
    ),
    "recall": (
        "Share of the real pictures that lie where made ones do: is everything covered?",
        "Odd made pictures widen the made region and lift it.",
    ),
    "density": (
        "How many real neighbourhoods a made picture lies in, 1 being usual.",
        "Above 1 the made pictures crowd at the most usual real ones.",
    ),
    "coverage": (
        "Share of the real pictures that have a made one in their neighbourhood.",
        "It rises with n: look at the floor, not at 1.",
    ),
    "diversity": (
        "Mean distance between two made pictures, that between two real ones being 1.",
        "Noise is diverse, too: it only counts together with precision.",
    ),
    "nearest real": (
        "Median distance of a made picture to the real one closest to it.",
        "Copies score best here: read it together with the near copies.",
    ),
    "near copies": (
        "Share of the made pictures that come twice as close to a real one as real ones of other "
        "parts usually do.",
        "New samples hardly ever do. Methods that move or paste real defects come close to them by "
        "design; look at the pairs.",
    ),
}


@dataclass(frozen=True)
class Written:
    """A figure's numbers as text, with three digits of the largest."""

    value: str
    low: str
    high: str
    floor: str
    full: str


def distance_section(
    method: str, distances: Distances, made: DataSet, real: DataSet, train: DataSet | None
) -> Section:
    """How close the candidates of ``method`` are to real samples, view by view.

    made, real, train: the data sets that were compared, for the pictures of the closest pairs.
    """
    load_made, load_real = _loaders(made, real, train)
    views = []
    for view, title in VIEWS.items():
        comparisons = [c for c in distances.comparisons if c.view == view]
        if not comparisons:
            continue
        labels = [scope_label(c) for c in comparisons]
        entry = {
            "title": title,
            "verdicts": verdicts(comparisons),
            "plot": plot(comparisons, labels, f"{view}-{crc32(ascii(method).encode()):x}"),
            "overall": [_scope(c) for c in comparisons if c.scope in OVERALL[view]],
            "classes": [_scope(c) for c in comparisons if c.scope not in OVERALL[view]],
            "full": any(f.full is not None for c in comparisons for f in c.figures),
            "pairs": [_pair(p, load_made, load_real) for p in closest_pairs(comparisons)],
        }
        views.append(entry)
    context = {
        "method": method,
        "views": views,
        "features": distances.features,
        "resize": distances.resize,
        "seed": distances.seed,
        "explained": explanations(distances.comparisons),
    }
    return Section(f"How close to real: {method}", "section_distance.html.j2", context)


def scope_label(comparison: Comparison) -> str:
    """Return what the report calls the scope."""
    return OVERALL[comparison.view].get(comparison.scope, comparison.scope)


def verdicts(comparisons: Sequence[Comparison]) -> list[str]:
    """Return a text a scope that speaks for the view, and one that names the classes."""
    overall = [c for c in comparisons if c.scope in OVERALL[c.view]]
    classes = [c for c in comparisons if c.scope not in OVERALL[c.view]]
    texts = [f"{scope_label(c)} are {verdict(c)}" for c in overall]
    if classes:
        texts.append(f"Figures within the floor, by class: {'; '.join(map(_tally, classes))}.")
    return [text[0].upper() + text[1:] for text in texts]


def verdict(comparison: Comparison) -> str:
    """Return how the figures stand to their floors, in plain words that follow "they are"."""
    if comparison.refused:
        return f"not compared: {comparison.refused}."
    beyond = [figure for figure in comparison.figures if not figure.inside]
    copied = [figure for figure in beyond if figure.name == "near copies"]
    if copied:
        beyond.remove(copied[0])
    total = len(comparison.figures)
    within = total - len(beyond) - len(copied)
    number = f"all {total}" if within == total else f"{within or 'none'} of {total}"
    text = f"as close to the real ones as real ones are to each other in {number} figures"
    texts = [f"{text} (n = {comparison.n:,} a side)."]
    if copied:
        # First: copies make all the distances look well.
        share = f"{copied[0].value:.0%} of them are near copies of real ones"
        texts = [f"suspect: {share} (floor {copied[0].floor:.0%}). They are {texts[0]}"]
    for meaning in dict.fromkeys(("Farther", *MEANINGS.values())):
        found = [f for f in beyond if MEANINGS.get(f.name, "Farther") == meaning]
        if found:
            texts.append(f"{meaning}: {', '.join(map(_beyond, found))}.")
    return " ".join(texts)


def _beyond(figure: Figure) -> str:
    written = write(figure)
    ratio = figure.value / figure.floor if figure.floor > 0 else math.inf
    if figure.better == "high" or not math.isfinite(ratio):
        return f"{figure.name} ({written.value}, floor {written.floor})"
    if ratio < 1.05:
        return f"{figure.name} (just above the floor)"
    return f"{figure.name} ({ratio:,.1f} times the floor)"


def _tally(comparison: Comparison) -> str:
    if comparison.refused:
        return f"“{comparison.scope}” not compared"
    within = sum(figure.inside for figure in comparison.figures)
    return f"“{comparison.scope}” {within} of {len(comparison.figures)}"


def write(figure: Figure) -> Written:
    """Return the numbers as text; those of one figure have the same decimals."""
    numbers = [figure.value, figure.low, figure.high, figure.floor, figure.full]
    largest = max((abs(x) for x in numbers if x is not None and math.isfinite(x)), default=0.0)
    digits = min(max(2 - math.floor(math.log10(largest)), 0), 7) if largest else 0
    return Written(
        *(f"{x:,.{digits}f}" if x is not None and math.isfinite(x) else "–" for x in numbers)
    )


def _loaders(
    made: DataSet, real: DataSet, train: DataSet | None
) -> tuple[Callable[[Pair], Sample], Callable[[Pair], Sample]]:
    def load(dataset: DataSet, name: str) -> Sample:
        return dataset[dataset.ids.index(name)]

    def load_real(pair: Pair) -> Sample:
        return load(train if pair.trained and train is not None else real, pair.real)

    return lambda pair: load(made, pair.made), load_real


def _scope(comparison: Comparison) -> dict[str, Any]:
    rows = [(figure, write(figure)) for figure in comparison.figures]
    return {"label": scope_label(comparison), "comparison": comparison, "rows": rows}


def explanations(comparisons: Sequence[Comparison]) -> list[tuple[str, str, str]]:
    """Return (name, what it tells, what to mind) of each figure that occurs."""
    names = dict.fromkeys(figure.name for c in comparisons for figure in c.figures)
    known = [(n, EXPLAINED.get("FD" if n.startswith(("FD", "FID")) else n)) for n in names]
    return [(name, *texts) for name, texts in known if texts]


def closest_pairs(comparisons: Sequence[Comparison]) -> list[Pair]:
    """Return the closest pairs of all scopes, each made picture once."""
    found = sorted((pair for c in comparisons for pair in c.closest), key=lambda p: p.distance)
    unique: dict[tuple[str, Box], Pair] = {}
    for pair in found:
        unique.setdefault((pair.made, pair.made_box), pair)
    return list(unique.values())[:PAIRS_SHOWN]


def _pair(
    pair: Pair, load_made: Callable[[Pair], Sample], load_real: Callable[[Pair], Sample]
) -> dict[str, Any]:
    sides = [
        (kind, sample.id, _picture(sample.image, box))
        for kind, sample, box in (
            ("made", load_made(pair), pair.made_box),
            ("real", load_real(pair), pair.real_box),
        )
    ]
    wide = all(width > WIDE * height for _, _, (_, width, height) in sides)
    return {"distance": f"{pair.distance:.3g}", "sides": sides, "wide": wide}


def _picture(image: Image, box: Box) -> tuple[str, int, int]:
    """Return the data URI of the image cut to its box, with width and height."""
    x, y, w, h = box
    cut = image[max(y, 0) : y + h, max(x, 0) : x + w]
    if not cut.size:
        raise ValueError(f"the box {box} lies outside of an image of {image.shape[:2]}")
    # Wide ones lie above each other, twice as wide.
    side = PICTURE_SIDE * (2 if cut.shape[1] > WIDE * cut.shape[0] else 1)
    scale = side / max(cut.shape[:2])
    size = (max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = np.asarray(cv2.resize(cut, size, interpolation=how), np.uint8)
    return data_uri(picture), *size
