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
    seed_flag,
    show_reading,
    source_argument,
    workers_flag,
)
from flawsmith.commands.tables import aligned
from flawsmith.data.formats import CONVERTIBLE
from flawsmith.errors import InputError
from flawsmith.progress import say

if TYPE_CHECKING:
    from flawsmith.data.build import Built
    from flawsmith.data.splitting import Plan, Split
    from flawsmith.data.statistics import Statistics

SIZES_SHOWN = 4
PRESETS = ("steel-thesis",)


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
    rows = [
        (
            entry.name,
            entry.images,
            entry.components,
            entry.pixels,
            *(entry.areas.get(q, 0.0) for q in ("0.05", "0.5", "0.95")),
        )
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


class _Listed(click.ParamType):
    """Values with commas between them."""

    name = "list"

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Any, ...]:
        try:
            return tuple(self.kind(part.strip()) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is no list such as 0.7,0.3", param, ctx)


@command.command("split")
@source_argument
@out_argument
@click.option(
    "--fractions",
    type=_Listed(float),
    metavar="F,F,...",
    help="Share of each part; what they leave over is left out.  [default: 0.5,0.5]",
)
@click.option(
    "--names",
    type=_Listed(str),
    metavar="NAME,NAME,...",
    help="Name of each part, a folder in OUT.  [default: train,test]",
)
@click.option(
    "--per-class",
    type=click.IntRange(1),
    metavar="N",
    help="Keep at most N defective images a class in the first part; the others are dropped.",
)
@click.option(
    "--preset",
    type=click.Choice(PRESETS),
    help="steel-thesis: halves in the Severstal layout, one for the generators, one to measure.",
)
@click.option(
    "--to", type=click.Choice(CONVERTIBLE), help="The layout to write.  [default: folder]"
)
@seed_flag
@read_flags
@overwrite_flag
@workers_flag
@json_flag
def split(
    src: Path,
    out: Path,
    fractions: tuple[float, ...] | None,
    names: tuple[str, ...] | None,
    per_class: int | None,
    preset: str | None,
    to: str | None,
    seed: int,
    overwrite: bool,
    workers: int,
    as_json: bool,
    **flags: Any,
) -> None:
    """Divide SRC into OUT/train, OUT/test: seeded, every class in its share, groups kept whole.

    Photos of one part (groups.csv or --group-regex) and exact copies never face each other.

    \b
    Examples:
      flawsmith data split photos/ parts/ --fractions 0.7,0.3 --names train,test
      flawsmith data split photos/ few/ --per-class 20
    """
    from flawsmith.data import splitting

    settings = {"fractions": fractions, "names": names, "to": to}
    plan = _plan(preset, {key: value for key, value in settings.items() if value is not None})
    plan = splitting.replace_budget(plan, per_class, seed)
    done = splitting.split(
        src,
        out,
        plan,
        options=read_options(flags),
        workers=workers,
        overwrite=overwrite,
        show=show_reading,
    )
    for notice in done.notices:
        say(f"note: {notice}")
    parts = [
        {"name": part.name, "out": str(out / part.name), "labels": part.built.labels,
         "images": part.images, "dropped": part.dropped}
        for part in done.parts
    ]  # fmt: skip
    result = {"parts": parts, "left_out": done.left_out, "notices": list(done.notices)}
    emit(result, as_json, _split_lines(done))


def _plan(preset: str | None, given: dict[str, Any]) -> "Plan":
    from flawsmith.data.splitting import PRESETS as PLANS
    from flawsmith.data.splitting import Plan

    if preset is None:
        return Plan(**given)
    if given:
        raise InputError(
            f"--preset {preset} settles {', '.join('--' + key for key in given)} itself",
            mend="leave one of them out",
        )
    return PLANS[preset]


def _split_lines(done: "Split") -> Iterator[str]:
    classes = list(done.parts[0].images)
    rows = [
        (part.name, *part.built.labels.values(), *part.images.values(), part.dropped)
        for part in done.parts
    ]
    yield from aligned(("part", *done.parts[0].built.labels, *classes, "dropped"), rows)
    if done.left_out:
        yield f"left out: {done.left_out:,} (the fractions add up to less than 1)"


@command.command("plates")
@source_argument
@out_argument
@click.option("--whole", is_flag=True, help="Also write the whole plates, 240x1200, as OUT/plate.")
@read_flags
@overwrite_flag
@workers_flag
@json_flag
def plates(
    src: Path,
    out: Path,
    whole: bool,
    overwrite: bool,
    workers: int,
    as_json: bool,
    **flags: Any,
) -> None:
    """Crop the battery plate of each photo in SRC and cut it into OUT/anode, OUT/glass, OUT/cathode.

    Photos in which not exactly one whole plate is found are named and left out.

    \b
    Example:
      flawsmith data plates photos/ parts/ --whole
    """
    from flawsmith.data.cropping import crop_plates

    done = crop_plates(
        src,
        out,
        whole=whole,
        options=read_options(flags),
        workers=workers,
        overwrite=overwrite,
        show=show_reading,
    )
    for reason in done.refused:
        say(f"refused: {reason}")
    labels = {name: built.labels for name, built in done.parts.items()}
    result = {"out": str(out), "parts": labels, "refused": list(done.refused)}
    emit(result, as_json, _plate_lines(done.parts, len(done.refused)))


def _plate_lines(parts: "dict[str, Built]", refused: int) -> Iterator[str]:
    rows = [(name, *built.labels.values()) for name, built in parts.items()]
    yield from aligned(("part", *next(iter(parts.values())).labels), rows)
    yield f"photos refused: {refused:,}"


def _counts(labels: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {label}" for label, n in labels.items() if n) or "nothing"
