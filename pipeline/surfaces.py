"""What methods paint on: the training part, with generated clean images or without; no torch."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flawsmith.data.dataset import NoMask, Record
from flawsmith.data.scan import Facts, Scan
from flawsmith.gen.seam_report import STANDS_OUT, TOO_SMOOTH, SeamFigures
from flawsmith.pipeline.settings import RunMethod

# The stages of ``clean: gan``: the training, what was drawn, what was selected of it.
CLEAN, DRAWN, SELECTED = "gen", "gen-samples", "gen-selected"
# Those of plates in three parts: what the real ones were cut to, and what is joined again. In
# between each part has the three above, in folders of these names with ``-parts`` added.
CUT, JOINED = "gen-cut", "gen-plates"
# These put defects on clean images.
PAINTING: tuple[RunMethod, ...] = ("paste", "procedural", "inpaint")
# A part that is on so many plates or more is worth a word: they are that much alike.
OFTEN = 5


def stage_of(stage: str, part: str) -> str:
    """Return the name of the stage CLEAN, DRAWN or SELECTED of a part; "" is the whole image."""
    return f"{stage}-parts/{part}" if part else stage


@dataclass(frozen=True)
class Lot:
    """What one generator made: images drawn, and what passed the selection.

    part: of a plate, or "" for whole images; made, accepted: numbers; rejected: the others, by
    reason; warnings: of the training. passed: the folder of those that did.
    """

    part: str
    made: int
    accepted: int
    rejected: dict[str, int]
    warnings: tuple[str, ...]
    passed: Path

    @property
    def name(self) -> str:
        """What the images are, for people."""
        return f"{self.part} parts" if self.part else "clean images"

    @property
    def stage(self) -> str:
        """The stage of the training."""
        return stage_of(CLEAN, self.part)

    @property
    def notices(self) -> tuple[str, ...]:
        """What the training warned of, and that nothing passed, if so."""
        told = tuple(f"generator of {self.name}: {line}" for line in self.warnings)
        if self.accepted:
            return told
        some = f"generated {self.name}"
        return (
            *told,
            f"none of {self.made} {some} passed the selection: the real "
            f"{'plates' if self.part else 'ones'} alone are painted on",
        )

    def to_json(self) -> dict[str, Any]:
        return {"made": self.made, "accepted": self.accepted, "rejected": self.rejected}


@dataclass(frozen=True)
class Surfaces:
    """What is painted on, and how the generated part of it came about.

    found: the training part, with the generated clean images behind it. lots: what each generator
    made; seams: of plates joined of three lots, against those of real training plates. needs: the
    stages behind it; added: how many images are generated.
    """

    found: Scan
    lots: tuple[Lot, ...] = ()
    seams: tuple[SeamFigures, ...] = ()
    needs: tuple[str, ...] = ("split",)
    added: int = 0

    @property
    def in_parts(self) -> bool:
        """Whether plates are joined of parts."""
        return any(lot.part for lot in self.lots)

    @property
    def notices(self) -> tuple[str, ...]:
        """What else is to be known."""
        odd = (seam for seam in self.seams if seam.verdict in (STANDS_OUT, TOO_SMOOTH))
        alike = (lot for lot in self.lots if 0 < OFTEN * lot.accepted <= self.added and lot.part)
        return (
            *(line for lot in self.lots for line in lot.notices),
            *(
                f"only {lot.accepted} generated {lot.name} passed: each is on some "
                f"{self.added // lot.accepted} of {self.added} plates"
                for lot in alike
            ),
            *(f"the seam {s.seam} of generated plates: {s.verdict} ({s.why})" for s in odd),
        )

    def to_json(self) -> dict[str, Any]:
        if not self.in_parts:
            return self.lots[0].to_json()
        return {
            "accepted": self.added,
            "parts": {lot.part: lot.to_json() for lot in self.lots},
            "seams": [seam.to_json() for seam in self.seams],
        }


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
