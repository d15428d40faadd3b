"""Does added data help? Segmenters trained with and without it, tested on the same real images.

Every arm has the same real samples, steps, augmentation and seeds; they differ by what was added
and nothing else. What comes out is a paired difference with its interval, and one word of it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flawsmith.data.leak import check_leaks
from flawsmith.data.scan import Facts, Scan
from flawsmith.errors import InputError
from flawsmith.evaluate.overlap import Counts, Overlap, overlap
from flawsmith.evaluate.paired import Difference, compare
from flawsmith.evaluate.segmenter.settings import SegmentSettings
from flawsmith.evaluate.verdict import FEWEST_GROUPS, Finding

REAL = "real"
FILTERED, RANDOM = f"{REAL}+filtered", f"{REAL}+random"
HEADLINE = "mIoU"
# The Dice of each class says the same as its IoU: the arms' own figures hold it.
LEFT_OUT = "Dice "
Pair = tuple[str, str]


@dataclass(frozen=True)
class ArmResult:
    """One arm: how many synthetic samples it had, and how well each run did, by ascending seed."""

    name: str
    added: int
    runs: tuple[Overlap, ...]

    @property
    def miou(self) -> float:
        """The mean over the seeds."""
        return sum(run.miou for run in self.runs) / len(self.runs)

    @staticmethod
    def from_json(content: dict[str, Any]) -> "ArmResult":
        runs = tuple(map(Overlap.from_json, content["runs"]))
        return ArmResult(content["name"], content["added"], runs)


@dataclass(frozen=True)
class SegmentCheck:
    """What the downstream check found.

    base: name of the arm that the others are compared with, the first of ``arms``. findings: the
    mIoU of each other arm against it, then that of further pairs. details: of the same pairs, the
    IoU of each class, mDice and false alarms. real, real_groups: labelled samples learned from, and
    their groups; test, test_groups: those tested on. leak: why the test is not to be trusted, else
    empty.
    """

    base: str
    arms: tuple[ArmResult, ...]
    findings: tuple[Finding, ...]
    details: tuple[Finding, ...]
    seeds: tuple[int, ...]
    steps: int
    crop: int
    batch: int
    real: int
    real_groups: int
    test: int
    test_groups: int
    leak: str = ""

    def arm(self, name: str) -> ArmResult:
        """Return the arm of this name; KeyError if there is none."""
        return {arm.name: arm for arm in self.arms}[name]

    def finding(self, arm: str, base: str = "") -> Finding:
        """Return the mIoU's finding about an arm, against ``self.base`` unless another is named."""
        pair = (arm, base or self.base)
        return {(found.arm, found.base): found for found in self.findings}[pair]

    def accepts(self, arm: str = FILTERED) -> bool:
        """Whether an arm's data are accepted: the whole interval of its mIoU lies above the base's.

        The one rule, of the filter's gate, of a run's, and of what a report says.
        """
        return self.finding(arm).word == "helps"

    def warned(self, said: str) -> str:
        """Return what is said of the check, behind a warning if its test is not to be trusted."""
        return f"NOT TO BE TRUSTED ({self.leak}): {said}" if self.leak else said

    def to_json(self) -> dict[str, Any]:
        own: dict[str, Any] = dict(vars(self))
        return own | {
            "arms": [asdict(arm) for arm in self.arms],
            "findings": [found.to_json() for found in self.findings],
            "details": [found.to_json() for found in self.details],
            "seeds": list(self.seeds),
        }

    @staticmethod
    def from_json(content: dict[str, Any]) -> "SegmentCheck":
        kinds: dict[str, Any] = {
            "arms": ArmResult.from_json,
            "findings": Finding.from_json,
            "details": Finding.from_json,
            "seeds": int,
        }
        lists = {name: tuple(map(kind, content[name])) for name, kind in kinds.items()}
        return SegmentCheck(**{**content, **lists})


