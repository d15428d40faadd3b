"""The report of a run: its sections from what the stages left."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flawsmith.data.dataset import DataSet
from flawsmith.data.manifest import MANIFEST
from flawsmith.data.scan import Scan
from flawsmith.data.tables import read_json
from flawsmith.evaluate.certificate import Verdict
from flawsmith.evaluate.comparison import Distances
from flawsmith.evaluate.distance_section import distance_section
from flawsmith.evaluate.report import Fact, Section, write_report
from flawsmith.evaluate.report_sections import (
    MethodCounts,
    counts_section,
    grid_section,
    input_section,
    usage_section,
)
from flawsmith.pipeline.candidates import Made, Verdicts
from flawsmith.pipeline.output import Collected, Entry, all_classes
from flawsmith.pipeline.settings import RunMethod
from flawsmith.pipeline.source import Parts
from flawsmith.sample import Sample
from flawsmith.seeding import rng

SHOWN = 3
TEXTS: dict[RunMethod, str] = {
    "classical": "Real defective training images, moved and toned. Masks move with them.",
    "paste": "Real defects cut out by their masks and joined into clean surface of the training "
    "part; tone matched to it, seam feathered. Outside of the seam no pixel is changed.",
    "procedural": "Drawn defects on clean surface of the training part: shapes and looks from "
    "noise, none of them real.",
    "inpaint": "Painted by a generator trained on the training part: it sees the clean surface and "
    "the mask, and fills the mask with a defect. Outside of mask and seam no pixel is changed.",
}


@dataclass(frozen=True)
class Results:
    """What the stages of a run left."""

    found: Scan
    parts: Parts
    made: dict[RunMethod, Made]
    verdicts: Verdicts
    left_out: dict[RunMethod, str]
    distances: dict[RunMethod, Distances]
    dataset: Path


def report_stage(path: Path, run: Results, seed: int, name: str) -> None:
    """Write the run's ``report.html``; ``name`` is what the user calls the data."""
    found, made, verdicts = run.found, run.made, run.verdicts
    counts = [method_counts(method, made[method], verdicts[method]) for method in made]
    classes = all_classes(found.dataset.classes, [m.dataset.classes for m in made.values()])
    train = found.select(run.parts["train"])
    labels = {
        name: read_json(run.dataset / name / MANIFEST)["labels"]
        for name in ("train", "test", "synthetic")
    }
    sections = [input_section(found.dataset, found.facts, run.parts), counts_section(counts)]
    for method in made:
        sections.append(_grid(method, made[method], verdicts[method], train, classes, seed))
        if method in run.distances:
            judged, known = run.distances[method], found.dataset
            sections.append(distance_section(method, judged, made[method].dataset, known, known))
    form = str(read_json(run.dataset / "train" / MANIFEST)["format"])
    usage = usage_section("dataset", form, classes, labels, overlap=found.overlap)
    write_report(
        path,
        title=f"flawsmith: {name}",
        summary=_summary(found, counts, made, run.left_out),
        sections=[*sections, usage],
    )


def method_counts(method: RunMethod, made: Made, verdicts: Sequence[Verdict]) -> MethodCounts:
    """Return what became of a method's candidates."""
    rejected = Counter(v.reason for v in verdicts if not v.accepted)
    accepted = sum(v.accepted for v in verdicts)
    return MethodCounts(method, made.asked, made.built.refused, accepted, dict(rejected))


def _summary(
    found: Scan,
    counts: Sequence[MethodCounts],
    made: dict[RunMethod, Made],
    left_out: dict[RunMethod, str],
) -> list[Fact]:
    good, defective = len(found.where("good")), len(found.where("defective"))
    accepted = sum(row.accepted for row in counts)
    total = sum(row.made for row in counts)
    facts = [
        Fact("Real images", str(len(found.facts)), f"{defective} defective, {good} clean"),
        Fact("Candidates made", str(total), ", ".join(f"{c.made} {c.method}" for c in counts)),
        Fact(
            "Passed the certificate",
            str(accepted),
            "mask valid, no copy; if pasted, change visible and area real",
        ),
        Fact("Does it help?", "not measured", "no segmenter was trained in this run"),
    ]
    notices = [f"{method} left out: {reason}" for method, reason in left_out.items()]
    notices += [f"{method}: {text}" for method in made for text in made[method].notices]
    facts += [Fact("Note", "", text) for text in notices]
    return facts


def _grid(
    method: RunMethod,
    made: Made,
    verdicts: Sequence[Verdict],
    train: Scan,
    classes: tuple[str, ...],
    seed: int,
) -> Section:
    shown = [
        i
        for name in classes
        for i in _some(
            [k for k, v in enumerate(verdicts) if v.accepted and name in v.classes], seed
        )
    ]
    real = [
        i
        for plane in range(len(train.dataset.classes))
        for i in _some([k for k, f in enumerate(train.facts) if plane in f.planes], seed)
    ]
    return grid_section(
        method,
        _load(train.dataset, real, classes),
        _load(made.dataset, shown, classes),
        classes,
        TEXTS[method],
        limit=SHOWN,
    )


def _some(indices: list[int], seed: int) -> list[int]:
    chosen = rng(seed, "report").permutation(len(indices))[:SHOWN]
    return [indices[i] for i in sorted(chosen)]


def _load(dataset: DataSet, indices: list[int], classes: tuple[str, ...]) -> Iterator[Sample]:
    chosen = list(dict.fromkeys(indices))
    entries = tuple(Entry(dataset.records[i], dataset.classes, {}) for i in chosen)
    recipe = Collected(entries, classes)
    for index in range(len(entries)):
        sample = recipe.make(index)
        assert isinstance(sample, Sample)
        yield sample
