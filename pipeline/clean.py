"""The stages of ``clean: gan``: a generator of clean images, images drawn from it, those that pass.

It learns from the training part's clean images. What passes the selection is painted on beside
them: it joins the training part for the methods that paint, and for nothing else.
"""

from collections import Counter
from pathlib import Path

from flawsmith.data.build import build
from flawsmith.data.formats import read_dataset
from flawsmith.data.review import choices_of
from flawsmith.data.scan import Scan, scan
from flawsmith.data.tables import read_jsonl
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
from flawsmith.pipeline.surfaces import CLEAN, DRAWN, SELECTED, Surfaces, joined
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
    plan = gen_plan_of(settings, device)
    clean = train.select(train.where("good"))
    trained = _train_stage(stages, clean, plan)
    drawn = _draw_stage(stages, trained, plan, device, workers)
    folder = _select_stage(stages, drawn, clean, plan, device, workers)
    lines = [line for _, line in read_jsonl(folder / SAMPLES)]
    reasons = Counter(str(line["reason"]) for line in lines if not line["accepted"])
    passed = sum(line["accepted"] for line in lines)
    say(f"{SELECTED}: {passed} of {len(lines)} generated clean images passed the selection")
    painted_on = train
    if passed:
        found = scan(read_dataset(folder / ACCEPTED), workers=workers)
        painted_on = joined(train, found, taken)
    return Surfaces(
        painted_on,
        len(lines),
        passed,
        dict(reasons.most_common()),
        tuple(warnings_of(trained / TRAINED)),
        ("split", SELECTED),
    )


def _train_stage(stages: Stages, clean: Scan, plan: GenPlan) -> Path:
    decided = {
        "gen": plan.setup.gen.model_dump(mode="json"),
        "training": plan.setup.loop.deciding(fixed_length=True),
    }
    source = {"split": stages.digests["split"]}

    def work(folder: Path) -> None:
        train_on(clean, folder / TRAINED, plan.setup, source)
        write_file(folder / DIGEST, file_sha256(folder / TRAINED / WEIGHTS))

    return stages.make(CLEAN, decided, ("split",), work)


def _draw_stage(stages: Stages, trained: Path, plan: GenPlan, device: str, workers: int) -> Path:
    kind = pick_device(device).type
    digest = (trained / DIGEST).read_text("utf-8")
    chosen = {"count": plan.count, "seed": plan.setup.loop.seed, "truncation": plan.truncation}

    def work(folder: Path) -> None:
        run = TrainedRun(resolved(trained / TRAINED), digest, device)
        build(
            folder / "data",
            Drawn(run, plan.setup.loop.seed, plan.truncation),
            plan.count,
            format_name="folder",
            spec=Spec(()),
            made_by={"stage": DRAWN, "settings": chosen, "weights": digest},
            workers=workers if kind == "cpu" else 1,
            label="sampling",
        )

    # The same weights round otherwise elsewhere: half of them from each would be neither's.
    inputs = {**chosen, "weights": digest, "device": kind}
    return stages.make(DRAWN, inputs, (CLEAN,), work) / "data"


def _select_stage(
    stages: Stages, drawn: Path, clean: Scan, plan: GenPlan, device: str, workers: int
) -> Path:
    extractor = open_extractor("lite0")
    inputs = {**plan.select.model_dump(mode="json"), "features": extractor.version}
    if choices := choices_of(read_dataset(drawn).records):
        inputs["choices"] = choices

    def work(folder: Path) -> None:
        found = scan(read_dataset(drawn), workers=workers)
        compute = Compute(store_of(stages, extractor), device)
        sifted = select_whole(found, clean, plan.select, extractor, compute)
        write(folder, found, sifted, None, {"stage": SELECTED, "settings": inputs}, workers)

    return stages.make(SELECTED, inputs, (DRAWN, "split"), work)
