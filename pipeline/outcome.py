"""What a run came to: for the command's last lines, for ``--json``, and for Python."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flawsmith.evaluate.certificate import Verdict
from flawsmith.evaluate.comparison import Distances
from flawsmith.evaluate.report_sections import MethodCounts
from flawsmith.pipeline.candidates import Made
from flawsmith.pipeline.detecting import Detected
from flawsmith.pipeline.gate import Gate
from flawsmith.pipeline.settings import RunMethod


@dataclass(frozen=True)
class Outcome:
    """What a run wrote and found.

    sets: each data set's folder, and parts: its label counts, by name: ``train``, ``test``, and
    ``synthetic``, or ``candidates`` where nothing is accepted. samples: the list of all candidates
    with scores and reasons; filter: its thresholds, and what became of each class. methods: counts
    a method; clean: generated clean images, made and accepted, in parts and with their seams where
    plates are joined, None if none were generated; costs: seconds a stage, None if unknown.
    """

    dataset: Path
    report: Path
    samples: Path
    sets: dict[str, Path]
    parts: dict[str, dict[str, int]]
    methods: tuple[MethodCounts, ...]
    distances: dict[str, Distances]
    left_out: dict[str, str]
    filter: dict[str, Any]
    detected: Detected
    gate: Gate
    plan: dict[str, Any]
    clean: dict[str, Any] | None
    costs: dict[str, float | None]
    notices: tuple[str, ...]
    skipped: tuple[str, ...]

    @property
    def refused(self) -> bool:
        """Whether the gate has refused the set; one that was not measured is not refused."""
        return self.gate.state == "not accepted"

    @property
    def refusal(self) -> str:
        """Why nothing is accepted and where to look, in one line."""
        said = self.gate.sentence.removeprefix("not accepted: ")
        where = f"candidates in {self.sets['candidates']}, " if "candidates" in self.sets else ""
        return f"does not help: {said}; {where}report {self.report}"


def method_counts(method: RunMethod, made: Made, verdicts: Sequence[Verdict]) -> MethodCounts:
    """Return what became of a method's candidates."""
    rejected = Counter(v.reason for v in verdicts if not v.accepted)
    accepted = sum(v.accepted for v in verdicts)
    return MethodCounts(
        method, made.asked, made.built.refused, accepted, dict(rejected.most_common())
    )


def lines_of(outcome: Outcome) -> Iterator[str]:
    """Yield the result for people; the last line is the verdict."""
    if outcome.clean:
        yield from _clean_lines(outcome.clean)
    for row in outcome.methods:
        yield f"{row.method}: {row.asked} asked, {row.made} made, {row.accepted} kept"
        reasons = [*row.refused.items(), *row.rejected.items()]
        yield from (f"  {count} not kept: {reason}" for reason, count in reasons)
    for name, labels in outcome.parts.items():
        text = ", ".join(f"{n} {label}" for label, n in labels.items() if n) or "nothing"
        yield f"{outcome.sets[name]}: {text}"
    yield from outcome.detected.sentences
    yield from (f"note: {notice}" for notice in outcome.gate.notices)
    known = [seconds for seconds in outcome.costs.values() if seconds is not None]
    yield f"cost: {sum(known) / 60:.1f} minutes"
    yield f"report: {outcome.report}"
    yield f"verdict: {outcome.gate.sentence}"


def _clean_lines(clean: dict[str, Any]) -> Iterator[str]:
    """Yield what became of generated clean images: ``Surfaces.to_json`` for people."""
    if "parts" not in clean:
        yield "clean images: {made} generated, {accepted} painted on".format(**clean)
        yield from (f"  {n} not: {reason}" for reason, n in clean["rejected"].items())
        return
    yield f"clean plates: {clean['accepted']} joined of generated parts, painted on"
    for part, lot in clean["parts"].items():
        yield f"  {part}: {lot['accepted']} of {lot['made']} passed"
        yield from (f"    {n} not: {reason}" for reason, n in lot["rejected"].items())
    for seam in clean["seams"]:
        yield f"  seam {seam['seam']}: {seam['verdict']} ({seam['why']})"


def to_json(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome as JSON-able values."""
    gate = outcome.gate
    return {
        "verdict": gate.sentence,
        "state": gate.state,
        "accepted": gate.state == "accepted",
        "dataset": str(outcome.dataset),
        "report": str(outcome.report),
        "samples": str(outcome.samples),
        "sets": {name: str(path) for name, path in outcome.sets.items()},
        "parts": outcome.parts,
        "methods": {
            row.method: {
                "asked": row.asked,
                "refused": dict(row.refused),
                "rejected": dict(row.rejected),
                "accepted": row.accepted,
            }
            for row in outcome.methods
        },
        "gate": gate.check.to_json() if gate.check else None,
        "filter": outcome.filter,
        "distances": {name: found.to_json() for name, found in outcome.distances.items()},
        "detect": outcome.detected.to_json(),
        "plan": outcome.plan,
        "clean": outcome.clean,
        "costs": outcome.costs,
        "left_out": outcome.left_out,
        "notices": [*outcome.notices, *gate.notices],
        "skipped": list(outcome.skipped),
    }
