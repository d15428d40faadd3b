"""Is the training healthy? Warnings in plain words on divergence, a dead critic, mode collapse.

Judged are means over windows of steps, so that one odd batch means nothing, and none before the
sixth: at first all samples are alike.
"""

from collections.abc import Mapping
from statistics import median
from typing import Any

import torch
from torch import Tensor

from flawsmith.errors import InputError

# Updates of the critic a window, windows before any is judged, those in a row that make a verdict.
WINDOW = 100
EARLY = 3
IN_A_ROW = 3
KEPT = 30
# The critic's loss on real and generated pictures together, below which it errs no more.
WON = 0.02
# Of the logits on real pictures, above those on generated ones.
NO_OPINION = 0.005
# Of a loss; and of Wasserstein's, as a multiple of what it was before.
RUN_AWAY = 30.0
GROWN = 100.0
# Share of the real pictures' diversity.
ALIKE = 0.3
WATCHED = ("d_loss", "g_loss", "real_score", "fake_score", "diversity")
Window = dict[str, float]


class Health:
    """Follows a run's losses and says what goes wrong, each kind once.

    wasserstein: the losses are Wasserstein's; farthest: what two pictures can be apart at most, the
    bound of the distance that a critic of slope 1 can estimate. critic_steps: updates of the critic
    a step; window: updates of the critic a window.
    """

    def __init__(
        self, wasserstein: bool, farthest: float, critic_steps: int = 1, window: int = WINDOW
    ) -> None:
        self.wasserstein, self.farthest = wasserstein, farthest
        self.window = max(1, window // critic_steps)
        # Until then samples may be alike: the generator has had few updates.
        self.young = min(KEPT, EARLY * critic_steps + IN_A_ROW)
        self.windows: list[Window] = []
        self.said: dict[str, str] = {}
        self._sums: dict[str, Tensor] = {}
        self._steps = 0

    def note(self, told: Mapping[str, Tensor], step: int) -> list[str]:
        """Take one step's values, means over the processes or one's; return new warnings.

        They are read from the device once a window.
        """
        for name in WATCHED:
            if name in told:
                value = told[name].detach().float()
                self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._steps += 1
        if self._steps < self.window:
            return []
        now = {name: float(value) / self._steps for name, value in self._sums.items()}
        self.windows = [*self.windows, now][-KEPT:]
        self._sums, self._steps = {}, 0
        new = {kind: text for kind, text in self._verdicts().items() if kind not in self.said}
        lines = {kind: f"at step {step + 1}: {text}" for kind, text in new.items()}
        self.said |= lines
        return list(lines.values())

    def _verdicts(self) -> dict[str, str]:
        found = {}
        if self._lately(self._runs_away):
            found["divergence"] = (
                f"the training diverges: {self._how_far()}; lower rates, or a heavier penalty, in "
                "a new folder"
            )
        if self._lately(self._has_won):
            found["won"] = (
                "the critic errs no more, so the generator learns nothing from it: try stronger "
                "augmentation, a lower critic_rate, or more pictures"
            )
        if self._lately(self._sees_nothing):
            found["dead"] = (
                "the critic cannot tell real from generated pictures; unless they look alike by "
                "now it is dead: try a higher critic_rate"
            )
        if self._lately(self._is_alike) and len(self.windows) >= self.young:
            share = self.windows[-1]["diversity"]
            found["collapse"] = (
                f"mode collapse: the samples differ by {share:.0%} of what real pictures do; try "
                "stronger augmentation, a lower generator_rate, or another architecture"
            )
        return found

    def _lately(self, is_so: Any) -> bool:
        late = self.windows[-IN_A_ROW:]
        enough = len(self.windows) >= EARLY + IN_A_ROW
        return enough and all(is_so(window) for window in late)

    def _runs_away(self, window: Window) -> bool:
        if not self.wasserstein:
            largest = max(abs(window["g_loss"]), abs(window["d_loss"]))
            return largest > RUN_AWAY and not self._has_won(window)
        # Of the windows before the judged ones: of all, a young run's would be half run away.
        usual = median(abs(one["d_loss"]) for one in self.windows[:-IN_A_ROW])
        distance = window["real_score"] - window["fake_score"]
        return abs(distance) > self.farthest or abs(distance) > GROWN * max(usual, 1.0)

    def _how_far(self) -> str:
        now = self.windows[-1]
        if not self.wasserstein:
            return (
                f"the losses are {now['g_loss']:.3g} (generator) and {now['d_loss']:.3g} (critic)"
            )
        distance = now["real_score"] - now["fake_score"]
        told = f"the critic's estimate of the distance is {distance:.3g}"
        if abs(distance) > self.farthest:
            return f"{told}, and no two pictures are farther apart than {self.farthest:.3g}"
        return f"{told}, more than {GROWN:.0f} times what it was"

    def _has_won(self, window: Window) -> bool:
        return not self.wasserstein and window["d_loss"] < WON

    def _sees_nothing(self, window: Window) -> bool:
        # Below 0 it is the wrong way about: what a critic tells that does not learn.
        return window["real_score"] - window["fake_score"] < NO_OPINION

    def _is_alike(self, window: Window) -> bool:
        return window.get("diversity", 1.0) < ALIKE

    def state(self) -> dict[str, Any]:
        """Return what must survive a stop, JSON-able and exact."""
        sums = {name: float(value) for name, value in self._sums.items()}
        return {"windows": self.windows, "said": self.said, "sums": sums, "steps": self._steps}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state`` returned; raises InputError if it is not that."""
        try:
            self.windows, self.said = list(state["windows"]), dict(state["said"])
            self._sums = {k: torch.tensor(float(v)) for k, v in state["sums"].items()}
            self._steps = int(state["steps"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"no state of a training's health: {error!r}") from error
