"""``flawsmith data split`` and ``flawsmith data plates``: one folder in, several out."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flawsmith.commands.common import (
    emit,
    json_flag,
    listed,
    look_alikes_flag,
    out_argument,
    overwrite_flag,
    read_flags,
    read_options,
    seed_flag,
    show_reading,
    source_argument,
    workers_flag,
)
from flawsmith.commands.tables import Cell, aligned
from flawsmith.data.formats import CONVERTIBLE
from flawsmith.errors import InputError
from flawsmith.progress import say

if TYPE_CHECKING:
    from flawsmith.data.build import Built
    from flawsmith.data.splitting import Plan, Split

PRESETS = ("steel-thesis",)


@click.command("split")
@source_argument
@out_argument
@click.option(
    "--fractions",
    callback=listed(float),
    metavar="F,F,...",
    help="Share of each part; what they leave over is left out.  [default: 0.5,0.5]",
)
@click.option(
    "--names",
    callback=listed(str),
    metavar="NAME,NAME,...",
    help="Name of each part, a folder in OUT.  [default: train,test]",
)
@click.option(
    "--classes",
    callback=listed(str),
    metavar="A,B,...",
    help="Leave out images that show any other class.",
)
@click.option(
    "--per-class",
    type=click.IntRange(1),
    metavar="N",
    help="Keep at most N defective images a class in the first part; the others are dropped.",
)
@look_alikes_flag
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
    classes: tuple[str, ...] | None,
    per_class: int | None,
    look_alikes: Any,
    preset: str | None,
    to: str | None,
    seed: int,
    overwrite: bool,
    workers: int,
    as_json: bool,
    **flags: Any,
) -> None:
    """Divide SRC into OUT/train, OUT/test: seeded, every class in its share, groups kept whole.

    Photos of one part (groups.csv or --group-regex), exact copies, and photos that look like one
    part never face each other.

    \b
    Examples:
      flawsmith data split photos/ parts/ --fractions 0.7,0.3 --names train,test
      flawsmith data split photos/ few/ --per-class 20
    """
    from flawsmith.data import splitting

    settings = {"fractions": fractions, "names": names, "to": to}
    plan = _plan(preset, {key: value for key, value in settings.items() if value is not None})
    done = splitting.split(
        src,
        out,
        replace(
            plan,
            classes=classes,
            per_class=per_class,
            look_alikes=look_alikes or plan.look_alikes,
            seed=seed,
        ),
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
    rows: list[list[Cell]] = [
        [part.name, *part.built.labels.values(), *part.images.values(), part.dropped]
        for part in done.parts
    ]
    yield from aligned(("part", *done.parts[0].built.labels, *classes, "dropped"), rows)
    if done.left_out:
        yield f"left out: {done.left_out:,} (the fractions add up to less than 1)"


@click.command("plates")
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
    """Crop the plate of each photo in SRC; cut it into OUT/anode, OUT/glass and OUT/cathode.

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
    rows: list[list[Cell]] = [[name, *built.labels.values()] for name, built in parts.items()]
    yield from aligned(("part", *next(iter(parts.values())).labels), rows)
    yield f"photos refused: {refused:,}"
