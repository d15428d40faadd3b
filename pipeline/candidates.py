"""The middle stages: candidates by every method, and the certificate of each."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from flawsmith.augment.job import Candidates, files_of, missing_for, prepare
from flawsmith.augment.settings import AugmentSettings, Method
from flawsmith.data.build import Built, build, finished
from flawsmith.data.dataset import DataSet
from flawsmith.data.formats import read_dataset
from flawsmith.data.parallel import ordered_map
from flawsmith.data.scan import Scan
from flawsmith.data.tables import read_json, read_jsonl
from flawsmith.data.writing import write_file, write_lines
from flawsmith.errors import InputError
from flawsmith.evaluate.certificate import Certify, Verdict, area_ranges, without_copies
from flawsmith.inpaint.apply_settings import ApplySettings
from flawsmith.pipeline.settings import RunMethod, RunSettings
from flawsmith.pipeline.stages import Stages
from flawsmith.progress import track

Verdicts = dict[RunMethod, list[Verdict]]


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

    By default ``procedural`` stands in only where no real defect can be used.
    """
    wanted: tuple[RunMethod, ...] = settings.methods or ("classical", "paste")
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
    stages: Stages, train: Scan, method: Method, settings: RunSettings, workers: int
) -> Made:
    """Return an augmentation's candidates, made from the training part only."""
    own = settings.of_method(method)

    def work(folder: Path) -> None:
        make_in(folder, prepare(train, own, workers), method, own, workers)

    name = f"candidates-{method}"
    inputs = {**own.model_dump(mode="json"), "files": files_of(own)}
    folder = stages.make(name, inputs, ("split",), work)
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
    notices = tuple(read_json(folder / "notices.json"))
    built = finished(folder / "data")
    if not sum(built.labels.values()):
        return Made(_nothing(folder / "data", train), built, asked, notices)
    return Made(read_dataset(folder / "data"), built, asked, notices)


def _nothing(root: Path, train: Scan) -> DataSet:
    return DataSet(root, "folder", train.dataset.classes, ())


def certify_stage(
    stages: Stages, found: Scan, train: Scan, made: dict[RunMethod, Made], workers: int
) -> Verdicts:
    """Return every candidate's verdict, in order; copies are sought across all methods.

    Areas are those of the training part; a copy of any real image is refused, tested ones too.
    """

    def work(folder: Path) -> None:
        verdicts = _all_verdicts(found, train, made, workers)
        lines = (json.dumps(asdict(verdict), ensure_ascii=False) for verdict in verdicts)
        write_lines(folder / "verdicts.jsonl", lines)

    needs = tuple(f"candidates-{method}" for method in made)
    folder = stages.make("certificate", {}, needs, work)
    known = {
        line["id"]: Verdict(**{**line, "classes": tuple(line["classes"])})
        for _, line in read_jsonl(folder / "verdicts.jsonl")
    }
    return {method: [known[i] for i in entry.dataset.ids] for method, entry in made.items()}


def _all_verdicts(
    found: Scan, train: Scan, made: dict[RunMethod, Made], workers: int
) -> list[Verdict]:
    areas = area_ranges(train.dataset.classes, train.facts)
    verdicts: list[Verdict] = []
    for method, entry in made.items():
        # Drawn defects of their own classes have no real range; transformed ones carry their own.
        check = Certify(
            entry.dataset, train.dataset, areas if method in ("paste", "inpaint") else {}
        )
        results = ordered_map(check, range(len(entry.dataset)), workers)
        verdicts += track(results, f"certify {method}", len(entry.dataset))
    return list(without_copies(verdicts, (fact.digest for fact in found.facts)))
