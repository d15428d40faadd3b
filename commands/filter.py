"""``flawsmith filter``."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flawsmith.commands.common import (
    config_flag,
    device_flag,
    emit,
    json_flag,
    out_argument,
    overwrite_flag,
    read_flags,
    read_options,
    seed_setting,
    show_reading,
    workers_flag,
)
from flawsmith.commands.tables import Cell, aligned
from flawsmith.errors import DoesNotHelp, InputError

if TYPE_CHECKING:
    from flawsmith.evaluate.filtering.gate import Gate
    from flawsmith.evaluate.filtering.settings import FilterSettings

UNITS = {
    "quality": "distance to a real crop, at most",
    "copies": "distance to a real crop, above",
    "agreement": "overlap with the segmenters, at least",
    "clean": "the detector's largest value, at most",
    "seen": "the detector's largest value near the mask, at least",
}


@click.command("filter")
@click.argument("candidates", type=click.Path(path_type=Path))
@out_argument
@click.option(
    "--real",
    type=click.Path(path_type=Path),
    metavar="SRC",
    required=True,
    help="The real images that the candidates were made from; never those kept for testing.",
)
@click.option(
    "--keep",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of each class's certified candidates to keep.  [default: 0.5]",
)
@click.option(
    "--count", type=click.IntRange(1), help="Keep about so many candidates, instead of --keep."
)
@click.option("--no-segmenter", is_flag=True, help="Judge without segmenters: seconds, no minutes.")
@click.option(
    "--steps",
    type=click.IntRange(1),
    help="Training steps of each of the two segmenters.  [default: 400]",
)
@click.option(
    "--detector",
    type=click.Choice(("knn", "none")),
    help="Judge also by a detector that learns the real clean images.  [default: knn]",
)
@click.option(
    "--test",
    type=click.Path(path_type=Path),
    metavar="SRC",
    help="Real images of other parts, with masks: accept only if segmenters that train with what "
    "passed get better on them.",
)
@click.option("--seeds", type=click.IntRange(2), help="With --test: runs an arm.  [default: 3]")
@click.option(
    "--gate-steps",
    type=click.IntRange(1),
    help="With --test: training steps a run.  [default: 800]",
)
@click.option(
    "--allow-leak",
    is_flag=True,
    help="With --test: go on although its images share parts or pictures with the others.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where features, segmenters and runs are kept for the next time.  [default: your cache "
    "folder]",
)
@config_flag
@device_flag
@read_flags
@seed_setting
@workers_flag
@overwrite_flag
@json_flag
def command(
    candidates: Path,
    out: Path,
    real: Path,
    no_segmenter: bool,
    test: Path | None,
    seeds: int | None,
    gate_steps: int | None,
    allow_leak: bool,
    cache: Path | None,
    config: Path | None,
    device: str,
    workers: int,
    overwrite: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Tell which of CANDIDATES are worth training with, and write them to OUT/accepted.

    Each needs a valid certificate, a look like real defects of its class, agreement with segmenters
    that saw real defects only, a defect that a detector of real clean images sees (without a
    defect: to be taken for clean by it), and to be no copy; of the rest those are kept that
    together come closest to the real ones. OUT/samples.jsonl has every candidate's scores, and why
    it was rejected. The flags on reading are for --real and --test.

    With --test segmenters are trained, too: on the real images alone, with what passed, and with as
    many certified candidates drawn by lot. Unless what passed helps, it lies in OUT/candidates,
    nothing is accepted, and the exit code is 4.

    \b
    Example:
      flawsmith filter painted/ filtered/ --real sp/train --test sp/test
    """
    from flawsmith.evaluate.filtering.job import Machine, filter_folder
    from flawsmith.evaluate.filtering.settings import FilterSettings
    from flawsmith.settings import load_settings

    options = read_options(flags)
    settings = load_settings(FilterSettings, config, flags)
    gate = _gate(settings, test, seeds, gate_steps, allow_leak)
    result = filter_folder(
        candidates,
        real,
        out,
        settings,
        options=options,
        gate=gate,
        machine=Machine(not no_segmenter, device, cache, workers),
        overwrite=overwrite,
        show=show_reading,
    )
    emit({"out": str(out), **result}, as_json, _lines(out, result))
    if result["helps"] is False:
        where = f"; candidates in {out / 'candidates'}" if result["passed"] else ""
        raise DoesNotHelp(f"does not help: {result['verdict']}{where}")


def _gate(
    settings: "FilterSettings",
    test: Path | None,
    seeds: int | None,
    steps: int | None,
    allow_leak: bool,
) -> "Gate | None":
    if test is not None:
        from flawsmith.evaluate.filtering.gate import Gate

        return Gate(test, settings.gate(seeds, steps), allow_leak)
    for name, given in (("seeds", seeds), ("gate-steps", steps), ("allow-leak", allow_leak)):
        if given:
            raise InputError(
                f"--{name} without --test", mend="name real images of other parts to test on"
            )
    return None


def _lines(out: Path, result: dict[str, Any]) -> Iterator[str]:
    yield f"{out}: {result['accepted']} of {result['candidates']} candidates accepted"
    if not result["accepted"]:
        yield "  nothing is accepted: train on the real images alone"
    for reason, count in result["rejected"].items():
        yield f"  {count} rejected: {reason}"
    for notice in result["notices"]:
        yield f"  note: {notice}"
    rows: list[list[Cell]] = [
        [
            entry["class"],
            entry["certified"],
            entry["left"],
            entry["kept"],
            f"{_written(entry['before'])} -> {_written(entry['after'])}",
        ]
        for entry in result["classes"]
    ]
    if rows:
        yield ""
        header = ["class", "certified", "left", "kept", "KID of crops, certified -> kept"]
        yield from aligned(header, rows)
    limits: list[list[Cell]] = [
        [entry["class"], UNITS[entry["step"]], _written(entry["value"]), _behind(entry)]
        for entry in result["thresholds"]
    ]
    if limits:
        yield ""
        yield from aligned(["class", "threshold", "value", "learned from"], limits)
    if result["helps"] is not None:
        yield ""
        yield from _verdict(result)


def _verdict(result: dict[str, Any]) -> Iterator[str]:
    """Yield what the gate found; the last line is the verdict."""
    from flawsmith.evaluate.segment import SegmentCheck

    if result["gate"]:
        check = SegmentCheck.from_json(result["gate"])
        rows: list[list[Cell]] = [[a.name, a.added, f"{a.miou:.3f}"] for a in check.arms]
        yield from aligned(["arm", "added", "mIoU"], rows)
        for found in check.findings:
            yield found.sentence
            if found.difference.warning:
                yield f"  mind: {found.difference.warning}"
    state = "accepted" if result["helps"] else "not accepted"
    yield f"verdict: {state}: {result['verdict']}"


def _behind(entry: dict[str, Any]) -> str:
    what = "samples" if entry["step"] in ("agreement", "clean", "seen") else "crops"
    return f"{entry['real']} real {what} of {entry['groups']} parts"


def _written(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"
