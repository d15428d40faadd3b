"""The middle stages: candidates by every method, and the certificate of each."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from flawsmith.augment.job import Candidates, files_of, missing_for, prepare
from flawsmith.augment.settings import AugmentSettings, Method
from flawsmith.data.build import Built, build, finished
from flawsmith.data.dataset import DataSet
from flawsmith.data.formats import read_dataset
from flawsmith.data.kept import as_written, read_kept, read_kept_lines
from flawsmith.data.scan import Facts, Scan, scan
from flawsmith.data.writing import write_file, write_lines
from flawsmith.errors import InputError
from flawsmith.evaluate.certificate import Verdict, certify, without_copies
from flawsmith.inpaint.apply_settings import ApplySettings
from flawsmith.pipeline.budget import PRESETS
from flawsmith.pipeline.settings import RunMethod, RunSettings
from flawsmith.pipeline.source import facts_under
from flawsmith.pipeline.stages import Stages
from flawsmith.pipeline.surfaces import PAINTING, Surfaces

Verdicts = dict[RunMethod, list[Verdict]]
# The stage of the generator's training, in there its run, and beside that its weights' SHA-256:
# candidates stay good when the weights are removed.
TRAINING, TRAINED, DIGEST = "inpaint", "run", "weights.sha256"
Scans = dict[RunMethod, Scan]
FACTS = "facts.jsonl"
VERDICTS = "verdicts.jsonl"


@dataclass(frozen=True)
class Made:
    """One method's candidates on disk, what the build said of them, and why a flip is left out."""

    dataset: DataSet
    built: Built
    asked: int
    notices: tuple[str, ...]


def choose_methods(
    train: Scan, settings: RunSettings
) -> tuple[tuple[RunMethod, ...], dict[RunMethod, str]]:
    """Return the methods to use and why the others are left out.

    By default ``procedural`` stands in only where no real defect can be used, and ``inpaint`` is
    among them if the budget has room for its training, or the user has set its steps.
    """
    usual: tuple[RunMethod, ...] = ("classical", "paste")
    planned = settings.budget != "none" and PRESETS[settings.budget].inpaint != 0
    if planned or settings.inpaint_steps:
        usual += ("inpaint",)
    wanted = settings.methods or usual
    missing = {m: _missing(m, train, settings) for m in wanted}
    left_out: dict[RunMethod, str] = {m: reason for m, reason in missing.items() if reason}
    usable = tuple(m for m in wanted if m not in left_out)
    if not usable and settings.methods is None and missing_for("procedural", train) is None:
        usable = ("procedural",)
    if not usable:
        raise InputError(
            "nothing to make candidates from: "
            + "; ".join(f"{method} left out: {reason}" for method, reason in left_out.items()),
            where=train.dataset.root,
            mend="add masks, or clean images; --assume-good if images without masks are clean",
        )
    return usable, left_out


def _missing(method: RunMethod, train: Scan, settings: RunSettings) -> str | None:
    if method == "inpaint":
        # Only here: it loads torch, which the other methods do without.
        from flawsmith.pipeline.inpaint import plan_of

        # It needs what paste does: real defects to learn from, and surface to paint on.
        plan = plan_of(settings, "auto")
        return missing_for("paste", train, plan.apply.shaping, plan.setup.inpaint.size)
    return missing_for(method, train, settings.of_method(method))


def make_stage(
    stages: Stages, train: Scan, on: Surfaces, method: Method, settings: RunSettings, workers: int
) -> Made:
    """Return an augmentation's candidates, made from the training part only.

    on: what is painted on; real images that are transformed, and real defects, are of ``train``.
    """
    own = settings.of_method(method)
    painted = method in PAINTING
    known = on.found if painted else train

    def work(folder: Path) -> None:
        make_in(folder, prepare(known, own, workers), method, own, workers)

    name = f"candidates-{method}"
    inputs = {**own.model_dump(mode="json"), "files": files_of(own)}
    folder = stages.make(name, inputs, on.needs if painted else ("split",), work)
    return made_in(folder, train, own.count)


