"""What methods paint on: the training part, with generated clean images or without; no torch."""

from dataclasses import dataclass, field, replace
from typing import Any

from flawsmith.data.dataset import NoMask, Record
from flawsmith.data.scan import Facts, Scan
from flawsmith.pipeline.settings import RunMethod

# The stages of ``clean: gan``: the training, what was drawn, what was selected of it.
CLEAN, DRAWN, SELECTED = "gen", "gen-samples", "gen-selected"
# These put defects on clean images.
PAINTING: tuple[RunMethod, ...] = ("paste", "procedural", "inpaint")


@dataclass(frozen=True)
class Surfaces:
    """What is painted on, and how the generated part of it came about.

    found: the training part, with the generated clean images that passed. made, accepted: images
    drawn, and passed; rejected: the others, by reason; warnings: of the training. needs: the stages
    behind it.
    """

    found: Scan
    made: int = 0
    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    needs: tuple[str, ...] = ("split",)

    @property
    def notices(self) -> tuple[str, ...]:
        """What else is to be known."""
        told = tuple(f"generator of clean images: {line}" for line in self.warnings)
        if self.made and not self.accepted:
            told += (
                f"none of {self.made} generated clean images passed the selection: the real ones "
                "alone are painted on",
            )
        return told

    def to_json(self) -> dict[str, Any]:
        return {"made": self.made, "accepted": self.accepted, "rejected": self.rejected}


def joined(train: Scan, made: Scan, taken: tuple[str, ...]) -> Scan:
    """Return the training part with generated clean images, under the training part's classes.

    taken: ids and groups of real images; generated ones get others, and are groups of their own.
    """
    prefix = ""
    while {prefix + fact.id for fact in made.facts} & {*taken}:
        prefix += "made_"
    planes = len(train.dataset.classes)
    records, facts = list(train.dataset.records), list(train.facts)
    for record, fact in zip(made.dataset.records, made.facts, strict=True):
        name = prefix + record.id
        records.append(Record(name, record.image, NoMask(), "good", name, record.meta))
        facts.append(_under(fact, name, planes))
    return Scan(replace(train.dataset, records=tuple(records)), tuple(facts))


def _under(fact: Facts, name: str, planes: int) -> Facts:
    return replace(fact, id=name, group=name, joined="", pixels=(0,) * planes, label="good")
