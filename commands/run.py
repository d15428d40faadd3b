"""``flawsmith run``."""

from pathlib import Path
from typing import Any

import click

from flawsmith.commands.common import (
    config_flag,
    device_flag,
    emit,
    json_flag,
    listed,
    look_alikes_flag,
    out_argument,
    read_flags,
    read_options,
    seed_setting,
    show_reading,
    source_argument,
    workers_flag,
)


@click.command("run")
@source_argument
@out_argument
@click.option(
    "--budget",
    type=click.Choice(["minutes", "hour", "day", "none"]),
    help="Cap of the whole run: 10, 60 or 720 minutes on this machine. What is not set by other "
    "flags is planned to fit; none plans nothing and takes the defaults.  [default: minutes]",
)
@click.option("--count", type=click.IntRange(1), help="Candidates a method.  [default: planned]")
@click.option(
    "--methods",
    callback=listed(str),
    metavar="A,B",
    help="Of classical, paste, procedural, inpaint.  [default: classical, paste, or what the data "
    "allows; and inpaint, which trains a network, if the budget does]",
)
@click.option(
    "--inpaint-steps",
    type=click.IntRange(1),
    help="Training steps of inpaint, which is then among the methods.  [default: planned]",
)
@click.option(
    "--clean",
    type=click.Choice(["real", "gan"]),
    help="What defects are put on: real clean images, or also generated ones. gan trains a "
    "generator on the clean ones of the training part, which must be of one size.  [default: real]",
)
@click.option(
    "--gen-arch",
    type=click.Choice(["dcgan", "wgan-gp", "stylegan2", "fastgan"]),
    help="With --clean gan: its networks.  [default: stylegan2]",
)
@click.option(
    "--gen-steps",
    type=click.IntRange(1),
    help="With --clean gan: its training steps.  [default: planned]",
)
@click.option(
    "--gen-parts",
    type=click.Choice(["auto", "whole", "three"]),
    help="With --clean gan: one generator of whole images, or one for each third of upright "
    "plates, joined again.  [default: auto, three for photos of plates]",
)
@click.option("--no-filter", is_flag=True, help="Keep all candidates with a valid certificate.")
@click.option(
    "--no-gate",
    is_flag=True,
    help="Do not measure whether the candidates help; the verdict is then: not measured.",
)
@click.option(
    "--seeds", type=click.IntRange(2), help="Runs an arm of the gate.  [default: planned]"
)
@click.option(
    "--gate-steps",
    type=click.IntRange(1),
    help="Training steps of each run of the gate.  [default: planned]",
)
@click.option(
    "--detectors",
    callback=listed(str),
    metavar="A,B",
    help="What judges the result beside the gate, of those of evaluate detect, or none.  "
    "[default: knn from --budget hour on]",
)
@click.option(
    "--test-fraction",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of the groups that no method sees.  [default: 0.3]",
)
@click.option(
    "--classes",
    callback=listed(str),
    metavar="A,B",
    help="Leave out images that show another class.",
)
@click.option(
    "--per-class",
    type=click.IntRange(1),
    metavar="N",
    help="Use at most N defective images a class for training: what would few have done?",
)
@look_alikes_flag
@click.option(
    "--features",
    type=click.Choice(["lite0", "inception", "none"]),
    help="Network behind the distances to real images; none leaves them out.  [default: lite0]",
)
@click.option(
    "--weights", type=click.Path(path_type=Path, dir_okay=False), help="That network's weights."
)
@device_flag
@click.option("--to", help="Format of the data sets written.  [default: folder]")
@config_flag
@click.option("--dry-run", is_flag=True, help="Print the settings and what was seen, then stop.")
@read_flags
@seed_setting
@workers_flag
@json_flag
def command(
    src: Path,
    out: Path,
    config: Path | None,
    dry_run: bool,
    device: str,
    workers: int,
    as_json: bool,
    **flags: Any,
) -> None:
    """Turn the folder SRC into a larger data set and a report, in OUT.

    Candidates are made from a part of the images, filtered, and accepted only if a segmenter that
    trains with them gets better on the other part. The same command again goes on where it stopped;
    after a change of settings it repeats only what depends on them.

    \b
    Examples:
      flawsmith run photos/ out/ --budget hour
      flawsmith run plates/ out/ --clean gan --gen-parts three
    The first writes out/dataset/{train,test,synthetic} and out/report.html. Where the candidates
    are not shown to help, they lie in out/candidates, nothing is accepted, and the exit code is 4.
    """
    from flawsmith.errors import DoesNotHelp
    from flawsmith.pipeline.settings import RunSettings
    from flawsmith.settings import load_settings

    options = read_options(flags)
    for name in ("filter", "gate"):
        flags[name] = False if flags.pop(f"no_{name}") else None
    settings = load_settings(RunSettings, config, flags)
    if dry_run:
        _show_plan(src, out, settings, options, as_json)
        return
    from flawsmith.pipeline.outcome import lines_of, to_json
    from flawsmith.pipeline.run import run

    outcome = run(
        src, out, settings, options=options, workers=workers, device=device, show=show_reading
    )
    emit(to_json(outcome), as_json, lines_of(outcome))
    if outcome.refused:
        raise DoesNotHelp(outcome.refusal)


def _show_plan(src: Path, out: Path, settings: Any, options: Any, as_json: bool) -> None:
    from flawsmith.pipeline.run import check_run

    dataset = check_run(src, out, settings, options)
    plan = {
        "settings": settings.settled(dataset.format).model_dump(mode="json"),
        "format": dataset.format,
        "images": len(dataset),
        "classes": list(dataset.classes),
        "notices": list(dataset.notices),
    }
    emit(plan, as_json, (f"{name}: {value}" for name, value in plan.items()))
