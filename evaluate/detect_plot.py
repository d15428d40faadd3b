"""A detector's judgement as drawings: ROC, precision and recall, scores by kind; and its maps.

Real images are drawn with whole lines, synthetic ones with broken lines: colour is not all that
tells them apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from flawsmith.evaluate.detect_result import Judged
from flawsmith.evaluate.detect_seen import (
    CLEAN,
    DEFECTS,
    KINDS,
    MADE_DEFECTS,
    Heat,
    Seen,
)
from flawsmith.evaluate.detectors.curves import Ranking, counts
from flawsmith.evaluate.drawing import BEYOND, INK, MUTED, WITHIN, inline, plain_axes, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

Values = NDArray[np.float64]
WIDTH, HEIGHT = 11.0, 3.7  # inches
BINS = 30
FIGURES = {DEFECTS: "AUROC", MADE_DEFECTS: "synthetic AUROC"}
PRECISION = {DEFECTS: "AP", MADE_DEFECTS: "synthetic AP"}
NO_MAP = "no map: this method tells how odd a picture is, not where"
NO_LIMIT = "too few clean images for a threshold that 95% of them pass"


@dataclass(frozen=True)
class Palette:
    """The colours of real and of synthetic images."""

    real: str = WITHIN
    made: str = BEYOND

    def style(self, kind: str) -> dict[str, Any]:
        """Return how this kind's lines are drawn."""
        real = kind in (CLEAN, DEFECTS)
        return {"color": self.real if real else self.made, "linestyle": "-" if real else "--"}


# The report's own, on white.
PAPER = Palette("#0a5aa8", "#c9852b")


def plot(judged: Judged, prefix: str) -> Markup:
    """Return the curves and the scores as an ``svg`` element; prefix: starts the element's ids."""
    return inline(draw(judged, Palette()), prefix, spoken(judged))


def draw(judged: Judged, palette: Palette = PAPER) -> "Drawing":
    """Return three panels: ROC, precision and recall, scores by kind with the threshold."""
    from matplotlib.figure import Figure as Drawing

    figure = Drawing(figsize=(WIDTH, HEIGHT))
    seen = judged.seen
    shown = [kind for kind in KINDS if kind in seen.scores]
    grid = figure.add_gridspec(len(shown), 3, left=0.05, right=0.985, top=0.87, bottom=0.14,
                               wspace=0.2, hspace=0.5)  # fmt: skip
    roc, precision = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[:, 1])
    rows: list[Axes] = []
    for i in range(len(shown)):
        rows.append(figure.add_subplot(grid[i, 2], sharex=rows[0] if rows else None))
    _roc(roc, judged, palette)
    _precision(precision, judged, palette)
    _scores(rows, seen, shown, palette)
    return figure


def spoken(judged: Judged) -> str:
    """Return what the drawing shows, for those who cannot see it."""
    told = [f"{judged.name}: ROC, precision and recall, and scores by kind"]
    for kind, name in FIGURES.items():
        figure = judged.figure(name)
        if figure is not None:
            told.append(f"{kind} against real clean images: AUROC {figure.value:.3f}")
    limit = judged.seen.limit
    if limit is None:
        return "; ".join([*told, NO_LIMIT])
    told.append(f"threshold that 95% of real clean pass: {limit:.4g}")
    for kind, scores in judged.seen.scores.items():
        told.append(f"{judged.seen.above(kind):.0%} of {len(scores)} {kind} above it")
    return "; ".join(told)


def points(seen: Seen, kind: str) -> tuple[Values, Values, Values]:
    """Return (T,) false alarm rates, recalls and precisions of this kind against real clean.

    By falling threshold; images at or above it are called defective.
    """
    clean, flawed = seen.scores[CLEAN], seen.scores[kind]
    marks = np.repeat([False, True], [len(clean), len(flawed)])
    ranking = Ranking.of(marks, np.array([*clean, *flawed], np.float64))
    hits, alarms = (found[0] for found in counts(ranking, np.ones((1, len(marks)))))
    return alarms / len(clean), hits / len(flawed), hits / (hits + alarms)


def _curves(judged: Judged) -> list[str]:
    return [kind for kind in FIGURES if kind in judged.seen.scores]


def _roc(canvas: "Axes", judged: Judged, palette: Palette) -> None:
    canvas.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=":")
    for kind in _curves(judged):
        false, recall, _ = points(judged.seen, kind)
        label = _label(judged, kind, FIGURES[kind])
        canvas.plot([0, *false], [0, *recall], linewidth=1.6, label=label, **palette.style(kind))
    _frame(canvas, "ROC", "false alarms among real clean", "defects found", "lower right")


def _precision(canvas: "Axes", judged: Judged, palette: Palette) -> None:
    for kind in _curves(judged):
        _, recall, precision = points(judged.seen, kind)
        label = _label(judged, kind, PRECISION[kind])
        # Average precision is the area under these very steps.
        canvas.plot([0, *recall], [precision[0], *precision], drawstyle="steps-pre", linewidth=1.6,
                    label=label, **palette.style(kind))  # fmt: skip
    _frame(canvas, "Precision and recall", "recall: defects found",
           "precision: alarms that are right", "lower left")  # fmt: skip


