"""``flawsmith gen``: train a generator of whole parts, draw samples, assemble plates."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flawsmith.commands.common import (
    emit,
    json_flag,
    listed,
    read_flags,
    read_options,
    seed_setting,
    show_reading,
    source_argument,
    training_flags,
    workers_flag,
)
from flawsmith.commands.gen_assemble import assemble
from flawsmith.commands.gen_sample import sample
from flawsmith.commands.gen_select import select
from flawsmith.gen.settings import ARCHS, PRESETS
from flawsmith.progress import say

if TYPE_CHECKING:
    from flawsmith.gen.training import Setup
    from flawsmith.train.loop import Trained


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    """Read ``240x400``, width and height."""
    if value is None:
        return None
    width, _, height = value.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise click.BadParameter(f"{value!r} is no size such as 240x400")
    return int(width), int(height)


@click.group("gen")
def command() -> None:
    """Make whole clean parts from noise, select the real-looking ones, assemble plates.

    \b
    Example:
      flawsmith gen train parts/anode run/ --steps 3000
      flawsmith gen sample run/ anodes/ --count 200
      flawsmith gen select anodes/ selected/ --real parts/anode
    """


@command.command("train")
@source_argument
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option("--arch", type=click.Choice(ARCHS), help="The networks.  [default: stylegan2]")
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    default="small",
    show_default=True,
    help="tiny: a try; small: CPU, 64 pixels; large: GPUs, full size; plates: 240x400 parts, the "
    "layers of a thesis, and plates-thesis: its learning rates too.",
)
@click.option(
    "--with-masks",
    is_flag=True,
    default=None,
    help="Also learn a mask a class, from the pictures with defects, too. For defects that cover "
    "several percent of a picture.",
)
@click.option("--classes", callback=listed(str), metavar="A,B", help="With masks: only of these.")
@click.option(
    "--critic",
    type=click.Choice(["own", "projected"]),
    help="What judges: the arch's own, or heads on a frozen network.  [default: projected for "
    "stylegan2 and fastgan]",
)
@click.option("--steps", type=click.IntRange(1), help="Updates of the generator in all.")
@click.option(
    "--epochs", type=click.IntRange(1), help="Instead: how often the critic sees each picture."
)
@click.option("--batch", type=click.IntRange(2), help="Pictures a step.  [default: preset]")
@click.option(
    "--resize", callback=_size, metavar="WxH", help="Scale pictures to cover this, cut the middle."
)
@click.option("--crop", callback=_size, metavar="WxH", help="Learn windows of this size.")
@click.option(
    "--longest", type=click.IntRange(0), help="Shrink pictures to this side; 0: leave them."
)
@click.option(
    "--scaling",
    type=click.Choice(["none", "batch", "linear", "sqrt"]),
    help="What grows with the processes: nothing, the batch, or the rates too.  [default: none]",
)
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
    """Train a generator on the pictures of the data set SRC, in the folder RUN.

    It learns from the clean pictures, where there are any. The same command again goes on where it
    stopped.

    \b
    Example:
      flawsmith gen train parts/anode run/ --steps 3000
    """
    from flawsmith.data.jobs import open_source
    from flawsmith.gen.training import setup_of, train_gen
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
    if first_process():
        told = {k: v for part in _settings(setup).values() if part for k, v in part.items()}
        say(f"preset {preset}: " + ", ".join(f"{name} {value}" for name, value in told.items()))
    done = train_gen(
        src,
        run,
        setup,
        options=options,
        workers=workers,
        num_processes=num_processes,
        show=show_reading,
    )
    if first_process():  # under torchrun every process comes here
        emit(*_trained(run, done, setup, as_json))


def _trained(
    run: Path, done: "Trained", setup: "Setup", as_json: bool
) -> tuple[dict[str, Any], bool, list[str]]:
    from flawsmith.gen.plots import PLOT
    from flawsmith.gen.training import warnings_of

    warnings = warnings_of(run)
    result = {
        "run": str(run),
        "weights": str(done.weights),
        "losses": str(run / PLOT),
        "steps": done.steps,
        "made": done.made,
        "seconds": round(done.seconds, 3),
        "steps_per_second": round(done.steps_per_second, 3),
        "warnings": warnings,
        **_settings(setup),
    }
    rate = f", {done.made} of them now, {done.steps_per_second:.2f} a second" if done.made else ""
    lines = [
        f"{run}: {done.steps} steps{rate}",
        *(f"warning: {line}" for line in warnings),
        f"weights: {done.weights}; losses: {run / PLOT}",
        f"draw samples with: flawsmith gen sample {run} OUT --count 100",
    ]
    return result, as_json, lines


def _settings(setup: "Setup") -> dict[str, Any]:
    return {
        "gen": setup.gen.model_dump(mode="json"),
        "training": setup.loop.model_dump(mode="json"),
        "counted": {"epochs": setup.epochs} if setup.epochs else {},
    }


for one in (sample, select, assemble):
    command.add_command(one)
