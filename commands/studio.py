"""``flawsmith studio``: a local page to paint, review and see."""

from pathlib import Path

import click

from flawsmith.commands.common import device_flag
from flawsmith.progress import say


@click.command("studio")
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    metavar="SRC",
    help="Real images: clean ones to paint on, defects to compare with.  [default: a run's own]",
)
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="A folder of inpaint train to paint with.  [default: FOLDER's own]",
)
@click.option(
    "--judged",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="What flawsmith filter wrote of these candidates: its scores and reasons are shown.",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Data set that saved paintings are added to.  [default: painted/ in FOLDER]",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where small pictures and features are kept.  [default: your cache folder]",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default="a free one", help="Port."
)
@click.option("--no-browser", is_flag=True, help="Print the address, open no browser.")
@device_flag
def command(
    folder: Path,
    images: Path | None,
    run: Path | None,
    judged: Path | None,
    save: Path | None,
    cache: Path | None,
    host: str,
    port: int,
    no_browser: bool,
    device: str,
) -> None:
    """Open a page on this machine: paint defects, review candidates, see the report of FOLDER.

    FOLDER is what run, inpaint train, inpaint apply, augment or filter wrote. The address holds a
    random token: only who knows it is answered.

    \b
    Example:
      flawsmith studio out/
      flawsmith studio run/ --images photos/      paint with a training run
      flawsmith studio painted/ --images photos/  review what inpaint apply made
    """
    from flawsmith.evaluate.feature_store import default_folder
    from flawsmith.studio.app import build_app, open_paint, open_state, reserve
    from flawsmith.studio.opened import RESULT, open_folder
    from flawsmith.studio.server import serve, take_place

    if (folder / RESULT).is_file():
        say(
            "note: no command reads decisions in a filter's output; to have the next filter heed "
            f"them, open the candidates themselves with --judged {folder}"
        )
    opened = open_folder(folder, images=images, run=run, judged=judged, save=save)
    with reserve(opened):
        state = open_state(opened, cache or default_folder(), device)
        paint = open_paint(state, device)
        place = take_place(host, port)
        app = build_app(state, paint, place.token, place.host, place.port)
        serve(place, app, browse=not no_browser, say=say)
