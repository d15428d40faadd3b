"""``flawsmith gen select``: which generated clean pictures pass for real ones."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from flawsmith.commands.common import (
    config_flag,
    device_flag,
    emit,
    json_flag,
    out_argument,
    overwrite_flag,
    read_flags,
    read_options,
    seed_setting,
    show_reading,
    workers_flag,
)
from flawsmith.commands.tables import Cell, aligned

UNITS = {
    "artefacts": "oddness of detail, tone and tint, at most",
    "quality": "distance to a real picture, at most",
    "copies": "distance to a real picture, above",
}


@click.command("select")
@click.argument("samples", type=click.Path(path_type=Path))
@out_argument
@click.option(
    "--real",
    type=click.Path(path_type=Path),
    metavar="SRC",
    required=True,
    help="The real pictures that the generator learned from; the clean ones count.",
)
@click.option(
    "--keep",
    type=click.FloatRange(0.5, 1, max_open=True),
    help="Share of real pictures of other parts that would pass.  [default: 0.95]",
)
@click.option("--count", type=click.IntRange(1), help="Keep the most real ones, at most so many.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where features are kept for the next time.  [default: your cache folder]",
)
@config_flag
@device_flag
@read_flags
@seed_setting
@workers_flag
@overwrite_flag
@json_flag
def select(
    samples: Path,
    out: Path,
    real: Path,
    cache: Path | None,
    config: Path | None,
    device: str,
    workers: int,
    overwrite: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Write those of the generated clean pictures SAMPLES that pass for real to OUT/accepted.

    Each needs detail and tone as real pictures have them, to lie as near to a real one as real ones
    of other parts do, and to be no copy. OUT/samples.jsonl has every sample's scores, and why it
    was rejected. The flags on reading are for --real.

    \b
    Example:
      flawsmith gen select anodes/ selected/ --real parts/anode --count 50
    """
    from flawsmith.evaluate.filtering.job import Machine
    from flawsmith.evaluate.filtering.select_settings import SelectSettings
    from flawsmith.evaluate.filtering.whole_job import select_folder
    from flawsmith.gen.fitting import fit_of
    from flawsmith.settings import load_settings

    options = read_options(flags)
    settings = load_settings(SelectSettings, config, flags)
    result = select_folder(
        samples,
        real,
        out,
        settings,
        fit=fit_of(samples),
        options=options,
        machine=Machine(False, device, cache, workers),
        overwrite=overwrite,
        show=show_reading,
    )
    shown = {name: result[name] for name in ("candidates", "accepted", "rejected", "thresholds")}
    emit({"out": str(out), **shown}, as_json, _lines(out, result))


def _lines(out: Path, result: dict[str, Any]) -> Iterator[str]:
    made, accepted = result["candidates"], result["accepted"]
    yield f"{out}: {accepted} of {made} pictures accepted ({accepted / made:.0%})"
    for reason, count in result["rejected"].items():
        yield f"  {count} rejected: {reason}"
    rows: list[list[Cell]] = [
        [
            UNITS[entry["step"]],
            f"{entry['value']:.3g}",
            f"{entry['real']} real pictures of {entry['groups']} parts",
        ]
        for entry in result["thresholds"]
    ]
    yield ""
    yield from aligned(["limit", "value", "learned from"], rows)
