"""The report of a run: its sections from what the stages left."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from flawsmith.data.build import read_told
from flawsmith.data.formats import ReadOptions
from flawsmith.data.kept import read_digest
from flawsmith.data.scan import Scan
from flawsmith.errors import printable
from flawsmith.evaluate.arms_section import arms_section
from flawsmith.evaluate.comparison import Distances
from flawsmith.evaluate.curves_section import CLEAN_SHOWS, curves_section, read_training
from flawsmith.evaluate.distance_section import distance_section
from flawsmith.evaluate.provenance_section import (
    Cost,
    Provenance,
    machine,
    provenance_section,
    versions,
)
from flawsmith.evaluate.rejected_section import heaps, rejected_section
from flawsmith.evaluate.report import Fact, Section, write_report
from flawsmith.evaluate.report_sections import counts_section, input_section, usage_section
from flawsmith.evaluate.verdict_section import Decision, verdict_section
from flawsmith.pipeline.budget import Plan
from flawsmith.pipeline.candidates import DIGEST, TRAINED, TRAINING, Made, Verdicts
from flawsmith.pipeline.curve import Trained
from flawsmith.pipeline.detecting import STAGE, Detected
from flawsmith.pipeline.filtering import Filtered
from flawsmith.pipeline.gate import Gate
from flawsmith.pipeline.outcome import method_counts
from flawsmith.pipeline.output import CANDIDATES, DATASET, SYNTHETIC, all_classes, made_again
from flawsmith.pipeline.settings import RunMethod, RunSettings
from flawsmith.pipeline.shown import grid, load_one
from flawsmith.pipeline.source import Parts
from flawsmith.pipeline.stages import Stages
from flawsmith.pipeline.surfaces import Surfaces


@dataclass(frozen=True)
class Results:
    """What the stages of a run left.

    on: what was painted on; certified: verdicts of the certificate alone; sets: each data set's
    folder by its name.
    """

    found: Scan
    parts: Parts
    on: Surfaces
    made: dict[RunMethod, Made]
    certified: Verdicts
    filtered: Filtered
    detected: Detected
    gate: Gate
    trained: Trained
    plan: Plan
    left_out: dict[RunMethod, str]
    distances: dict[RunMethod, Distances]
    sets: dict[str, Path]

    @property
    def last(self) -> Verdicts:
        """The last word on every candidate."""
        return self.gate.decided(self.filtered.verdicts)

    @property
    def classes(self) -> tuple[str, ...]:
        """The real classes, then those that only candidates have."""
        others = [made.dataset.classes for made in self.made.values()]
        return all_classes(self.found.dataset.classes, others)

    @property
    def notices(self) -> tuple[str, ...]:
        """What was left out or cut off on the way, and what else is to be known."""
        left_out = (f"{method} left out: {reason}" for method, reason in self.left_out.items())
        made = (f"{name}: {text}" for name, own in self.made.items() for text in own.notices)
        told = self.filtered.facts["notices"]
        filtered = [f"filter: {'; '.join(told)}"] if told else []
        curve = [self.trained.said] if self.trained.said else []
        told = [*self.detected.notices, *curve]
        return (*left_out, *self.plan.notes, *self.on.notices, *made, *filtered, *told)


@dataclass(frozen=True)
class Origin:
    """Where a run comes from: what the user calls the data, and how the command was set."""

    name: str
    options: ReadOptions
    settings: RunSettings
    features: str | None
    device: str


def report_stage(path: Path, stages: Stages, run: Results, origin: Origin) -> None:
    """Write the run's ``report.html``."""
    write_report(
        path,
        title=f"flawsmith: {origin.name}",
        summary=_summary(run),
        sections=list(_sections(stages, run, origin)),
    )


def _sections(stages: Stages, run: Results, origin: Origin) -> Iterator[Section]:
    found, classes, seed = run.found, run.classes, origin.settings.seed
    segment = origin.settings.of_gate()
    passed = sum(v.accepted for own in run.filtered.verdicts.values() for v in own)
    place = CANDIDATES if CANDIDATES in run.sets else f"{DATASET}/{SYNTHETIC}"
    decision = Decision(passed, place, schedule=segment.schedule, missing=run.gate.missing)
    yield verdict_section(run.gate.check, decision)
    yield input_section(found.dataset, found.facts, run.parts)
    for lot in run.on.lots:
        training = read_training(stages.place(lot.stage) / TRAINED)
        yield curves_section(lot.name, training, CLEAN_SHOWS)
    if TRAINING in stages.digests:
        yield curves_section(TRAINING, read_training(stages.place(TRAINING) / TRAINED))
    yield counts_section([method_counts(m, run.made[m], run.last[m]) for m in run.made])
    train = found.select(run.parts["train"])
    for method, made in run.made.items():
        verdicts, also = run.filtered.verdicts[method], bool(run.on.added)
        yield grid(method, made, verdicts, train, classes, seed, generated=also)
        if method in run.distances:
            judged, known = run.distances[method], found.dataset
            yield distance_section(method, judged, made.dataset, known, known)
    yield from _detected(run)
    if run.gate.check:
        yield arms_section(run.gate.check, run.trained.curve)

    made_by = {str(method): own.dataset for method, own in run.made.items()}
    shown = heaps(
        {str(method): own for method, own in run.last.items()},
        lambda method, place: load_one(made_by[method], place, classes),
        seed=seed,
    )
    measured = run.gate.state != "not measured"
    yield rejected_section(shown, classes, run.filtered.facts["thresholds"], measured=measured)
    yield provenance_section(_provenance(stages, origin, run.plan, run.on))
    kept = {name: own for name, own in run.sets.items() if name != CANDIDATES}
    sets = {name: read_told(own, remove=made_again(name, own)) for name, own in kept.items()}
    labels = {name: told["labels"] for name, told in sets.items()}
    form = sets["train"]["format"]
    yield usage_section(
        DATASET, form, classes, labels, overlap=found.overlap, schedule=segment.schedule
    )


