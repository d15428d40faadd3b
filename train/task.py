"""What the loop asks of a task, and what a task's step is given.

The loop knows no model: a task holds models and optimisers and does one step, whatever that is (a
GAN's two halves, a segmenter's one). Everything random in it comes from its context.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from flawsmith.sample import Image
from flawsmith.train.batches import noise, sample_generators
from flawsmith.train.reduce import Processes


class Task(Protocol):
    """Models, their optimisers, and one training step.

    kind: one word for what is trained; it goes into the weights' metadata.
    size: number of training samples that a context's ``indices`` count.
    fixed_length: whether a schedule depends on the number of steps in all; such a run cannot be
    made longer later. Only then does the context tell that number.
    models: what is trained, synchronised and saved. Frozen helpers stay outside.
    optimizers: each steps the parameters it was made with; names are the task's own.
    ema_of: the model whose averaged weights are the result.
    """

    kind: str
    size: int
    fixed_length: bool
    models: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Optimizer]
    ema_of: str

    def prepare(self, device: torch.device) -> None:
        """Move what the loop does not know, frozen helpers and data, to the device.

        Called once, after ``models`` were moved and before anything is loaded or stepped.
        """
        ...

    def step(self, context: "Context") -> dict[str, Tensor]:
        """Do one step, each update through ``context.backward_and_step``; return scalar losses.

        Losses are means over this process's samples; the loop averages them over processes.
        """
        ...

    def preview(self, model: nn.Module, step: int) -> Image | None:
        """Return a picture of what the averaged model does after ``step`` steps, or None.

        model: in evaluation mode, without gradients. Called on the first process only.
        """
        ...

    def extra_state(self) -> dict[str, Any]:
        """Return what else must survive a stop (an augmentation's strength), JSON-able."""
        ...

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Take up what ``extra_state`` returned."""
        ...


@dataclass(frozen=True)
class Context:
    """One step as one process sees it.

    step: counted from 0. total: all steps, for tasks of fixed length, else None.
    indices: the training samples of this process's slice of the batch.
    places: where that slice lies in the batch of all processes.
    """

    step: int
    total: int | None
    seed: int
    indices: tuple[int, ...]
    places: range
    processes: Processes
    optimizers: dict[str, torch.optim.Optimizer]
    precision: str = "no"
    channels_last: bool = False

    @property
    def device(self) -> torch.device:
        return self.processes.device

    @property
    def rank(self) -> int:
        return self.processes.rank

    @property
    def world(self) -> int:
        return self.processes.world

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context that forward passes run in; leave it for penalties and losses."""
        on = self.precision == "bf16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=on)

    def generators(self, stream: str) -> list[torch.Generator]:
        """Return one CPU generator a sample of this slice, from (seed, stream, step, place)."""
        return sample_generators(self.seed, stream, self.step, self.places)

    def noise(self, *shape: int, stream: str = "noise") -> Tensor:
        """Return (len(places), *shape) float32 standard normal values on the device.

        The values of a place in the batch are the same for any number of processes.
        """
        return noise(self.generators(stream), shape, self.device)

    def to_device(self, batch: Tensor) -> Tensor:
        """Return the tensor on the device; (N, C, H, W) ones in the layout that was asked for."""
        if self.channels_last and batch.ndim == 4:
            return batch.to(
                self.device, memory_format=torch.channels_last, non_blocking=batch.is_pinned()
            )
        return batch.to(self.device, non_blocking=batch.is_pinned())

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean over processes of a tensor, detached; all must call it alike."""
        return self.processes.mean(value.detach())

    def backward_and_step(self, name: str, loss: Tensor) -> None:
        """Step the optimiser ``name`` down the gradient of ``loss``, averaged over processes.

        Gradients that the backward pass leaves on other optimisers' parameters are dropped when
        those step next.
        """
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.processes.average_gradients(parameters)
        optimizer.step()
