"""``flawsmith gen assemble``: plates from anodes, glasses and cathodes."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flawsmith.commands.common import (
    emit,
    json_flag,
    out_argument,
    overwrite_flag,
    read_flags,
    read_options,
    seed_flag,
    show_reading,
    to_flag,
    workers_flag,
)
from flawsmith.commands.tables import Cell, aligned
from flawsmith.data.plates import PARTS
from flawsmith.progress import say

if TYPE_CHECKING:
    from flawsmith.gen.assemble import Assembled
    from flawsmith.gen.seam_report import Spread


@click.command("assemble")
@click.option(
    "--anode", required=True, type=click.Path(path_type=Path), help="Folder of the upper parts."
)
@click.option(
    "--glass", required=True, type=click.Path(path_type=Path), help="Folder of the middle parts."
)
@click.option(
    "--cathode", required=True, type=click.Path(path_type=Path), help="Folder of the lower parts."
)
@out_argument
@click.option("--count", type=click.IntRange(1), default=200, show_default=True, help="Plates.")
@click.option(
    "--blend",
    type=click.IntRange(0, 64),
    default=4,
    show_default=True,
    metavar="PX",
    help="Pixels of each part that a seam may change, marked ones never; 0: none.",
)
@click.option(
    "--real",
    type=click.Path(path_type=Path),
    help="Folder of real upright plates: tells whether the seams stand out from theirs.",
)
@to_flag
@read_flags
@seed_flag
@workers_flag
@overwrite_flag
@json_flag
def assemble(
    anode: Path,
    glass: Path,
    cathode: Path,
    out: Path,
    count: int,
    blend: int,
    real: Path | None,
    to: str,
    seed: int,
    workers: int,
    overwrite: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Join parts to plates with their masks, as the data set OUT; blend and measure the seams.

    Each part is used about equally often, and no plate twice. The folders may have any layout;
    240x400 parts make 240x1200 plates, other sizes work too if all parts have the same.

    \b
    Example:
      flawsmith data plates photos/ parts/ --whole
      flawsmith gen assemble --anode parts/anode --glass parts/glass --cathode parts/cathode \\
        plates/ --count 100 --real parts/plate
    """
    from flawsmith.gen.assemble import AssembleSettings, Parts
    from flawsmith.gen.assemble import assemble as join

    done = join(
        Parts(anode, glass, cathode),
        out,
        AssembleSettings(count=count, seed=seed, blend=blend),
        options=read_options(flags),
        to=to,
        workers=workers,
        overwrite=overwrite,
        real=real,
        show=show_reading,
    )
    for notice in done.built.notices:
        say(f"note: {notice}")
    result = {
        "out": str(out),
        "labels": done.built.labels,
        "parts": done.parts,
        "seams": [figures.to_json() for figures in done.seams],
        "notices": done.built.notices,
    }
    emit(result, as_json, _lines(out, done))


def _lines(out: Path, done: "Assembled") -> list[str]:
    labels = done.built.labels
    used = ", ".join(f"{done.parts[name]['usable']} {name}" for name in PARTS)
    rows: list[list[Cell]] = [
        [figures.seam, _shown(figures.made), _shown(figures.real), figures.verdict, figures.why]
        for figures in done.seams
    ]
    return [
        f"{out}: {sum(labels.values()):,} plates ({labels['good']:,} good, "
        f"{labels['defective']:,} defective) from {used} parts",
        *aligned(("seam", "these plates", "real plates", "verdict", "why"), rows),
        "a seam's figure: gradient across it over that of the lines beside it, median (5% to 95%)",
    ]


def _shown(spread: "Spread | None") -> str:
    if spread is None:
        return "-"
    return f"{spread.median:.2f} ({spread.low:.2f} to {spread.high:.2f}, n {spread.plates:,})"
