"""Where the time of ``flawsmith run`` goes: of each stage, how much is spent inside the networks.

    python benchmarks/stages.py SOURCE WORK [--words "--budget minutes"] [--json]

Runs the command in this process in the folder WORK/run, which is emptied first, and prints a line
a stage: seconds, and of them the share that was spent in

networks   forward passes, losses, gradients, optimisers, averaged weights; the IoU for the log; of
           GANs also the augmentation of what is judged, which gradients flow through
decoding   pictures and masks from files
crops      windows cut from them, batches, their augmentation
marks      from a network's answers to the counts or scores of a picture
saving     weights, checkpoints, metrics

and in none of these. Of nested ones the inner counts, but what networks call is theirs. The first
result is of all stages that train, together. Worker processes are not looked into: a stage that
they work for shows as none of these. Real images: ``magnetic_tile`` of the test data.
"""

import argparse
import functools
import inspect
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from flawsmith.benchmarks.shared import result, tell
from flawsmith.cli import cli
from flawsmith.commands.tables import aligned
from flawsmith.data.dataset import DataSet
from flawsmith.errors import DoesNotHelp
from flawsmith.pipeline.stages import Stages

GOAL = 0.9
NETWORKS = "networks"
PARTS = (NETWORKS, "decoding", "crops", "marks", "saving")
# The stages that train, by the first part of their names.
TRAINS = frozenset({"segmenters", "gate-runs", "inpaint", "gen", "gen-parts"})


class Clock:
    """Seconds by (stage, part), and of whole stages."""

    def __init__(self) -> None:
        self.seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.whole: dict[str, float] = {}
        self.stage = ""
        self.parts: list[str] = []
        self.since = 0.0

    @contextmanager
    def inside(self, part: str) -> Iterator[None]:
        """Count what is done in here as this part."""
        self.enter(part)
        try:
            yield
        finally:
            self.leave()

    def enter(self, part: str) -> None:
        self._turn()
        self.parts.append(part)

    def leave(self) -> None:
        self._turn()
        self.parts.pop()

    def _turn(self) -> None:
        now = time.perf_counter()
        if self.parts:
            part = NETWORKS if NETWORKS in self.parts else self.parts[-1]
            self.seconds[self.stage, part] += now - self.since
        self.since = now

    def on(self, part: str, owner: Any, *names: str) -> None:
        """Let functions or methods that ``owner`` holds count as this part."""
        for name in names:
            setattr(owner, name, self._timed(part, getattr(owner, name)))

    def _timed(self, part: str, real: Any) -> Any:
        if inspect.isgeneratorfunction(real):
            # What it does is done in its turns.
            @functools.wraps(real)
            def turns(*given: Any, **named: Any) -> Iterator[Any]:
                found = real(*given, **named)
                while True:
                    with self.inside(part):
                        one = next(found, self)
                    if one is self:
                        return
                    yield one

            return turns

        @functools.wraps(real)
        def timed(*given: Any, **named: Any) -> Any:
            with self.inside(part):
                return real(*given, **named)

        return timed

    def on_stages(self) -> None:
        """Note each stage's name and seconds."""
        real, clock = Stages.make, self

        def make(stages: Stages, name: str, *given: Any, **named: Any) -> Path:
            before, start = clock.stage, time.perf_counter()
            clock.stage = name
            try:
                return real(stages, name, *given, **named)
            finally:
                clock.whole[name] = clock.whole.get(name, 0.0) + time.perf_counter() - start
                clock.stage = before

        Stages.make = make  # type: ignore[method-assign]


