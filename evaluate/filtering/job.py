"""The filter on folders: candidates and real samples in, accepted pairs and all verdicts out.

With test images the gate decides in the end; no file of theirs is opened before all thresholds are
settled and every candidate is judged.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from flawsmith.data.dataset import DataSet
from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.data.jobs import Show, check_apart, describe_job, open_source, quiet
from flawsmith.data.scan import Scan, scan
from flawsmith.data.staging import staged
from flawsmith.evaluate.distance import Compute
from flawsmith.evaluate.feature_store import FeatureStore, default_folder
from flawsmith.evaluate.features import open_extractor
from flawsmith.evaluate.filtering.checks import check_candidates
from flawsmith.evaluate.filtering.filtering import sift
from flawsmith.evaluate.filtering.folds import FoldMasks, fold_segmenters
from flawsmith.evaluate.filtering.gate import Gate, measure
from flawsmith.evaluate.filtering.output import ACCEPTED, read_result, write
from flawsmith.evaluate.filtering.settings import FilterSettings
from flawsmith.progress import say

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
    gate: Gate | None = None,
    machine: Machine | None = None,
    overwrite: bool = False,
    show: Show = quiet,
) -> dict[str, Any]:
    """Filter the data set ``candidates`` against the training part ``real``; return the result.

    ``out/accepted`` is a data set in the candidates' format, each sample with its scores;
    ``out/samples.jsonl`` has a line a candidate; ``out/filter.json`` is the JSON-able result:
    thresholds, counts, notices. With a gate that refuses what passed, the same data set lies in
    ``out/candidates`` instead, nothing is accepted, and ``helps`` is False (None without a gate).
    ``options`` say how real images are read. Raises InputError for unusable input, Interrupted
    while training, OutputError when ``out`` cannot be written.
    """
    options, machine = options or ReadOptions(), machine or Machine()
    extractor = open_extractor("lite0")
    # A wrong setting must not cost a pass over all images first.
    segmenter = settings.segmenter()
    if machine.segmenter:
        segmenter.check_network()
    if gate:
        gate.settings.check_network()
    made = open_source(candidates, out, ReadOptions(on_error=options.on_error))
    known = open_source(real, out, options)
    chosen = settings.model_dump(mode="json")
    job = describe_job("filter", made, options, {**chosen, "segmenter": machine.segmenter})
    job["real"] = describe_job("filter", known, options, {})["source"]
    job["features"] = extractor.version
    if gate:
        check_apart(gate.test, out)
        job["gate"] = gate.describe()
    with staged(out, job, overwrite=overwrite) as stage:
        if stage.done:
            say(f"{out} is complete already")
        else:
            found, against = (_scanned(d, options, machine, show) for d in (made, known))
            check_candidates(found, against)
            cache = machine.cache or default_folder()
            compute = Compute(FeatureStore(cache, extractor.version), machine.device)
            folds = _folds(against, settings, cache, machine)
            workers = machine.workers
            sifted = sift(found, against, settings, extractor, compute, folds, workers=workers)
            judged = None
            if gate:
                read = partial(_tested, options=options, machine=machine, show=show)
                verdicts = sifted.verdicts
                judged = measure(found, against, verdicts, gate, read, cache, machine.device)
            write(stage.path, found, sifted, judged, job, workers)
    return read_result(out)


def read_accepted(out: Path) -> DataSet:
    """Return the accepted pairs of a filter's folder; raises InputError where there are none."""
    return read_dataset(out / ACCEPTED)


def _scanned(dataset: DataSet, options: ReadOptions, machine: Machine, show: Show) -> Scan:
    found = scan(dataset, workers=machine.workers, on_error=options.on_error)
    show(found.dataset)
    return found


def _tested(folder: Path, options: ReadOptions, machine: Machine, show: Show) -> Scan:
    return _scanned(read_dataset(folder, options), options, machine, show)


def _folds(real: Scan, settings: FilterSettings, cache: Path, machine: Machine) -> FoldMasks | None:
    if not machine.segmenter:
        return None
    return fold_segmenters(real, settings.segmenter(), cache / SEGMENTERS, machine.device)
