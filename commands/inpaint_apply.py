"""``flawsmith inpaint apply``; its own settings, printed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flawsmith.commands.common import (
    classes_flag,
    config_flag,
    device_flag,
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
    span,
    to_flag,
    workers_flag,
)
from flawsmith.commands.division import PART, made_lines, made_of, shard_flag
from flawsmith.data.parallel import load_early
from flawsmith.progress import say

if TYPE_CHECKING:
    from flawsmith.data.division import Shard
    from flawsmith.settings import Settings


def shown(settings: "Settings") -> str:
    """Return all settings in one line."""
    return ", ".join(f"{k} {v}" for k, v in settings.model_dump(mode="json").items())


@click.command("apply")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("backgrounds", type=click.Path(path_type=Path))
@out_argument
@click.option("--count", type=click.IntRange(1), help="Samples to make.  [default: 200]")
@click.option(
    "--masks",
    metavar="bank|procedural|gan|DIR",
    help="The run's own masks, drawn ones, those of --masks-run, or yours: DIR has a sub-folder a "
    "class.  "
    "[default: bank]",
)
@masks_run_flag
@classes_flag
@click.option(
    "--per-image", callback=span(int), metavar="1-3", help="Defects an image.  [default: 1-2]"
)
@click.option(
    "--strength",
    callback=span(float),
    metavar="0.7-1.2",
    help="Factor on the painted change.  [default: 1]",
)
@roi_flag
@click.option(
    "--position",
    type=click.Choice(["uniform", "empirical"]),
    help="Anywhere in the region, or where real ones lie.  [default: empirical]",
)
@preview_flag
@to_flag
@config_flag
@device_flag
@read_flags
@seed_setting
@shard_flag(PART)
@workers_flag
@overwrite_flag
@json_flag
def apply(
    run: Path,
    backgrounds: Path,
    out: Path,
    masks: str | None,
    preview: Path | None,
    to: str,
    config: Path | None,
    device: str,
    shard: "Shard | None",
    workers: int,
    overwrite: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Paint COUNT labelled samples into the clean images of BACKGROUNDS, as the data set OUT.

    Where none is clean, defect-free regions of the others are painted on. Outside of a defect's
    mask and a few pixels around it, every pixel stays what it was.

    \b
    Examples:
      flawsmith inpaint apply run/ photos/ painted/ --count 1000 --classes crack --per-image 1-3
      flawsmith inpaint apply run/ photos/ shards/2 --count 1000000 --shard 2/64
    """
    if workers > 1:
        load_early("flawsmith.inpaint.recipe")
    from flawsmith.augment.preview import check_preview, write_preview
    from flawsmith.inpaint.apply import apply as paint
    from flawsmith.inpaint.apply_settings import ApplySettings
    from flawsmith.settings import load_settings

    options = read_options(flags)
    settings = load_settings(ApplySettings, config, {**flags, **_mask_source(masks)})
    if preview is not None:
        check_preview(preview, to, shard)
    say(shown(settings))
    built = paint(
        run,
        backgrounds,
        out,
        settings,
        options=options,
        device=device,
        to=to,
        shard=shard,
        workers=workers,
        overwrite=overwrite,
        drawn=open_masks_run(settings.masks_run, settings.seed),
        show=show_reading,
    )
    if preview is not None:
        write_preview(out, preview)
    result = {"out": str(out), **vars(built), "preview": str(preview) if preview else None}
    lines = [made_of(out, built, settings.count, shard), *made_lines(built)]
    emit(result, as_json, lines)


def _mask_source(text: str | None) -> dict[str, Any]:
    if text in (None, "bank", "procedural", "gan"):
        return {"masks": text}
    return {"masks": "folder", "mask_folder": Path(text)}
