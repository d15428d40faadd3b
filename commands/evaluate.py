"""``flawsmith evaluate``: judge generated data against real data."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flawsmith.commands.common import (
    device_flag,
    emit,
    json_flag,
    read_flags,
    read_options,
    seed_flag,
    show_reading,
    workers_flag,
)
from flawsmith.commands.division import shard_flag
from flawsmith.commands.evaluate_detect import detect
from flawsmith.commands.evaluate_segment import segment
from flawsmith.commands.tables import Cell, aligned
from flawsmith.errors import InputError

if TYPE_CHECKING:
    from flawsmith.data.division import Shard
    from flawsmith.evaluate.comparison import Comparison
    from flawsmith.evaluate.distance import Compute, DistanceSettings, Measured
    from flawsmith.evaluate.feature_store import FeatureStore

# Of a class the table holds these; --json and --report have all.
PRIMARY = ("KID", "near copies")


@click.group("evaluate")
def command() -> None:
    """Judge generated data against real data.

    \b
    Example:
      flawsmith evaluate distance real/ made/ --report distances.html
      flawsmith evaluate segment --train real/ --add made/ --test other-real/
      flawsmith evaluate detect --clean real/ --real other-real/ --candidates made/
    """


command.add_command(segment)
command.add_command(detect)


@command.command("distance")
@click.argument("real", type=click.Path(path_type=Path))
@click.argument("candidates", type=click.Path(path_type=Path))
@click.option(
    "--features",
    type=click.Choice(["lite0", "inception"]),
    default="lite0",
    show_default=True,
    help="Network whose features are compared; inception is the one of the FID.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Its weights.  [default: lite0's are installed, inception's are looked for]",
)
@click.option("--crops", is_flag=True, help="Only defect crops.")
@click.option("--images", is_flag=True, help="Only whole images.")
@click.option(
    "--train",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The real images that the candidates were made from, if REAL is another part: they join "
    "the floor and are searched for copies.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write an HTML report with plots and the closest pairs.",
)
@click.option(
    "--batch", type=click.IntRange(1), default=32, show_default=True, help="Pictures at once."
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where features are kept for the next time.  [default: your cache folder]",
)
@click.option("--no-cache", is_flag=True, help="Keep no features.")
@shard_flag("Only fill the cache with the features of the I-th of N parts of each folder.")
@device_flag
@seed_flag
@read_flags
@workers_flag
@json_flag
def distance(
    real: Path,
    candidates: Path,
    features: str,
    weights: Path | None,
    crops: bool,
    images: bool,
    train: Path | None,
    report: Path | None,
    batch: int,
    cache: Path | None,
    no_cache: bool,
    shard: "Shard | None",
    device: str,
    seed: int,
    workers: int,
    as_json: bool,
    **flags: Any,
) -> None:
    """Tell how close the images in CANDIDATES are to those in REAL, each figure beside its floor.

    The floor is what the real images give when divided by parts and compared with each other.
    Scopes (clean and defective images, defect crops, classes) with too few samples are named and
    left out. The flags on reading are for REAL and --train; the layout of CANDIDATES is found by
    looking.

    \b
    Example:
      flawsmith evaluate distance out/dataset/test out/dataset/synthetic \\
          --train out/dataset/train --report distances.html
      flawsmith evaluate distance real/ made/ --cache features/ --shard 2/8
    """
    from flawsmith.evaluate.distance import Compute, DistanceSettings, measure
    from flawsmith.evaluate.report import check_report
    from flawsmith.evaluate.share import fill
    from flawsmith.settings import load_settings

    if shard and (report or no_cache):
        raise InputError("--shard only fills the cache", mend="without --report and --no-cache")
    if report is not None:
        check_report(report, (real, candidates, *([train] if train else [])))
    if crops and images:
        raise InputError("--crops and --images contradict each other", mend="leave both out")
    if no_cache and cache is not None:
        raise InputError("--cache and --no-cache contradict each other", mend="leave one out")
    given = {"features": features, "weights": weights, "seed": seed}
    settings = load_settings(DistanceSettings, None, given | _views(crops, images))
    compute = Compute(None if no_cache else _store(settings, cache), device, batch)
    how: dict[str, Any] = {"train": train, "options": read_options(flags), "compute": compute}
    how |= {"workers": workers, "show": show_reading}
    if shard:
        emit(*_filled(shard, fill(real, candidates, settings, shard, **how), compute, as_json))
        return
    measured = measure(real, candidates, settings, **how)
    result = {
        "real": str(real),
        "candidates": str(candidates),
        "train": str(train) if train else None,
        **measured.distances.to_json(),
        "skipped": [str(entry) for dataset in measured.sets for entry in dataset.skipped],
        "report": str(report) if report else None,
    }
    if report is not None:
        _write(report, real, candidates, measured)
    emit(result, as_json, _lines(measured.distances.comparisons, report))


def _filled(
    shard: "Shard", pictures: int, compute: "Compute", as_json: bool
) -> tuple[dict[str, Any], bool, list[str]]:
    assert compute.store is not None
    result = {"shard": str(shard), "pictures": pictures, "cache": str(compute.store.folder)}
    told = f"shard {shard}: features of {pictures} pictures are in {compute.store.folder}"
    return result, as_json, [told, "the same command without --shard finds them there"]


def _views(crops: bool, images: bool) -> dict[str, Any]:
    return {"views": ("crop",)} if crops else {"views": ("image",)} if images else {}


def _store(settings: "DistanceSettings", cache: Path | None) -> "FeatureStore":
    from flawsmith.evaluate.feature_store import FeatureStore, default_folder
    from flawsmith.evaluate.features import open_extractor

    version = open_extractor(settings.features, settings.weights).version
    return FeatureStore(cache or default_folder(), version)


def _write(path: Path, real: Path, candidates: Path, measured: "Measured") -> None:
    from flawsmith.evaluate.distance_section import distance_section
    from flawsmith.evaluate.report import Fact, write_report

    name = candidates.resolve().name
    section = distance_section(
        name, measured.distances, measured.made, measured.real, measured.train
    )
    summary = [
        Fact("Real images", f"{len(measured.real):,}", real.resolve().name),
        Fact("Candidates", f"{len(measured.made):,}", name),
    ]
    if measured.train:
        summary.append(Fact("Training images", f"{len(measured.train):,}", "in the floor, too"))
    write_report(path, title=f"flawsmith: {name}", summary=summary, sections=[section])


def _lines(comparisons: "Sequence[Comparison]", report: Path | None) -> Iterator[str]:
    from flawsmith.evaluate.distance_section import OVERALL, VIEWS, verdicts, write

    rows: list[list[Cell]] = []
    for entry in comparisons:
        for figure in entry.figures:
            if entry.scope not in OVERALL[entry.view] and figure.name not in PRIMARY:
                continue
            numbers = write(figure)
            span = f"{numbers.low} to {numbers.high}"
            word = "within" if figure.inside else "beyond"
            sizes = (entry.n, entry.n_real, entry.groups, entry.n_made)
            texts = (numbers.value, span, numbers.floor, word)
            rows.append([entry.view, entry.scope, figure.name, *texts, *sizes])
    head = ("view", "scope", "figure", "value", "5% to 95%", "floor", "verdict")
    yield from aligned((*head, "n", "real", "parts", "made"), rows)
    for entry in comparisons:
        if entry.refused:
            yield f"{entry.view}  {entry.scope}  not compared: {entry.refused}"
    for view, title in VIEWS.items():
        told = verdicts([entry for entry in comparisons if entry.view == view])
        if told:
            yield f"{title}:"
            yield from (f"  {text}" for text in told)
    if report is not None:
        yield f"report: {report}"
