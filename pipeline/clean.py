"""The stages of ``clean: gan``: a generator of clean images, images drawn from it, those that pass.

It learns from the training part's clean images. What passes the selection is painted on beside
them: it joins the training part for the methods that paint, and for nothing else. Plates in three
parts go through the same stages thrice; see ``clean_plates``.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from flawsmith.data.build import build
from flawsmith.data.formats import read_dataset
from flawsmith.data.kept import read_digest, read_kept_lines
from flawsmith.data.review import choices_of
from flawsmith.data.scan import Scan, scan
from flawsmith.data.writing import Spec, resolved, write_file
from flawsmith.evaluate.distance import Compute
from flawsmith.evaluate.features import open_extractor
from flawsmith.evaluate.filtering.output import ACCEPTED, SAMPLES, write
from flawsmith.evaluate.filtering.whole import select_whole
from flawsmith.gen.candidates import Drawn, TrainedRun
from flawsmith.gen.training import train_on, warnings_of
from flawsmith.pipeline.candidates import DIGEST, TRAINED
from flawsmith.pipeline.distances import store_of
from flawsmith.pipeline.gen_plan import GenPlan, gen_plan_of
from flawsmith.pipeline.settings import RunSettings
from flawsmith.pipeline.stages import Stages
from flawsmith.pipeline.surfaces import CLEAN, DRAWN, SELECTED, Lot, Surfaces, joined, stage_of
from flawsmith.progress import say
from flawsmith.train.devices import pick_device
from flawsmith.train.runs import WEIGHTS
from flawsmith.train.weights import file_sha256


def clean_stages(
    stages: Stages,
    train: Scan,
    taken: tuple[str, ...],
    settings: RunSettings,
    device: str,
    workers: int,
) -> Surfaces:
    """Return the surfaces to paint on; every stage sees the training part only.

    taken: ids and groups of all real images, which no generated one may have. An interrupted
    training goes on at its last checkpoint.
    """
    clean = train.select(train.where("good"))
    maker = Maker(stages, gen_plan_of(settings, device), device, workers)
    lot = maker.lot("", clean, "split")
    needs = ("split", SELECTED)
    if not lot.accepted:
        return Surfaces(train, (lot,), needs=needs)
    found = scan(read_dataset(lot.passed), workers=workers)
    return Surfaces(joined(train, found, taken), (lot,), needs=needs, added=lot.accepted)


@dataclass(frozen=True)
class Line:
    """What counts of a line of the selection's samples.jsonl."""

    reason: str
    accepted: bool


@dataclass(frozen=True)
class Maker:
    """Takes clean images of one kind through the three stages of a generator."""

    stages: Stages
    plan: GenPlan
    device: str
    workers: int

    def lot(self, part: str, clean: Scan, source: str) -> Lot:
        """Return what was generated, and what of it passed.

        part: of a plate, or "" for whole images; clean: the real ones, which the stage ``source``
        has settled.
        """
        trained = self._train(part, clean, source)
        drawn = self._draw(part, trained)
        folder = self._select(part, drawn, clean, source)
        lines = read_kept_lines(folder / SAMPLES, Line)
        reasons = Counter(line["reason"] for line in lines if not line["accepted"])
        passed = sum(line["accepted"] for line in lines)
        warnings = tuple(warnings_of(trained / TRAINED))
        rejected = dict(reasons.most_common())
        lot = Lot(part, len(lines), passed, rejected, warnings, folder / ACCEPTED)
        name = stage_of(SELECTED, part)
        say(f"{name}: {passed} of {len(lines)} generated {lot.name} passed the selection")
        return lot

    def _train(self, part: str, clean: Scan, source: str) -> Path:
        setup = self.plan.setup
        decided = {
            "gen": setup.gen.model_dump(mode="json"),
            "training": setup.loop.deciding(fixed_length=True),
        }

        def work(folder: Path) -> None:
            train_on(clean, folder / TRAINED, setup, {source: self.stages.digests[source]})
            write_file(folder / DIGEST, file_sha256(folder / TRAINED / WEIGHTS))

        return self.stages.make(stage_of(CLEAN, part), decided, (source,), work)

    def _draw(self, part: str, trained: Path) -> Path:
        plan, kind = self.plan, pick_device(self.device).type
        digest = read_digest(trained / DIGEST)
        chosen = {"count": plan.count, "seed": plan.setup.loop.seed, "truncation": plan.truncation}
        name = stage_of(DRAWN, part)

        def work(folder: Path) -> None:
            run = TrainedRun(resolved(trained / TRAINED), digest, self.device)
            build(
                folder / "data",
                Drawn(run, plan.setup.loop.seed, plan.truncation),
                plan.count,
                format_name="folder",
                spec=Spec(()),
                made_by={"stage": name, "settings": chosen, "weights": digest},
                workers=self.workers if kind == "cpu" else 1,
                label="sampling",
            )

        # The same weights round otherwise elsewhere: half of them from each would be neither's.
        inputs = {**chosen, "weights": digest, "device": kind}
        return self.stages.make(name, inputs, (stage_of(CLEAN, part),), work) / "data"

    def _select(self, part: str, drawn: Path, clean: Scan, source: str) -> Path:
        plan, workers = self.plan, self.workers
        extractor = open_extractor("lite0")
        inputs = {**plan.select.model_dump(mode="json"), "features": extractor.version}
        if choices := choices_of(read_dataset(drawn).records):
            inputs["choices"] = choices
        name = stage_of(SELECTED, part)

        def work(folder: Path) -> None:
            found = scan(read_dataset(drawn), workers=workers)
            compute = Compute(store_of(self.stages, extractor), self.device)
            sifted = select_whole(found, clean, plan.select, extractor, compute)
            write(folder, found, sifted, None, {"stage": name, "settings": inputs}, workers)

        return self.stages.make(name, inputs, (stage_of(DRAWN, part), source), work)
