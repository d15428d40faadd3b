"""``flawsmith evaluate segment``: does added data make a segmenter better on real images?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flawsmith.commands.common import (
    config_flag,
    device_flag,
    emit,
    json_flag,
    read_flags,
    read_options,
    seed_setting,
    show_reading,
    workers_flag,
)
from flawsmith.commands.tables import Cell, aligned
from flawsmith.errors import InputError
from flawsmith.progress import say

if TYPE_CHECKING:
    from flawsmith.data.formats import ReadOptions
    from flawsmith.data.scan import Scan
    from flawsmith.evaluate.overlap import Overlap
    from flawsmith.evaluate.segment import ArmResult, SegmentCheck
    from flawsmith.evaluate.segment_curve import Curve
    from flawsmith.evaluate.segmenter.settings import SegmentSettings

SOURCE = click.Path(path_type=Path)
# As in evaluate.segmenter.schedule, which is not loaded for --help; a test compares them.
MIXINGS = ("none", "first", "constant", "falling")
PLAIN = {
    "helps": "{} helps",
    "no evidence": "no evidence that {} helps or hurts",
    "hurts": "{} hurts",
}


@click.command("segment")
@click.option("--train", type=SOURCE, required=True, help="Real images to learn from, with masks.")
@click.option(
    "--add",
    type=SOURCE,
    multiple=True,
    help="Samples to add to them; each --add is an arm of its own.",
)
@click.option("--test", type=SOURCE, help="Real images of other parts, with masks, to test on.")
@click.option("--seeds", type=click.IntRange(1), help="Runs an arm.  [default: 3]")
@click.option("--steps", type=click.IntRange(1), help="Training steps a run.  [default: 800]")
@click.option("--crop", type=int, help="Side of a training crop, pixels.  [default: 128]")
@click.option("--batch", type=click.IntRange(1), help="Crops a step.  [default: 12]")
@click.option(
    "--mixing",
    type=click.Choice(MIXINGS),
    help="When added samples are shown: first, then real ones only; constant; falling; or not at "
    "all.  [default: first]",
)
@click.option("--encoder", metavar="NAME", help="The U-Net's encoder.  [default: lite0]")
@config_flag
@click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where trained runs are kept. In a folder that you name, another --add trains that arm "
    "alone.  [default: your cache folder, a place for each comparison]",
)
@click.option(
    "--allow-leak",
    is_flag=True,
    help="Go on although the test images share parts or pictures with those learned from.",
)
@click.option(
    "--curve",
    is_flag=True,
    help="Instead: are the steps enough? Train on two thirds of the real parts with half, as many "
    "and twice as many steps, and test on the others.",
)
@device_flag
@click.option(
    "--precision",
    type=click.Choice(["auto", "no", "bf16"]),
    default="auto",
    show_default=True,
    help="Of forward passes; auto: bf16 on GPUs that have it.",
)
@read_flags
@seed_setting
@workers_flag
@json_flag
def segment(
    train: Path,
    add: tuple[Path, ...],
    test: Path | None,
    config: Path | None,
    runs: Path | None,
    allow_leak: bool,
    curve: bool,
    device: str,
    precision: str,
    workers: int,
    as_json: bool,
    **flags: Any,
) -> None:
    """Train segmenters on real images, with and without added ones, and test them on real images.

    Every arm has the same steps, seeds and augmentation. The verdict is that of the 95% interval of
    the paired difference: helps, hurts, or no evidence. The same command again goes on where it
    stopped. The flags on reading are for --train and --test.

    \b
    Example:
      flawsmith evaluate segment --train out/dataset/train --add out/dataset/synthetic \\
          --test out/dataset/test --seeds 3
    """
    from flawsmith.data.formats import ReadOptions
    from flawsmith.evaluate.segmenter.settings import SegmentSettings
    from flawsmith.settings import load_settings

    options = read_options(flags)
    settings = load_settings(SegmentSettings, config, flags)
    settings.check_network()
    machine = Machine(device, precision)
    if curve:
        if add or test or allow_leak:
            raise InputError(
                "--curve looks at --train alone", mend="leave --add, --test and --allow-leak out"
            )
        emit(*_curve(_read(train, options, workers), settings, runs, machine, as_json))
        return
    if test is None:
        raise InputError("--test is missing", mend="name real images of other parts to test on")
    names = arm_names(add)
    plain = ReadOptions(on_error=options.on_error)
    sets = Sets(
        _read(train, options, workers),
        {name: _read(path, plain, workers) for name, path in zip(names, add, strict=True)},
        _read(test, options, workers),
    )
    emit(*_compared(sets, settings, runs, machine, allow_leak, as_json, workers))


@dataclass(frozen=True)
class Machine:
    device: str
    precision: str


@dataclass(frozen=True)
class Sets:
    """What is compared: real samples to learn from, those to add, and real ones to test on."""

    real: "Scan"
    added: "dict[str, Scan]"
    test: "Scan"


def _compared(
    sets: Sets,
    settings: "SegmentSettings",
    runs: Path | None,
    machine: Machine,
    allow_leak: bool,
    as_json: bool,
    workers: int,
) -> tuple[dict[str, Any], bool, Iterator[str]]:
    from flawsmith.data.alike import warn_of_shared_looks
    from flawsmith.data.leak import check_leaks
    from flawsmith.evaluate.segment import check, check_sets
    from flawsmith.evaluate.segment_runs import default_runs

    real, added, test = sets.real, sets.added, sets.test
    check_sets(real, added, test)
    leak = check_leaks(real, added, test, allow=allow_leak)
    alike = warn_of_shared_looks(real, test, workers=workers)
    folder = runs or default_runs(real, added, settings, **vars(machine))
    say(f"runs are kept in {folder}")
    done = check(real, added, test, settings, folder, **vars(machine), leak=leak)
    result = {
        "train": str(real.dataset.root),
        "add": {name: str(found.dataset.root) for name, found in added.items()},
        "test": str(test.dataset.root),
        "runs": str(folder),
        "settings": settings.model_dump(mode="json"),
        **done.to_json(),
        "look_alikes": alike,
        "skipped": _skipped(real, *added.values(), test),
    }
    return result, as_json, _lines(done)


def _curve(
    real: "Scan",
    settings: "SegmentSettings",
    runs: Path | None,
    machine: Machine,
    as_json: bool,
) -> tuple[dict[str, Any], bool, Iterator[str]]:
    from flawsmith.evaluate.segment_curve import curve
    from flawsmith.evaluate.segment_runs import default_runs

    # The seed says which parts are held out: with another one, other samples are learned from.
    place = default_runs(real, {}, settings, **vars(machine)) / f"curve {settings.seed}"
    folder = runs or place
    say(f"runs are kept in {folder}")
    found = curve(real, settings, folder, **vars(machine))
    result = {
        "train": str(real.dataset.root),
        "runs": str(folder),
        "settings": settings.model_dump(mode="json"),
        **found.to_json(),
        "skipped": _skipped(real),
    }
    return result, as_json, _curve_lines(found)


def arm_names(folders: Sequence[Path]) -> list[str]:
    """Return real+<folder's name> for each, numbered from the second of a name on."""
    names: list[str] = []
    for folder in folders:
        name = f"real+{folder.resolve().name or 'added'}"
        same, number = name, 2
        while name in names:
            name, number = f"{same}-{number}", number + 1
        names.append(name)
    return names


