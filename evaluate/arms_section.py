"""The report's section on the segmentation check: the arms, and how they differ."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

from flawsmith.evaluate.arms_plot import numbers, plot_classes, plot_main
from flawsmith.evaluate.report import Section
from flawsmith.evaluate.segment import ArmResult, SegmentCheck
from flawsmith.evaluate.segment_curve import Curve
from flawsmith.evaluate.verdict import Finding


def arms_section(check: SegmentCheck, curve: Curve | None = None) -> Section:
    """The arms of the check side by side, and their differences with intervals.

    curve: mIoU of the real arm by its number of steps, if that was measured.
    """
    classes = check.arms[0].runs[0].classes
    drawn = [f for f in check.details if f.difference.name != "mDice"]
    context = {
        "check": check,
        "classes": classes,
        "arms": [_arm_row(arm) for arm in check.arms],
        "first": check.arms[0].runs[0],
        "main": plot_main(check.findings, "arms"),
        "plot": plot_classes(drawn, "arms-classes"),
        "pairs": _pairs([*check.findings, *check.details]),
        "warnings": list(dict.fromkeys(_warnings(check.findings))),
        "curve": curve,
        "steps": _steps(curve) if curve else [],
    }
    return Section("The segmentation check", "section_arms.html.j2", context)


def _arm_row(arm: ArmResult) -> dict[str, Any]:
    """Return what the table says of an arm: means over its runs, as text."""
    runs = arm.runs
    miou = [run.miou for run in runs]
    alarmed = [run.alarmed for run in runs if run.alarmed is not None]
    return {
        "name": arm.name,
        "added": arm.added,
        "miou": f"{fmean(miou):.3f}",
        "range": f"{min(miou):.3f} to {max(miou):.3f}" if len(miou) > 1 else "–",
        "iou": [_mean([run.iou[k] for run in runs]) for k in range(len(runs[0].classes))],
        "dice": [_mean([run.dice[k] for run in runs]) for k in range(len(runs[0].classes))],
        "mdice": f"{fmean(run.mdice for run in runs):.3f}",
        "alarmed": f"{fmean(alarmed):.1f}".removesuffix(".0") if alarmed else "–",
    }


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):.3f}" if known else "–"


def _finding_row(finding: Finding) -> dict[str, Any]:
    found = finding.difference
    return {
        "finding": finding,
        "told": numbers(finding),
        "seeds": ", ".join(f"{100 * value:+.1f}" for value in found.by_seed),
        "mark": finding.word.replace(" ", "-"),
    }


def _pairs(findings: Sequence[Finding]) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Return (arm, base, its rows) of each pair, in order."""
    pairs = dict.fromkeys((finding.arm, finding.base) for finding in findings)
    return [
        (arm, base, [_finding_row(f) for f in findings if (f.arm, f.base) == (arm, base)])
        for arm, base in pairs
    ]


def _warnings(findings: Sequence[Finding]) -> list[str]:
    return [finding.difference.warning for finding in findings if finding.difference.warning]


def _steps(curve: Curve) -> list[tuple[int, str, str]]:
    """Return (steps, mIoU, points more than in the row before)."""
    means = curve.means
    gains = ["–", *(f"{100 * (b - a):+.1f}" for a, b in pairwise(means))]
    rows = zip(curve.steps, means, gains, strict=True)
    return [(steps, f"{mean:.3f}", gain) for steps, mean, gain in rows]
