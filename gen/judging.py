"""How a step asks its critic: once for what is used twice, and without gradients of its weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

Seen = list[Tensor]


class Judge:
    """A critic as a step uses it: ``see`` is what stays the same while it is trained.

    Of a projected critic these are the frozen maps, so that they are computed once a picture; of
    any other, the pictures themselves.
    """

    def __init__(self, critic: nn.Module) -> None:
        self.critic: Any = critic  # torch types a module's own methods as tensors
        self.frozen = bool(getattr(critic, "frozen", False))
        # FastGAN's: judgement and reconstruction for the price of one encoding.
        self.draws = hasattr(critic, "judged_and_drawn")

    def see(self, x: Tensor) -> Seen:
        """Return what is judged of pictures (N, C + K, H, W)."""
        if not self.frozen:
            return [x]
        maps: Seen = self.critic.features(x)
        return maps

    def judge(self, seen: Seen) -> Tensor:
        """Return the logits, (N, ...)."""
        logits: Tensor = self.critic.judge(seen) if self.frozen else self.critic(*seen)
        return logits

    def judge_and_draw(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """Return the logits of real pictures, and how badly the critic redraws them; a scalar."""
        logits, missed = self.critic.judged_and_drawn(*seen)
        return logits, missed


def detached(seen: Seen) -> Seen:
    """Return the same without a way back to the generator."""
    return [x.detach() for x in seen]


@contextmanager
def still(model: nn.Module) -> Iterator[None]:
    """Let gradients pass through a model, and none stay: a third less to compute."""
    trained = [p for p in model.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
