"""The segmenter as a task of the training loop."""

from typing import Any

import torch
from torch import Tensor, nn

from flawsmith.evaluate.segmenter.crops import Batch, batch_of
from flawsmith.evaluate.segmenter.loss import cross_entropy, iou, soft_dice
from flawsmith.evaluate.segmenter.network import build_segmenter, freeze
from flawsmith.evaluate.segmenter.schedule import rate_at
from flawsmith.evaluate.segmenter.settings import SegmentSettings
from flawsmith.evaluate.segmenter.sources import Arm
from flawsmith.sample import Image
from flawsmith.train.diffaugment import Policy, draw
from flawsmith.train.task import Context

NAME = "segmenter"


class SegmentTask:
    """Crops of an arm, augmented alike in every arm, against their masks.

    flips: (left-right, top-bottom), whether the part's pictures allow them. Everything a step draws
    comes from (seed, step, place in the batch): so runs of two arms with one seed are pairs.
    """

    kind = "segment"
    fixed_length = True
    ema_of = NAME

    def __init__(
        self, arm: Arm, settings: SegmentSettings, flips: tuple[bool, bool], seed: int
    ) -> None:
        self.arm = arm
        self.settings = settings
        self.size = len(arm.real)
        classes = len(arm.real.classes)
        self.network = build_segmenter(classes, seed, settings.encoder, settings.weights)
        if settings.weights != "none":
            freeze(self.network, settings.frozen, settings.crop)
        self.models: dict[str, nn.Module] = {NAME: self.network}
        self.optimizers = {NAME: _optimizer(self.network, settings)}
        self.policy = Policy(
            (flips[1], flips[0]),
            translation=0.0,
            cutout=0.0,
            brightness=settings.brightness,
            contrast=settings.contrast,
        )

    def prepare(self, device: torch.device) -> None:
        """Nothing else has to move."""

    def step(self, context: Context) -> dict[str, Tensor]:
        settings = self.settings
        assert context.total is not None  # the task is of fixed length
        batch, synthetic = self._batch(context, context.total)
        with context.autocast():
            logits = self.network(batch.image)
        judged = (logits.float(), batch.masks, batch.counted)
        told = {
            "cross_entropy": cross_entropy(*judged),
            "dice": soft_dice(*judged, over_all=lambda mean: mean + _others(mean, context)),
        }
        rate = settings.rate * rate_at(
            settings.course, context.step, context.total, settings.warm_up
        )
        for group in self.optimizers[NAME].param_groups:
            group["lr"] = rate
        context.backward_and_step(NAME, told["cross_entropy"] + settings.dice * told["dice"])
        shown = {"synthetic": synthetic, "rate": rate}
        # Filled there: a copy from here would wait for the device.
        filled = {name: torch.full((), x, device=context.device) for name, x in shown.items()}
        return told | {"iou": iou(*judged)} | filled

    def _batch(self, context: Context, total: int) -> tuple[Batch, float]:
        """Return this process's crops, augmented, on the device; and which share is synthetic."""
        drawn = [
            self.arm.crop(context.seed, context.step, total, place) for place in context.places
        ]
        batch = batch_of([crop for crop, _ in drawn]).map(context.to_device)
        size = (self.settings.crop, self.settings.crop)
        change = draw(context.generators("augment"), size, self.policy, 1.0, context.device)
        augmented = Batch(
            change.image(batch.image), change.geometry(batch.masks), change.geometry(batch.counted)
        )
        return augmented, sum(synthetic for _, synthetic in drawn) / len(drawn)

    def preview(self, model: nn.Module, step: int) -> Image | None:
        """Return None: the check's pictures are of whole test images."""
        return None

    def extra_state(self) -> dict[str, Any]:
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """There is none."""


def _others(mean: Tensor, context: Context) -> Tensor:
    """Return what other processes' samples add to a mean of this one's, without gradient."""
    return context.mean(mean) - mean.detach()


def _optimizer(network: nn.Module, settings: SegmentSettings) -> torch.optim.Optimizer:
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if settings.optimizer == "adam":
        return torch.optim.Adam(trained, settings.rate)
    return torch.optim.AdamW(trained, settings.rate, weight_decay=settings.decay)