def make_in(
    folder: Path,
    candidates: Candidates,
    method: RunMethod,
    settings: AugmentSettings | ApplySettings,
    workers: int,
) -> None:
    """Write a stage's candidates into its folder; ``made_in`` reads them."""
    build(
        folder / "data",
        candidates.recipe,
        settings.count,
        format_name="folder",
        spec=candidates.spec,
        made_by={"stage": method, "settings": settings.model_dump(mode="json")},
        workers=workers,
        label=method,
    )
    write_file(folder / "notices.json", json.dumps(candidates.notices))


def made_in(folder: Path, train: Scan, asked: int) -> Made:
    """Return what a stage of candidates left in its folder."""
    notices = read_kept(folder / "notices.json", tuple[str, ...], tuple[str, ...])
    built = finished(folder / "data", remove=folder)
    if not sum(built.labels.values()):
        return Made(_nothing(folder / "data", train), built, asked, notices)
    return Made(read_dataset(folder / "data"), built, asked, notices)


def _nothing(root: Path, train: Scan) -> DataSet:
    return DataSet(root, "folder", train.dataset.classes, ())


def certify_stage(
    stages: Stages, found: Scan, train: Scan, made: dict[RunMethod, Made], workers: int
) -> tuple[Verdicts, Scans]:
    """Return every candidate's verdict and facts, in order; copies are sought across all methods.

    train: what was painted on: the training part, with generated clean images if there are any.
    Areas are the training part's; a copy of any real image is refused, tested ones too.
    """

    def work(folder: Path) -> None:
        facts = [
            fact
            for entry in made.values()
            for fact in scan(entry.dataset, workers=workers, may_be_empty=True).facts
        ]
        write_lines(folder / FACTS, (json.dumps(fact.to_json()) for fact in facts))
        verdicts = _all_verdicts(found, train, made, workers)
        lines = (json.dumps(asdict(verdict), ensure_ascii=False) for verdict in verdicts)
        write_lines(folder / VERDICTS, lines)

    needs = tuple(f"candidates-{method}" for method in made)
    folder = stages.make("certificate", {}, needs, work)
    return read_certificate(folder, {method: own.dataset for method, own in made.items()})


def read_certificate(folder: Path, made: dict[RunMethod, DataSet]) -> tuple[Verdicts, Scans]:
    """Return what the certificate's stage left of these candidates.

    Raises InputError for what is not as it was written.
    """
    known = read_verdicts(folder / VERDICTS)
    facts = {line["id"]: line for line in read_kept_lines(folder / FACTS, Facts)}
    with as_written(folder / VERDICTS):
        verdicts = {method: [known[i] for i in own.ids] for method, own in made.items()}
    with as_written(folder / FACTS):
        return verdicts, {method: _scanned(own, facts) for method, own in made.items()}


def read_verdicts(path: Path) -> dict[str, Verdict]:
    """Return a stage's verdicts by the candidate's id."""
    return {verdict.id: verdict for verdict in read_kept_lines(path, Verdict, _verdict)}


def _verdict(line: dict[str, Any]) -> Verdict:
    return Verdict(**{**line, "classes": tuple(line["classes"])})


def _scanned(dataset: DataSet, lines: dict[str, dict[str, Any]]) -> Scan:
    made = facts_under(dataset.classes)
    facts = tuple(made(lines[name]) for name in dataset.ids)
    # The scan has joined the groups of copies.
    pairs = zip(dataset.records, facts, strict=True)
    records = tuple(replace(record, group=fact.group) for record, fact in pairs)
    return Scan(replace(dataset, records=records), facts)


def _all_verdicts(
    found: Scan, train: Scan, made: dict[RunMethod, Made], workers: int
) -> list[Verdict]:
    verdicts: list[Verdict] = []
    for method, entry in made.items():
        verdicts += certify(entry.dataset, train, workers, f"certify {method}")
    return list(without_copies(verdicts, (fact.digest for fact in found.facts)))
