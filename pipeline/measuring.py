"""How quick this machine is: a few training steps of each network, thrown away afterwards."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from flawsmith.data.scan import Scan
from flawsmith.evaluate.segmenter.settings import SegmentSettings
from flawsmith.evaluate.segmenter.sources import arm_of
from flawsmith.evaluate.segmenter.training import train_arm
from flawsmith.gen.pictures import Pictures
from flawsmith.gen.task import GenTask
from flawsmith.gen.training import Setup as GenSetup
from flawsmith.inpaint.crops import Crops
from flawsmith.inpaint.task import InpaintTask
from flawsmith.inpaint.training import Setup, channels_of
from flawsmith.train.loop import train
from flawsmith.train.runs import METRICS

# The first steps allot memory and choose algorithms.
WARM_UP, TIMED = 2, 3
BRIEF = {"steps": WARM_UP + TIMED, "log_every": 1, "preview_every": 0}


def segment_seconds(real: Scan, settings: SegmentSettings, device: str) -> float:
    """Return the seconds of a segmenter's training step on these real samples."""
    brief = settings.model_copy(update={"steps": BRIEF["steps"]})
    loop = brief.loop(settings.seed, device=device, log_every=1)
    arm = arm_of("real", real, None, brief)
    with _aside() as run:
        train_arm(arm, brief, loop, run, flips=(False, False), source={})
        return _seconds_of(run)


def inpaint_seconds(real: Scan, setup: Setup, device: str) -> float:
    """Return the seconds of a generator's training step on these real samples."""
    crops = Crops(real, setup.inpaint.geometry, (False, False))
    classes = len(real.dataset.classes)
    loop = setup.loop.model_copy(update={**BRIEF, "device": device})
    with _aside() as run:
        task = InpaintTask(crops, channels_of(real), classes, setup.inpaint, loop.seed)
        train(task, loop, run, {})
        return _seconds_of(run)


def gen_seconds(clean: Scan, setup: GenSetup, device: str) -> float:
    """Return the seconds of a training step of a generator of clean images on these samples."""
    loop = setup.loop.model_copy(update={**BRIEF, "device": device})
    with _aside() as run:
        task = GenTask(Pictures(clean, setup.gen), setup.gen, loop.seed)
        train(task, loop, run, {})
        return _seconds_of(run)


@contextmanager
def _aside() -> Iterator[Path]:
    """Yield a folder for a run that nobody is to see or hear of."""
    with TemporaryDirectory(prefix="flawsmith-") as folder, redirect_stderr(io.StringIO()):
        yield Path(folder) / "run"


def _seconds_of(run: Path) -> float:
    lines = (run / METRICS).read_text("utf-8").splitlines()[WARM_UP:]
    return median(1 / float(json.loads(line)["steps_per_second"]) for line in lines)