def _detected(run: Results) -> Iterator[Section]:
    if run.detected.done:
        # Only here: it loads scikit-learn, which a run without detectors does without.
        from flawsmith.evaluate.detect_section import detect_section

        yield detect_section(run.detected.done)


def _summary(run: Results) -> list[Fact]:
    found = run.found
    good, defective = len(found.where("good")), len(found.where("defective"))
    made = {method: len(own) for method, own in run.certified.items()}
    certified, passed = (
        sum(v.accepted for own in verdicts.values() for v in own)
        for verdicts in (run.certified, run.filtered.verdicts)
    )
    each = ", ".join(f"{number} {method}" for method, number in made.items())
    facts = [
        Fact("Real images", str(len(found.facts)), f"{defective} defective, {good} clean"),
        Fact("Candidates made", str(sum(made.values())), each),
        Fact(
            "Passed the certificate",
            str(certified),
            "mask valid, no copy; if pasted, change visible and area real",
        ),
        Fact(
            "Passed the filter", str(passed), "like real defects, new, and close to them as a set"
        ),
    ]
    notices = (*run.notices, *run.gate.notices)
    return [
        facts[0],
        *_generated(run.on),
        *facts[1:],
        *(Fact("Note", "", text) for text in notices),
    ]


def _generated(on: Surfaces) -> list[Fact]:
    """Return what became of generated clean images, and of plates joined of generated parts."""
    use = ", so used for plates" if on.in_parts else ", so painted on too"
    if not on.added:
        use = ""
    facts = [
        Fact(
            f"Generated {lot.name}",
            f"{lot.accepted} of {lot.made}",
            "; ".join([f"look real and new{use}", *map(_counted, lot.rejected.items())]),
        )
        for lot in on.lots
    ]
    if on.in_parts:
        told = "joined of these, painted on too"
        if not on.added:
            told = "some part is lacking, so the real ones alone are painted on"
        facts.append(Fact("Generated plates", str(on.added), told))
    return facts + [Fact(f"Seam {s.seam}", s.verdict, s.why) for s in on.seams]


def _counted(reason: tuple[str, int]) -> str:
    return f"{reason[1]} {reason[0]}"


def _provenance(stages: Stages, origin: Origin, plan: Plan, on: Surfaces) -> Provenance:
    options = {name: value for name, value in asdict(origin.options).items() if value}
    reading = ", ".join(f"{name} {value}" for name, value in options.items())
    origins = [
        Fact("Data", printable(origin.name), f"read: {reading}"),
        Fact(
            "Samples", stages.digests["read"][:16], "digest of the files, and of how they are read"
        ),
        Fact("Split", stages.digests["split"][:16], "digest of what decided it"),
    ]
    if plan.cap:
        origins.append(Fact("Budget", origin.settings.budget, plan.sentence))
    if origin.features:
        origins.append(Fact("Features", origin.features, "network behind the distances"))
    weights = stages.place(TRAINING) / DIGEST
    if TRAINING in stages.digests and weights.is_file():
        origins.append(Fact("Generator", read_digest(weights)[:16], "SHA-256 of its weights"))
    for lot in on.lots:
        digest = read_digest(stages.place(lot.stage) / DIGEST)[:16]
        origins.append(Fact(f"Generator of {lot.name}", digest, "SHA-256 of its weights"))
    return Provenance(
        command="flawsmith run DATA OUT --config settings.yaml",
        origins=origins,
        settings=origin.settings.model_dump(mode="json", exclude={"weights"}),
        versions=versions(),
        machine=machine(_device(stages, origin.device, generated=bool(on.lots))),
        costs=_costs(stages),
    )


def _costs(stages: Stages) -> list[Cost]:
    """Return what each stage took; the many runs of one stage together."""
    found: dict[str, float | None] = {}
    for name in stages.digests:
        seconds, own = stages.costs.seconds(name), name.split("/")[0]
        before = found.get(own, 0.0)
        found[own] = None if seconds is None or before is None else before + seconds
    return [Cost(name, seconds) for name, seconds in found.items()]


def _device(stages: Stages, device: str, *, generated: bool) -> str:
    """Return the name of the device that networks ran on; torch is loaded only if one did."""
    networks = {name.split("/")[0] for name in stages.digests}
    if not generated and not {"gate", "filter", TRAINING, STAGE} & networks:
        return f"{device} (no network was trained)"
    import torch

    from flawsmith.train.devices import pick_device

    chosen = pick_device(device)
    return torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else chosen.type
