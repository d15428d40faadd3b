"""``flawsmith gen sample``: a data set drawn from a trained run."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flawsmith.commands.common import (
    device_flag,
    emit,
    json_flag,
    out_argument,
    overwrite_flag,
    preview_flag,
    seed_flag,
    to_flag,
    workers_flag,
)
from flawsmith.commands.division import PART, made_lines, part_told, shard_flag
from flawsmith.data.parallel import load_early

if TYPE_CHECKING:
    from flawsmith.data.division import Shard


@click.command("sample")
@click.argument("run", type=click.Path(path_type=Path))
@out_argument
@click.option(
    "--count", type=click.IntRange(1), default=100, show_default=True, help="Samples to make."
)
@click.option(
    "--truncation",
    type=click.FloatRange(0, 2),
    default=1.0,
    show_default=True,
    help="Below 1: more usual samples, and more alike.",
)
@preview_flag
@to_flag
@device_flag
@seed_flag
@shard_flag(PART)
@workers_flag
@overwrite_flag
@json_flag
def sample(
    run: Path,
    out: Path,
    count: int,
    truncation: float,
    preview: Path | None,
    to: str,
    device: str,
    seed: int,
    shard: "Shard | None",
    workers: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write COUNT samples of a trained RUN as the data set OUT, with masks if it makes any.

    \b
    Examples:
      flawsmith gen sample run/ anodes/ --count 500 --truncation 0.8 --preview grid.png
      flawsmith gen sample run/ shards/2 --count 1000000 --shard 2/64
    """
    if workers > 1:
        load_early("flawsmith.gen.candidates")
    from flawsmith.augment.preview import check_preview, write_preview
    from flawsmith.gen.candidates import write_samples

    if preview is not None:
        check_preview(preview, to, shard)
    built = write_samples(
        run,
        out,
        count=count,
        seed=seed,
        truncation=truncation,
        device=device,
        to=to,
        shard=shard,
        workers=workers,
        overwrite=overwrite,
    )
    if preview is not None:
        write_preview(out, preview)
    result = {"out": str(out), **vars(built), "preview": str(preview) if preview else None}
    labels = ", ".join(f"{count} {label}" for label, count in built.labels.items() if count)
    emit(result, as_json, [f"{out}: {labels}{part_told(shard)}", *made_lines(built)])
