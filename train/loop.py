"""The one training loop: it knows no model, and any moment is a good one to stop it.

What a step computes depends on (seed, step) and on what the checkpoint holds, nothing else; so a
run that was killed and started again ends, on a CPU, in the same bytes as one that was not.
"""

import math
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flawsmith import __version__
from flawsmith.errors import InputError, Interrupted
from flawsmith.train.batches import Batches, slice_of
from flawsmith.train.checkpoint import load_checkpoint, save_checkpoint, save_weights
from flawsmith.train.ema import Ema
from flawsmith.train.reduce import Processes
from flawsmith.train.runlog import RunLog
from flawsmith.train.runs import STATE, Run, opened
from flawsmith.train.settings import TrainSettings
from flawsmith.train.signals import Stop, watching
from flawsmith.train.task import Context, Task

# The average's name among a checkpoint's models; a task cannot have one of that name.
EMA = "(ema)"


@dataclass(frozen=True)
class Trained:
    """What a call of ``train`` did. steps: of the whole run; made: in this call."""

    steps: int
    made: int
    seconds: float
    weights: Path

    @property
    def steps_per_second(self) -> float:
        return self.made / self.seconds if self.made else 0.0


def train(task: Task, settings: TrainSettings, out: Path, config: Mapping[str, Any]) -> Trained:
    """Train the task in the run folder ``out``, from its newest checkpoint on if it has one.

    config: JSON-able, all of the task's own settings that decide what it computes. A finished run
    returns at once; one with fewer steps than ``settings.steps`` goes on. Every process of a
    launch calls this alike. Raises InputError for settings that do not fit the folder, a broken
    checkpoint or a loss that is not finite; Interrupted, after a checkpoint, on SIGINT or SIGTERM.
    """
    processes = Processes.join(settings.device)
    places = slice_of(settings.batch, processes.rank, processes.world)
    decided = settings.deciding(fixed_length=task.fixed_length)
    job = {"kind": task.kind, "training": decided, "task": dict(config)}
    free = settings.model_dump(mode="json", exclude=set(decided))
    with ExitStack() as stack:
        run = processes.on_first(lambda: stack.enter_context(opened(out, job, free)))
        if run.step > settings.steps:
            raise InputError(
                f"it holds {run.step} steps already, more than the {settings.steps} asked for",
                where=run.path,
                mend="choose another folder, or at least as many steps",
            )
        if run.step == settings.steps and run.weights.is_file():
            return Trained(run.step, 0, 0.0, run.weights)
        loop = Loop(task, settings, processes, places, run, dict(config))
        stop = stack.enter_context(watching())
        start = time.monotonic()
        loop.go(stop)
        return Trained(loop.step, loop.step - run.step, time.monotonic() - start, run.weights)


