"""Options and output that the commands share."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from flawsmith.data.dataset import DataSet
from flawsmith.data.formats import READERS, ReadOptions
from flawsmith.data.parallel import default_workers
from flawsmith.errors import printable
from flawsmith.progress import say

if TYPE_CHECKING:
    from flawsmith.augment.shapes import RunShapes

F = TypeVar("F", bound=Callable[..., Any])
SHOWN = 10


def listed(kind: type) -> Callable[..., tuple[Any, ...] | None]:
    """Return a click callback that reads values with commas between them."""

    def parse(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
        try:
            if value is None:
                return None
            parts = [part.strip() for part in value.split(",")]
            if not all(parts):
                raise ValueError
            return tuple(map(kind, parts))
        except ValueError as error:
            raise click.BadParameter(
                f"{value!r} is no list with commas between its values"
            ) from error

    return parse


def span(kind: type) -> Callable[..., tuple[Any, ...] | None]:
    """Return a click callback that reads ``1-3``, or ``2`` as 2-2."""

    def parse(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
        if value is None:
            return None
        low, _, high = value.partition("-")
        try:
            return kind(low), kind(high or low)
        except ValueError as error:
            raise click.BadParameter(f"{value!r} is no range such as 1-3") from error

    return parse


def read_flags(command: F) -> F:
    """Add the flags that say how a folder is read; ``read_options`` turns them into ReadOptions."""
    for flag in (
        click.option("--assume-good", is_flag=True, help="Count images without any mask as clean."),
        click.option(
            "--group-regex",
            metavar="REGEX",
            help="Images whose relative path gives the same match show the same part; "
            "a split keeps them together. Otherwise groups.csv decides.",
        ),
        click.option(
            "--on-error",
            type=click.Choice(["stop", "skip"]),
            default="stop",
            show_default=True,
            help="What to do with an unreadable or bad entry: stop, or skip and list it.",
        ),
        click.option(
            "--format", type=click.Choice(list(READERS)), help="The layout; default: look."
        ),
    ):
        command = flag(command)
    return command


def read_options(flags: dict[str, Any]) -> ReadOptions:
    """Take the flags of ``read_flags`` out of ``flags``."""
    names = ("format", "on_error", "group_regex", "assume_good")
    return ReadOptions(**{name: flags.pop(name) for name in names})


def seed_flag(command: F) -> F:
    return click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="The same seed gives the same bytes on the same machine.",
    )(command)


def seed_setting(command: F) -> F:
    """Add --seed for commands with a config file: not given, it leaves the file's seed alone."""
    return click.option(
        "--seed",
        type=click.IntRange(min=0),
        help="The same seed gives the same bytes on the same machine.  [default: 0]",
    )(command)


def workers_flag(command: F) -> F:
    return click.option(
        "--workers",
        type=click.IntRange(1, 256),
        default=default_workers(),
        show_default="all cores",
        help="Processes; the result does not depend on their number.",
    )(command)


def look_alikes_flag(command: F) -> F:
    return click.option(
        "--look-alikes",
        type=click.Choice(["join", "leave"]),
        help="Photos that look like one part though their groups differ: join the groups, so that "
        "no split separates them, or leave them.  [default: join]",
    )(command)


def device_flag(command: F) -> F:
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        metavar="NAME",
        help="Where networks run: cpu, cuda, cuda:1, mps; auto takes a GPU where there is one.",
    )(command)


def classes_flag(command: F) -> F:
    return click.option(
        "--classes", callback=listed(str), metavar="A,B", help="Only these classes."
    )(command)


def roi_flag(command: F) -> F:
    return click.option(
        "--roi",
        type=click.Path(path_type=Path),
        help="PNG, non-zero where defects may lie.  [default: the part, found automatically]",
    )(command)


def masks_run_flag(command: F) -> F:
    return click.option(
        "--masks-run",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="RUN",
        help="A run of gen train --with-masks that makes the masks (with --masks gan).",
    )(command)


def open_masks_run(run: Path | None, seed: int) -> "RunShapes | None":
    """Return the masks of the run that the settings name, if they name one."""
    if run is None:
        return None
    from flawsmith.gen.masks import open_masks

    return open_masks(run, seed)


def preview_flag(command: F) -> F:
    return click.option(
        "--preview",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Also draw the first samples with mask outlines into this PNG.",
    )(command)


def to_flag(command: F) -> F:
    return click.option(
        "--to", default="folder", show_default=True, help="Format of the data set written."
    )(command)


def config_flag(command: F) -> F:
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="YAML file with any setting; flags go before it.",
    )(command)


def training_flags(command: F) -> F:
    """Add what trainings of generators share: settings over a preset's, and the machine's."""
    for flag in (
        click.option(
            "--dry-run", is_flag=True, help="Print the settings and what was seen, then stop."
        ),
        click.option("--compile", is_flag=True, default=None, help="Use torch.compile."),
        click.option(
            "--precision", type=click.Choice(["no", "bf16"]), help="bf16: quicker on GPUs."
        ),
        click.option(
            "--num-processes",
            type=click.IntRange(1, 64),
            default=1,
            show_default=True,
            help="Processes that share each batch: one a GPU.",
        ),
        click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1 or mps.  [default: auto]"),
        click.option(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            help="YAML file with any setting, over the preset's; flags go before it.",
        ),
    ):
        command = flag(command)
    return command


def json_flag(command: F) -> F:
    return click.option(
        "--json", "as_json", is_flag=True, help="Print the result as JSON on standard output."
    )(command)


def overwrite_flag(command: F) -> F:
    return click.option(
        "--overwrite", is_flag=True, help="Replace an output folder that flawsmith made."
    )(command)


def source_argument(command: F) -> F:
    return click.argument("src", type=click.Path(path_type=Path))(command)


def out_argument(command: F) -> F:
    return click.argument("out", type=click.Path(path_type=Path))(command)


def show_reading(dataset: DataSet) -> None:
    """Print what a reading saw and passed over to standard error."""
    for notice in dataset.notices:
        say(f"note: {notice}")
    for entry in dataset.skipped[:SHOWN]:
        say(f"skipped: {entry}")
    if len(dataset.skipped) > SHOWN:
        say(f"skipped: and {len(dataset.skipped) - SHOWN} more (all in --json)")


def emit(result: dict[str, Any], as_json: bool, lines: Iterable[str]) -> None:
    """Print the result: JSON on standard output, or the lines for a person."""
    if as_json:
        # A path may hold bytes that are no UTF-8; escaped, they stay valid JSON.
        text = json.dumps(result, indent=2, ensure_ascii=False)
        click.echo(text.encode("utf-8", "backslashreplace").decode())
    else:
        for line in lines:
            click.echo(printable(line))
