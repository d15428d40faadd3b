"""What the detectors share that learn by gradient, on the training loop of ``train``."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from flawsmith.errors import InputError, Interrupted
from flawsmith.evaluate.detectors.base import Detector, DetectorSettings, exactly, floats
from flawsmith.evaluate.detectors.frames import Form, Pictures, planes
from flawsmith.sample import Image
from flawsmith.settings import load_settings
from flawsmith.train.loop import train
from flawsmith.train.norms import BatchNorm
from flawsmith.train.settings import TrainSettings
from flawsmith.train.starting import starting_from
from flawsmith.train.task import Context
from flawsmith.train.weights import load_into, read_tensors

NETWORK = "network"
# Sides are halved down to this.
GRID = 4


class LearnedSettings(DetectorSettings):
    """How a detector is trained; each method's own defaults are below it."""

    epochs: int = Field(30, ge=1, strict=True, description="how often each clean picture is seen")
    batch: int = Field(16, ge=2, strict=True, description="pictures a step")
    rate: float = Field(2e-4, gt=0, description="learning rate of Adam")
    ema: float = Field(0.99, ge=0, lt=1, description="decay a step of the weights' average")


class DetectorTask(ABC):
    """Clean pictures and one network: the part of a task that is alike in all methods.

    stack: (N, C, H, W) uint8. The network's average is what a detector scores with.
    """

    kind = "detector"
    fixed_length = False

    def __init__(
        self, network: nn.Module, stack: Tensor, optimizers: dict[str, torch.optim.Optimizer]
    ) -> None:
        self.network = network
        self.stack = stack
        self.size = len(stack)
        self.models: dict[str, nn.Module] = {NETWORK: network}
        self.optimizers = optimizers
        self.ema_of = NETWORK

    def prepare(self, device: torch.device) -> None:
        self.stack = self.stack.to(device)

    @abstractmethod
    def step(self, context: Context) -> dict[str, Tensor]:
        """Do one training step; return what it tells, by name."""

    def batch(self, context: Context) -> Tensor:
        """Return this process's pictures of a step, (n, C, H, W) float in [-1, 1]."""
        picked = torch.tensor(context.indices, device=self.stack.device)
        return context.to_device(floats(self.stack[picked]))

    def preview(self, model: nn.Module, step: int) -> Image | None:
        """Return None: what a detector learns is seen in its maps."""
        return None

    def extra_state(self) -> dict[str, Any]:
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Take up what ``extra_state`` gave: nothing."""
        assert not state, state


class Learned(Detector):
    """A detector that is trained. folder: of the run, so that it resumes; None keeps no run."""

    # Of the loop: a task that keeps an average of its own says 0.
    averaged: ClassVar[bool] = True

    def __init__(
        self, settings: LearnedSettings, device: str = "auto", folder: Path | None = None
    ) -> None:
        super().__init__(settings, device)
        self.learning = settings
        self.folder = folder

    def build(self, form: Form) -> nn.Module:
        """Return the untrained network on the CPU; its weights depend on the seed alone.

        Raises InputError for a form that the network cannot take.
        """
        with starting_from(self.learning.seed, "detector", self.name):
            network = self._build(form)
        average_statistics(network)
        return network

    @abstractmethod
    def _build(self, form: Form) -> nn.Module:
        """Return the untrained network."""

    @abstractmethod
    def _task(self, network: nn.Module, stack: Tensor) -> DetectorTask:
        """Return the task that trains the network on (N, C, H, W) uint8 pictures."""

    def _finish(self, network: nn.Module, stack: Tensor) -> None:
        """Complete a trained network, on the device, by what only clean pictures tell."""

    def _fit(self, clean: Pictures, form: Form, counted: int) -> nn.Module:
        settings = self.learning
        stack = torch.from_numpy(planes(clean, form))
        loop = {
            "steps": -(-settings.epochs * counted // settings.batch),
            "batch": settings.batch,
            "seed": settings.seed,
            "device": str(self.device),
            "ema": settings.ema if self.averaged else 0.0,
        }
        config = {
            "name": self.name,
            "form": asdict(form),
            "settings": self.given.model_dump(mode="json", exclude={"epochs", "portion"}),
            "pictures": blake2b(stack.numpy().data, digest_size=16).hexdigest(),
        }
        network = self.build(form)
        with self._run() as out:
            task, chosen = self._task(network, stack), load_settings(TrainSettings, None, loop)
            weights = train(task, chosen, out, config).weights
            trained = self._empty(form, {})
            load_into(trained, read_tensors(weights, {}), weights)
        trained = trained.to(self.device).eval()
        with torch.no_grad(), exactly():
            self._finish(trained, stack.to(self.device))
        return trained

    def _empty(self, form: Form, layout: dict[str, Any]) -> nn.Module:
        return self.build(form)

    @contextmanager
    def _run(self) -> Iterator[Path]:
        if self.folder is not None:
            yield self.folder
            return
        with TemporaryDirectory(prefix="flawsmith-") as made:
            try:
                yield Path(made) / "run"
            except Interrupted as error:
                # The loop's own words promise that the run goes on.
                raise Interrupted(
                    f"{self.name}: stopped, and nothing of its training was kept; "
                    "--runs DIR keeps it, and the same command goes on there"
                ) from error


def average_statistics(network: nn.Module) -> None:
    """Let the running statistics of torch's own BatchNorm be averaged with the weights.

    As with ``train.norms.BatchNorm``: the newest statistics belong to the newest weights.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.averaged_buffers = BatchNorm.averaged_buffers  # type: ignore[assignment]


def halvings(form: Form, least: int = 2) -> int:
    """Return how often both sides can be halved, the short one down to 4 or a little more.

    Raises InputError unless that is ``least`` times or more and leaves whole pixels.
    """
    count = 0
    while min(form.height, form.width) >= GRID * 2 ** (count + 1):
        count += 1
    unit = 2 ** max(count, least)
    if count < least or form.height % unit or form.width % unit:
        raise InputError(
            f"the network cannot take pictures of {form}",
            mend=f"sides of at least {GRID * 2**least} pixels that are multiples of {unit}",
        )
    return count
