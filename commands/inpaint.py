"""``flawsmith inpaint``: train a generator of defects, and paint with it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flawsmith.commands.common import (
    emit,
    json_flag,
    read_flags,
    read_options,
    seed_setting,
    show_reading,
    source_argument,
    training_flags,
    workers_flag,
)
from flawsmith.commands.inpaint_apply import apply, shown
from flawsmith.commands.inpaint_sheet import sheet
from flawsmith.inpaint.settings import OFFERED_DISCRIMINATORS, OFFERED_GENERATORS, PRESETS
from flawsmith.progress import say

if TYPE_CHECKING:
    from flawsmith.inpaint.training import Setup
    from flawsmith.train.loop import Trained


@click.group("inpaint")
def command() -> None:
    """Paint defects into clean images, where and of what class you want.

    \b
    Example:
      flawsmith inpaint train photos/ run/
      flawsmith inpaint apply run/ photos/ painted/ --count 1000 --preview grid.png
    """


command.add_command(apply)
command.add_command(sheet)


@command.command("train")
@source_argument
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    default="small",
    show_default=True,
    help="tiny: a try in a minute; small: two CPU cores, minutes; large: GPUs, 256x256 crops.",
)
@click.option("--steps", type=click.IntRange(1), help="Training steps in all.  [default: preset]")
@click.option("--batch", type=click.IntRange(1), help="Crops a step.  [default: preset]")
@click.option("--generator", type=click.Choice(OFFERED_GENERATORS), help="What paints.")
@click.option("--discriminator", type=click.Choice(OFFERED_DISCRIMINATORS), help="What judges.")
@training_flags
@read_flags
@seed_setting
@workers_flag
@json_flag
def train(
    src: Path,
    run: Path,
    preset: str,
    config: Path | None,
    num_processes: int,
    dry_run: bool,
    workers: int,
    as_json: bool,
    **flags: Any,
) -> None:
    """Train a generator on the defects of the data set SRC, in the folder RUN.

    The same command again goes on where it stopped. RUN keeps the masks, and no picture, of SRC.

    \b
    Example:
      flawsmith inpaint train photos/ run/ --preset small --steps 1500
    """
    from flawsmith.data.jobs import open_source
    from flawsmith.inpaint.training import setup_of, train_inpaint
    from flawsmith.inpaint.varied import read_variety
    from flawsmith.train.launch import first_process

    options = read_options(flags)
    setup = setup_of(preset, config, flags)
    if dry_run:
        dataset = open_source(src, run, options)
        plan = {
            "preset": preset,
            **_settings(setup),
            "format": dataset.format,
            "images": len(dataset),
            "classes": list(dataset.classes),
            "notices": list(dataset.notices),
        }
        emit(plan, as_json, (f"{name}: {value}" for name, value in plan.items()))
        return
    say(f"preset {preset}: {shown(setup.inpaint)}, {shown(setup.loop)}")
    done = train_inpaint(
        src,
        run,
        setup,
        options=options,
        workers=workers,
        num_processes=num_processes,
        show=show_reading,
    )
    if first_process():  # under torchrun every process comes here
        emit(*_trained(run, done, setup, read_variety(run), as_json))


def _trained(
    run: Path, done: "Trained", setup: "Setup", variety: dict[str, Any] | None, as_json: bool
) -> tuple[dict[str, Any], bool, list[str]]:
    result = {
        "run": str(run),
        "weights": str(done.weights),
        "steps": done.steps,
        "made": done.made,
        "seconds": round(done.seconds, 3),
        "steps_per_second": round(done.steps_per_second, 3),
        "variety": variety,
        **_settings(setup),
    }
    rate = f", {done.made} of them now, {done.steps_per_second:.2f} a second" if done.made else ""
    lines = [
        f"{run}: {done.steps} steps{rate}",
        f"weights: {done.weights}",
        f"paint with: flawsmith inpaint apply {run} CLEAN OUT --count 100",
    ]
    return result, as_json, lines


def _settings(setup: "Setup") -> dict[str, Any]:
    return {
        "inpaint": setup.inpaint.model_dump(mode="json"),
        "training": setup.loop.model_dump(mode="json"),
    }
