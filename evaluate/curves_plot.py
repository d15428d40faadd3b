"""The losses of a training run, as a drawing that lies inside the report: a panel a loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from flawsmith.evaluate.drawing import INK, MUTED, WITHIN, inline, plain_axes, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Numbers = NDArray[np.float64]
COLUMNS = 3
WIDTH = 11.0  # inches
PANEL = 1.35


@dataclass(frozen=True, eq=False)
class Curve:
    """One loss over the training: (N,) float64 steps, ascending, and (N,) finite values."""

    name: str
    steps: Numbers
    values: Numbers


def plot(curves: Sequence[Curve], steps: int, prefix: str) -> Markup:
    """Return the drawing; empty without curves. steps: those of the whole training."""
    from matplotlib.figure import Figure as Drawing

    if not curves:
        return Markup("")
    lines = -(-len(curves) // COLUMNS)
    height = lines * (PANEL + 0.8)
    figure = Drawing(figsize=(WIDTH, height))
    axes = figure.subplots(lines, COLUMNS, squeeze=False).ravel()
    figure.subplots_adjust(
        left=0.05,
        right=1 - 0.15 / WIDTH,
        top=1 - 0.4 / height,
        bottom=0.3 / height,
        hspace=0.8 / PANEL,
        wspace=0.22,
    )
    for canvas, curve in zip(axes, curves, strict=False):
        _panel(canvas, curve)
    for empty in axes[len(curves) :]:
        empty.set_visible(False)
    return inline(figure, prefix, spoken(curves, steps))


def spoken(curves: Sequence[Curve], steps: int) -> str:
    """Return what the drawing shows, for those who cannot see it."""
    told = (f"{c.name} from {c.values[0]:.3g} to {c.values[-1]:.3g}" for c in curves)
    return f"Losses over {steps:,} steps. {'; '.join(told)}"


def _panel(canvas: "Axes", curve: Curve) -> None:
    from matplotlib.ticker import MaxNLocator

    marker = "o" if len(curve.steps) == 1 else ""
    canvas.plot(curve.steps, curve.values, color=WITHIN, linewidth=1.3, marker=marker)
    low, high = float(curve.values.min()), float(curve.values.max())
    # From zero on, where that does not hide what moves.
    if 0 < low < 0.6 * high:
        low = 0.0
    air = 0.08 * ((high - low) or abs(high) or 1.0)
    canvas.set_ylim(low if low == 0 else low - air, high + air)
    if len(curve.steps) > 1:
        canvas.set_xlim(min(0.0, curve.steps[0]), curve.steps[-1])
    plain_axes(canvas)
    canvas.spines["left"].set_visible(True)
    canvas.spines["left"].set_color(MUTED)
    canvas.yaxis.set_major_locator(MaxNLocator(nbins=3))
    canvas.ticklabel_format(axis="y", style="plain", useOffset=False)
    canvas.tick_params(axis="y", colors=MUTED, labelsize=8.5)
    above: dict[str, Any] = {
        "xycoords": "axes fraction",
        "textcoords": "offset points",
        "parse_math": False,
    }
    name = short(curve.name, 30)
    canvas.annotate(name, (0, 1), (0, 7), color=INK, fontsize=10, weight="bold", **above)
