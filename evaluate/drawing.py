"""Drawings of matplotlib as elements of the report's page.

Drawn with its object interface. The texts stay texts and the colours become those of the page, so
that a drawing is sharp, small, dark on a dark page, and shows class names in any script.
"""

import io
import re
import unicodedata
import warnings
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

NAME_LIMIT = 24
# What is drawn in a colour takes on one of the report's, see report.css.j2.
INK, MUTED, BAND, WITHIN, BEYOND = "#000001", "#000002", "#000003", "#000004", "#000005"
GROUND = "#000006"
COLOURS = {
    INK: "var(--text)",
    MUTED: "var(--muted)",
    BAND: "var(--line)",
    WITHIN: "var(--accent)",
    BEYOND: "var(--dropped)",
    GROUND: "var(--ground)",
}


def short(name: str, limit: int = NAME_LIMIT) -> str:
    """Return the name cut to so many columns."""
    while width(name) > limit:
        name = name[:-2] + "…"
    return name


def width(text: str) -> int:
    """Return the width in columns: a Chinese character takes two."""
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)


def plain_axes(canvas: "Axes", ticks: int = 4) -> None:
    """Leave an axis of numbers below, few and plain, and no frame."""
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    canvas.spines[["top", "right", "left"]].set_visible(False)
    canvas.spines["bottom"].set_color(MUTED)
    canvas.xaxis.set_major_locator(MaxNLocator(nbins=ticks))
    canvas.xaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    canvas.ticklabel_format(axis="x", style="plain")
    canvas.tick_params(axis="x", colors=MUTED, labelsize=8.5)


def inline(figure: "Drawing", prefix: str, label: str, kind: str = "") -> Markup:
    """Return the figure as an ``svg`` element of an HTML page, its colours those of the page.

    prefix: starts the element's ids, so that several drawings fit on one page; label: what it is to
    those who cannot see it; kind: a further CSS class.
    """
    import matplotlib

    buffer = io.StringIO()
    # The salt and the missing date make the same data give the same bytes.
    with (
        matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "flawsmith"}),
        warnings.catch_warnings(),
    ):
        # The page's fonts write what matplotlib's own cannot.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
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
    classes = f"chart {kind}".strip()
    said = escape(label)
    return Markup(
        f'<svg class="{classes}" viewBox="{box[1]}" role="img" aria-label="{said}">{body}'
    )


def _adapted(tag: str, prefix: str) -> str:
    for drawn, shown in COLOURS.items():
        tag = tag.replace(drawn, shown)
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", tag)
