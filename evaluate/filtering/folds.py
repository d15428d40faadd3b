"""The segmenters of the agreement step: two, each trained on one half of the real groups."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flawsmith import __version__
from flawsmith.data.scan import Scan
from flawsmith.data.staging import job_digest
from flawsmith.data.symmetry import flips_of
from flawsmith.errors import InputError
from flawsmith.evaluate.filtering.halves import can_halve, halves_of
from flawsmith.evaluate.read_once import content_digest
from flawsmith.evaluate.segmenter.predict import Predictor, load_predictor
from flawsmith.evaluate.segmenter.settings import SegmentSettings
from flawsmith.evaluate.segmenter.sources import arm_of
from flawsmith.evaluate.segmenter.training import train_arm
from flawsmith.progress import say
from flawsmith.sample import Image
from flawsmith.train.runs import STATE, WEIGHTS, read_weights_facts


@dataclass(frozen=True)
class FoldMasks:
    """Two segmenters; ``predictors[h]`` learned from the samples of half h, ``halves`` tells whose.

    size: side of the windows that they are shown, in pixels.
    """

    predictors: tuple[Predictor, Predictor]
    halves: Mapping[str, int]
    size: int

    def half(self, sample: str) -> int:
        return self.halves[sample]

    def chances(self, pictures: Sequence[Image], half: int) -> NDArray[np.float32]:
        """Return (N, K, S, S) float32 from 0 to 1 of uint8 pictures of one size."""
        logits = self.predictors[half].told(pictures)
        # exp of large numbers is infinity, and the probability then rightly 0.
        with np.errstate(over="ignore"):
            return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def fold_segmenters(
    real: Scan, settings: SegmentSettings, folder: Path, device: str = "auto"
) -> FoldMasks:
    """Return the segmenters of both halves, training what ``folder`` does not hold yet.

    Only defective and clean samples of ``real`` are used; halves are the groups', stratified by
    class, from ``settings.seed``. The folder may serve any data and settings: each has runs of its
    own there, found again by a digest, and an interrupted training goes on. Raises InputError when
    a half has no marked defect to learn from (fewer than two groups with defects, say).
    """
    if not can_halve(real, settings.seed):
        raise InputError(
            "the real samples cannot be halved: one half of the groups shows no defect",
            where=real.dataset.root,
            mend="give defects of two groups at least, or --no-segmenter",
        )
    parts = halves_of(real, settings.seed)
    flips = flips_of(real)
    runs = [
        _trained(real.select(part), settings, folder, device, flips, f"half {half + 1} of 2")
        for half, part in enumerate(parts)
    ]
    first, second = (load_predictor(run, device) for run in runs)
    halves = {real.facts[i].id: half for half, part in enumerate(parts) for i in part}
    return FoldMasks((first, second), halves, settings.crop)


def _trained(
    real: Scan,
    settings: SegmentSettings,
    folder: Path,
    device: str,
    flips: tuple[bool, bool],
    name: str,
) -> Path:
    """Return the run folder of a segmenter trained on these samples."""
    loop = settings.loop(settings.seed, device=device)
    job = {
        "settings": settings.deciding(real_only=True),
        "loop": loop.deciding(fixed_length=True),
        "flawsmith": __version__,
        "flips": flips,
        "samples": content_digest(real),
    }
    digest = job_digest(job)
    run = folder / digest[:32]
    if not _is_done(run, settings.steps):
        say(f"filter: training a segmenter on {name} of the real groups, {settings.steps} steps")
        arm = arm_of("real", real, None, settings)
        train_arm(arm, settings, loop, run, flips=flips, source={"job": digest})
    # What a resume needs is three times as large as the weights; a call that was stopped between
    # the last weights and here has left it.
    shutil.rmtree(run / STATE, ignore_errors=True)
    return run


def _is_done(run: Path, steps: int) -> bool:
    """Tell whether the run's weights are those of its last step."""
    path = run / WEIGHTS
    return path.is_file() and read_weights_facts(path).get("step") == steps
