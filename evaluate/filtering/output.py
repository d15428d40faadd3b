"""What the filter writes: the pairs that passed, every candidate's verdict, and the result."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from flawsmith.data.build import build
from flawsmith.data.collected import Collected, Entry
from flawsmith.data.dataset import DataSet, Record
from flawsmith.data.formats import CONVERTIBLE
from flawsmith.data.kept import read_kept
from flawsmith.data.scan import Scan
from flawsmith.data.writing import Spec, write_file, write_lines
from flawsmith.evaluate.certificate import decision
from flawsmith.evaluate.filtering.checks import method_of
from flawsmith.evaluate.filtering.filtering import Sifted
from flawsmith.evaluate.filtering.gate import Judged
from flawsmith.evaluate.filtering.reasons import sample_line
from flawsmith.evaluate.filtering.thresholds import Step
from flawsmith.evaluate.segment import SegmentCheck

ACCEPTED = "accepted"
# What passed, where the gate refuses it.
CANDIDATES = "candidates"
SAMPLES = "samples.jsonl"
RESULT = "filter.json"
Class = Annotated[str, Field(alias="class")]


@dataclass(frozen=True)
class Limit:
    """A threshold as a file has it."""

    name: Class
    step: Step
    value: float
    real: int
    groups: int


@dataclass(frozen=True)
class Fate:
    """What became of a class, as a file has it."""

    name: Class
    certified: int
    left: int
    kept: int
    before: float | None
    after: float | None


@dataclass(frozen=True)
class SiftedFacts:
    """What ``Sifted.facts`` gives, as a file has it."""

    thresholds: list[Limit]
    classes: list[Fate]
    notices: list[str]


@dataclass(frozen=True)
class Result(SiftedFacts):
    """What filter.json of a command holds, beside its settings."""

    passed: int
    candidates: int
    accepted: int
    rejected: dict[str, int]
    helps: bool | None
    verdict: str
    gate: SegmentCheck | None


# What ``decision`` may have added to a sample's provenance before.
DECISION = frozenset({"decision", "reason", "scores"})


def write(
    root: Path,
    found: Scan,
    sifted: Sifted,
    judged: Judged | None,
    job: dict[str, Any],
    workers: int,
) -> None:
    """Write what passed as a data set, a line a candidate, and the result.

    root: a staged folder, which may hold the same half done; found: the candidates; judged: what
    the gate said, if there was one; job: what makes the folder, told in the data set.
    """
    made = found.dataset
    passed = [i for i, verdict in enumerate(sifted.verdicts) if verdict.accepted]
    if judged:
        sifted = replace(sifted, verdicts=judged.decided(sifted.verdicts))
    _write_lines(root, list(_lines(made, sifted)))
    place = CANDIDATES if judged and not judged.helps else ACCEPTED
    entries = tuple(
        Entry(_undecided(made.records[i]), made.classes, decision(sifted.verdicts[i]))
        for i in passed
    )
    if entries or place == ACCEPTED:
        build(
            root / place,
            Collected(entries, made.classes),
            len(entries),
            format_name=made.format if made.format in CONVERTIBLE else "folder",
            spec=Spec(made.classes, overlap=found.overlap),
            made_by=job,
            workers=workers,
            label=f"write {place}",
        )
    content = {"passed": len(passed), **_result(made, sifted, judged), "settings": job["settings"]}
    write_file(root / RESULT, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_result(out: Path) -> dict[str, Any]:
    """Return what ``write`` left in filter.json; raises InputError if it is another file."""

    def made(content: dict[str, Any]) -> dict[str, Any]:
        if content["gate"]:
            SegmentCheck.from_json(content["gate"])
        return content

    return read_kept(out / RESULT, Result, made)


def _write_lines(root: Path, lines: list[str]) -> None:
    before = root / SAMPLES
    if before.is_file() and before.read_text("utf-8").split("\n") != [*lines, ""]:
        # Begun on another device, where a close call went otherwise: half of each is neither.
        for name in (ACCEPTED, CANDIDATES):
            shutil.rmtree(root / name, ignore_errors=True)
    write_lines(before, lines)


def _undecided(record: Record) -> Record:
    """Return the record without the decision of an earlier filter or run."""
    meta = {name: value for name, value in record.meta.items() if name not in DECISION}
    return replace(record, meta=meta)


def _lines(made: DataSet, sifted: Sifted) -> Iterator[str]:
    for record, verdict in zip(made.records, sifted.verdicts, strict=True):
        yield json.dumps(sample_line(method_of(record), verdict), ensure_ascii=False)


def _result(made: DataSet, sifted: Sifted, judged: Judged | None) -> dict[str, Any]:
    reasons = Counter(v.reason for v in sifted.verdicts if not v.accepted)
    check = judged.check if judged else None
    return {
        "candidates": len(made),
        "accepted": sum(v.accepted for v in sifted.verdicts),
        "rejected": dict(reasons.most_common()),
        "helps": judged.helps if judged else None,
        "verdict": judged.sentence if judged else "",
        "gate": check.to_json() if check else None,
        **sifted.facts(),
    }
