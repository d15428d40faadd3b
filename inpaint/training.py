"""``flawsmith inpaint train``: from a folder of defective images to a trained generator."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flawsmith.data.fingerprint import fingerprint
from flawsmith.data.formats import ReadOptions
from flawsmith.data.jobs import Show, open_source, quiet
from flawsmith.data.scan import Scan, scan
from flawsmith.data.surfaces import notices_of
from flawsmith.data.symmetry import flips_of
from flawsmith.errors import FlawsmithError, InputError
from flawsmith.inpaint.crops import Crops
from flawsmith.inpaint.maskbank import keep_masks
from flawsmith.inpaint.settings import PRESETS, InpaintSettings
from flawsmith.inpaint.task import InpaintTask
from flawsmith.inpaint.varied import keep_variety
from flawsmith.progress import say
from flawsmith.settings import load_settings
from flawsmith.train.launch import first_process, launch
from flawsmith.train.loop import Trained, train
from flawsmith.train.runs import WEIGHTS, read_weights_facts
from flawsmith.train.settings import TrainSettings


@dataclass(frozen=True)
class Setup:
    """What a training run is given: the networks' settings and the loop's."""

    inpaint: InpaintSettings
    loop: TrainSettings


class _Both(InpaintSettings, TrainSettings):
    """The settings of both models under one roof, as a file gives them."""


def setup_of(preset: str, config: Path | None, flags: dict[str, Any]) -> Setup:
    """Return the settings of a preset, changed by a YAML file, changed by the flags given.

    flags: by name; None is not given. A name goes to the model that has it. Raises InputError for
    unknown names and wrong values.
    """
    if preset not in PRESETS:
        raise InputError(f"no preset {preset!r}", mend=f"one of {', '.join(PRESETS)}")
    inpaint, loop = PRESETS[preset]
    both = load_settings(_Both, config, flags)
    given = {name: getattr(both, name) for name in both.model_fields_set}
    own = {name: given.pop(name) for name in list(given) if name in InpaintSettings.model_fields}
    setup = Setup(
        load_settings(InpaintSettings, None, inpaint | own),
        load_settings(TrainSettings, None, loop | given),
    )
    if setup.loop.compile and setup.inpaint.penalised:
        raise InputError(
            "compiled networks have no second derivative, which the gradient penalty takes",
            mend="leave --compile out, or set r1: 0",
        )
    return setup


def train_inpaint(
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
    """Train on scanned images and keep their masks in the run; raises as ``train_inpaint`` does.

    source: JSON-able, what decides which images these are. Under ``accelerate launch`` every
    process calls this alike.
    """
    _check_marks(found)
    first = first_process()
    config = {
        "settings": setup.inpaint.model_dump(mode="json"),
        "classes": list(found.dataset.classes),
        "channels": channels_of(found),
        "source": source,
    }
    if first:
        _name_unmarked(found)
    work, before = (found, out, setup, config), _written(out)
    try:
        done = launch(_train, work, num_processes, setup.loop.device)
    except BaseException:
        # Stopped or broken off: weights without their masks would be half a run. Refused, because
        # another process trains here: it keeps its own.
        if first and _written(out) != before and _trained_here(out, config):
            with suppress(FlawsmithError):
                keep_masks(found, out, source)
        raise
    if first:
        keep_masks(found, out, source)
        keep_variety(found, out, setup.loop.device)
    return done


def _train(found: Scan, out: Path, setup: Setup, config: dict[str, Any]) -> Trained:
    """Do one process's part."""
    settings = setup.inpaint
    crops = Crops(found, settings.geometry, flips_of(found))
    if first_process():
        _name_regions(found, crops)
    classes = len(found.dataset.classes)
    task = InpaintTask(crops, channels_of(found), classes, settings, setup.loop.seed)
    return train(task, setup.loop, out, config)


def _check_marks(found: Scan) -> None:
    if not any(fact.planes for fact in found.facts):
        raise InputError(
            "no defect is marked: there is nothing to learn from",
            where=found.dataset.root,
            mend="add images with masks; see flawsmith data info",
        )


def _name_unmarked(found: Scan) -> None:
    """Say which classes cannot be learned."""
    marked = {plane for fact in found.facts for plane in fact.planes}
    without = [name for i, name in enumerate(found.dataset.classes) if i not in marked]
    if without:
        say(f"note: not learned, as no image shows it: {', '.join(without)}")


def _name_regions(found: Scan, crops: Crops) -> None:
    """Say what is painted on where no image is clean."""
    for notice in notices_of(found, crops.clean):
        say(f"note: {notice}")
    if not crops.clean:
        say(
            "note: no clean image, and no defect-free region of another; defects are painted over "
            "in their own images only"
        )


def _written(out: Path) -> int | None:
    """Return when the weights in a run folder were written, or None."""
    path = out / WEIGHTS
    return path.stat().st_mtime_ns if path.is_file() else None


def _trained_here(out: Path, config: dict[str, Any]) -> bool:
    """Tell whether the weights in a run folder are of this very training."""
    path = out / WEIGHTS
    if not path.is_file():
        return False
    return bool(read_weights_facts(path).get("config") == json.loads(json.dumps(config)))


def channels_of(found: Scan) -> int:
    """Return 1 if every image is grey, else 3."""
    return 3 if any(fact.channels == 3 for fact in found.facts) else 1
