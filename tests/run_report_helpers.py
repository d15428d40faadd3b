"""A report with every section, from made-up figures and drawn pictures."""

import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from flawsmith.data.dataset import DataSet, Record
from flawsmith.data.demo import demo_sample
from flawsmith.data.demo_strips import STRIP_CLASSES
from flawsmith.data.images import write_png
from flawsmith.data.scan import Facts, components
from flawsmith.evaluate.arms_section import arms_section
from flawsmith.evaluate.certificate import Verdict
from flawsmith.evaluate.comparison import Comparison, Distances, Figure, Pair
from flawsmith.evaluate.curves_section import curves_section, read_training
from flawsmith.evaluate.detect_result import Costs, Judged
from flawsmith.evaluate.detect_section import detect_section
from flawsmith.evaluate.detect_seen import KINDS, PANEL, RANKS, Heat, Seen
from flawsmith.evaluate.detectors.figures import Figure as Told
from flawsmith.evaluate.detectors.frames import Form
from flawsmith.evaluate.distance_section import distance_section
from flawsmith.evaluate.overlap import Counts
from flawsmith.evaluate.provenance_section import (
    Cost,
    Provenance,
    machine,
    provenance_section,
    versions,
)
from flawsmith.evaluate.rejected_section import heaps, rejected_section
from flawsmith.evaluate.report import Fact, Section
from flawsmith.evaluate.report_sections import (
    MethodCounts,
    counts_section,
    grid_section,
    input_section,
    usage_section,
)
from flawsmith.evaluate.segment import SegmentCheck, judge
from flawsmith.evaluate.segment_curve import Curve
from flawsmith.evaluate.segmenter.schedule import Schedule
from flawsmith.evaluate.segmenter.settings import SegmentSettings
from flawsmith.evaluate.verdict_section import Decision, state_of, verdict_section
from flawsmith.sample import Sample

GAINS = {"real+paste": 0.03, "real+random": 0.05, "real+filtered": 0.09}

CURVE = Curve((400, 800, 1600), ((0.512,), (0.561,), (0.566,)), (0,), 40, 13, 20, 7)


def check(
    gains: dict[str, float] | None = None,
    *,
    seeds: int = 3,
    clean: bool = True,
    classes: tuple[str, ...] = ("Crack", "Pit"),
    leak: str = "",
) -> SegmentCheck:
    """A check whose arms find so much more of the defects than ``real`` does."""
    gains = GAINS if gains is None else gains
    counts = {
        name: {seed: _counts(gain, seed, clean, classes) for seed in range(seeds)}
        for name, gain in {"real": 0.0, **gains}.items()
    }
    wanted = [("real+filtered", "real+random"), ("real+filtered", "real+paste")]
    pairs = [pair for pair in wanted if gains.keys() >= {*pair}]
    real: Any = SimpleNamespace(
        facts=[SimpleNamespace(group=f"part {i // 3}", label="good") for i in range(60)]
    )
    added = dict.fromkeys(gains, 132)
    settings = SegmentSettings(seeds=seeds)
    return judge(counts, settings=settings, real=real, added=added, pairs=pairs, leak=leak)


def _counts(gain: float, seed: int, clean: bool, classes: tuple[str, ...]) -> Counts:
    """The same 24 images of 12 groups whatever the gain; a third of the groups clean if asked."""
    codes = np.repeat(np.arange(12), 2)
    good = (codes % 3 == 2) & clean
    truth = np.random.default_rng(0).integers(80, 400, (24, len(classes))) * ~good[:, None]
    own = np.random.default_rng((seed, round(1000 + 1000 * gain)))
    share = np.clip(0.55 + gain + own.normal(0, 0.012) + own.normal(0, 0.04, truth.shape), 0, 1)
    tp = np.round(truth * share).astype(np.int64)
    fp = own.integers(0, 40, truth.shape)
    return Counts(
        classes=classes,
        ids=tuple(f"i{i}" for i in range(24)),
        groups=tuple(f"part {code}" for code in codes),
        labels=tuple("good" if one else "defective" for one in good),
        tp=tp,
        fp=fp,
        fn=truth - tp,
        largest=np.where(own.random(24) < 0.7 - 3 * gain, 40, 0),
    )


@cache
def strips() -> tuple[Sample, ...]:
    """Drawn steel strips, as ``flawsmith demo`` writes them."""
    return tuple(demo_sample("severstal", 3, i) for i in range(17))


