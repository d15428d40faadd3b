"""One run of one arm: from its samples to a run folder with the trained segmenter."""

from pathlib import Path
from typing import Any

from flawsmith.evaluate.segmenter.settings import SegmentSettings
from flawsmith.evaluate.segmenter.sources import Arm
from flawsmith.evaluate.segmenter.task import SegmentTask
from flawsmith.train.loop import Trained, train
from flawsmith.train.settings import TrainSettings


def train_arm(
    arm: Arm,
    settings: SegmentSettings,
    loop: TrainSettings,
    out: Path,
    *,
    flips: tuple[bool, bool],
    source: dict[str, Any],
) -> Trained:
    """Train a segmenter on an arm in the run folder ``out``; the same call again goes on.

    loop: ``settings.loop(seed, device=...)``. flips: (left-right, top-bottom), the same for every
    arm. source: JSON-able, what decides which samples these are (fingerprints of the data sets).
    Raises InputError for settings that do not fit the folder or a loss that is not finite,
    Interrupted, after a checkpoint, on SIGINT or SIGTERM.
    """
    task = SegmentTask(arm, settings, flips, loop.seed)
    config = {
        "settings": settings.deciding(real_only=arm.synthetic is None),
        "classes": list(arm.real.classes),
        "arm": arm.name,
        "flips": list(flips),
        "source": source,
    }
    return train(task, loop, out, config)
