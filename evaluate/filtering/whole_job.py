"""The selection of whole pictures on folders: samples and real pictures in, those that pass out."""

from pathlib import Path
from typing import Any

from flawsmith.data.formats import ReadOptions
from flawsmith.data.jobs import Show, describe_job, open_source, quiet
from flawsmith.data.scan import scan
from flawsmith.data.staging import staged
from flawsmith.evaluate.distance import Compute
from flawsmith.evaluate.feature_store import FeatureStore, default_folder
from flawsmith.evaluate.features import open_extractor
from flawsmith.evaluate.filtering.job import Machine
from flawsmith.evaluate.filtering.output import read_result, write
from flawsmith.evaluate.filtering.select_settings import SelectSettings
from flawsmith.evaluate.filtering.whole import Fit, select_whole, unfit
from flawsmith.progress import say


def select_folder(
    samples: Path,
    real: Path,
    out: Path,
    settings: SelectSettings,
    *,
    fit: Fit = unfit,
    options: ReadOptions | None = None,
    machine: Machine | None = None,
    overwrite: bool = False,
    show: Show = quiet,
) -> dict[str, Any]:
    """Select from the generated pictures ``samples`` what passes for ``real``; return the result.

    ``out/accepted`` is a data set of those that pass, each with its scores; ``out/samples.jsonl``
    has a line a sample with the reason against it; ``out/filter.json`` is the JSON-able result:
    limits, counts. fit: as for ``select_whole``. Raises InputError for unusable input, OutputError
    when ``out`` cannot be written.
    """
    options, machine = options or ReadOptions(), machine or Machine()
    extractor = open_extractor("lite0")
    made = open_source(samples, out, ReadOptions(on_error=options.on_error))
    known = open_source(real, out, options)
    job = describe_job("gen select", made, options, settings.model_dump(mode="json"))
    job["real"] = describe_job("gen select", known, options, {})["source"]
    job["features"] = extractor.version
    with staged(out, job, overwrite=overwrite) as stage:
        if stage.done:
            say(f"{out} is complete already")
        else:
            scans = [
                scan(dataset, workers=machine.workers, on_error=options.on_error)
                for dataset in (made, known)
            ]
            for found in scans:
                show(found.dataset)
            store = FeatureStore(machine.cache or default_folder(), extractor.version)
            compute = Compute(store, machine.device)
            sifted = select_whole(scans[0], scans[1], settings, extractor, compute, fit)
            write(stage.path, scans[0], sifted, None, job, machine.workers)
    return read_result(out)
