"""What a person decided about a candidate: kept in its provenance, and stronger than a filter.

A line of ``samples.jsonl`` holds it as ``meta.review``: ``{"decision": "accepted", "at": ...}``.
"""

from collections.abc import Iterable
from typing import Any, Literal, get_args

from flawsmith.data.dataset import Record

Choice = Literal["accepted", "rejected"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
REVIEW = "review"


def choice_of(meta: dict[str, Any]) -> Choice | None:
    """Return what a person decided, by a sample's provenance; None if nobody did."""
    review = meta.get(REVIEW)
    found = review.get("decision") if isinstance(review, dict) else None
    return found if found in CHOICES else None


def choices_of(records: Iterable[Record]) -> dict[str, Choice]:
    """Return what a person decided, by id; of those on which somebody did."""
    decided = ((record.id, choice_of(record.meta)) for record in records)
    return {name: choice for name, choice in decided if choice}


def with_choice(meta: dict[str, Any], choice: Choice | None, at: str) -> dict[str, Any]:
    """Return the provenance with this decision, or with none. at: when, ISO 8601."""
    others = {name: value for name, value in meta.items() if name != REVIEW}
    return others if choice is None else {**others, REVIEW: {"decision": choice, "at": at}}
