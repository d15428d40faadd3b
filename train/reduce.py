"""The processes that train together: who they are, and the few things they agree on.

No DistributedDataParallel: it hooks into one model's one backward pass, while a GAN's step has
several models, several forward passes a backward pass, and double backward passes (accelerate's
issues 174, 668 and 1708). Instead an optimiser's gradients are averaged once they are complete, in
one flat all-reduce, as in the training loops of StyleGAN2-ADA and EDM.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from flawsmith.errors import FlawsmithError
from flawsmith.train.devices import pick_device

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """This process among those that train together; alone, nothing here communicates.

    control: a group over the CPU (gloo), so that agreeing on a flag does not wait for the GPU.
    """

    device: torch.device
    rank: int = 0
    world: int = 1
    control: Any = None

    @staticmethod
    def join(device: str = "auto") -> "Processes":
        """Return this process's place, as ``accelerate launch`` or ``launch`` gave it.

        device: a name as in ``pick_device``; with several processes its number is each one's own.
        """
        wanted = pick_device(device)
        if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
            return Processes(wanted)
        from accelerate import PartialState  # type: ignore[import-untyped]

        # The environment alone decides: PartialState is made once a process and never changes.
        state = PartialState(cpu=wanted.type == "cpu")
        return Processes(
            state.device, state.process_index, state.num_processes, dist.new_group(backend="gloo")
        )

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def on_first(self, work: Callable[[], T]) -> T:
        """Do work on the first process and return its result on all of them.

        All wait for it. A FlawsmithError that it raises is raised on every process.
        """
        if self.world == 1:
            return work()
        told: list[Any] = [None, None]
        if self.first:
            try:
                told[0] = work()
            except FlawsmithError as error:
                told[1] = error
        # Pickled, but only between the processes of one run.
        dist.broadcast_object_list(told, src=0, group=self.control)
        if told[1] is not None:
            raise told[1]
        result: T = told[0]
        return result

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Return, a flag, whether it is set on any process."""
        if self.world == 1:
            return flags
        values = torch.tensor(flags, dtype=torch.int32)
        dist.all_reduce(values, op=dist.ReduceOp.MAX, group=self.control)
        return tuple(map(bool, values.tolist()))

    @torch.no_grad()
    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of a tensor over the processes."""
        if self.world == 1:
            return value
        total = value.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total / self.world

    @torch.no_grad()
    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace each parameter's gradient by its mean over the processes.

        A process whose loss did not touch a parameter counts as zero; one that no process touched
        stays without a gradient, as it would with a single process.
        """
        if self.world == 1 or not parameters:
            return
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        seen = grads[0].new_tensor([p.grad is not None for p in parameters])
        flat = torch.cat([*(grad.flatten() for grad in grads), seen])
        dist.all_reduce(flat)
        *parts, seen = torch.split(flat, [*(grad.numel() for grad in grads), len(parameters)])
        # Without asking the GPU: what is unused here is seldom used elsewhere, so look only then.
        ask = any(p.grad is None for p in parameters)
        used = seen.tolist() if ask else [1.0] * len(parameters)
        for parameter, part, count in zip(parameters, parts, used, strict=True):
            mean = (part / self.world).view_as(parameter)
            parameter.grad = torch.empty_like(parameter).copy_(mean) if count else None

    @torch.no_grad()
    def average_buffers(self, models: Iterable[nn.Module]) -> None:
        """Replace running statistics by their means over the processes.

        (BatchNorm itself still normalises by a process's own slice of the batch.)
        """
        if self.world == 1:
            return
        buffers = [b for m in models for b in m.buffers() if b.is_floating_point() and b.numel()]
        if not buffers:
            return
        flat = torch.cat([buffer.flatten().float() for buffer in buffers])
        dist.all_reduce(flat)
        parts = torch.split(flat / self.world, [buffer.numel() for buffer in buffers])
        for buffer, part in zip(buffers, parts, strict=True):
            buffer.copy_(part.view_as(buffer))

    @torch.no_grad()
    def broadcast(self, models: Iterable[nn.Module]) -> None:
        """Give every process the first one's weights and buffers."""
        if self.world == 1:
            return
        for model in models:
            for tensor in model.state_dict().values():
                value = tensor.contiguous()
                dist.broadcast(value, src=0)
                tensor.copy_(value)