def clocked() -> Clock:
    """Return a clock at every place that the parts are made of, in this process."""
    # Only here: worker processes load this file, too, and do without torch.
    import torch
    from torch.optim.optimizer import (
        register_optimizer_step_post_hook,
        register_optimizer_step_pre_hook,
    )

    from flawsmith.evaluate import segment_runs
    from flawsmith.evaluate.filtering import agreement
    from flawsmith.evaluate.segmenter import predict, sources, task
    from flawsmith.gen.task import GenTask
    from flawsmith.inpaint.steps import Steps
    from flawsmith.inpaint.task import InpaintTask
    from flawsmith.train import ema, loop, runlog

    clock = Clock()
    clock.on_stages()
    clock.on(NETWORKS, torch.nn.Module, "__call__")
    clock.on(NETWORKS, torch.Tensor, "backward")
    clock.on(NETWORKS, torch.autograd, "grad")
    register_optimizer_step_pre_hook(lambda *_: clock.enter(NETWORKS))
    register_optimizer_step_post_hook(lambda *_: clock.leave())
    clock.on(NETWORKS, ema.Ema, "update")
    clock.on(NETWORKS, task, "cross_entropy", "soft_dice", "iou")
    clock.on(NETWORKS, InpaintTask, "_look", "paint", "_shown", "_judge", "_improve")
    clock.on(NETWORKS, GenTask, "_judge", "_improve")
    clock.on("decoding", DataSet, "__getitem__")
    clock.on("crops", sources.Arm, "crop")
    clock.on("crops", task.SegmentTask, "_batch")
    clock.on("crops", predict, "pictures_of", "_cut")
    clock.on("crops", Steps, "draw")
    clock.on("crops", GenTask, "_draw")
    clock.on("crops", agreement, "windows_of")
    clock.on("marks", predict.Predictor, "logits", "masks")
    clock.on("marks", segment_runs, "count")
    clock.on("marks", agreement, "sums_of")
    clock.on("saving", loop.Loop, "_keep", "_save_weights")
    clock.on("saving", runlog.RunLog, "metrics", "preview", "flush", "advance")
    return clock


def trains(stage: str) -> bool:
    """Tell whether a stage trains a network."""
    return stage.split("/")[0] in TRAINS


def shares(clock: Clock, stages: list[str]) -> dict[str, float]:
    """Return which share of these stages' seconds each part took, and none of them."""
    whole = sum(clock.whole[name] for name in stages)
    found = {
        part: sum(clock.seconds[name, part] for name in stages) / max(whole, 1e-9) for part in PARTS
    }
    return found | {"none of these": 1 - sum(found.values())}


def rows(clock: Clock) -> dict[str, list[str]]:
    """Return what is told of, and of which stages it is made: seeds of an arm are one."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    found["all that train"] = [name for name in clock.whole if trains(name)]
    for name in clock.whole:
        arm = name.startswith("gate-runs/")
        found[name.rsplit("/", 1)[0] if arm else name].append(name)
    return found


def results(clock: Clock, words: str, seconds: float) -> Iterator[dict[str, Any]]:
    """Yield the results: of all stages that train, then of each. seconds: of the whole run."""
    for number, (name, stages) in enumerate(rows(clock).items()):
        own = shares(clock, stages)
        yield result(
            f"run, in networks: {name}",
            ours=round(own[NETWORKS], 3),
            unit="of the time",
            n=len(stages),
            goal=None if number else GOAL,
            seconds=round(sum(clock.whole[stage] for stage in stages), 2),
            shares={part: round(share, 4) for part, share in own.items()},
            words=words,
            run_seconds=round(seconds, 1),
        )


def table(found: list[dict[str, Any]]) -> str:
    """Return the results as a table for people: seconds, and percent of them by part."""
    lines = []
    for one in found:
        more = one["more"]
        own = [f"{100 * share:.1f}" for share in more["shares"].values()]
        lines.append([one["name"].partition(": ")[2], f"{more['seconds']:.1f}", *own])
    header = ("stage", "s", *found[0]["more"]["shares"])
    return "\n".join([*aligned(header, lines), f"all of it: {found[0]['more']['run_seconds']} s"])


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--words", default="--budget minutes", help="further words of the command")
    parser.add_argument("--json", action="store_true", help="results as lines, no table")
    given = parser.parse_args()
    out = given.work / "run"
    shutil.rmtree(out, ignore_errors=True)
    clock, start = clocked(), time.perf_counter()
    # That nothing helps is an answer, not an error.
    with redirect_stdout(sys.stderr), suppress(DoesNotHelp):
        cli(["run", str(given.source), str(out), *given.words.split()], standalone_mode=False)
    seconds = time.perf_counter() - start
    found = list(results(clock, given.words, seconds))
    for one in found if given.json else ():
        tell(one)
    if not given.json:
        print(table(found))


if __name__ == "__main__":
    main()
