"""``flawsmith run``: the stages in their order."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from flawsmith import __version__
from flawsmith.augment.job import files_of
from flawsmith.data.build import finished
from flawsmith.data.dataset import DataSet
from flawsmith.data.formats import READERS, ReadOptions
from flawsmith.data.jobs import Show, check_format, open_source, quiet
from flawsmith.data.scan import Scan
from flawsmith.data.split import check_classes
from flawsmith.errors import InputError, printable
from flawsmith.pipeline.arms import members
from flawsmith.pipeline.budget import Plan
from flawsmith.pipeline.candidates import Made, Scans, certify_stage, choose_methods, make_stage
from flawsmith.pipeline.curve import Trained, curve_stage
from flawsmith.pipeline.detecting import check_detectors, detect_stages
from flawsmith.pipeline.distances import Judge, distance_stage, open_judge
from flawsmith.pipeline.filtering import Filtered, filter_stages
from flawsmith.pipeline.gate import Gate, gate_fault, gate_images, gate_stage
from flawsmith.pipeline.outcome import Outcome, method_counts
from flawsmith.pipeline.output import (
    DATASET,
    Writer,
    all_classes,
    dataset_stages,
    made_again,
    write_samples,
)
from flawsmith.pipeline.plan import applied, plan_stage
from flawsmith.pipeline.pool import only_others, pool_of
from flawsmith.pipeline.report import Origin, Results, report_stage
from flawsmith.pipeline.settings import AUGMENTED, InpaintRun, RunMethod, RunSettings
from flawsmith.pipeline.source import Parts, read_stage, split_stage
from flawsmith.pipeline.stages import Stages, run_folder
from flawsmith.pipeline.surfaces import PAINTING, Surfaces
from flawsmith.progress import say

SWITCHED_OFF = "the gate is switched off"
NO_REAL_CLASS = "no candidate shows a class of the real images"


@dataclass(frozen=True)
class Where:
    """The machine's part: processes that read and write, and the device of the networks."""

    workers: int
    device: str


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
    when ``out`` cannot be written, Interrupted when stopped while training.
    """
    options = options or ReadOptions()
    source = check_run(src, out, settings, options)
    settings = settings.settled(source.format)
    judge = open_judge(settings, device)
    features = judge.extractor.version if judge else None
    with run_folder(out, _record(src, settings, options, features)) as stages:
        found = read_stage(stages, source, options, workers, settings.look_alikes)
        show(found.dataset)
        parts = split_stage(stages, found, settings)
        results = _results(stages, found, parts, settings, judge, Where(workers, device))
        report = out / "report.html"
        origin = Origin(src.resolve().name, options, settings, features, device)
        report_stage(report, stages, results, origin)
        return _outcome(stages, results, report, write_samples(out, results.last))


def _results(
    stages: Stages,
    found: Scan,
    parts: Parts,
    settings: RunSettings,
    judge: Judge | None,
    where: Where,
) -> Results:
    """Go through the stages from the plan to the data sets."""
    train, test = (found.select(parts[name]) for name in ("train", "test"))
    test = gate_images(test, settings.test_clean, settings.seed)
    methods, left_out = choose_methods(train, settings)
    if settings.clean == "gan":
        # Only here: it loads torch.
        from flawsmith.pipeline.gen_plan import check_clean

        check_clean(train, methods, settings)
    for method, reason in left_out.items():
        say(f"note: {method} left out: {reason}")
    missing = gate_fault(train, test) if settings.gate else SWITCHED_OFF
    plan = plan_stage(stages, train, test, methods, settings, where.device, gate=not missing)
    settings = applied(plan, settings)
    on = _surfaces(stages, found, train, plan, settings, where)
    made = {m: _make(stages, train, on, m, settings, where) for m in plan.methods}
    verdicts, scans = certify_stage(stages, found, on.found, made, where.workers)
    distances = distance_stage(stages, found, parts, scans, verdicts, judge)
    if not missing and only_others(scans, train.dataset.classes):
        missing = NO_REAL_CLASS
    filtered = filter_stages(
        stages, train, scans, verdicts, settings, plan.filter, where.device, gate=not missing
    )
    kept = (scans, filtered.verdicts)
    detected = detect_stages(stages, train, test, kept, on, settings, where.device)
    gate, trained = Gate(missing=missing), Trained()
    if not missing:
        gate = _gate(stages, train, test, scans, filtered, settings, plan, where.device)
        if plan.curve:
            trained = curve_stage(stages, train, settings.of_gate(), plan, where.device)
            say(f"note: {trained.said}")
    classes = all_classes(found.dataset.classes, [m.dataset.classes for m in made.values()])
    writer = Writer(stages, settings.to, classes, found.overlap, settings.seed, where.workers)
    sets = dataset_stages(writer, found, parts, made, filtered.verdicts, gate)
    return Results(
        found, parts, on, made, verdicts, filtered, detected, gate, trained, plan, left_out,
        distances, sets,
    )  # fmt: skip


def _gate(
    stages: Stages,
    train: Scan,
    test: Scan,
    scans: Scans,
    filtered: Filtered,
    settings: RunSettings,
    plan: Plan,
    device: str,
) -> Gate:
    pool = pool_of(scans, filtered.verdicts, train.dataset.classes, stages.out)
    places = members(plan.arms, pool.methods, pool.verdicts, settings.seed)
    added = {name: pool.found.select(chosen) for name, chosen in places.items()}
    gate = gate_stage(stages, train, test, added, settings.of_gate(), device, plan)
    if pool.outside:
        note = f"{pool.outside} candidates of classes that no real image shows are in no arm"
        gate = gate.with_notice(note)
    return gate


def _outcome(stages: Stages, run: Results, report: Path, samples: Path) -> Outcome:
    return Outcome(
        dataset=stages.out / DATASET,
        report=report,
        samples=samples,
        sets=run.sets,
        parts={
            name: finished(path, remove=made_again(name, path)).labels
            for name, path in run.sets.items()
        },
        methods=tuple(method_counts(m, run.made[m], run.last[m]) for m in run.made),
        distances={str(method): found for method, found in run.distances.items()},
        left_out={str(method): reason for method, reason in run.left_out.items()},
        filter=run.filtered.facts,
        detected=run.detected,
        gate=run.gate,
        plan=run.plan.to_json(),
        clean=run.on.to_json() if run.on.lots else None,
        costs={name: stages.costs.seconds(name) for name in stages.digests},
        notices=(*run.found.dataset.notices, *run.notices),
        skipped=tuple(map(str, run.found.dataset.skipped)),
    )


def _surfaces(
    stages: Stages, found: Scan, train: Scan, plan: Plan, settings: RunSettings, where: Where
) -> Surfaces:
    """Return what is painted on; without a generator of clean images, the training part."""
    if not plan.gen or not set(plan.methods) & set(PAINTING):
        return Surfaces(train)
    if settings.gen_parts == "three":
        from flawsmith.pipeline.clean_plates import plate_stages as make
    else:
        from flawsmith.pipeline.clean import clean_stages as make

    taken = (*found.dataset.ids, *found.dataset.groups)
    on = make(stages, train, taken, settings, where.device, where.workers)
    for notice in on.notices:
        say(f"note: {notice}")
    return on


def _make(
    stages: Stages,
    train: Scan,
    on: Surfaces,
    method: RunMethod,
    settings: RunSettings,
    where: Where,
) -> Made:
    if method == "inpaint":
        # Only here: it loads torch, which the other methods do without.
        from flawsmith.pipeline.inpaint import paint_stage

        return paint_stage(stages, train, on, settings, where.device, where.workers)
    return make_stage(stages, train, on, method, settings, where.workers)


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
    segmenter = settings.of_gate()
    settings.of_filter()
    check_detectors(settings)
    if settings.gate or (settings.filter and settings.agreement):
        segmenter.check_network()
    if "inpaint" in (settings.methods or ()) or settings.inpaint != InpaintRun():
        from flawsmith.pipeline.inpaint import plan_of

        plan_of(settings, "auto")
    if settings.clean == "gan":
        from flawsmith.pipeline.gen_plan import gen_plan_of

        gen_plan_of(settings, "auto")
    dataset = open_source(src, out, options)
    check_classes(settings.classes, dataset)
    return dataset


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