def _label(judged: Judged, kind: str, name: str) -> str:
    figure = judged.figure(name)
    if figure is None:
        return kind
    return f"{kind}, {name.removeprefix('synthetic ')} {figure.value:.3f}"


def _frame(
    canvas: "Axes", title: str, x: str, y: str, place: Literal["lower left", "lower right"]
) -> None:
    canvas.set_xlim(-0.01, 1.01)
    canvas.set_ylim(-0.01, 1.02)
    plain_axes(canvas)
    canvas.spines["left"].set_visible(True)
    canvas.spines["left"].set_color(MUTED)
    canvas.tick_params(axis="y", colors=MUTED, labelsize=8.5)
    canvas.set_xlabel(x, color=MUTED, fontsize=8.5)
    canvas.set_ylabel(y, color=MUTED, fontsize=8.5)
    canvas.legend(loc=place, fontsize=8, frameon=False, labelcolor=INK, handlelength=2.6)
    _title(canvas, title)


def _scores(rows: "Sequence[Axes]", seen: Seen, shown: Sequence[str], palette: Palette) -> None:
    joined = np.concatenate([np.array(seen.scores[kind]) for kind in shown])
    low, high = float(joined.min()), float(joined.max())
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1).tolist()
    for canvas, kind in zip(rows, shown, strict=True):
        style = palette.style(kind)
        canvas.hist(seen.scores[kind], bins=edges, histtype="stepfilled", alpha=0.35,
                    color=style["color"])  # fmt: skip
        canvas.hist(seen.scores[kind], bins=edges, histtype="step", linewidth=1.1, **style)
        if seen.limit is not None:
            canvas.axvline(seen.limit, color=INK, linewidth=1)
        plain_axes(canvas)
        canvas.set_yticks([])
        canvas.tick_params(axis="x", labelbottom=canvas is rows[-1])
        above = seen.above(kind)
        text = f"{kind} (n = {len(seen.scores[kind]):,})"
        text += "" if above is None else f", {above:.0%} above"
        canvas.annotate(text, (0, 1), (0, 2), "axes fraction", textcoords="offset points",
                        color=INK, fontsize=8, parse_math=False)  # fmt: skip
    line = NO_LIMIT if seen.limit is None else "the line passes 95% of real clean"
    rows[-1].set_xlabel(f"score; {line}", color=MUTED, fontsize=8.5)
    _title(rows[0], "Scores", 16)


def _title(canvas: "Axes", text: str, up: int = 9) -> None:
    canvas.annotate(text, (0, 1), (0, up), "axes fraction", textcoords="offset points",
                    color=INK, fontsize=10, weight="bold", parse_math=False)  # fmt: skip


def draw_maps(judged: Judged) -> "Drawing":
    """Return the grid of maps: a row a picture; its panels are those of ``Heat.strip``."""
    from matplotlib.figure import Figure as Drawing

    heats = judged.seen.heats
    widest = max((heat.strip.shape[1] for heat in heats), default=1)
    rows = max(1, len(heats))
    figure = Drawing(figsize=(7.0, 0.6 + 1.5 * rows))
    axes = figure.subplots(rows, 1, squeeze=False).ravel()
    figure.subplots_adjust(left=0.02, right=0.64, top=1 - 0.4 / (0.6 + 1.5 * rows), bottom=0.01,
                           hspace=0.06)  # fmt: skip
    head = "picture, mask outlined if it has one, map" if judged.maps else f"picture; {NO_MAP}"
    _title(axes[0], f"{judged.name}: {head}", 6)
    for canvas, heat in zip(axes, heats, strict=False):
        canvas.imshow(heat.strip)
        canvas.set_xlim(0, widest)
        canvas.annotate(f"{heat.kind}, {heat.rank} score\n{verdict_of(heat, judged)}\n"
                        f"{short(heat.id)}", (1, 0.5), (8, 0), "axes fraction", va="center",
                        textcoords="offset points", fontsize=8.5, color=INK,
                        parse_math=False)  # fmt: skip
    for canvas in axes:
        canvas.set_axis_off()
    return figure


def verdict_of(heat: Heat, judged: Judged) -> str:
    """Return the score, and on which side of the threshold it lies."""
    if judged.seen.limit is None:
        return f"score {heat.score:.4g}"
    side = "above" if heat.score > judged.seen.limit else "not above"
    return f"score {heat.score:.4g}, {side} the threshold"


def spoken_heat(heat: Heat, judged: Judged) -> str:
    """Return what a strip shows, for those who cannot see it."""
    panels = ["the picture"] + ["its mask outlined"] * heat.masked + ["the map"] * heat.mapped
    return f"{heat.kind} {heat.id}: {', '.join(panels)}; {verdict_of(heat, judged)}"


def spoken_maps(judged: Judged) -> str:
    """Return what the grid of maps shows, for those who cannot see it."""
    told = "; ".join(spoken_heat(heat, judged) for heat in judged.seen.heats)
    return f"{judged.name}. {'' if judged.maps else NO_MAP + '. '}{told}"
