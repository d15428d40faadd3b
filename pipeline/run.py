"""``flawsmith run``: the stages in their order."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flawsmith import __version__
from flawsmith.augment.job import files_of
from flawsmith.data.build import finished
from flawsmith.data.dataset import DataSet
from flawsmith.data.formats import READERS, ReadOptions
from flawsmith.data.jobs import Show, check_format, open_source, quiet
from flawsmith.data.scan import Scan
from flawsmith.errors import InputError, printable
from flawsmith.evaluate.comparison import Distances
from flawsmith.evaluate.report_sections import MethodCounts
from flawsmith.pipeline.candidates import Made, certify_stage, choose_methods, make_stage
from flawsmith.pipeline.distances import distance_stage, open_judge
from flawsmith.pipeline.output import dataset_stage
from flawsmith.pipeline.report import Results, method_counts, report_stage
from flawsmith.pipeline.settings import AUGMENTED, RunMethod, RunSettings
from flawsmith.pipeline.source import read_stage, split_stage
from flawsmith.pipeline.stages import Stages, run_folder
from flawsmith.progress import say


@dataclass(frozen=True)
class Outcome:
    """What a run wrote: label counts a data set, counts a method, and what was left out."""

    dataset: Path
    report: Path
    parts: dict[str, dict[str, int]]
    methods: tuple[MethodCounts, ...]
    distances: dict[str, Distances]
    left_out: dict[str, str]
    notices: tuple[str, ...]
    skipped: tuple[str, ...]


def run(
    src: Path,
    out: Path,
    settings: RunSettings,
    *,
    options: ReadOptions | None = None,
    workers: int = 1,
    device: str = "auto",
    show: Show = quiet,
) -> Outcome:
    """Turn the images of ``src`` into a larger data set with a report, in the folder ``out``.

    ``show`` gets the data set that was read. A second call goes on where the first stopped, and
    repeats only what a changed setting touches. Raises InputError for unusable input, OutputError
    when ``out`` cannot be written.
    """
    options = options or ReadOptions()
    source = check_run(src, out, settings, options)
    judge = open_judge(settings, device)
    features = judge.extractor.version if judge else None
    with run_folder(out, _record(src, settings, options, features)) as stages:
        found = read_stage(stages, source, options, workers)
        show(found.dataset)
        parts = split_stage(stages, found, settings)
        train = found.select(parts["train"])
        methods, left_out = choose_methods(train, settings)
        for method, reason in left_out.items():
            say(f"note: {method} left out: {reason}")
        made = {m: _make(stages, train, m, settings, device, workers) for m in methods}
        verdicts = certify_stage(stages, found, train, made, workers)
        distances = distance_stage(stages, found, parts, made, verdicts, judge, workers)
        dataset = dataset_stage(stages, found, parts, made, verdicts, settings, workers)
        report = out / "report.html"
        results = Results(found, parts, made, verdicts, left_out, distances, dataset)
        report_stage(report, results, settings.seed, src.resolve().name)
        names = (*parts, "synthetic")
        return Outcome(
            dataset,
            report,
            {name: finished(dataset / name).labels for name in names},
            tuple(method_counts(m, made[m], verdicts[m]) for m in methods),
            {str(method): found for method, found in distances.items()},
            {str(method): reason for method, reason in left_out.items()},
            found.dataset.notices,
            tuple(map(str, found.dataset.skipped)),
        )


def _make(
    stages: Stages, train: Scan, method: RunMethod, settings: RunSettings, device: str, workers: int
) -> Made:
    if method == "inpaint":
        # Only here: it loads torch, which the other methods do without.
        from flawsmith.pipeline.inpaint import paint_stage

        return paint_stage(stages, train, settings, device, workers)
    return make_stage(stages, train, method, settings, workers)


def check_run(src: Path, out: Path, settings: RunSettings, options: ReadOptions) -> DataSet:
    """Return the source, read but not decoded; raises InputError for what a run would refuse.

    Nothing is written.
    """
    check_format(settings.to)
    if settings.to not in READERS:
        raise InputError(
            f"a run cannot write {settings.to}: the report's commands could not read it again",
            mend="run with another --to, then flawsmith data convert",
        )
    for method in AUGMENTED:
        files_of(settings.of_method(method))
    if "inpaint" in (settings.methods or ()):
        from flawsmith.pipeline.inpaint import plan_of

        plan_of(settings, "auto")
    return open_source(src, out, options)


def _record(src: Path, settings: RunSettings, options: ReadOptions, features: str | None) -> str:
    """Return what ``run.json`` keeps: everything that decides the result but the data itself."""
    # Weights are known by their digest, which is in the version: a path says nothing elsewhere.
    chosen = settings.model_dump(mode="json", exclude={"weights"})
    content = {
        "flawsmith": __version__,
        "source": printable(src.resolve().name),
        "read": asdict(options),
        "settings": chosen,
        "features": features,
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def to_json(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome as JSON-able values."""
    return {
        "dataset": str(outcome.dataset),
        "report": str(outcome.report),
        "parts": outcome.parts,
        "methods": {
            row.method: {
                "asked": row.asked,
                "refused": dict(row.refused),
                "rejected": dict(row.rejected),
                "accepted": row.accepted,
            }
            for row in outcome.methods
        },
        "distances": {name: found.to_json() for name, found in outcome.distances.items()},
        "left_out": outcome.left_out,
        "notices": list(outcome.notices),
        "skipped": list(outcome.skipped),
    }
