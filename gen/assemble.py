"""Plates from parts: one anode, one glass and one cathode each, masks and provenance with them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from flawsmith.data.build import Built, MadeBy, build, finished, read_told
from flawsmith.data.dataset import DataSet
from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.data.jobs import Show, check_format, describe_job, open_source, quiet
from flawsmith.data.kept import read_kept
from flawsmith.data.manifest import SAMPLES
from flawsmith.data.plates import PARTS
from flawsmith.data.scan import Scan, scan
from flawsmith.data.staging import staged
from flawsmith.data.tables import read_jsonl
from flawsmith.data.writing import Spec, resolved, write_file
from flawsmith.errors import InputError
from flawsmith.gen.plate_recipe import SEAMS, Assembly, seam_rows
from flawsmith.gen.plate_sources import check_plates, check_sizes, united_classes, usable
from flawsmith.gen.seam_report import SeamFigures, judge_seam, real_scores
from flawsmith.gen.triples import Triples
from flawsmith.progress import say
from flawsmith.settings import Settings

REPORT = "seams.json"
REAL = "real"


class AssembleSettings(Settings):
    """What can be set about assembling plates."""

    count: int = Field(200, ge=1, strict=True, description="plates to make")
    seed: int = Field(0, ge=0, strict=True)
    blend: int = Field(
        4, ge=0, le=64, strict=True, description="pixels of each part that a seam may change"
    )


@dataclass(frozen=True)
class Parts:
    """The folders of the three parts of a plate, from its top; each a data set in any layout."""

    anode: Path
    glass: Path
    cathode: Path

    def named(self) -> dict[str, Path]:
        """Return the folders by the names of the parts, from the top."""
        return {name: getattr(self, name) for name in PARTS}


@dataclass(frozen=True)
class Assembled:
    """What was written: samples by label, usable and left-out parts by name, and the seams."""

    built: Built
    parts: dict[str, dict[str, int]]
    seams: tuple[SeamFigures, ...]


def assemble(
    parts: Parts,
    out: Path,
    settings: AssembleSettings,
    *,
    options: ReadOptions | None = None,
    to: str = "folder",
    workers: int = 1,
    overwrite: bool = False,
    real: Path | None = None,
    show: Show = quiet,
) -> Assembled:
    """Write ``settings.count`` plates joined from parts as the data set ``out``.

    All parts are of one size, (H, W) or (H, W, 3) each, and a plate is (3 * H, W[, 3]). Its classes
    are those of the three folders, united by name. Parts of label ``unknown`` are left out: their
    defects, if any, are not marked. real: a data set of whole upright plates, of which the same
    lines are measured; the verdicts are in ``out/seams.json`` too. ``show`` gets each data set.

    The same seed gives the same bytes for any number of workers and after any interruption. Raises
    InputError for unusable input and OutputError when writing fails, with nothing named ``out``.
    """
    options = options or ReadOptions()
    check_format(to)
    chosen = {"to": to, **settings.model_dump(mode="json")}
    folders = {**parts.named(), **({} if real is None else {REAL: real})}
    job = _describe(folders, out, options, chosen)
    with staged(out, job, overwrite=overwrite) as stage:
        if stage.done:
            say(f"{out} is complete already")
        else:
            scans = _read(folders, options, workers, show)
            real_plates = scans.pop(REAL, None)
            stock = take_stock(scans, real_plates, settings)
            write_plates(stock, stage.path, settings.count, to, job, workers)
    told = read_told(out, _MadeBy)["made_by"]["parts"]
    return Assembled(finished(out), told, read_seams(out))


@dataclass(frozen=True)
class _MadeBy(MadeBy):
    parts: dict[str, dict[str, int]]


@dataclass(frozen=True)
class _Seams:
    """What seams.json holds of the seams."""

    seams: list[SeamFigures]


def read_seams(out: Path) -> tuple[SeamFigures, ...]:
    """Return what ``write_plates`` measured of the seams in the folder ``out``."""
    return read_kept(
        out / REPORT, _Seams, lambda told: tuple(map(SeamFigures.from_json, told["seams"]))
    )


def _describe(
    folders: dict[str, Path], out: Path, options: ReadOptions, settings: dict[str, Any]
) -> dict[str, Any]:
    """Return what makes the job's output what it is; raises InputError for folders that clash."""
    seen: dict[Path, str] = {}
    for name, folder in folders.items():
        twin = seen.setdefault(resolved(folder), name)
        if twin != name:
            raise InputError(
                f"given for both {twin} and {name}", where=folder, mend="give each its own folder"
            )
    jobs = {
        name: describe_job("gen assemble", open_source(folder, out, options), options, settings)
        for name, folder in folders.items()
    }
    sources = {name: job.pop("source") for name, job in jobs.items()}
    return {**jobs[PARTS[0]], "sources": sources}


