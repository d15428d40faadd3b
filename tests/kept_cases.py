"""What commands keep for themselves and read again: valid files of each kind, and their readers."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from flawsmith.data.build import finished
from flawsmith.data.formats import read_dataset
from flawsmith.data.images import write_png
from flawsmith.data.kept import SEAL, read_digest, read_kept_lines
from flawsmith.evaluate.comparison import Comparison, Distances, Figure, Pair
from flawsmith.evaluate.curves_section import read_training
from flawsmith.evaluate.detect_result import Costs, Counts, Judged
from flawsmith.evaluate.detect_seen import PANEL, Heat, Seen
from flawsmith.evaluate.detectors.figures import Figure as Found
from flawsmith.evaluate.detectors.frames import Form
from flawsmith.evaluate.filtering.output import read_result
from flawsmith.evaluate.segment_curve import Curve
from flawsmith.evaluate.segment_runs import read_counts
from flawsmith.gen.assemble import read_seams
from flawsmith.gen.plots import draw_losses, read_lines
from flawsmith.gen.seam_report import judge_seam
from flawsmith.inpaint.varied import read_variety
from flawsmith.pipeline.candidates import DIGEST, made_in, read_certificate
from flawsmith.pipeline.clean import Line
from flawsmith.pipeline.curve import read_curve
from flawsmith.pipeline.detecting import read_judged
from flawsmith.pipeline.distances import read_distances
from flawsmith.pipeline.filtering import read_filtered
from flawsmith.pipeline.gate import Gate, read_check
from flawsmith.pipeline.plan import read_plan
from flawsmith.pipeline.rounds import Rounds
from flawsmith.pipeline.source import read_parts, restore
from tests.feature_helpers import one_thread  # noqa: F401

Files = dict[str, bytes]
Reader = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """What a stage, or another folder, keeps. files: by their path in it; changes: which of them
    are changed; read: what a resume calls with the folder; sealed: of a stage of ``run``.
    """

    files: Files
    changes: tuple[str, ...]
    read: Reader
    sealed: bool = False


def content_of(folder: Path) -> Files:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def as_json(content: Any) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()


def write(root: Path, files: Files) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def of_run(out: Path) -> Iterator[tuple[str, Case]]:
    stages, source = out / "stages", read_dataset(out.parent / "in")
    known = restore(source, stages / "read")
    parts = read_parts(stages / "split", source.ids)
    train = known.select(parts["train"])
    methods = ("classical", "paste")
    made = {m: made_in(stages / f"candidates-{m}", train, 10).dataset for m in methods}
    verdicts, _ = read_certificate(stages / "certificate", made)
    runs = {path.name: 2 for path in (stages / "gate-runs").iterdir() if path.is_dir()}
    readers: dict[str, Reader] = {
        "read": lambda folder: restore(source, folder),
        "split": lambda folder: read_parts(folder, source.ids),
        "plan": read_plan,
        "candidates-paste": lambda folder: made_in(folder, train, 10),
        "certificate": lambda folder: read_certificate(folder, made),
        "filter": lambda folder: read_filtered(folder, verdicts),
        "gate": lambda folder: Gate(read_check(folder / "check.json", runs)).sentence,
    }
    for name, read in readers.items():
        files = content_of(stages / name)
        top = tuple(k for k in files if k not in ("job.json", SEAL) and not k.endswith(".png"))
        yield name, Case(files, top, read, sealed=True)
    kept_counts = next((stages / "gate-runs").glob("*/0/run/counts.json"), None) or next(
        (stages / "gate-runs").glob("*/*/run/counts.json")
    )
    files = {"counts.json": kept_counts.read_bytes()}
    yield "counts", Case(files, (*files,), lambda f: read_counts(f / "counts.json"))
    files = {"rounds.json": (stages / "gate-runs/rounds.json").read_bytes()}
    job = json.loads(files["rounds.json"])["job"]
    yield "rounds", Case(files, (*files,), lambda f: Rounds.of(f / "rounds.json", job))
    files = content_of(out / "dataset" / "train")
    yield "data set", Case(files, ("dataset.json",), finished)


def written() -> Iterator[tuple[str, Case]]:
    """Yield what a run this short does not leave, as it would be written."""
    figure = Figure("KID", 0.5, 0.1, 0.9, 0.4, "low", 0.5)
    pair = Pair("m", "r", 0.25, (0, 0, 5, 6), (1, 1, 5, 6))
    comparison = Comparison("crop", "(all)", 20, 9, 20, 10, (figure,), (pair,))
    far = Distances("lite0", "area", 1, (comparison, replace(comparison, refused="few")))
    files = {"distances.json": as_json(far.to_json())}
    yield "distances", Case(files, (*files,), lambda f: read_distances(f).to_json(), True)
    curve = Curve((5, 10, 20), ((0.1, 0.2), (0.3, 0.3), (0.5, 0.4)), (0, 1), 9, 4, 5, 3)
    for name, content in (("curve", curve.to_json()), ("no curve", {"left_out": "few groups"})):
        files = {"curve.json": as_json(content)}
        yield name, Case(files, (*files,), lambda f: read_curve(f).said, True)
    files = {DIGEST: b"0" * 64}
    yield "digest", Case(files, (*files,), lambda f: read_digest(f / DIGEST), True)
    files = {"seams.json": as_json({"seams": [
        judge_seam("anode-glass", 40, [0.5, 0.7], [0.1 * i for i in range(20)]).to_json(),
        judge_seam("glass-cathode", 80, [0.5, None], None).to_json(),
    ]})}  # fmt: skip
    yield "seams", Case(files, (*files,), read_seams, True)
    lines = [{"id": "a", "reason": "", "accepted": True}, {"reason": "no", "accepted": False}]
    files = {"samples.jsonl": b"".join(json.dumps(line).encode() + b"\n" for line in lines)}
    yield "selected", Case(files, (*files,), lambda f: read_kept_lines(f / "samples.jsonl", Line))
    content = {
        "passed": 1, "candidates": 2, "accepted": 0, "rejected": {"why": 2}, "helps": None,
        "verdict": "", "gate": None, "notices": [], "settings": {},
        "thresholds": [{"class": "a", "step": "quality", "value": 0.5, "real": 5, "groups": 3}],
        "classes": [{"class": "a", "certified": 2, "left": 1, "kept": 0, "before": 0.1,
                     "after": None}],
    }  # fmt: skip
    files = {"filter.json": as_json(content)}
    yield "filter.json", Case(files, (*files,), read_result)
    weights = {"weights": "ab", "paintings": 9, "classes": [
        {"name": "a", "painted": 0.5, "masks": 3, "real": 0.6, "defects": 4, "pairs": 6,
         "share": 0.8}]}  # fmt: skip
    steps = [{"step": i, "losses": {"g_loss": 0.5 / i}, "state": {}, "steps_per_second": 2.5}
             for i in range(1, 5)]  # fmt: skip
    metrics = b"".join(json.dumps(line).encode() + b"\n" for line in steps)
    files = {"variety.json": as_json(weights), "metrics.jsonl": metrics}
    yield "report", Case(files, (*files,), read_training)
    yield "variety", Case(files, ("variety.json",), read_variety)
    yield "losses", Case(files, ("metrics.jsonl",), _drawn)
    yield "detect", _detect()


def _drawn(folder: Path) -> None:
    draw_losses(read_lines(folder / "metrics.jsonl"))


def _detect() -> Case:
    figures = tuple(
        Found(name, 0.8, 0.6, 0.9, 4, 5, 6, 100)
        for name in ("AUROC", "synthetic clean alarmed", "synthetic AUROC")
    )
    strip = np.zeros((PANEL, 2 * PANEL + 4, 3), np.uint8)
    heat = Heat("real defects", "highest", "x", 0.5, False, True, strip)
    judged = Judged(
        "knn", Form(64, 64, 1), 12, figures, (0.8, 0.8), Costs(1.5, 2.5, 99),
        seen=Seen({"real clean": (0.1, 0.2), "real defects": (0.5,)}, 0.3, (heat,)),
        counts=Counts(5, 5, 2, 2),
    )  # fmt: skip
    told = judged.to_json()
    with TemporaryDirectory() as folder:
        write_png(Path(folder) / "a.png", strip)
        picture = (Path(folder) / "a.png").read_bytes()
    costs = as_json(told.pop("costs"))
    files = {"detect.json": as_json(told), "times.json": costs, "maps/knn/00.png": picture}
    return Case(files, (*files,), lambda folder: read_judged(folder, "knn").verdicts, True)
