"""The differences between arms with their intervals, as drawings that lie inside the report.

One drawing of mIoU, narrow enough for a phone; one of each class's IoU and of the false alarms. The
verdict shows in the marker's shape, not in its colour alone: a full circle helps, a diamond hurts,
an empty circle is no evidence.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from flawsmith.evaluate.drawing import (
    BEYOND,
    GROUND,
    INK,
    MUTED,
    WITHIN,
    inline,
    plain_axes,
    short,
    width,
)
from flawsmith.evaluate.verdict import Finding, Word, points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = Sequence[Finding | None]
NARROW = 4.6  # inches
WIDE = 11.0
COLUMNS = 3
ROW = 0.5
NAME = 20  # columns of an arm's name
STYLES: dict[Word, dict[str, Any]] = {
    "helps": {"marker": "o", "color": WITHIN, "markeredgecolor": WITHIN},
    "hurts": {"marker": "D", "color": BEYOND, "markeredgecolor": BEYOND},
    "no evidence": {
        "marker": "o",
        "color": MUTED,
        "markerfacecolor": GROUND,
        "markeredgecolor": MUTED,
    },
}


def plot_main(findings: Sequence[Finding], prefix: str) -> Markup:
    """Return the drawing of one figure: a row a finding, its numbers beside its name.

    Empty where nothing has a number.
    """
    from matplotlib.figure import Figure as Drawing

    rows = [finding for finding in findings if _drawable(finding)]
    if not rows:
        return Markup("")
    height = ROW * len(rows) + 0.5
    figure = Drawing(figsize=(NARROW, height))
    canvas = figure.subplots()
    figure.subplots_adjust(left=0.02, right=0.98, top=1 - 0.05 / height, bottom=0.42 / height)
    _panel(canvas, rows, low=0.74)
    axis = f"{rows[0].difference.name}: difference in points, {_side(rows[0])}"
    canvas.set_xlabel(axis, color=MUTED, fontsize=8.5)
    across = canvas.get_yaxis_transform()
    place: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 8.5}
    place["parse_math"] = False
    for row, finding in enumerate(rows):
        # Names stand above the marks, so that the drawing needs no margin for them.
        name = f"{short(finding.arm, NAME)} against {short(finding.base, NAME)}"
        for x, text, side in ((0, name, "left"), (1, numbers(finding), "right")):
            canvas.annotate(text, (x, row + 0.28), (0, 0), across, color=INK, ha=side, **place)
    return inline(figure, prefix, spoken(rows), "narrow")


def plot_classes(findings: Sequence[Finding], prefix: str) -> Markup:
    """Return the drawing of several figures: a panel a figure, a row a pair of arms.

    Empty where nothing has a number.
    """
    from matplotlib.figure import Figure as Drawing

    drawable = [finding for finding in findings if _drawable(finding)]
    names = list(dict.fromkeys(finding.difference.name for finding in drawable))
    pairs = list(dict.fromkeys((finding.arm, finding.base) for finding in drawable))
    if not names:
        return Markup("")
    lines = -(-len(names) // COLUMNS)
    labels = [(short(arm), f"against {short(base)}") for arm, base in pairs]
    left = 0.3 + 0.1 * max(8, *(width(text) for both in labels for text in both))
    panel = ROW * 0.9 * len(pairs)
    height = lines * (panel + 0.85)
    figure = Drawing(figsize=(WIDE, height))
    axes = figure.subplots(lines, COLUMNS, squeeze=False).ravel()
    figure.subplots_adjust(
        left=left / WIDE,
        right=1 - 0.15 / WIDE,
        top=1 - 0.48 / height,
        bottom=0.3 / height,
        hspace=0.85 / panel,
        wspace=0.14,
    )
    found = {(f.difference.name, f.arm, f.base): f for f in drawable}
    for place, (name, canvas) in enumerate(zip(names, axes, strict=False)):
        rows = [found.get((name, *pair)) for pair in pairs]
        _panel(canvas, rows)
        _head(canvas, next(row for row in rows if row))
        if place % COLUMNS == 0:
            _name_rows(canvas, labels)
    for empty in axes[len(names) :]:
        empty.set_visible(False)
    return inline(figure, prefix, spoken(drawable))


def numbers(finding: Finding) -> str:
    """Return the difference and its interval, in points."""
    found = finding.difference
    value, low, high = points(found.value, found.low, found.high)
    return f"{value} ({low} to {high})"


def spoken(findings: Sequence[Finding]) -> str:
    """Return what a drawing shows, for those who cannot see it."""
    told = (
        f"{f.arm} against {f.base}: {f.difference.name} {numbers(f)} points, {f.word}"
        for f in findings
    )
    return "Differences with their 95% intervals. " + "; ".join(told)


def _drawable(finding: Finding) -> bool:
    found = finding.difference
    return all(map(math.isfinite, (found.value, found.low, found.high, *found.by_seed)))


def _side(finding: Finding) -> str:
    return "less is better" if finding.difference.better == "low" else "more is better"


def _panel(canvas: "Axes", rows: Rows, low: float = 0.5) -> None:
    """Draw the rows' intervals around a line at zero. low: how far down in its row a mark lies."""
    found = [row.difference for row in rows if row]
    drawn = [100 * x for d in found for x in (d.low, d.high, d.value, *d.by_seed)] + [0.0]
    air = 0.06 * ((max(drawn) - min(drawn)) or 1.0)
    canvas.set_xlim(min(drawn) - air, max(drawn) + air)
    canvas.set_ylim(len(rows) + 0.08, 0)
    for row, finding in enumerate(rows):
        # Not through a name that stands above its mark.
        canvas.plot([0, 0], [row + 2 * low - 1, row + 1], color=INK, linewidth=1, clip_on=False)
        if finding:
            _mark(canvas, row + low, finding)
    canvas.set_yticks([])
    plain_axes(canvas, ticks=6 if low > 0.6 else 4)


def _mark(canvas: "Axes", row: float, finding: Finding) -> None:
    """Draw one row: the interval with its ends, the value, and each seed's as a dot below."""
    found, style = finding.difference, STYLES[finding.word]
    low, high = 100 * found.low, 100 * found.high
    line: dict[str, Any] = {"color": style["color"], "clip_on": False}
    canvas.plot([low, high], [row, row], linewidth=2.0, marker="|", markersize=8, **line)
    seeds = [100 * value for value in found.by_seed]
    under = [row + 0.2] * len(seeds)
    canvas.plot(seeds, under, ".", color=MUTED, markersize=4.5, markeredgewidth=0, clip_on=False)
    canvas.plot(100 * found.value, row, markersize=7, markeredgewidth=1.6, clip_on=False, **style)


def _head(canvas: "Axes", finding: Finding) -> None:
    above: dict[str, Any] = {
        "xycoords": "axes fraction",
        "textcoords": "offset points",
        "parse_math": False,
    }
    name = short(finding.difference.name, 30)
    canvas.annotate(name, (0, 1), (0, 19), color=INK, fontsize=10, weight="bold", **above)
    side = f"points, {_side(finding)}"
    canvas.annotate(side, (0, 1), (0, 7), color=MUTED, fontsize=8.5, **above)


def _name_rows(canvas: "Axes", labels: Sequence[tuple[str, str]]) -> None:
    place: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "parse_math": False}
    across = canvas.get_yaxis_transform()
    for row, (arm, base) in enumerate(labels):
        at = (0, row + 0.5)
        canvas.annotate(arm, at, (-9, 1), across, color=INK, fontsize=9.5, **place)
        canvas.annotate(base, at, (-9, -10), across, color=MUTED, fontsize=8, **place)
