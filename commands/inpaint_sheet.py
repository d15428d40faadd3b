"""``flawsmith inpaint sheet``: one picture of what a run can do."""

from pathlib import Path
from typing import Any

import click

from flawsmith.commands.common import (
    classes_flag,
    device_flag,
    emit,
    json_flag,
    read_flags,
    read_options,
    seed_setting,
    show_reading,
    workers_flag,
)


@click.command("sheet")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("backgrounds", type=click.Path(path_type=Path))
@click.argument("picture", type=click.Path(path_type=Path, dir_okay=False))
@classes_flag
@device_flag
@read_flags
@seed_setting
@workers_flag
@json_flag
def sheet(
    run: Path,
    backgrounds: Path,
    picture: Path,
    device: str,
    workers: int,
    as_json: bool,
    **flags: Any,
) -> None:
    """Draw what RUN paints on clean images of BACKGROUNDS into one PICTURE.

    A class has three rows. In each, one thing alone changes: the noise, the mask, the strength.

    \b
    Example:
      flawsmith inpaint sheet run/ photos/ sheet.png
    """
    from flawsmith.augment.preview import check_preview
    from flawsmith.data.formats import read_dataset
    from flawsmith.data.images import write_png
    from flawsmith.data.scan import scan
    from flawsmith.inpaint.apply_settings import ApplySettings
    from flawsmith.inpaint.prepare import open_run, recipe_of
    from flawsmith.inpaint.sheet import draw_sheet
    from flawsmith.settings import load_settings

    options = read_options(flags)
    settings = load_settings(ApplySettings, None, flags)
    check_preview(picture, "folder")
    opened = open_run(run, device)
    dataset = read_dataset(backgrounds, options)
    found = scan(dataset, workers=workers, on_error=options.on_error)
    show_reading(found.dataset)
    recipe, notices = recipe_of(opened, found, settings, workers)
    write_png(picture, draw_sheet(recipe))
    classes = [opened.painter.classes[plane] for plane in recipe.kinds]
    result = {"picture": str(picture), "classes": classes, "notices": list(notices)}
    lines = [f"{picture}: {', '.join(classes)}", *(f"  note: {notice}" for notice in notices)]
    emit(result, as_json, lines)
