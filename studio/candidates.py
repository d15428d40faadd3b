"""The candidates that a person reviews: what is known of each without decoding a pixel."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flawsmith.data.dataset import DataSet, Record
from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.data.manifest import SAMPLES, class_colours
from flawsmith.data.review import Choice
from flawsmith.data.staging import held
from flawsmith.data.tables import read_jsonl
from flawsmith.errors import InputError
from flawsmith.evaluate.filtering.checks import method_of
from flawsmith.studio.decisions import Conflict, Decisions, Remade
from flawsmith.studio.paths import Roots, Version, version_of

LOCK = ".review.lock"
AGAIN = "stop flawsmith studio and start it again"


@dataclass(frozen=True)
class Candidate:
    """One candidate. part: which data set it is of; verdict: what a filter said, or nothing.

    version: its files when it was opened: only those are shown and decided on.
    """

    part: int
    place: int
    record: Record
    classes: tuple[str, ...]
    verdict: str
    reason: str
    scores: dict[str, float]
    version: Version


class Candidates:
    """All candidates of the opened data sets, numbered from 0."""

    def __init__(self, sets: tuple[Path, ...], verdicts: Path | None, roots: Roots) -> None:
        self.roots = roots
        options = ReadOptions(on_error="skip")
        self.sets: tuple[DataSet, ...] = tuple(read_dataset(folder, options) for folder in sets)
        self.decisions = tuple(Decisions(folder / SAMPLES, roots) for folder in sets)
        told = _told(roots.inside(verdicts)) if verdicts else {}
        self.all = tuple(
            _candidate(part, place, record, dataset, told.get(record.id, {}))
            for part, dataset in enumerate(self.sets)
            for place, record in enumerate(dataset.records)
        )
        names = dict.fromkeys(name for dataset in self.sets for name in dataset.classes)
        self.classes = tuple(names)
        # Numbers of candidates in the order in which they were decided; tabs ask for the newest.
        self.changes: list[int] = []

    def __getitem__(self, number: int) -> Candidate:
        if not 0 <= number < len(self.all):
            raise InputError(f"no candidate {number}")
        return self.all[number]

    def choice(self, number: int) -> Choice | None:
        one = self[number]
        return self.decisions[one.part].choice(one.record.id)

    def decide(self, number: int, choice: Choice | None, was: Choice | None) -> None:
        """Write a decision, as ``Decisions.decide``; raises Conflict, Remade."""
        one = self[number]
        if version_of(one.record) != one.version:
            raise Remade
        try:
            self.decisions[one.part].decide(one.record.id, choice, was)
        except Conflict:
            self.changes.append(number)
            raise
        self.changes.append(number)

    def same(self, number: int) -> None:
        """Raise InputError if the candidate's files are not those that were opened."""
        one = self[number]
        if version_of(one.record) != one.version:
            raise InputError("made anew since it was opened", where=one.record.id, mend=AGAIN)

    def table(self) -> dict[str, Any]:
        """Return a column a fact, for the page to filter by."""
        # First of all: what is decided from here on, the next ``since`` tells again.
        change = len(self.changes)
        reasons = list(dict.fromkeys(one.reason for one in self.all))
        methods = list(dict.fromkeys(method_of(one.record) for one in self.all))
        place = {name: i for i, name in enumerate(self.classes)}
        return {
            "classes": list(self.classes),
            "colours": class_colours(len(self.classes)),
            "reasons": reasons,
            "methods": methods,
            "id": [one.record.id for one in self.all],
            "method": [methods.index(method_of(one.record)) for one in self.all],
            "of": [[place[name] for name in one.classes if name in place] for one in self.all],
            "verdict": [one.verdict for one in self.all],
            "reason": [reasons.index(one.reason) for one in self.all],
            "scores": [one.scores for one in self.all],
            "choice": [self.choice(number) for number in range(len(self.all))],
            "change": change,
        }

    def since(self, change: int) -> dict[str, Any]:
        """Return what was decided after so many changes: number -> choice."""
        now = len(self.changes)
        new = dict.fromkeys(self.changes[max(0, change) : now])
        return {
            "change": now,
            "choices": {str(number): self.choice(number) for number in new},
        }


@contextmanager
def reserved(sets: tuple[Path, ...]) -> Iterator[None]:
    """Hold the data sets for this server: a second one would not see the first one's decisions."""
    with ExitStack() as stack:
        for folder in sets:
            stack.enter_context(held(folder / LOCK, "another studio has it open", folder))
        yield


def _told(path: Path) -> dict[str, dict[str, Any]]:
    """Return the lines of a filter or run by the candidate's id."""
    return {str(line.get("id")): line for _, line in read_jsonl(path)}


def _candidate(
    part: int, place: int, record: Record, dataset: DataSet, line: dict[str, Any]
) -> Candidate:
    meta = record.meta
    if line:
        verdict = "accepted" if line.get("accepted") else "rejected"
        reason, scores = line.get("reason"), line.get("scores")
    else:
        verdict, reason, scores = meta.get("decision", ""), meta.get("reason"), meta.get("scores")
    return Candidate(
        part,
        place,
        record,
        _classes(line.get("classes"), meta, dataset.classes),
        verdict if verdict in ("accepted", "rejected") else "",
        reason if isinstance(reason, str) else "",
        {str(k): v for k, v in _numbers(scores)},
        version_of(record),
    )


def _classes(told: Any, meta: dict[str, Any], known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the classes that a candidate shows, as far as words say it."""
    if not isinstance(told, list):
        defects = meta.get("defects")
        parts = defects if isinstance(defects, list) else []
        told = [part.get("class") for part in parts if isinstance(part, dict)]
    return tuple(name for name in known if name in told)


def _numbers(scores: Any) -> list[tuple[str, float]]:
    pairs = scores.items() if isinstance(scores, dict) else ()
    return [(name, value) for name, value in pairs if type(value) in (int, float)]
