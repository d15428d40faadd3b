"""``flawsmith augment``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flawsmith.commands.common import (
    classes_flag,
    config_flag,
    emit,
    json_flag,
    masks_run_flag,
    open_masks_run,
    out_argument,
    overwrite_flag,
    preview_flag,
    read_flags,
    read_options,
    roi_flag,
    seed_setting,
    show_reading,
    source_argument,
    span,
    to_flag,
    workers_flag,
)
from flawsmith.commands.division import PART, made_lines, made_of, shard_flag

if TYPE_CHECKING:
    from flawsmith.data.division import Shard


@click.command("augment")
@source_argument
@out_argument
@click.option(
    "--method",
    type=click.Choice(["classical", "paste", "procedural"]),
    required=True,
    help="classical: move and tone real samples; paste: real defects into clean images, or into "
    "defect-free regions where none is clean; procedural: drawn defects, likewise.",
)
@click.option("--count", type=click.IntRange(1), help="Samples to make.  [default: 200]")
@click.option("--preset", type=click.Choice(["safe", "thesis"]), help="classical: the policy.")
@click.option(
    "--sources",
    type=click.Choice(["defective", "good", "all"]),
    help="classical: what is transformed.  [default: defective]",
)
@classes_flag
@click.option(
    "--per-image", callback=span(int), metavar="1-2", help="Defects an image.  [default: 1-2]"
)
@click.option(
    "--masks",
    type=click.Choice(["bank", "procedural", "folder", "gan"]),
    help="Where masks come from: real ones, drawn ones, --mask-folder, --masks-run.",
)
@click.option(
    "--mask-folder",
    type=click.Path(path_type=Path),
    help="Your masks, one sub-folder a class (with --masks folder).",
)
@masks_run_flag
@roi_flag
@click.option(
    "--position",
    type=click.Choice(["uniform", "empirical"]),
    help="Anywhere in the region, or where real ones of the class lie.  [default: uniform]",
)
@click.option("--blend", type=click.Choice(["feather", "poisson"]), help="paste: the seam.")
@click.option(
    "--flips",
    type=click.Choice(["auto", "all", "none"]),
    help="classical, safe: flips that the clean images allow, all, or none.  [default: auto]",
)
@preview_flag
@to_flag
@click.option("--jpeg", is_flag=True, help="Write pictures as JPEG: smaller, lossy.")
@config_flag
@read_flags
@seed_setting
@shard_flag(PART)
@workers_flag
@overwrite_flag
@json_flag
def command(
    src: Path,
    out: Path,
    preview: Path | None,
    to: str,
    jpeg: bool,
    config: Path | None,
    shard: "Shard | None",
    workers: int,
    overwrite: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Make COUNT labelled samples from the data set SRC, as the data set OUT.

    \b
    Examples:
      flawsmith augment photos/ pasted/ --method paste --count 1000 --preview grid.png
      flawsmith augment photos/ moved/ --method classical --preset thesis
      flawsmith augment photos/ shards/2 --method paste --count 1000000 --shard 2/64
    """
    from flawsmith.augment.job import augment
    from flawsmith.augment.preview import check_preview, write_preview
    from flawsmith.augment.settings import AugmentSettings
    from flawsmith.settings import load_settings

    options = read_options(flags)
    settings = load_settings(AugmentSettings, config, flags)
    if preview is not None:
        check_preview(preview, to, shard)
    built = augment(
        src,
        out,
        settings,
        options=options,
        to=to,
        shard=shard,
        workers=workers,
        overwrite=overwrite,
        jpeg=jpeg,
        drawn=open_masks_run(settings.masks_run, settings.seed),
        show=show_reading,
    )
    if preview is not None:
        write_preview(out, preview)
    lines = [made_of(out, built, settings.count, shard), *made_lines(built)]
    result = {"out": str(out), **vars(built), "preview": str(preview) if preview else None}
    emit(result, as_json, lines)
