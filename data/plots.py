"""The statistics of a data set as pictures: class balance, components, areas.

Drawn with matplotlib's object interface: no global figure, no display. Colours are the classes'
own, told apart by colour-blind readers; every panel states its N.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flawsmith.data.manifest import class_colours
from flawsmith.data.scan import Facts, Scan
from flawsmith.data.statistics import component_areas, components_an_image
from flawsmith.data.writing import make_folder, writing_in
from flawsmith.sample import LABELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

INK = "#333333"
GREY = "#7f7f7f"
WIDTH = 7.0  # inches
DPI = 130
# Counts from here on share the last bar, so that a few crowded images do not flatten the rest.
MANY = 15


def write_plots(scan: Scan, folder: Path) -> list[Path]:
    """Write four PNGs into ``folder`` and return their paths; raises OutputError."""
    make_folder(folder)
    classes = [_shown(name) for name in scan.dataset.classes]
    figures = {
        "labels": draw_labels(scan.facts),
        "components_per_class": draw_classes(scan.facts, classes),
        "components_per_image": draw_components(scan.facts, classes),
        "areas": draw_areas(scan.facts, classes),
    }
    paths = []
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        with writing_in(path):
            # Without the version, so that the same data give the same bytes.
            figure.savefig(path, dpi=DPI, metadata={"Software": None})
        paths.append(path)
    return paths


def draw_labels(facts: Sequence[Facts]) -> "Figure":
    """How many images are clean, defective and unknown."""
    counts = Counter(fact.label for fact in facts)
    shown = [label for label in LABELS if counts[label] or label != "unknown"]
    colours = {"good": "#009E73", "defective": "#D55E00", "unknown": GREY}
    figure, axes = _figure(0.9 + 0.4 * len(shown))
    _bars(
        axes[0],
        shown,
        [counts[label] for label in shown],
        [colours[label] for label in shown],
        of=len(facts),
    )
    _head(axes[0], f"Images with and without defects (N = {len(facts):,})", "images")
    return figure


def draw_classes(facts: Sequence[Facts], classes: Sequence[str]) -> "Figure":
    """Images and connected components a class, side by side."""
    figure, axes = _figure(1.1 + 0.36 * max(len(classes), 1), columns=2)
    planes = range(len(classes))
    images = [sum(plane in fact.planes for fact in facts) for plane in planes]
    parts = [len(component_areas(facts, plane)) for plane in planes]
    colours = _colours(len(classes))
    _bars(axes[0], classes, images, colours)
    _bars(axes[1], [""] * len(classes), parts, colours)
    defective = sum(bool(fact.planes) for fact in facts)
    _head(axes[0], f"Images a class (N = {defective:,} defective)", "images")
    _head(axes[1], f"Components a class (N = {sum(parts):,})", "components")
    return figure


def draw_components(facts: Sequence[Facts], classes: Sequence[str]) -> "Figure":
    """Components an image: of all classes together, then of each."""
    panels = [("all classes", components_an_image(facts), INK)] + [
        (name, components_an_image(facts, plane), colour)
        for plane, (name, colour) in enumerate(zip(classes, _colours(len(classes)), strict=True))
    ]
    figure, axes = _grid(len(panels), "Components an image")
    top = min(MANY, max([2, *panels[0][1]]))
    ticks = range(1, top + 1, 1 if top <= 8 else 2)
    for panel, (name, counts, colour) in zip(axes, panels, strict=True):
        tally = Counter(min(count, MANY) for count in counts)
        bars = panel.bar(range(1, top + 1), [tally[n] for n in range(1, top + 1)], color=colour)
        texts = [f"{tally[n]:,}" if tally[n] else "" for n in range(1, top + 1)]
        panel.bar_label(bars, texts, padding=1, fontsize=7, color=INK)
        panel.margins(y=0.12)
        panel.set_xticks(ticks, [f"{MANY}+" if tick == MANY else str(tick) for tick in ticks])
        _head(panel, f"{name} (N = {len(counts):,} images)", "components in the image", small=True)
        panel.set_ylabel("images")
        _whole(panel.yaxis)
    return figure


def draw_areas(facts: Sequence[Facts], classes: Sequence[str]) -> "Figure":
    """Component areas of each class on one logarithmic axis, with the median."""
    areas = [component_areas(facts, plane) for plane in range(len(classes))]
    figure, axes = _grid(max(len(classes), 1), "Area of a component", columns=1, height=1.3)
    largest = max((max(found) for found in areas if found), default=10)
    edges = np.geomspace(1, max(largest, 2) * 1.001, 41).tolist()
    panels = zip(axes, classes, areas, _colours(len(classes)), strict=False)
    for panel, name, found, colour in panels:
        panel.set_xscale("log")
        panel.set_xlim(edges[0], edges[-1])
        panel.hist(found, bins=edges, color=colour)
        title = f"{name} (N = {len(found):,} components"
        if found:
            median = float(np.median(found))
            panel.axvline(median, color=INK, linewidth=1.2, linestyle="--")
            title += f", median {median:,.0f} px"
        _head(panel, title + ")", "", small=True)
        panel.set_ylabel("components")
        _whole(panel.yaxis)
    axes[-1].set_xlabel("area in pixels (logarithmic)")
    return figure


def _figure(height: float, columns: int = 1) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    grid = figure.subplots(1, columns, squeeze=False)
    return figure, list(grid.ravel())


def _grid(
    panels: int, title: str, columns: int = 2, height: float = 1.9
) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    columns = min(columns, panels)
    rows = -(-panels // columns)
    figure = Figure(figsize=(WIDTH, 0.5 + height * rows), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for empty in axes[panels:]:
        empty.set_visible(False)
    return figure, axes[:panels]


def _bars(
    axes: "Axes",
    names: Sequence[str],
    counts: Sequence[int],
    colours: Sequence[Any],
    of: int | None = None,
) -> None:
    """Horizontal bars from the top down, each with its count (and share)."""
    places = np.arange(len(names))
    bars = axes.barh(places, counts, color=colours, height=0.7)
    texts = [f"{n:,}" + (f"  ({n / of:.0%})" if of else "") for n in counts]
    axes.bar_label(bars, texts, padding=3, fontsize=9, color=INK)
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set_xlim(0, max([*counts, 1]) * (1.22 if of else 1.18))
    axes.tick_params(axis="y", length=0)
    _whole(axes.xaxis)


def _head(axes: "Axes", title: str, label: str, small: bool = False) -> None:
    axes.set_title(title, loc="left", fontsize=9 if small else 10, color=INK)
    axes.set_xlabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.xaxis.label.set_fontsize(8)
    axes.yaxis.label.set_fontsize(8)


def _whole(axis: "Axis") -> None:
    """Let an axis of counts have whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))


def _shown(name: str) -> str:
    # A dollar sign would start a formula.
    return (name if len(name) <= 24 else name[:23] + "…").replace("$", r"\$")


def _colours(count: int) -> list[tuple[float, float, float]]:
    return [(r / 255, g / 255, b / 255) for r, g, b in class_colours(count)]
