"""The figures of a comparison beside their floors, as a drawing that lies inside the report.

Drawn with matplotlib's object interface. The texts stay texts and the colours become those of the
page, so that the drawing is sharp, small, dark on a dark page, and shows class names in any script.
"""

import io
import math
import re
import unicodedata
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from flawsmith.evaluate.comparison import Comparison, Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

COLUMNS = 3
WIDTH = 11.0  # inches; the page shows one as 96 pixels
ROW = 0.44
NAME_LIMIT = 24
# What is drawn in a colour takes on one of the report's, see report.css.j2.
INK, MUTED, BAND, WITHIN, BEYOND = "#000001", "#000002", "#000003", "#000004", "#000005"
COLOURS = {
    INK: "var(--text)",
    MUTED: "var(--muted)",
    BAND: "var(--line)",
    WITHIN: "var(--accent)",
    BEYOND: "var(--dropped)",
}


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
    with warnings.catch_warnings():
        # The page's fonts write what matplotlib's own cannot.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        return _inline(_draw([c for c, _ in rows], [label for _, label in rows], names), prefix)


def _drawable(figure: Figure) -> bool:
    return all(map(math.isfinite, (figure.value, figure.low, figure.high, figure.floor)))


def _draw(
    comparisons: Sequence[Comparison], labels: Sequence[str], names: Sequence[str]
) -> "Drawing":
    from matplotlib.figure import Figure as Drawing

    lines = -(-len(names) // COLUMNS)
    texts = [_short(label) for label in labels]
    left = 0.3 + 0.1 * max(max(map(_width, texts)), 8)
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
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    present = [figure for figure in figures if figure]
    left, right = _limits(present)
    canvas.set_xlim(left, right)
    canvas.set_ylim(len(figures) - 0.5, -0.5)
    for row, figure in enumerate(figures):
        if figure:
            _mark(canvas, row, figure, left if figure.better == "low" else right)
    canvas.set_yticks([])
    canvas.spines[["top", "right", "left"]].set_visible(False)
    canvas.spines["bottom"].set_color(MUTED)
    canvas.xaxis.set_major_locator(MaxNLocator(nbins=4))
    canvas.xaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    canvas.ticklabel_format(axis="x", style="plain")
    canvas.tick_params(axis="x", colors=MUTED, labelsize=8.5)
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


def _short(name: str) -> str:
    while _width(name) > NAME_LIMIT:
        name = name[:-2] + "…"
    return name


def _width(text: str) -> int:
    """Return the width in columns: a Chinese character takes two."""
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)


def _inline(figure: "Drawing", prefix: str) -> Markup:
    """Return the figure as an element of an HTML page, its colours those of the page."""
    import matplotlib

    buffer = io.StringIO()
    # The salt and the missing date make the same data give the same bytes.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "flawsmith"}):
        blank = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=blank)
    text = buffer.getvalue()
    # Its head belongs to a file of its own, its style would hold for the whole page.
    head = re.search(r"<svg[^>]*>", text)
    assert head
    box = re.search(r'viewBox="([\d. -]+)"', head[0])
    assert box
    body = re.sub(r"<style.*?</style>|<!--.*?-->", "", text[head.end() :], flags=re.S)
    # Only inside of tags: a class may be called like a colour.
    body = re.sub(r"<[^<>]*>", lambda tag: _adapted(tag[0], prefix), body)
    label = "Each figure with its range, beside its floor; the table below has the numbers"
    return Markup(f'<svg class="chart" viewBox="{box[1]}" role="img" aria-label="{label}">{body}')


def _adapted(tag: str, prefix: str) -> str:
    for drawn, shown in COLOURS.items():
        tag = tag.replace(drawn, shown)
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", tag)
