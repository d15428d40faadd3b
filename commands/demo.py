"""``flawsmith demo``."""

from pathlib import Path

import click

from flawsmith.commands.common import emit, json_flag, out_argument, seed_flag, workers_flag


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
    type=click.FloatRange(0.05, 1.0),
    default=0.125,
    show_default=True,
    help="Size of plate photos, as a share of 4096x6000.",
)
@seed_flag
@workers_flag
@json_flag
def command(
    out: Path, kind: str, count: int, scale: float, seed: int, workers: int, as_json: bool
) -> None:
    """Draw a procedural sample data set into OUT; no download.

    \b
    Example:
      flawsmith demo sample/ --kind plates --count 40
    """
    from flawsmith.data.jobs import write_demo

    built = write_demo(out, kind=kind, count=count, scale=scale, seed=seed, workers=workers)
    text = ", ".join(f"{n} {label}" for label, n in built.labels.items() if n)
    emit({"out": str(out), "labels": built.labels}, as_json, [f"{out}: {text}"])
