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
@click.option("--count", type=click.IntRange(1), help="Candidates a method.  [default: 200]")
@click.option(
    "--methods",
    callback=listed(str),
    metavar="A,B",
    help="Of classical, paste, procedural, inpaint.  [default: classical, paste, or what the data "
    "allows; inpaint trains a network first]",
)
@click.option(
    "--inpaint-steps",
    type=click.IntRange(1),
    help="Training steps of the method inpaint.  [default: its preset's]",
)
@click.option(
    "--test-fraction",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of the groups that no method sees.  [default: 0.3]",
)
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

    The same command again goes on where it stopped; after a change of settings it repeats only what
    depends on them.

    \b
    Example:
      flawsmith run photos/ out/ --count 500
    writes out/dataset/{train,test,synthetic} and out/report.html.
    """
    from flawsmith.pipeline.settings import RunSettings
    from flawsmith.settings import load_settings

    options = read_options(flags)
    settings = load_settings(RunSettings, config, flags)
    if dry_run:
        _show_plan(src, out, settings, options, as_json)
        return
    from flawsmith.pipeline.run import run, to_json

    outcome = run(
        src, out, settings, options=options, workers=workers, device=device, show=show_reading
    )
    lines = []
    for row in outcome.methods:
        lines.append(
            f"{row.method}: {row.asked} asked, {row.made} made, "
            f"{row.accepted} passed the certificate"
        )
        reasons = [*row.refused.items(), *row.rejected.items()]
        lines += [f"  {count} not kept: {reason}" for reason, count in reasons]
    for name, labels in outcome.parts.items():
        text = ", ".join(f"{n} {label}" for label, n in labels.items() if n) or "nothing"
        lines.append(f"{outcome.dataset / name}: {text}")
    lines.append(f"report: {outcome.report}")
    emit(to_json(outcome), as_json, lines)


def _show_plan(src: Path, out: Path, settings: Any, options: Any, as_json: bool) -> None:
    from flawsmith.pipeline.run import check_run

    dataset = check_run(src, out, settings, options)
    plan = {
        "settings": settings.model_dump(mode="json"),
        "format": dataset.format,
        "images": len(dataset),
        "classes": list(dataset.classes),
        "notices": list(dataset.notices),
    }
    emit(plan, as_json, (f"{name}: {value}" for name, value in plan.items()))
