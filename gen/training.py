"""``flawsmith gen train``: from a folder of pictures to a trained generator."""

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from flawsmith.data.fingerprint import fingerprint
from flawsmith.data.formats import ReadOptions
from flawsmith.data.jobs import Show, open_source, quiet
from flawsmith.data.kept import as_written
from flawsmith.data.scan import Scan, scan
from flawsmith.data.symmetry import flips_of
from flawsmith.errors import InputError
from flawsmith.gen.pictures import Pictures, chosen, planes_of, shape_of
from flawsmith.gen.plots import write_losses
from flawsmith.gen.settings import OWN, PRESETS, PROJECTED, GenSettings, checked
from flawsmith.gen.task import GenTask, processes
from flawsmith.progress import say
from flawsmith.settings import load_settings
from flawsmith.train.checkpoint import FACTS, newest, read_facts
from flawsmith.train.launch import first_process, launch
from flawsmith.train.loop import Trained, train
from flawsmith.train.runs import CONFIG, STATE, read_job
from flawsmith.train.settings import TrainSettings


@dataclass(frozen=True)
class Setup:
    """What a training run is given: the networks' settings, the loop's, and epochs or None.

    epochs: how often the critic sees each picture; they stand in for the loop's steps.
    """

    gen: GenSettings
    loop: TrainSettings
    epochs: int | None = None


class _Both(GenSettings, TrainSettings):
    """The settings of all under one roof, as a file gives them."""

    arch: Literal["dcgan", "wgan-gp", "stylegan2", "fastgan"] = "stylegan2"
    epochs: int | None = Field(
        None, ge=1, description="how often the critic sees each picture, instead of steps"
    )


def setup_of(preset: str, config: Path | None, flags: dict[str, Any]) -> Setup:
    """Return the settings of architecture and preset, changed by a YAML file and by flags.

    flags: by name; None is not given. Raises InputError for unknown names, wrong values, and
    settings that do not go together.
    """
    if preset not in PRESETS:
        raise InputError(f"no preset {preset!r}", mend=f"one of {', '.join(PRESETS)}")
    both = load_settings(_Both, config, flags)
    given = {name: getattr(both, name) for name in both.model_fields_set}
    own = {name: given.pop(name) for name in list(given) if name in GenSettings.model_fields}
    networks, loop = PRESETS[preset]
    if "strides" in networks and both.arch not in ("dcgan", "wgan-gp"):
        raise InputError(
            f"the preset {preset} is the layers of dcgan and wgan-gp, not of {both.arch}",
            mend="--arch dcgan or wgan-gp, or another preset",
        )
    if {"steps", "epochs"} <= given.keys():
        raise InputError("both steps and epochs are given", mend="give one of them")
    start = OWN[both.arch]
    if (start | networks | own).get("critic") == "projected":
        start = start | PROJECTED
    start = {"arch": both.arch} | start
    gen = checked(load_settings(GenSettings, None, start | networks | own))
    loop = loop | given
    epochs = loop.pop("epochs", None)
    if "steps" in given:
        epochs = None
    setup = Setup(gen, load_settings(TrainSettings, None, loop), epochs)
    if setup.loop.compile and setup.gen.penalised:
        raise InputError(
            "compiled networks have no second derivative, which a gradient penalty takes",
            mend="leave --compile out, or an arch without penalty",
        )
    return setup


def train_gen(
    src: Path,
    out: Path,
    setup: Setup,
    *,
    options: ReadOptions | None = None,
    workers: int = 1,
    num_processes: int = 1,
    show: Show = quiet,
) -> Trained:
    """Train on the folder ``src`` in the run folder ``out``; the same call again goes on.

    workers: processes that read; num_processes: processes that train. ``show`` gets the data set
    that was read. Raises InputError for unusable data or settings, Interrupted when stopped.
    """
    options = options or ReadOptions()
    dataset = open_source(src, out, options)
    found = scan(dataset, workers=workers, on_error=options.on_error)
    show(found.dataset)
    source = {"fingerprint": fingerprint(dataset), "read": asdict(options)}
    return train_on(found, out, setup, source, num_processes=num_processes)


