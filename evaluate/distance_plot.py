"""The figures of a comparison beside their floors, as a drawing that lies inside the report."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from flawsmith.evaluate.comparison import Comparison, Figure
from flawsmith.evaluate.drawing import (
    BAND,
    BEYOND,
    INK,
    MUTED,
    WITHIN,
    inline,
    plain_axes,
    short,
    width,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

COLUMNS = 3
WIDTH = 11.0  # inches; the page shows one as 96 pixels
ROW = 0.44
LABEL = "Each figure with its range, beside its floor; the table below has the numbers"


def plot(comparisons: Sequence[Comparison], labels: Sequence[str], prefix: str) -> Markup:
    """Return the drawing as an ``svg`` element: a panel a figure, a row a comparison.

    labels: what each comparison is called; prefix: starts the element's ids, so that several
    drawings fit on one page. Refused comparisons and figures without a number have no place in it;
    where nothing is left, the result is empty.
    """
    rows = [(c, label) for c, label in zip(comparisons, labels, strict=True) if c.figures]
    names = list(dict.fromkeys(f.name for c, _ in rows for f in c.figures if _drawable(f)))
    if not names:
        return Markup("")
    drawing = _draw([c for c, _ in rows], [label for _, label in rows], names)
    return inline(drawing, prefix, LABEL)


def _drawable(figure: Figure) -> bool:
    return all(map(math.isfinite, (figure.value, figure.low, figure.high, figure.floor)))


def _draw(
    comparisons: Sequence[Comparison], labels: Sequence[str], names: Sequence[str]
) -> "Drawing":
    from matplotlib.figure import Figure as Drawing

    lines = -(-len(names) // COLUMNS)
    texts = [short(label) for label in labels]
    left = 0.3 + 0.1 * max(max(map(width, texts)), 8)
    panel = ROW * len(comparisons)
    # Above a panel stand its name and its better side, below it the numbers of its axis.
    height = lines * (panel + 0.85)
    figure = Drawing(figsize=(WIDTH, height))
    axes = figure.subplots(lines, COLUMNS, squeeze=False).ravel()
    figure.subplots_adjust(
        left=left / WIDTH,
        right=1 - 0.15 / WIDTH,
        top=1 - 0.48 / height,
        bottom=0.3 / height,
        hspace=0.85 / panel,
        wspace=0.14,
    )
    for place, (name, canvas) in enumerate(zip(names, axes, strict=False)):
        found = [next((f for f in c.figures if f.name == name), None) for c in comparisons]
        _panel(canvas, name, [f if f and _drawable(f) else None for f in found])
        if place % COLUMNS == 0:
            _name_rows(canvas, texts, [c.n for c in comparisons])
    for empty in axes[len(names) :]:
        empty.set_visible(False)
    return figure


def _panel(canvas: "Axes", name: str, figures: Sequence[Figure | None]) -> None:
    present = [figure for figure in figures if figure]
    left, right = _limits(present)
    canvas.set_xlim(left, right)
    canvas.set_ylim(len(figures) - 0.5, -0.5)
    for row, figure in enumerate(figures):
        if figure:
            _mark(canvas, row, figure, left if figure.better == "low" else right)
    canvas.set_yticks([])
    plain_axes(canvas)
    better = "less is better" if present[0].better == "low" else "more is better"
    above: dict[str, Any] = {
        "xycoords": "axes fraction",
        "textcoords": "offset points",
        "parse_math": False,
    }
    canvas.annotate(name, (0, 1), (0, 19), color=INK, fontsize=10, weight="bold", **above)
    canvas.annotate(better, (0, 1), (0, 7), color=MUTED, fontsize=8.5, **above)


def _limits(figures: Sequence[Figure]) -> tuple[float, float]:
    """Return the ends of the axis: all that is drawn with some air, and zero unless far off."""
    drawn = [x for f in figures for x in (f.value, f.low, f.high, f.floor)]
    low, high = min(drawn), max(drawn)
    if high > 0 and low < 0.6 * high:
        low = min(low, 0.0)
    air = 0.06 * ((high - low) or abs(high) or 1.0)
    return (low if low == 0 else low - air), high + air


def _mark(canvas: "Axes", row: int, figure: Figure, edge: float) -> None:
    """Draw one row: the band up to the floor, the range over the draws, the value."""
    band = sorted((figure.floor, edge))
    canvas.fill_between(band, row - 0.36, row + 0.36, color=BAND, linewidth=0)
    canvas.plot([figure.floor] * 2, [row - 0.36, row + 0.36], color=MUTED, linewidth=1.2)
    colour = WITHIN if figure.inside else BEYOND
    # Where the range ends beyond the floor the value may still be within: both must be seen.
    canvas.plot([figure.low, figure.high], [row, row], color=colour, linewidth=2.2, clip_on=False)
    canvas.plot(
        figure.value,
        row,
        marker="o" if figure.inside else "D",
        markersize=7.5 if figure.inside else 7,
        color=colour,
        markeredgewidth=0,
        clip_on=False,
    )


def _name_rows(canvas: "Axes", labels: Sequence[str], sizes: Sequence[int]) -> None:
    place: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "parse_math": False}
    for row, (label, n) in enumerate(zip(labels, sizes, strict=True)):
        at = (0, 1 - (row + 0.5) / len(labels))
        canvas.annotate(label, at, (-9, 1), "axes fraction", color=INK, fontsize=9.5, **place)
        count = f"n = {n:,}"
        canvas.annotate(count, at, (-9, -10), "axes fraction", color=MUTED, fontsize=8, **place)
