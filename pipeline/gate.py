"""The gate: is a segmenter better with the filtered candidates than without? Else none is accepted.

Every run of an arm and a seed is a stage of its own, so that a stopped gate goes on with the next.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flawsmith.data.kept import read_kept
from flawsmith.data.leak import check_leaks
from flawsmith.data.scan import Scan
from flawsmith.data.staging import job_digest
from flawsmith.data.writing import write_file
from flawsmith.errors import InputError
from flawsmith.evaluate.filtering.reasons import NOTHING, refused
from flawsmith.evaluate.segment import FILTERED, RANDOM, REAL, SegmentCheck, check_sets, judge
from flawsmith.evaluate.segmenter.settings import SegmentSettings
from flawsmith.pipeline.arms import PASTE
from flawsmith.pipeline.budget import FEWEST_SEEDS, Plan
from flawsmith.pipeline.candidates import Verdicts
from flawsmith.pipeline.rounds import Rounds
from flawsmith.pipeline.stages import Stages
from flawsmith.progress import say
from flawsmith.seeding import rng

if TYPE_CHECKING:
    from flawsmith.evaluate.overlap import Counts
    from flawsmith.evaluate.segment_runs import Entry

State = Literal["accepted", "not accepted", "not measured"]
RESULT = "check.json"
RUNS = "gate-runs"
RUN = "run"
# Share of a budget that is left for what follows the gate.
AFTER = 0.03


@dataclass(frozen=True)
class Gate:
    """What the gate found. missing: why nothing was measured, where it was not.

    passed: whether any candidate passed the filter; notices: what else is to be said.
    """

    check: SegmentCheck | None = None
    missing: str = ""
    passed: bool = True
    notices: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        """Whether the set is accepted."""
        if self.check is not None:
            return "accepted" if self.check.accepts() else "not accepted"
        return "not measured" if self.passed else "not accepted"

    @property
    def sentence(self) -> str:
        """The verdict in one sentence, with the numbers."""
        if self.check is None:
            return f"{self.state}: {self.missing}"
        return self.check.warned(f"{self.state}: {self.check.finding(FILTERED).sentence}")

    def with_notice(self, notice: str) -> "Gate":
        """Return the same with one more thing to say."""
        return replace(self, notices=(*self.notices, notice))

    def decided(self, verdicts: Verdicts) -> Verdicts:
        """Return the last word on each candidate: where the set does not help, none is accepted."""
        if self.state != "not accepted":
            return verdicts
        return {method: refused(found) for method, found in verdicts.items()}


def gate_fault(train: Scan, test: Scan) -> str:
    """Return why nothing can be measured with these real samples, or nothing."""
    if not any(fact.planes for fact in train.facts):
        return "no defect is marked on the training images"
    try:
        check_sets(train, {}, test)
    except InputError as error:
        return error.what
    return ""


def gate_images(test: Scan, clean: int, seed: int) -> Scan:
    """Return the samples that the gate tests on: all defective ones and some of the clean ones."""
    good = test.where("good")
    if len(good) > clean:
        good = rng(seed, "gate", "clean").choice(good, clean, replace=False).tolist()
    return test.select(sorted({*test.where("defective"), *good}))


def gate_stage(
    stages: Stages,
    train: Scan,
    test: Scan,
    added: Mapping[str, Scan],
    settings: SegmentSettings,
    device: str,
    plan: Plan,
) -> Gate:
    """Train and test every arm with every seed, and judge.

    added: an arm's candidates by its name; ``real+filtered`` among them. settings: with the seeds
    and steps of the plan. Once there are two, a further round of seeds is begun only if it fits
    into what the plan's cap leaves.
    """
    if not added[FILTERED].facts:
        return Gate(missing=NOTHING, passed=False)
    notices = [
        f"{name} left out: it has no candidate" for name, own in added.items() if not own.facts
    ]
    added = {name: own for name, own in added.items() if own.facts}
    pairs = [(FILTERED, other) for other in (RANDOM, PASTE) if other in added]
    check_sets(train, added, test, pairs)
    leak = check_leaks(train, added, test)
    runs = _Runs(stages, train, test, added, settings, device)
    if plan.cap:
        used, rest = stages.spent / 60, plan.minutes.get("gate", 0.0)
        say(f"plan: {used:.0f} of {plan.cap:g} minutes are used, the gate may take {rest:.0f}")
    counts, cut = runs.all(plan.cap)
    if cut:
        notices.append(cut)

    def work(folder: Path) -> None:
        sizes = {name: len(own.facts) for name, own in added.items()}
        found = judge(counts, settings=settings, real=train, added=sizes, pairs=pairs, leak=leak)
        write_file(folder / RESULT, json.dumps(found.to_json(), ensure_ascii=False) + "\n")

    told = {name: {s: c.to_json() for s, c in own.items()} for name, own in counts.items()}
    # Segmenters that find nothing have the same counts whatever they learned from, and how long.
    inputs = {
        "counts": job_digest(told),
        "added": {name: len(own.facts) for name, own in added.items()},
        "settings": settings.model_dump(mode="json"),
        "pairs": pairs,
    }
    folder = stages.make("gate", inputs, ("split",), work)
    check = read_check(folder / RESULT, {name: len(own) for name, own in counts.items()})
    return Gate(check, notices=tuple(notices))


def read_check(path: Path, runs: Mapping[str, int]) -> SegmentCheck:
    """Return what was judged of these arms, each of so many runs; raises InputError otherwise."""

    def made(content: dict[str, Any]) -> SegmentCheck:
        check = SegmentCheck.from_json(content)
        arms = {arm.name: len(arm.runs) for arm in check.arms}
        found = [check.finding(name, REAL) for name in runs if name != REAL]
        seeds = {len(check.seeds), *(len(one.difference.by_seed) for one in found)}
        if check.base != REAL or arms != runs or {*runs.values()} != seeds:
            raise ValueError("of other arms, or other seeds")
        return check

    return read_kept(path, SegmentCheck, made)


class _Runs:
    """The runs of the gate: all arms of the first seed, then of the next."""

    def __init__(
        self,
        stages: Stages,
        train: Scan,
        test: Scan,
        added: Mapping[str, Scan],
        settings: SegmentSettings,
        device: str,
    ) -> None:
        from flawsmith.evaluate.read_once import ReadOnce
        from flawsmith.evaluate.segment_runs import RunPlan, entry_of

        self.stages, self.train, self.test = stages, ReadOnce(train), ReadOnce(test)
        self.arms: dict[str, Scan | None] = {REAL: None} | dict(added)
        self.settings = settings
        self.plan = RunPlan(settings, device)
        # An arm keeps the synthetic pictures that it has read: one arm at a time is enough.
        self.known = {}
        for name, own in self.arms.items():
            entry = entry_of(name, self.train, own, settings)
            self.known[name] = (entry.flips, entry.source)

    def all(self, cap: float | None) -> "tuple[dict[str, dict[int, Counts]], str]":
        """Return the counts of all runs, arm by arm and seed by seed, and what was cut off."""
        from flawsmith.evaluate.segment_runs import Progress

        first, number = self.settings.seed, self.settings.seeds
        seeds = range(first, first + number)
        rounds = Rounds.of(self.stages.place(RUNS) / "rounds.json", self._job(cap))
        told = Progress(len(self.arms) * number, len(self.arms) * number)
        counts: dict[str, dict[int, Counts]] = {name: {} for name in self.arms}
        for done, seed in enumerate(seeds):
            new = seed not in rounds.begun and done >= FEWEST_SEEDS
            if new and (rounds.cut or not self._fits(cap, seeds[:done])):
                why = f"{done} of {number} seeds: the budget of {cap or 0:g} minutes is used up"
                rounds.end(rounds.cut or why)
                break
            rounds.begin(seed)
            for name in self.arms:
                counts[name][seed] = self.one(name, seed)
                told.add(self.stages.costs.seconds(self._stage(name, seed)) or 0.0)
                told.tell(f"{name}, seed {seed}", counts[name][seed])
        return counts, rounds.cut

    def one(self, name: str, seed: int) -> "Counts":
        """Return the counts of one run, made now or before."""
        from flawsmith.evaluate.segment_runs import run_arm

        flips, source = self.known[name]
        inputs = {
            "settings": self.settings.deciding(real_only=name == REAL),
            "loop": self.plan.loop(seed).deciding(fixed_length=True),
            "flips": flips,
            "source": source,
        }

        made: list[Counts] = []

        def work(folder: Path) -> None:
            made.append(run_arm(self._entry(name), seed, self.test, folder / RUN, self.plan))

        folder = self.stages.make(self._stage(name, seed), inputs, (), work)
        if made:
            return made[0]
        # At once, unless the test set is another one: the same weights then predict it.
        return run_arm(self._entry(name), seed, self.test, folder / RUN, self.plan)

    def _entry(self, name: str) -> "Entry":
        from flawsmith.evaluate.segment_runs import Entry
        from flawsmith.evaluate.segmenter.sources import arm_of

        real = self.train
        arm = arm_of(name, real.found, self.arms[name], self.settings, real.samples)
        return Entry(arm, *self.known[name])

    def _stage(self, name: str, seed: int) -> str:
        return f"{RUNS}/{name}/{seed}"

    def _job(self, cap: float | None) -> str:
        sources = {name: source for name, (_, source) in self.known.items()}
        decided = self.settings.deciding(real_only=False)
        loop = self.plan.loop(self.settings.seed).deciding(fixed_length=True)
        return job_digest(
            {"arms": sources, "settings": decided, "loop": loop, "cap": cap,
             "seeds": self.settings.seeds}
        )  # fmt: skip

    def _fits(self, cap: float | None, seeds: Sequence[int]) -> bool:
        """Tell whether a further round fits into the budget, by what the earlier ones took."""
        if cap is None:
            return True
        stages = [self._stage(name, seed) for name in self.arms for seed in seeds]
        a_round = self.stages.costs.total(stages) / len(seeds)
        return self.stages.spent + a_round <= 60 * cap * (1 - AFTER)