def training_run(folder: Path, steps: int = 1200) -> Path:
    """A run folder as a training leaves it: a line cut short, two previews, the variety."""
    rng = np.random.default_rng(0)
    lines = []
    for step in range(1, steps + 1):
        fall = float(np.exp(-step / 300))
        losses = {
            "d_real": 0.9 + 0.3 * fall + rng.normal(0, 0.05),
            "d_fake": 0.8 + 0.2 * fall + rng.normal(0, 0.05),
            "g_adversarial": 0.4 + rng.normal(0, 0.1),
            "g_l1": 0.3 * fall,
            "g_matching": 2 + 3 * fall + rng.normal(0, 0.1),
        }
        lines.append(json.dumps({"step": step, "losses": losses, "steps_per_second": 1.4}))
    (folder / "previews").mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("\n".join([*lines, lines[-1][:30]]))
    rows = [np.hstack([s.image[:64, k * 90 : k * 90 + 64] for k in range(8)]) for s in strips()[:5]]
    picture = np.ascontiguousarray(np.vstack(rows))
    write_png(folder / "previews" / "000100.png", picture // 2)
    write_png(folder / "previews" / "001200.png", picture)
    variety = {"painted": 0.21, "masks": 8, "real": 0.4, "defects": 20, "pairs": 150, "share": 0.5}
    content = {"weights": "0" * 64, "paintings": 10, "classes": [{"name": "1", **variety}]}
    (folder / "variety.json").write_text(json.dumps(content))
    return folder


def judged(samples: tuple[Sample, ...]) -> dict[str, list[Verdict]]:
    """Verdicts of every fate, for two methods that made the same defective samples."""
    reasons = ("", "", "change not visible", "unlike any real defect of its class", "mask empty")
    scores = {"contrast": 3.25, "surface": 0.41}
    verdicts = [
        Verdict(s.id, STRIP_CLASSES[:1], s.id, reasons[i % len(reasons)], scores)
        for i, s in enumerate(samples)
    ]
    return {"paste": verdicts, "inpaint": verdicts}


def sections(folder: Path, found: SegmentCheck | None) -> list[Section]:
    """Every section that a run's report has."""
    real = [s for s in strips() if s.label == "defective"]
    dataset = _dataset(list(strips()))
    facts = [_facts(sample) for sample in strips()]
    parts = {"train": list(range(12)), "test": list(range(12, 17))}
    labels = {"train": {"good": 5}, "test": {"good": 2}, "synthetic": {"defective": 132}}
    verdicts = judged(tuple(real))
    known: Any = Shown()
    rejected = heaps(verdicts, lambda _, place: real[place])
    step = {"class": "1", "real": 20, "groups": 12}
    thresholds = [
        {"step": "quality", "value": 3.412, **step},
        {"step": "agreement", "value": 0.31, **step},
    ]
    helps = state_of(found) == "accepted"
    place = "dataset/synthetic" if helps else "candidates"
    decision = Decision(132, place, schedule=Schedule())
    every = [
        verdict_section(found, decision),
        input_section(dataset, facts, parts),
        curves_section("inpaint", read_training(training_run(folder / "run"))),
        counts_section([MethodCounts("paste", 200, {"no place": 3}, 120, {"mask empty": 77})]),
        grid_section("paste", real[:4], real[4:], STRIP_CLASSES, "Cut and pasted.", limit=2),
        distance_section("paste", distances(), known, known, None),
        detect_section([detected("knn"), detected("brightness")]),
        rejected_section(rejected, STRIP_CLASSES, thresholds),
        provenance_section(provenance()),
        usage_section("dataset", "folder", STRIP_CLASSES, labels),
    ]
    if found:
        every.insert(6, arms_section(found, CURVE))
    return every


def distances() -> Distances:
    box = (40, 20, 120, 90)
    figures = (
        Figure("KID", 0.0041, 0.0021, 0.0066, 0.0010, "low", 0.0040),
        Figure("FD (lite0)", 171.2, 144.0, 201.0, 190.0, "low", 97.0),
        Figure("recall", 0.42, 0.31, 0.55, 0.77, "high"),
        Figure("near copies", 0.02, 0.0, 0.05, 0.07, "low"),
    )
    pairs = (Pair("a", "b", 1.5, box, box), Pair("c", "d", 1.9, box, box))
    overall = Comparison("crop", "(all)", 124, 31, 80, 40, figures, closest=pairs)
    refused = Comparison("crop", "1", 9, 1, 80, refused="9 real samples, and 10 are needed")
    return Distances("lite0", "to 224x224", 3, (overall, refused))


def detected(name: str) -> Judged:
    """What a detector might have said; only ``knn`` tells where."""
    rng = np.random.default_rng(0)
    means = dict(zip(KINDS, (1.0, 3.0, 1.4, 2.6), strict=True))
    scores = {kind: tuple(rng.normal(mean, 0.7, 40).tolist()) for kind, mean in means.items()}
    mapped, heats = name == "knn", []
    for kind in KINDS:
        panels = 1 + ("defects" in kind) + mapped
        strip = rng.integers(0, 255, (PANEL, panels * PANEL, 3)).astype(np.uint8)
        masked = "defects" in kind
        heats += [Heat(kind, rank, f"{rank} {kind}", 2.0, masked, mapped, strip) for rank in RANKS]
    values = {"AUROC": 0.93, "AP": 0.91, "synthetic AUROC": 0.9}
    values |= {"synthetic less real AUROC": -0.03, "synthetic clean alarmed": 0.2}
    figures = tuple(
        Told(key, value, value - 0.05, value + 0.04, 40, 40, 26, 200, "fewer than 20 groups")
        for key, value in values.items()
    )
    costs, seen = Costs(12.3, 30.1, 1 << 20), Seen(scores, 2.2, tuple(heats))
    return Judged(name, Form(128, 128, 1), 155, figures, (0.93,), costs, seen=seen)


def provenance() -> Provenance:
    return Provenance(
        command="flawsmith run my-strips out --budget hour",
        origins=[Fact("Data", "my-strips", "17 images, SHA-256 of their digests: 0f3c9a…")],
        settings={"seed": 0, "count": 200, "inpaint": {"preset": "small", "train": {}}},
        versions=versions(),
        machine=machine("CPU"),
        costs=[Cost("read", 1.2, kept=True), Cost("inpaint", 1834.0), Cost("segment", 951.4)],
    )


def _dataset(samples: list[Sample]) -> DataSet:
    records = tuple(Record(sample.id, Path(sample.id)) for sample in samples)
    return DataSet(Path("in"), "severstal", STRIP_CLASSES, records)


def _facts(s: Sample) -> Facts:
    pixels = tuple(int(mask.sum()) for mask in s.masks)
    return Facts(s.id, s.label, s.group, *s.size, 1, pixels, components(s.masks), False, s.id)


class Shown:
    """A stand-in for a data set that has any id."""

    @property
    def ids(self) -> "Shown":
        return self

    def index(self, name: str) -> int:
        return ord(name[0]) % 17

    def __getitem__(self, place: int) -> Sample:
        return strips()[place]
