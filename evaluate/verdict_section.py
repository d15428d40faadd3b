"""The report's first words: does it help, by how much, what is done with the data, how to train."""

from dataclasses import dataclass, field
from typing import Any, Literal

from flawsmith.evaluate.report import Fact, Section
from flawsmith.evaluate.segment import FILTERED, SegmentCheck
from flawsmith.evaluate.segmenter.schedule import Schedule
from flawsmith.evaluate.verdict import Finding, Word, points

State = Literal["accepted", "not accepted", "not measured"]
HEADLINES: dict[Word, str] = {
    "helps": "Accepted: it helps.",
    "no evidence": "Not accepted: no evidence that it helps.",
    "hurts": "Not accepted: it hurts.",
}
NOTHING = "Not accepted: no candidate passed the filter."
DOUBTFUL = "Accepted on a test that is not to be trusted: it seems to help."
# How the arm stands to another one than the base.
RIVALS: dict[Word, str] = {
    "helps": "Better than",
    "no evidence": "Not shown to differ from",
    "hurts": "Worse than",
}


@dataclass(frozen=True)
class Decision:
    """What a run does with its candidates.

    arm: the name of the one that decides, in the check; images: synthetic ones that it holds;
    place: where they lie, as the user finds it (``dataset/synthetic``, or ``candidates``);
    missing: why the arm was not measured, where it was not; schedule: how it was trained.
    """

    images: int
    place: str
    arm: str = FILTERED
    schedule: Schedule = field(default_factory=Schedule)
    missing: str = "no segmenter was trained in this run"


def state_of(check: SegmentCheck | None, arm: str = FILTERED) -> State:
    """Return what becomes of the data: it is accepted only where mIoU is shown to rise."""
    if check is None or deciding(check, arm) is None:
        return "not measured"
    return "accepted" if check.accepts(arm) else "not accepted"


def deciding(check: SegmentCheck | None, arm: str = FILTERED) -> Finding | None:
    """Return the finding that decides: the arm's mIoU against the base."""
    found = check.findings if check else ()
    base = check.base if check else ""
    return next((f for f in found if (f.arm, f.base) == (arm, base)), None)


def verdict_section(check: SegmentCheck | None, decision: Decision) -> Section:
    """The verdict on top; a test that is not to be trusted is warned of above all else."""
    found = deciding(check, decision.arm)
    # Where nothing passed there was nothing to measure, and nothing to accept.
    empty = found is None and not decision.images
    state = "not accepted" if empty else state_of(check, decision.arm)
    rivals = [f for f in check.findings if _rival(f, decision.arm, check.base)] if check else []
    leak = check.leak.rstrip(".") if check else ""
    warning = f"The test is not to be trusted: {leak}." if leak else ""
    context: dict[str, Any] = {
        "state": state,
        "kind": _kind(found, leak),
        "headline": NOTHING if empty else _headline(found, leak),
        "sentence": found.sentence if found else "",
        "decision": decision,
        "leak": leak,
        "rivals": [(RIVALS[f.word], f.base, f.sentence) for f in rivals],
        "warning": found.difference.warning if found else "",
        "facts": _facts(check, found, decision) if check and found else [],
        "recipe": recipe(check, decision.schedule) if check and found else "",
    }
    return Section("Does it help?", "section_verdict.html.j2", context, lead=True, warning=warning)


def _headline(found: Finding | None, leak: str) -> str:
    if found is None:
        return "Not measured."
    return DOUBTFUL if leak and found.word == "helps" else HEADLINES[found.word]


def _kind(found: Finding | None, leak: str) -> str:
    """Return the verdict's CSS class."""
    if found is None:
        return "not-measured"
    return "doubtful" if leak else found.word.replace(" ", "-")


def _rival(finding: Finding, arm: str, base: str) -> bool:
    return finding.arm == arm and finding.base != base


def recipe(check: SegmentCheck, schedule: Schedule) -> str:
    """Return in words how the arm was trained, and is to be trained again."""
    share, part = f"{schedule.share:.0%}", f"{schedule.fraction:.3g}"
    first = max(1, round(schedule.fraction * check.steps))
    told = {
        "none": "on real images only",
        "first": f"synthetic first, then real: about {share} of each batch synthetic for the first "
        f"{first:,} steps (a share of {part}), then real images only",
        "constant": f"about {share} of each batch synthetic, throughout",
        "falling": f"a share of synthetic samples that falls from {share} of a batch to none over "
        f"the first {first:,} steps (a share of {part}), then real images only",
    }[schedule.kind]
    return (
        f"{told}; {check.steps:,} steps of {check.batch:,} crops of {check.crop} × {check.crop} "
        "pixels in all"
    )


def _facts(check: SegmentCheck, found: Finding, decision: Decision) -> list[Fact]:
    difference = found.difference
    value, low, high = points(difference.value, difference.low, difference.high)
    return [
        Fact("Difference of mIoU", f"{value} points", f"95% interval {low} to {high}"),
        Fact(
            "mIoU",
            f"{difference.base:.3f} → {difference.own:.3f}",
            f"{found.base}, then {found.arm}; the mean of {_plural(difference.seeds, 'seed')}",
        ),
        Fact(
            "Synthetic images",
            f"{decision.images:,}",
            f"beside {_plural(check.real, 'real one')} of {_plural(check.real_groups, 'group')}",
        ),
        Fact(
            "Tested on",
            _plural(difference.images, "image"),
            f"real ones of {_plural(difference.groups, 'group')}, "
            f"{difference.showing:,} of them with defects",
        ),
    ]


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
