"""Are the steps enough? The real arm alone, with half as many steps, as many, and twice as many.

A gain over a segmenter that is not trained to its end counts for nothing. The test set has no say
in that: a third of the training groups is held out instead.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flawsmith.data.scan import Scan
from flawsmith.data.split import split_groups
from flawsmith.evaluate.overlap import overlap
from flawsmith.evaluate.segment import REAL, check_sets, labelled
from flawsmith.evaluate.segmenter.settings import SegmentSettings
from flawsmith.progress import say

LEARNED = (2 / 3, 1 / 3)
# Doubling the steps should move mIoU by less than this.
ENOUGH = 0.01


@dataclass(frozen=True)
class Curve:
    """mIoU by training steps: of each number of steps, one value a seed, by ascending seed.

    learned, tested: real samples trained on and held out; learned_groups, tested_groups: of them.
    """

    steps: tuple[int, ...]
    miou: tuple[tuple[float, ...], ...]
    seeds: tuple[int, ...]
    learned: int
    learned_groups: int
    tested: int
    tested_groups: int

    @property
    def means(self) -> tuple[float, ...]:
        """mIoU of each number of steps, the mean over seeds."""
        return tuple(sum(values) / len(values) for values in self.miou)

    @property
    def doubling(self) -> float:
        """What the last doubling adds to the mean mIoU, as a share of 1."""
        return self.means[-1] - self.means[-2]

    @property
    def sentence(self) -> str:
        word = "enough" if abs(self.doubling) < ENOUGH else "not settled"
        return (
            f"doubling {self.steps[-2]} steps moves mIoU by {100 * self.doubling:+.1f} points "
            f"({self.tested_groups} held-out groups, {len(self.seeds)} "
            f"seed{'' if len(self.seeds) == 1 else 's'}): {word}"
        )

    def to_json(self) -> dict[str, Any]:
        told = {"means": self.means, "doubling": self.doubling, "sentence": self.sentence}
        return asdict(self) | told


def curve(
    real: Scan,
    settings: SegmentSettings,
    folder: Path,
    *,
    device: str = "auto",
    precision: str = "auto",
) -> Curve:
    """Train on two thirds of the real groups and test on the others, thrice the steps.

    Runs lie in ``folder/<steps> steps/real/<seed>``; the same call again goes on. Raises InputError
    when a third of the groups is too little to test on.
    """
    # Only here: it loads torch.
    from flawsmith.evaluate.segment_runs import RunPlan, run_all

    learned, tested = map(real.select, split_groups(real.facts, LEARNED, settings.seed))
    check_sets(learned, {}, tested)
    steps = (max(1, settings.steps // 2), settings.steps, 2 * settings.steps)
    found = []
    for number in steps:
        say(f"with {number} steps:")
        plan = RunPlan(settings.model_copy(update={"steps": number}), device, precision)
        runs = run_all({REAL: None}, learned, tested, folder / f"{number} steps", plan)[REAL]
        found.append([overlap(runs[seed]) for seed in sorted(runs)])
    return Curve(
        steps=steps,
        miou=tuple(tuple(run.miou for run in runs) for runs in found),
        seeds=tuple(range(settings.seed, settings.seed + settings.seeds)),
        learned=len(labelled(learned)),
        learned_groups=len({fact.group for fact in labelled(learned)}),
        tested=found[0][0].images,
        tested_groups=found[0][0].groups,
    )
