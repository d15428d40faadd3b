"""A run's losses as one picture, ``losses.png``: both networks', the distance, the diversity."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from flawsmith.data.kept import EXACT, read_kept_lines
from flawsmith.train.files import replace_file
from flawsmith.train.runs import METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLOT = "losses.png"
DPI = 110
# A little more than float32, in which losses are computed, reaches.
MOST = 1e39
# Each panel's title and what it shows, where the run tells it.
PANELS: tuple[tuple[str, dict[str, str]], ...] = (
    ("losses", {"g_loss": "generator", "d_loss": "critic"}),
    ("mean logits", {"real_score": "real", "fake_score": "generated"}),
    (
        "penalties and distance",
        {
            "distance": "critic's estimate of the distance",
            "d_penalty": "gradient penalty",
            "d_r1": "R1",
            "d_reconstruction": "reconstruction",
        },
    ),
    ("diversity, share of real pictures'", {"diversity": "generated"}),
)
# Told apart by colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


def write_losses(run: Path) -> Path:
    """Draw a run's ``metrics.jsonl`` into its ``losses.png`` and return that path.

    The same metrics give the same bytes. Raises InputError if there is none, OutputError.
    """
    figure = draw_losses(read_lines(run / METRICS))
    content = io.BytesIO()
    figure.savefig(content, dpi=DPI, format="png", metadata={"Software": None})
    replace_file(run / PLOT, content.getvalue())
    return run / PLOT


@dataclass(frozen=True)
class _Line:
    """What is drawn of a line."""

    step: Annotated[int, Field(ge=0, le=EXACT)]
    losses: dict[str, Annotated[float, Field(ge=-MOST, le=MOST, allow_inf_nan=False)]]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's metrics; raises InputError if it cannot be read."""
    # Not the folder: it holds the weights.
    empty = "put an empty file there: the losses so far are then not drawn"
    return read_kept_lines(path, _Line, mend="remove the line", mend_file=empty)


def draw_losses(lines: list[dict[str, Any]]) -> "Figure":
    """Return the figure: a panel a kind of value that the run told, over the steps."""
    from matplotlib.figure import Figure

    told = {name for line in lines for name in line["losses"]}
    panels = [(title, names) for title, names in PANELS if told & names.keys()]
    figure = Figure(figsize=(7.5, 2.2 * max(1, len(panels))), layout="constrained")
    for i, (title, names) in enumerate(panels):
        axes = figure.add_subplot(len(panels), 1, i + 1)
        for colour, (name, label) in zip(COLOURS, names.items(), strict=False):
            if name in told:
                points = [(k["step"], k["losses"][name]) for k in lines if name in k["losses"]]
                axes.plot(*zip(*points, strict=True), color=colour, label=label, marker=".", ms=3)
        axes.set_title(title, loc="left", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.legend(loc="upper left", fontsize=8, frameon=False)  # "best" would take seconds
        axes.grid(alpha=0.3)
    if panels:
        axes.set_xlabel("steps of the generator", fontsize=9)
    return figure