def _read(folder: Path, options: "ReadOptions", workers: int) -> "Scan":
    from flawsmith.data.formats import read_dataset
    from flawsmith.data.scan import scan

    found = scan(read_dataset(folder, options), workers=workers, on_error=options.on_error)
    show_reading(found.dataset)
    return found


def _skipped(*sets: "Scan") -> list[str]:
    return [str(entry) for found in sets for entry in found.dataset.skipped]


def _lines(done: "SegmentCheck") -> Iterator[str]:
    if done.leak:
        yield f"NOT TO BE TRUSTED: {done.leak}"
    classes = done.arms[0].runs[0].classes
    head = ("arm", "added", "mIoU", "lowest to highest", *classes, "false alarms")
    yield from aligned(head, [_row(arm) for arm in done.arms])
    for found in done.findings:
        yield found.sentence
        if found.difference.warning:
            yield f"  mind: {found.difference.warning}"
    yield verdict(done)


def verdict(done: "SegmentCheck") -> str:
    """Return what the arms' findings against the base come to, in one plain line."""
    words = [PLAIN[f.word].format(f.arm) for f in done.findings if f.base == done.base]
    plain = "; ".join(words) or "nothing was added, so nothing is compared"
    return f"verdict: {plain}" + (" (not to be trusted, see above)" if done.leak else "")


def _row(arm: "ArmResult") -> list[Cell]:
    values = [run.miou for run in arm.runs]
    span = f"{min(values):.3f} to {max(values):.3f}"
    ious = [_mean([run.iou[k] for run in arm.runs]) for k in range(len(arm.runs[0].classes))]
    return [arm.name, arm.added, f"{arm.miou:.3f}", span, *ious, _alarms(arm.runs)]


def _mean(values: Sequence[float | None]) -> str:
    """Return the mean over seeds; a class that the test set lacks has none with any seed."""
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.3f}" if known else "not tested"


def _alarms(runs: "Sequence[Overlap]") -> str:
    clean = runs[0].clean
    mean = sum(run.alarmed or 0 for run in runs) / len(runs)
    return f"{mean:.1f} of {clean}" if clean else "no clean images"


def _curve_lines(found: "Curve") -> Iterator[str]:
    rows: list[list[Cell]] = [
        [steps, f"{mean:.3f}", ", ".join(f"{value:.3f}" for value in values)]
        for steps, mean, values in zip(found.steps, found.means, found.miou, strict=True)
    ]
    yield from aligned(("steps", "mIoU", "by seed"), rows)
    yield found.sentence
