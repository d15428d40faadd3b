"""How quick this machine is: a few training steps of each network, thrown away afterwards."""

import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from flawsmith.data.scan import Scan
from flawsmith.evaluate.detect_job import form_of, opened
from flawsmith.evaluate.detect_settings import DetectSettings
from flawsmith.evaluate.detectors.frames import Fitted
from flawsmith.evaluate.detectors.learned import Learned
from flawsmith.evaluate.filtering.settings import FilterSettings
from flawsmith.evaluate.filtering.watch import Watch
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
# Pictures, or steps of those that train, that detectors are timed with; and the seconds in which
# the others choose what they keep, once they have looked at all.
LOOKED, STEPPED, CHOOSE = 8, 3, 15.0
# Windows that the filter's detectors learn for this, which fill what they keep; clean pictures
# that they then look all over.
LEARNED, SEEN = 40, 4
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


# A detector learns all clean images, then each half of them (evaluate.detect_sources), and each
# time scores the real test images; synthetic ones once, which makes the estimate rather too long.
FITS = 3


def detect_seconds(clean: Scan, settings: DetectSettings, device: str) -> tuple[float, float]:
    """Return the seconds in which all these detectors learn, and score a picture, every seed.

    clean: the images that they would learn from. What is timed includes the start of a training, so
    that the estimate is rather too long.
    """
    learn = judge = 0.0
    for name in settings.judges:
        form = form_of(clean, settings, name)
        whole = opened(name, settings, settings.seed, device)
        brief = opened(name, settings.model_copy(update={"epochs": 1}), settings.seed, device)
        trained = isinstance(whole, Learned)
        number = STEPPED * whole.learning.batch if isinstance(whole, Learned) else LOOKED
        pictures = Fitted(clean, range(min(number, len(clean.facts))), form)
        with redirect_stderr(io.StringIO()):
            began = time.perf_counter()
            brief.fit(pictures)
            fitted = time.perf_counter()
            brief.score(pictures[:LOOKED])
        judge += (time.perf_counter() - fitted) / min(LOOKED, len(pictures))
        share = len(clean.facts) / len(pictures)
        epochs = whole.learning.epochs if isinstance(whole, Learned) else 1
        learn += (fitted - began) * share * epochs + (0.0 if trained else CHOOSE)
    return FITS * learn * settings.seeds, FITS * judge * settings.seeds


def watch_seconds(real: Scan, settings: FilterSettings, device: str) -> tuple[float, float]:
    """Return the seconds that the filter's detectors take for real samples, and for a candidate.

    Nearly all of it goes into looking at windows, in learning too; (0, 0) where they are not asked.
    """
    watch = Watch(real, settings, device)
    if settings.detector == "none" or watch.lacks():
        return 0.0, 0.0
    places = watch.shown()[:SEEN]
    with redirect_stderr(io.StringIO()):
        watch.fit(LEARNED)
        began = time.perf_counter()
        watch.held_out(places, "")
        each = (time.perf_counter() - began) / watch.looks(places)
    return each * watch.ahead(), each


@contextmanager
def _aside() -> Iterator[Path]:
    """Yield a folder for a run that nobody is to see or hear of."""
    with TemporaryDirectory(prefix="flawsmith-") as folder, redirect_stderr(io.StringIO()):
        yield Path(folder) / "run"


def _seconds_of(run: Path) -> float:
    lines = (run / METRICS).read_text("utf-8").splitlines()[WARM_UP:]
    return median(1 / float(json.loads(line)["steps_per_second"]) for line in lines)