class Loop:
    """The state of a run while it trains."""

    def __init__(
        self,
        task: Task,
        settings: TrainSettings,
        processes: Processes,
        places: range,
        run: Run,
        config: dict[str, Any],
    ) -> None:
        self.task, self.settings, self.processes, self.run = task, settings, processes, run
        self.places = places
        self.config = config
        self.batches = Batches(task.size, settings.batch, settings.seed)
        self.step = run.step
        # Since the last line of metrics: each loss's sum, and of how many steps.
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        for model in task.models.values():
            model.to(processes.device).train()
            if settings.channels_last:
                model.to(memory_format=torch.channels_last)
        processes.broadcast(task.models.values())
        self.ema = Ema(task.models[task.ema_of], settings.ema)
        task.prepare(processes.device)
        if run.checkpoint:
            self._load(run.checkpoint)
        if settings.compile:
            for model in task.models.values():
                model.compile()

    def go(self, stop: Stop) -> None:
        """Train until all steps are done or the user asks to stop."""
        settings, device = self.settings, self.processes.device
        kept_at = time.monotonic()
        with ExitStack() as stack:
            log = self._log(stack)
            while self.step < settings.steps:
                losses = self._whole_step()
                # On a GPU asking would wait for it; there it is seen at the next line of metrics.
                broken = device.type == "cpu" and not _finite(losses)
                old = time.monotonic() - kept_at >= settings.checkpoint_seconds
                broken, stopping, old = self.processes.any(
                    broken, stop.asked, old and self.processes.first
                )
                last = self.step == settings.steps
                if broken:
                    self._check_losses()
                if log:
                    log.advance()
                if last or self.step % settings.log_every == 0:
                    self._write_metrics(log)
                if last or _due(self.step, settings.preview_every):
                    self._preview(log)
                if last or stopping or old or _due(self.step, settings.checkpoint_every):
                    self._keep(log)
                    kept_at = time.monotonic()
                if stopping and not last:
                    raise Interrupted(f"stopped at step {self.step}; the same command goes on")
        if not self.run.weights.is_file():
            self.processes.on_first(self._save_weights)  # somebody removed a finished run's

    def _whole_step(self) -> dict[str, Tensor]:
        try:
            return self._step()
        except RuntimeError as error:
            # The CPU's allocator has no error of its own.
            if not (isinstance(error, torch.OutOfMemoryError) or "alloc" in str(error)):
                raise
            raise InputError(
                f"the device's memory is too small at step {self.step} for a batch of "
                f"{self.settings.batch}; the last checkpoint is untouched",
                where=self.run.path,
                mend="a smaller batch, size or width, in a new folder",
            ) from error

    def _step(self) -> dict[str, Tensor]:
        settings, task = self.settings, self.task
        chosen = self.batches.indices(self.step)
        context = Context(
            step=self.step,
            total=settings.steps if task.fixed_length else None,
            seed=settings.seed,
            indices=tuple(chosen[place] for place in self.places),
            places=self.places,
            processes=self.processes,
            optimizers=task.optimizers,
            precision=settings.precision,
            channels_last=settings.channels_last,
        )
        losses = {name: loss.detach().float() for name, loss in task.step(context).items()}
        self.processes.average_buffers(task.models.values())
        self.ema.update(task.models[task.ema_of], self.step)
        self.step += 1
        for name, loss in losses.items():
            self.sums[name] = self.sums[name] + loss if name in self.sums else loss
            self.counts[name] = self.counts.get(name, 0) + 1
        return losses

    def _check_losses(self) -> dict[str, float]:
        """Return each loss's sum, the mean over processes; raises InputError if one is not finite.

        A NaN or infinity anywhere since the last line of metrics still shows in the sum.
        """
        names = sorted(self.sums)
        if not names:
            return {}
        sums = self.processes.mean(torch.stack([self.sums[name] for name in names])).tolist()
        for name, value in zip(names, sums, strict=True):
            if not math.isfinite(value):
                raise self._not_finite(f"the loss {name!r} is")
        return dict(zip(names, sums, strict=True))

    def _check_weights(self) -> None:
        tensors = [t for m in self.task.models.values() for t in m.state_dict().values()]
        good = [t.isfinite().all() for t in tensors if t.is_floating_point()]
        if self.processes.any(bool(good) and not bool(torch.stack(good).all()))[0]:
            raise self._not_finite("the weights are")

    def _not_finite(self, what: str) -> InputError:
        half = "precision no, or " if self.settings.precision != "no" else ""
        return InputError(
            f"{what} not finite at step {self.step}; the last checkpoint is untouched",
            where=self.run.path,
            mend=f"{half}a lower learning rate, in a new folder",
        )

    def _write_metrics(self, log: RunLog | None) -> None:
        sums = self._check_losses()
        means = {name: value / self.counts[name] for name, value in sums.items()}
        self.sums, self.counts = {}, {}
        tell = partial(log.metrics, self.step, means, self.task.extra_state()) if log else _nothing
        self.processes.on_first(tell)

    def _preview(self, log: RunLog | None) -> None:
        if not self.settings.preview_every:
            return

        def show() -> None:
            with torch.no_grad():
                picture = self.task.preview(self.ema.model, self.step)
            if log and picture is not None:
                log.preview(self.step, picture)

        self.processes.on_first(show)

    def _keep(self, log: RunLog | None) -> None:
        """Write the weights and a checkpoint, unless something in them is not finite."""
        sums = self._check_losses()
        self._check_weights()

        def write() -> None:
            # The weights first: a finished run is known by its checkpoint.
            self._save_weights()
            facts = {
                "extra": self.task.extra_state(),
                "sums": {name: [value, self.counts[name]] for name, value in sums.items()},
            }
            folder = self.run.path / STATE
            save_checkpoint(folder, self.step, self._saved(), self.task.optimizers, facts)
            if log:
                log.flush()

        self.processes.on_first(write)

    def _save_weights(self) -> None:
        facts = {"flawsmith": __version__, "kind": self.task.kind, "step": self.step}
        save_weights(self.run.weights, self.ema.model, {**facts, "config": self.config})

    def _load(self, checkpoint: Path) -> None:
        state = load_checkpoint(checkpoint, self._saved(), self.task.optimizers)
        try:
            self.task.load_extra_state(state["extra"])
            for name, (value, count) in state["sums"].items():
                self.sums[name] = torch.tensor(float(value), device=self.processes.device)
                self.counts[name] = int(count)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError("no checkpoint of this training", where=checkpoint) from error

    def _saved(self) -> dict[str, torch.nn.Module]:
        return {**self.task.models, EMA: self.ema.model}

    def _log(self, stack: ExitStack) -> RunLog | None:
        """Open the log on the first process; the others have none."""
        logs: list[RunLog] = []

        def begin() -> None:
            log = RunLog(self.run.path, self.run.step, self.settings.steps)
            logs.append(stack.enter_context(log))

        self.processes.on_first(begin)
        return logs[0] if logs else None


def _nothing() -> None:
    """What the other processes do while the first one writes."""


def _due(step: int, every: int) -> bool:
    return bool(every) and step % every == 0


def _finite(losses: Mapping[str, Tensor]) -> bool:
    return all(bool(loss.isfinite()) for loss in losses.values())
