"""``flawsmith evaluate detect``: what anomaly detectors say of synthetic images."""

from collections.abc import Iterator, Sequence
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
from flawsmith.progress import say

if TYPE_CHECKING:
    from flawsmith.data.formats import ReadOptions
    from flawsmith.data.scan import Scan
    from flawsmith.evaluate.detect_result import Judged

SOURCE = click.Path(path_type=Path)
# Those of evaluate.detect_settings, which is not loaded for --help; a test compares them.
DETECTORS = (
    *("brightness", "pixels", "knn", "ganomaly", "cvae", "advae", "alad", "cpc"),
    *("patchcore", "padim", "dfm", "fastflow", "stfpm", "reverse_distillation"),
)
MIB = 1 << 20


@click.command("detect")
@click.option("--clean", type=SOURCE, required=True, help="Real clean images to learn from.")
@click.option(
    "--real", type=SOURCE, required=True, help="Real images of other parts, clean and defective."
)
@click.option("--candidates", type=SOURCE, help="Synthetic images, clean or defective.")
@click.option(
    "--detector",
    "detectors",
    type=click.Choice(DETECTORS),
    multiple=True,
    help="Which one judges; can be given more than once.  [default: knn]",
)
@click.option(
    "--add",
    type=SOURCE,
    help="Do these synthetic clean images help when they are learned from, too? Needs --seeds 2.",
)
@click.option("--seeds", type=click.IntRange(1), help="Trainings of each detector.  [default: 1]")
@click.option("--side", type=int, help="Pictures are stretched to this square.  [default: 128]")
@click.option(
    "--preset",
    type=click.Choice(["small", "thesis"]),
    help="thesis: the networks' sizes in the source works.  [default: small]",
)
@click.option("--epochs", type=click.IntRange(1), help="Of those that train.  [default: their own]")
@config_flag
@click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where trainings are kept, so that the same command resumes.  [default: nowhere]",
)
@click.option(
    "--plots",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Also write pictures there: ROC, precision and recall, scores; heat maps.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write an HTML report with figures, plots and heat maps.",
)
@click.option(
    "--allow-leak",
    is_flag=True,
    help="Go on although the real images share parts or pictures with those learned from.",
)
@device_flag
@read_flags
@seed_setting
@workers_flag
@json_flag
def detect(
    clean: Path,
    real: Path,
    candidates: Path | None,
    add: Path | None,
    config: Path | None,
    runs: Path | None,
    plots: Path | None,
    report: Path | None,
    allow_leak: bool,
    device: str,
    workers: int,
    as_json: bool,
    **flags: Any,
) -> None:
    """Judge CANDIDATES by detectors that learned what real clean images look like.

    Each detector learns the clean images of --clean alone and scores those of --real and of
    --candidates: are synthetic clean images taken for clean, are synthetic defects as findable as
    real ones? Figures have 95% intervals over parts. The flags on reading are for --clean and
    --real.

    \b
    Example:
      flawsmith evaluate detect --clean out/dataset/train --real out/dataset/test \\
          --candidates out/dataset/synthetic --detector knn --detector cvae
    """
    from flawsmith.data.formats import ReadOptions
    from flawsmith.data.leak import check_leaks
    from flawsmith.evaluate.detect_settings import DetectSettings
    from flawsmith.evaluate.report import check_report
    from flawsmith.settings import load_settings

    if report is not None:
        check_report(report, [path for path in (clean, real, candidates, add) if path])
    options = read_options(flags)
    flags["detectors"] = flags["detectors"] or None
    settings = load_settings(DetectSettings, config, flags)
    plain = ReadOptions(on_error=options.on_error)
    learned, tested = (_read(path, options, workers) for path in (clean, real))
    made, added = (_read(path, plain, workers) if path else None for path in (candidates, add))
    others = {"made": made, "added": added}
    synthetic = {name: found for name, found in others.items() if found is not None}
    leak = check_leaks(learned, synthetic, tested, allow=allow_leak)
    if leak:
        say(f"NOT TO BE TRUSTED: {leak}")

    from flawsmith.evaluate.detect import judge

    done = judge(learned, tested, made, settings, added=added, device=device, runs=runs)
    sets = [found for found in (learned, tested, made, added) if found is not None]
    result = {
        "clean": str(clean),
        "real": str(real),
        "candidates": str(candidates) if candidates else None,
        "add": str(add) if add else None,
        "leak": leak,
        "settings": settings.model_dump(mode="json"),
        "detectors": [one.to_json() for one in done],
        "skipped": [str(entry) for found in sets for entry in found.dataset.skipped],
        **_drawn(done, plots, report, real, leak),
    }
    emit(result, as_json, _lines(done, leak))


def _drawn(
    done: "Sequence[Judged]", plots: Path | None, report: Path | None, real: Path, leak: str
) -> dict[str, Any]:
    """Write what was asked for beside the figures; return where it lies."""
    written: list[str] = []
    if plots is not None:
        from flawsmith.evaluate.detect_files import write_plots

        written = [str(path) for path in write_plots(done, plots)]
        say(f"note: plots in {plots}")
    if report is not None:
        from flawsmith.evaluate.detect_section import detect_section
        from flawsmith.evaluate.report import Fact, write_report

        name = real.resolve().name
        facts = [Fact("Detectors", str(len(done)), ", ".join(one.name for one in done))]
        sections = [detect_section(done, leak)]
        write_report(report, title=f"flawsmith: {name}", summary=facts, sections=sections)
        say(f"note: report in {report}")
    return {"plots": written, "report": str(report) if report else None}


def _read(folder: Path, options: "ReadOptions", workers: int) -> "Scan":
    from flawsmith.data.formats import read_dataset
    from flawsmith.data.scan import scan

    found = scan(read_dataset(folder, options), workers=workers, on_error=options.on_error)
    show_reading(found.dataset)
    return found


def _lines(done: "Sequence[Judged]", leak: str) -> Iterator[str]:
    if leak:
        yield f"NOT TO BE TRUSTED: {leak}"
    rows: list[list[Cell]] = []
    for one in done:
        for figure in one.figures:
            span = f"{figure.low:.3f} to {figure.high:.3f}"
            sizes = (figure.anomalous, figure.clean, figure.groups)
            rows.append([one.name, figure.name, f"{figure.value:.3f}", span, *sizes])
    head = ("detector", "figure", "value", "95% interval", "defective", "clean", "parts")
    yield from aligned(head, rows)
    for one in done:
        yield from _told(one)


def _told(one: "Judged") -> Iterator[str]:
    costs = one.costs
    yield (
        f"{one.name}: learned from {one.learned} clean images in {costs.fit_seconds:.1f} s, "
        f"{costs.milliseconds:.1f} ms an image, {costs.bytes / MIB:.1f} MiB"
    )
    warnings = [figure.warning for figure in one.figures]
    warnings += [one.added.difference.warning] if one.added is not None else []
    yield from (f"  mind: {warning}" for warning in dict.fromkeys(filter(None, warnings)))
    if one.left_out:
        yield f"  {one.left_out} synthetic images show clean photos of both halves: not judged"
    yield from (f"  {line}" for line in one.verdicts)
    if one.added is not None:
        yield f"  {one.added.sentence}"
