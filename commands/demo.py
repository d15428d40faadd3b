"""``flawsmith demo``."""

from pathlib import Path
from typing import Any

import click

from flawsmith.commands.common import (
    emit,
    json_flag,
    out_argument,
    overwrite_flag,
    seed_flag,
    workers_flag,
)


@click.command("demo")
@out_argument
@click.option(
    "--kind",
    type=click.Choice(["severstal", "plates"]),
    default="severstal",
    show_default=True,
    help="Steel strips in the Severstal layout, or photos of battery plates.",
)
@click.option("--count", type=click.IntRange(1), default=48, show_default=True, help="Samples.")
@click.option(
    "--scale",
    type=click.FloatRange(0.08, 1.0),
    default=0.125,
    show_default=True,
    help="Size of plate photos, as a share of 4096x6000.",
)
@seed_flag
@workers_flag
@overwrite_flag
@json_flag
def command(out: Path, as_json: bool, **settings: Any) -> None:
    """Draw a procedural sample data set into OUT; no download.

    \b
    Example:
      flawsmith demo sample/ --kind plates --count 40
    """
    from flawsmith.data.jobs import write_demo

    built = write_demo(out, **settings)
    text = ", ".join(f"{n} {label}" for label, n in built.labels.items() if n)
    emit({"out": str(out), "labels": built.labels}, as_json, [f"{out}: {text}"])
