"""Why the filter rejects what the certificate let pass."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from flawsmith.evaluate.certificate import Verdict

UNREAL = "unlike any real defect of its class"
CONTRADICTED = "contradicted by segmenters trained on real samples"
ANOMALOUS = "clean, but a detector that learned real clean images takes it for defective"
UNSEEN = "no detector sees the defect"
COPY = "near copy of a real defect"
TWIN = "near copy of another candidate"
SURPLUS = "not selected: others match the real ones better"
# What a person decided on the page of ``flawsmith studio``.
PERSON = "rejected by a person"
# What the gate says where the whole set does not help, and where nothing is left of it.
REFUSED = "passed the filter, but training with what passed it is not shown to help"
NOTHING = "no candidate passed the filter"
REASONS = (UNREAL, CONTRADICTED, ANOMALOUS, UNSEEN, COPY, TWIN, SURPLUS, PERSON, REFUSED)


def is_certified(verdict: Verdict) -> bool:
    """Tell whether a candidate passed the certificate, whatever the later steps said."""
    return verdict.accepted or verdict.reason in REASONS


def refused(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return the verdicts where the set as a whole is not shown to help: none is accepted."""
    return [replace(v, reason=REFUSED) if v.accepted else v for v in verdicts]


def sample_line(method: str, verdict: Verdict) -> dict[str, Any]:
    """Return what ``samples.jsonl`` says of a candidate."""
    return {
        "id": verdict.id,
        "method": method,
        "classes": verdict.classes,
        "accepted": verdict.accepted,
        "reason": verdict.reason,
        "scores": verdict.scores,
    }