@dataclass(frozen=True)
class Stock:
    """All that plates are made of and compared with, checked.

    counts: usable and left-out parts by name; rows: those of the seams; overlap: whether planes of
    any part do.
    """

    recipe: Assembly
    classes: tuple[str, ...]
    overlap: bool
    counts: dict[str, dict[str, int]]
    rows: tuple[int, ...]
    real: DataSet | None


def _read(
    folders: dict[str, Path], options: ReadOptions, workers: int, show: Show
) -> dict[str, Scan]:
    scans = {}
    for name, folder in folders.items():
        dataset = read_dataset(folder, options)
        scans[name] = scan(dataset, workers=workers, on_error=options.on_error)
        show(scans[name].dataset)
    return scans


def take_stock(scans: dict[str, Scan], real: Scan | None, settings: AssembleSettings) -> Stock:
    """Return what ``write_plates`` makes plates of; raises InputError for parts that do not fit.

    scans: the parts by name, from the top of a plate; real: whole upright plates, or None.
    """
    size = check_sizes(scans, settings.blend)
    if real is not None:
        check_plates(real, size)
    classes = united_classes({name: found.dataset for name, found in scans.items()})
    kept = {name: usable(name, found) for name, found in scans.items()}
    anode, glass, cathode = (len(kept[name]) for name in PARTS)
    triples = Triples((anode, glass, cathode), settings.seed)
    _check_count(settings.count, triples)
    counts = {
        name: {"usable": len(kept[name]), "unknown": len(found.facts) - len(kept[name])}
        for name, found in scans.items()
    }
    return Stock(
        Assembly.of(kept, classes, triples, settings.blend),
        classes,
        any(found.overlap for found in scans.values()),
        counts,
        seam_rows(size[1]),
        None if real is None else real.dataset,
    )


def _check_count(count: int, triples: Triples) -> None:
    if count > triples.total:
        numbers = ", ".join(f"{n} {part}" for n, part in zip(triples.counts, PARTS, strict=True))
        raise InputError(
            f"{count} plates wanted, but only {triples.total} different ones can be made of "
            f"{numbers} parts",
            mend=f"--count {triples.total}, or give more parts",
        )


def write_plates(
    stock: Stock, root: Path, count: int, to: str, job: dict[str, Any], workers: int
) -> None:
    """Write the data set and the report on its seams into the staged folder ``root``.

    to: a format's name; job: JSON-able, what makes the folder, told in the data set.
    """
    for name, numbers in stock.counts.items():
        if numbers["unknown"]:
            say(f"note: {numbers['unknown']} {name} parts of label unknown are left out")
    build(
        root,
        stock.recipe,
        count,
        format_name=to,
        spec=Spec(stock.classes, stock.overlap),
        made_by={**job, "parts": stock.counts},
        workers=workers,
        label="assembling",
    )
    made: dict[str, list[float | None]] = {seam: [] for seam in SEAMS}
    for _, line in read_jsonl(root / SAMPLES):
        for seam, score in line["meta"]["seams"].items():
            made[seam].append(score)
    real = None if stock.real is None else real_scores(stock.real, stock.rows, workers)
    figures = [
        judge_seam(seam, stock.rows[n], made[seam], None if real is None else real[n])
        for n, seam in enumerate(SEAMS)
    ]
    content = {"blend_px": stock.recipe.blend, "seams": [figure.to_json() for figure in figures]}
    write_file(root / REPORT, json.dumps(content, indent=2) + "\n")