def train_on(
    found: Scan, out: Path, setup: Setup, source: dict[str, Any], *, num_processes: int = 1
) -> Trained:
    """Train on scanned pictures; raises as ``train_gen`` does.

    source: JSON-able, what decides which pictures these are. Under ``accelerate launch`` every
    process calls this alike.
    """
    part, label = chosen(found, setup.gen)
    shape = shape_of(part, setup.gen)
    setup, scaled_for = _settled(setup, out, len(part.facts), num_processes)
    _check_enough(part, setup.loop.batch)
    first = first_process()
    if first and len(part.facts) < len(found.facts):
        left, kept = len(found.facts) - len(part.facts), len(part.facts)
        what = "with a known mask" if setup.gen.with_masks else "clean"
        say(f"note: learned from the {kept} pictures that are {what}; {left} are left out")
    if first and label == "unknown" and not setup.gen.with_masks:
        say(
            "note: not all of these pictures are known to be clean, so samples will be unknown, "
            "too, and gen select refuses them; if images without a mask are clean, say "
            "--assume-good, in a new folder"
        )
    names = part.dataset.classes
    config = {
        "settings": setup.gen.model_dump(mode="json"),
        "shape": asdict(shape),
        "classes": [names[plane] for plane in planes_of(part, setup.gen)],
        "label": label,
        "flips": list(flips_of(part)),
        "scaled_for": scaled_for,
        "source": source,
    }
    done = launch(_train, (part, out, setup, config), num_processes, setup.loop.device)
    if first:
        write_losses(out)
    return done


def warnings_of(run: Path) -> list[str]:
    """Return what a run's training warned of, in order; see ``gen.health``."""
    path = newest(run / STATE)
    if path is None:
        return []
    # True of a finished stage of ``run``, too, which does not train again.
    mend = (
        f"remove {path}: the checkpoint before it, if there is one, counts then, and gen train "
        "goes on from there"
    )
    with as_written(path / FACTS, mend=mend):
        said = read_facts(path)["extra"].get("health", {}).get("said", {})
        return [str(line) for line in said.values()]


def _train(found: Scan, out: Path, setup: Setup, config: dict[str, Any]) -> Trained:
    """Do one process's part."""
    across, down = config["flips"]
    task = GenTask(Pictures(found, setup.gen), setup.gen, setup.loop.seed, (across, down))
    return train(task, setup.loop, out, config)


def _settled(setup: Setup, out: Path, size: int, num_processes: int) -> tuple[Setup, int]:
    """Return the setup with batch, rates and steps settled, and the processes it is scaled for.

    A run keeps what it began with: batch and rates decide what it computes.
    """
    world = max(num_processes, int(os.environ.get("WORLD_SIZE", "1")))
    gen, loop = setup.gen, setup.loop
    count = 1
    if gen.scaling != "none":
        count = _scaled_before(out) or world
        if count != world and first_process():
            before, now = processes(count), processes(world)
            say(f"note: batch and rates stay as scaled for {before}, now {now}")
        factor = {"batch": 1.0, "linear": float(count), "sqrt": count**0.5}[gen.scaling]
        rates = {n: getattr(gen, n) * factor for n in ("generator_rate", "critic_rate")}
        gen = gen.model_copy(update=rates)
        loop = loop.model_copy(update={"batch": loop.batch * count})
    if setup.epochs is not None:
        each = loop.batch * gen.critic_steps
        loop = loop.model_copy(update={"steps": -(-setup.epochs * size // each)})
    return replace(setup, gen=gen, loop=loop), count


def _scaled_before(out: Path) -> int | None:
    """Return how many processes a run in this folder is scaled for, or None."""
    if not (out / CONFIG).is_file():
        return None
    task = read_job(out).get("task")
    count = task.get("scaled_for") if isinstance(task, dict) else None
    return count if isinstance(count, int) and count > 0 else None


def _check_enough(found: Scan, batch: int) -> None:
    count = len(found.facts)
    if batch < 2 or count < batch:
        what = "a batch of 1" if batch < 2 else f"{count} pictures, fewer than the batch of {batch}"
        raise InputError(
            what,
            where=found.dataset.root,
            mend="--batch 2 or more" if batch < 2 else f"--batch {count}, or more pictures",
        )
