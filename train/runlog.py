"""What a run says while it trains: ``metrics.jsonl``, TensorBoard, a bar or lines for people."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from torch.utils.tensorboard import SummaryWriter

from flawsmith.data.images import write_png
from flawsmith.data.writing import make_folder, writing_in
from flawsmith.errors import OutputError
from flawsmith.progress import say
from flawsmith.sample import Image
from flawsmith.train.files import replace_file
from flawsmith.train.runs import BOARD, METRICS, PREVIEWS


class RunLog:
    """Writes the metrics of one session of a run, from a step on; only on the first process.

    Lines that an interrupted session wrote after its last checkpoint are dropped: their steps come
    again.
    """

    def __init__(self, folder: Path, step: int, steps: int) -> None:
        self.folder = folder
        self.steps = steps
        cut_metrics(folder / METRICS, step)
        self._board = SummaryWriter(str(folder / BOARD), purge_step=step + 1 if step else None)
        console = Console(stderr=True)
        columns = (
            TextColumn("training"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
        )  # fmt: skip
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._bar: TaskID = self._progress.add_task(
            "", total=steps, completed=step, rate="", losses=""
        )
        self._since = (step, time.monotonic())

    def __enter__(self) -> "RunLog":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
        self._board.close()

    def advance(self) -> None:
        """Count one step."""
        self._progress.advance(self._bar)

    def metrics(self, step: int, losses: Mapping[str, float], extra: Mapping[str, Any]) -> None:
        """Write a line: means of the losses since the last one, numbers of the task's state, rate.

        Raises OutputError when it cannot be written.
        """
        before, start = self._since
        self._since = (step, time.monotonic())
        rate = (step - before) / max(self._since[1] - start, 1e-9)
        numbers = {k: v for k, v in extra.items() if isinstance(v, (int, float))}
        line = {"step": step, "losses": losses, "state": numbers, "steps_per_second": rate}
        append_line(self.folder / METRICS, json.dumps(line))
        for group, values in (("loss", losses), ("state", numbers), ("speed", {"steps": rate})):
            for name, value in values.items():
                self._scalar(f"{group}/{name}", value, step)
        told = ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
        speed = f"{rate:.3g} steps/s"
        self._progress.update(self._bar, rate=speed, losses=told)
        if self._progress.disable:
            say(f"step {step} of {self.steps}: {told} ({speed})")

    def preview(self, step: int, picture: Image) -> None:
        """Write ``previews/000100.png``; raises OutputError when it cannot be written."""
        make_folder(self.folder / PREVIEWS)
        write_png(self.folder / PREVIEWS / f"{step:06d}.png", picture)

    def flush(self) -> None:
        """Let TensorBoard see all that was logged."""
        self._board.flush()

    def _scalar(self, name: str, value: float, step: int) -> None:
        with writing_in(self.folder / BOARD):
            self._board.add_scalar(name, value, step)


def append_line(path: Path, line: str) -> None:
    """Add a line to a text file and flush it to the disk; raises OutputError naming it."""
    with writing_in(path), path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def cut_metrics(path: Path, step: int) -> None:
    """Drop the lines of later steps, and a line that a kill cut short."""
    if not path.is_file():
        return
    try:
        lines = path.read_text("utf-8", errors="replace").split("\n")
    except OSError as error:
        raise OutputError(f"{path}: cannot be read: {error.strerror or error}") from error
    kept = [line for line in lines if _step_of(line) <= step]
    replace_file(path, "".join(line + "\n" for line in kept).encode())


def _step_of(line: str) -> float:
    """Return a line's step; infinity for one that is no line of metrics."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return float("inf")
