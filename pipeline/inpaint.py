"""The stages of the method ``inpaint``: train a generator on the training part, then paint."""

from dataclasses import dataclass
from pathlib import Path

from flawsmith.augment.job import files_of
from flawsmith.data.kept import read_digest
from flawsmith.data.scan import Scan
from flawsmith.data.writing import write_file
from flawsmith.inpaint.apply_settings import ApplySettings
from flawsmith.inpaint.prepare import open_run, prepare
from flawsmith.inpaint.training import Setup, setup_of, train_on
from flawsmith.pipeline.candidates import DIGEST, TRAINED, TRAINING, Made, made_in, make_in
from flawsmith.pipeline.settings import RunSettings, check_masks
from flawsmith.pipeline.stages import Stages
from flawsmith.pipeline.surfaces import Surfaces
from flawsmith.settings import load_settings
from flawsmith.train.devices import pick_device
from flawsmith.train.runs import WEIGHTS
from flawsmith.train.weights import file_sha256


@dataclass(frozen=True)
class Plan:
    """How the generator is trained and how it paints."""

    setup: Setup
    apply: ApplySettings


def plan_of(settings: RunSettings, device: str) -> Plan:
    """Return the plan; raises InputError for a wrong setting."""
    chosen = settings.inpaint
    check_masks(chosen.apply)
    base = {"seed": settings.seed}
    steps = {"steps": settings.inpaint_steps} if settings.inpaint_steps else {}
    return Plan(
        setup_of(chosen.preset, None, {"device": device, **base, **chosen.train, **steps}),
        load_settings(ApplySettings, None, {"count": settings.count, **base, **chosen.apply}),
    )


def paint_stage(
    stages: Stages, train: Scan, on: Surfaces, settings: RunSettings, device: str, workers: int
) -> Made:
    """Return the painted candidates; both stages see the training part only.

    The generator learns from real images alone; ``on`` is what it paints on afterwards. An
    interrupted training goes on at its last checkpoint.
    """
    plan = plan_of(settings, device)
    decided = {
        "inpaint": plan.setup.inpaint.model_dump(mode="json"),
        "training": plan.setup.loop.deciding(fixed_length=True),
    }
    source = {"split": stages.digests["split"]}
    trained = stages.make(
        TRAINING, decided, ("split",), lambda folder: _train(train, folder / TRAINED, plan, source)
    )
    inputs = {
        **plan.apply.model_dump(mode="json"),
        "files": files_of(plan.apply.shaping),
        # As for inpaint apply: other weights, or the same ones elsewhere, paint other pixels.
        "weights": read_digest(trained / DIGEST),
        "device": pick_device(device).type,
    }
    folder = stages.make(
        "candidates-inpaint",
        inputs,
        (*on.needs, TRAINING),
        lambda folder: _paint(on.found, trained / TRAINED, folder, plan.apply, device, workers),
    )
    return made_in(folder, train, plan.apply.count)


def _train(train: Scan, run: Path, plan: Plan, source: dict[str, str]) -> None:
    train_on(train, run, plan.setup, source)
    write_file(run.parent / DIGEST, file_sha256(run / WEIGHTS))


def _paint(
    found: Scan, run: Path, folder: Path, settings: ApplySettings, device: str, workers: int
) -> None:
    opened = open_run(run, device)
    makers = workers if opened.painter.device.type == "cpu" else 1
    make_in(folder, prepare(opened, found, settings, workers), "inpaint", settings, makers)
