"""``flawsmith data``: look at data sets, check, convert and split them, crop plates."""

from collections.abc import Iterator
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
    show_reading,
    source_argument,
    workers_flag,
)
from flawsmith.commands.data_parts import plates, split
from flawsmith.commands.tables import Cell, aligned
from flawsmith.data.formats import CONVERTIBLE
from flawsmith.errors import InputError
from flawsmith.progress import say

if TYPE_CHECKING:
    from flawsmith.data.statistics import Statistics

SIZES_SHOWN = 4


@click.group("data")
def command() -> None:
    """Look at data sets, check, convert and split them; crop battery plates.

    \b
    Examples:
      flawsmith data info photos/
      flawsmith data split photos/ parts/ --fractions 0.7,0.3
    """


@command.command("info")
@source_argument
@click.option(
    "--plots",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Also draw class balance, components and areas as PNGs into this folder.",
)
@read_flags
@workers_flag
@json_flag
def info(src: Path, plots: Path | None, workers: int, as_json: bool, **flags: Any) -> None:
    """Count what the data set SRC holds: labels, classes, components, areas, sizes.

    \b
    Example:
      flawsmith data info photos/ --plots plots/
    """
    from flawsmith.data.formats import read_dataset
    from flawsmith.data.scan import scan
    from flawsmith.data.statistics import describe

    options = read_options(flags)
    found = scan(read_dataset(src, options), workers=workers, on_error=options.on_error)
    show_reading(found.dataset)
    statistics = describe(found)
    result = statistics.to_json()
    if plots is not None:
        from flawsmith.data.plots import write_plots

        result["plots"] = [str(path) for path in write_plots(found, plots)]
        say(f"note: plots in {plots}")
    emit(result, as_json, _info_lines(src, statistics))


def _info_lines(src: Path, found: "Statistics") -> Iterator[str]:
    yield f"{src}: {found.samples:,} images in {found.groups:,} groups, read as {found.format}"
    yield "labels: " + _counts(found.labels)
    sizes = list(found.sizes.items())
    more = f", and {len(sizes) - SIZES_SHOWN:,} other sizes" if len(sizes) > SIZES_SHOWN else ""
    yield "sizes:  " + ", ".join(f"{size} ({n:,})" for size, n in sizes[:SIZES_SHOWN]) + more
    yield f"colour: {found.grey:,} grey, {found.colour:,} RGB"
    several = f"{found.several_classes:,} images show several classes"
    yield f"{several}; in {found.overlapping:,} two classes share a pixel"
    rows: list[list[Cell]] = [
        [
            entry.name,
            entry.images,
            entry.components,
            entry.pixels,
            *(entry.areas.get(q, 0.0) for q in ("0.05", "0.5", "0.95")),
        ]
        for entry in found.classes
    ]
    if rows:
        yield ""
        header = ("class", "images", "components", "pixels", "area 5%", "median", "95%")
        yield from aligned(header, rows)


@command.command("check")
@source_argument
@read_flags
@workers_flag
@json_flag
def check(src: Path, workers: int, as_json: bool, **flags: Any) -> None:
    """Decode every image and mask of SRC and name each bad one; exit code 2 if there is any.

    Entries that other commands would pass over (a mask without its image) are listed too, but are
    no error. --on-error is always "skip" here.

    \b
    Example:
      flawsmith data check photos/
    """
    from dataclasses import asdict

    from flawsmith.data.jobs import check as check_folder

    dataset = check_folder(src, read_options(flags), workers=workers)
    for notice in dataset.notices:
        say(f"note: {notice}")
    bad = [entry for entry in dataset.skipped if entry.bad]
    passed = [entry for entry in dataset.skipped if not entry.bad]
    lines = [f"bad: {entry}" for entry in bad] + [f"passed over: {entry}" for entry in passed]
    lines.append(f"{len(dataset):,} samples fine, {len(bad):,} bad, {len(passed):,} passed over")
    result = {
        "samples": len(dataset),
        "bad": [asdict(entry) for entry in bad],
        "passed_over": [asdict(entry) for entry in passed],
        "notices": list(dataset.notices),
    }
    emit(result, as_json, lines)
    if bad:
        raise InputError(
            f"{len(bad)} bad {'entry' if len(bad) == 1 else 'entries'}",
            where=src,
            mend="see the list; other commands leave them out with --on-error skip",
        )


@command.command("convert")
@source_argument
@out_argument
@click.option("--to", type=click.Choice(CONVERTIBLE), required=True, help="The layout to write.")
@click.option("--jpeg", is_flag=True, help="Write pictures as JPEG: smaller, but lossy.")
@read_flags
@overwrite_flag
@workers_flag
@json_flag
def convert(
    src: Path,
    out: Path,
    to: str,
    jpeg: bool,
    overwrite: bool,
    workers: int,
    as_json: bool,
    **flags: Any,
) -> None:
    """Write the data set SRC in another layout as OUT. Labels and groups survive.

    Run again after an interruption, it goes on where it stopped.

    \b
    Example:
      flawsmith data convert photos/ coco/ --to coco
    """
    from flawsmith.data import jobs

    if jpeg:
        say("note: JPEG is lossy: pixels change, masks do not")
    built = jobs.convert(
        src,
        out,
        to=to,
        options=read_options(flags),
        jpeg=jpeg,
        workers=workers,
        overwrite=overwrite,
        show=show_reading,
    )
    for notice in built.notices:
        say(f"note: {notice}")
    result = {"out": str(out), "format": to, "labels": built.labels, "notices": built.notices}
    emit(result, as_json, [f"{out}: {_counts(built.labels)}, as {to}"])


def _counts(labels: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {label}" for label, n in labels.items() if n) or "nothing"


command.add_command(split)
command.add_command(plates)