def check(
    real: Scan,
    added: Mapping[str, Scan],
    test: Scan,
    settings: SegmentSettings,
    folder: Path,
    *,
    device: str = "auto",
    precision: str = "auto",
    pairs: Sequence[Pair] = (),
    leak: str = "",
) -> SegmentCheck:
    """Train and test every arm with every seed; the same call again goes on where it stopped.

    The arms are ``real`` and one a name in ``added``: the real samples and these. Runs lie in
    ``folder/<arm>/<seed>`` and are kept: another call with one arm more trains that arm alone. Test
    images are read only after a run is trained. pairs: further (arm, base) to compare. leak: what
    ``data.leak.check_leaks`` said of it and the user accepted.

    Raises InputError, before anything is trained, for sets that no comparison can be made of and
    for a leak that was not accepted; Interrupted on SIGINT or SIGTERM while training.
    """
    # Only here: it loads torch, and what comes out of a check is shown without.
    from flawsmith.evaluate.segment_runs import RunPlan, run_all

    check_sets(real, added, test, pairs)
    leak = check_leaks(real, added, test, accepted=leak)
    plan = RunPlan(settings, device, precision)
    counts = run_all({REAL: None} | dict(added), real, test, folder, plan)
    return judge(
        counts,
        settings=settings,
        real=real,
        added={name: len(labelled(scan)) for name, scan in added.items()},
        pairs=pairs,
        leak=leak,
    )


def check_sets(
    real: Scan, added: Mapping[str, Scan], test: Scan, pairs: Iterable[Pair] = ()
) -> None:
    """Raise InputError unless a comparison can be made of these sets; no picture is opened."""
    classes = real.dataset.classes
    for name, other in {**added, "": test}.items():
        if other.dataset.classes != classes:
            found, wanted = ", ".join(other.dataset.classes), ", ".join(classes)
            raise InputError(
                f"its classes are {found}; those of the real samples {wanted}",
                where=other.dataset.root,
                mend="name the same classes in the same order",
            )
        if name == REAL:
            raise InputError(f"an added set cannot be called {REAL}: that is the arm without any")
    known = {REAL, *added}
    for pair in pairs:
        if not known.issuperset(pair):
            raise InputError(f"no such arms to compare: {', '.join(sorted({*pair} - known))}")
    tested = labelled(test)
    if not any(fact.planes for fact in tested):
        raise InputError(
            "no defect is marked on the test images: nothing can be measured",
            where=test.dataset.root,
            mend="test on images with masks; see flawsmith data info",
        )
    if len({fact.group for fact in tested}) < FEWEST_GROUPS:
        raise InputError(
            f"all {len(tested)} test images are of one group: no interval can be had",
            where=test.dataset.root,
            mend="test on images of several parts",
        )


def labelled(found: Scan) -> list[Facts]:
    """Return the facts of the samples that are learned from or tested on: not the unknown ones."""
    return [fact for fact in found.facts if fact.label != "unknown"]


def judge(
    counts: Mapping[str, Mapping[int, Counts]],
    *,
    settings: SegmentSettings,
    real: Scan,
    added: Mapping[str, int],
    base: str = REAL,
    pairs: Sequence[Pair] = (),
    leak: str = "",
) -> SegmentCheck:
    """Put the check together from the counts of every arm and seed; no run is needed any more.

    counts: arm -> seed -> counts, the same seeds for each. added: synthetic samples of each arm
    (none if it is not named). The draws of the intervals come from ``settings.seed``. Raises as
    ``paired.compare`` does.
    """
    seeds = sorted(counts[base])
    against = dict.fromkeys([*((arm, base) for arm in counts if arm != base), *pairs])
    found: dict[bool, list[Finding]] = defaultdict(list)
    for arm, other in against:
        for difference in compare(counts[arm], counts[other], seed=settings.seed):
            if _is_told(difference):
                finding = Finding(arm, other, difference)
                found[difference.name == HEADLINE].append(finding)
    names = [base, *(arm for arm in counts if arm != base)]
    first, learned = counts[base][seeds[0]], labelled(real)
    return SegmentCheck(
        base=base,
        arms=tuple(
            ArmResult(name, added.get(name, 0), tuple(overlap(counts[name][s]) for s in seeds))
            for name in names
        ),
        findings=tuple(found[True]),
        details=tuple(found[False]),
        seeds=tuple(seeds),
        steps=settings.steps,
        crop=settings.crop,
        batch=settings.batch,
        real=len(learned),
        real_groups=len({fact.group for fact in learned}),
        test=len(first.ids),
        test_groups=len(set(first.groups)),
        leak=leak,
    )


def _is_told(difference: Difference) -> bool:
    return not difference.name.startswith(LEFT_OUT)
