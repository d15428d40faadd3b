"""The filter on folders: candidates and real samples in, accepted pairs and all verdicts out."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flawsmith.data.build import build
from flawsmith.data.collected import Collected, Entry
from flawsmith.data.dataset import DataSet
from flawsmith.data.formats import CONVERTIBLE, ReadOptions, read_dataset
from flawsmith.data.jobs import Show, describe_job, open_source, quiet
from flawsmith.data.scan import Scan, scan
from flawsmith.data.staging import staged
from flawsmith.data.tables import read_json
from flawsmith.data.writing import Spec, write_file, write_lines
from flawsmith.evaluate.certificate import decision
from flawsmith.evaluate.distance import Compute
from flawsmith.evaluate.feature_store import FeatureStore, default_folder
from flawsmith.evaluate.features import open_extractor
from flawsmith.evaluate.filtering.checks import check_candidates, method_of
from flawsmith.evaluate.filtering.filtering import Sifted, sift
from flawsmith.evaluate.filtering.folds import FoldMasks, fold_segmenters
from flawsmith.evaluate.filtering.settings import FilterSettings
from flawsmith.progress import say

ACCEPTED = "accepted"
SAMPLES = "samples.jsonl"
RESULT = "filter.json"
SEGMENTERS = "segmenters"


@dataclass(frozen=True)
class Machine:
    """Where the filter computes and what it keeps for the next time; nothing of it decides.

    segmenter: whether the agreement is judged, which trains two segmenters first. cache: folder of
    features and segmenters; None: the user's. Networks may round otherwise on another device.
    """

    segmenter: bool = True
    device: str = "auto"
    cache: Path | None = None
    workers: int = 1


def filter_folder(
    candidates: Path,
    real: Path,
    out: Path,
    settings: FilterSettings,
    *,
    options: ReadOptions | None = None,
    machine: Machine | None = None,
    overwrite: bool = False,
    show: Show = quiet,
) -> dict[str, Any]:
    """Filter the data set ``candidates`` against the training part ``real``; return the result.

    ``out/accepted`` is a data set in the candidates' format, each sample with its scores;
    ``out/samples.jsonl`` has a line a candidate; ``out/filter.json`` is the JSON-able result:
    thresholds, counts, notices. ``options`` say how ``real`` is read. Raises InputError for
    unusable input, OutputError when ``out`` cannot be written.
    """
    options, machine = options or ReadOptions(), machine or Machine()
    extractor = open_extractor("lite0")
    settings.segmenter()  # a wrong setting must not cost a pass over all images first
    made = open_source(candidates, out, ReadOptions(on_error=options.on_error))
    known = open_source(real, out, options)
    chosen = settings.model_dump(mode="json")
    job = describe_job("filter", made, options, {**chosen, "segmenter": machine.segmenter})
    job["real"] = describe_job("filter", known, options, {})["source"]
    job["features"] = extractor.version
    with staged(out, job, overwrite=overwrite) as stage:
        if stage.done:
            say(f"{out} is complete already")
        else:
            found, against = _scanned(made, known, options, machine.workers, show)
            check_candidates(found, against)
            cache = machine.cache or default_folder()
            compute = Compute(FeatureStore(cache, extractor.version), machine.device)
            folds = _folds(against, settings, cache, machine)
            workers = machine.workers
            sifted = sift(found, against, settings, extractor, compute, folds, workers=workers)
            _write(stage.path, found, sifted, job, workers)
    result: dict[str, Any] = read_json(out / RESULT)
    return result


def read_accepted(out: Path) -> DataSet:
    """Return the accepted pairs of a filter's folder; raises InputError where there are none."""
    return read_dataset(out / ACCEPTED)


def _scanned(
    made: DataSet, known: DataSet, options: ReadOptions, workers: int, show: Show
) -> tuple[Scan, Scan]:
    found, against = (scan(d, workers=workers, on_error=options.on_error) for d in (made, known))
    for entry in (found, against):
        show(entry.dataset)
    return found, against


def _folds(real: Scan, settings: FilterSettings, cache: Path, machine: Machine) -> FoldMasks | None:
    if not machine.segmenter:
        return None
    return fold_segmenters(real, settings.segmenter(), cache / SEGMENTERS, machine.device)


def _write(root: Path, found: Scan, sifted: Sifted, job: dict[str, Any], workers: int) -> None:
    made = found.dataset
    lines = list(_lines(made, sifted))
    before = root / SAMPLES
    if before.is_file() and before.read_text("utf-8").splitlines() != lines:
        # Begun on another device, where a close call went otherwise: half of each is neither.
        shutil.rmtree(root / ACCEPTED, ignore_errors=True)
    write_lines(before, lines)
    pairs = list(zip(made.records, sifted.verdicts, strict=True))
    entries = tuple(Entry(r, made.classes, decision(v)) for r, v in pairs if v.accepted)
    build(
        root / ACCEPTED,
        Collected(entries, made.classes),
        len(entries),
        format_name=made.format if made.format in CONVERTIBLE else "folder",
        spec=Spec(made.classes, overlap=found.overlap),
        made_by=job,
        workers=workers,
        label="write accepted",
    )
    content = json.dumps(_result(made, sifted, job["settings"]), indent=2, ensure_ascii=False)
    write_file(root / RESULT, content + "\n")


def _lines(made: DataSet, sifted: Sifted) -> Iterator[str]:
    for record, verdict in zip(made.records, sifted.verdicts, strict=True):
        line = {
            "id": verdict.id,
            "method": method_of(record),
            "classes": verdict.classes,
            "accepted": verdict.accepted,
            "reason": verdict.reason,
            "scores": verdict.scores,
        }
        yield json.dumps(line, ensure_ascii=False)


def _result(made: DataSet, sifted: Sifted, settings: dict[str, Any]) -> dict[str, Any]:
    reasons = Counter(v.reason for v in sifted.verdicts if not v.accepted)
    return {
        "candidates": len(made),
        "accepted": sum(v.accepted for v in sifted.verdicts),
        "rejected": dict(reasons.most_common()),
        "classes": [entry.to_json() for entry in sifted.selected],
        "thresholds": [entry.to_json() for entry in sifted.thresholds],
        "notices": list(sifted.notices),
        "settings": settings,
    }
