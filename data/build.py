"""The one engine that writes data sets: converted, split, drawn or augmented.

A recipe makes sample i; workers make and write samples; the parent appends one journal line a
sample, in index order. The journal is therefore both the resume point (its number of lines) and the
source of samples.jsonl, and nothing grows in memory with the number of samples.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from flawsmith.data.formats import get_writer
from flawsmith.data.manifest import write_manifest
from flawsmith.data.parallel import ordered_map
from flawsmith.data.writing import Line, Spec, make_folder, writing_in
from flawsmith.progress import track
from flawsmith.sample import Sample

JOURNAL = ".journal.jsonl"


@dataclass(frozen=True)
class Refused:
    """Sample i could not be made as asked: why."""

    reason: str


class Recipe(Protocol):
    """What makes the samples of a job; picklable."""

    def make(self, index: int) -> Sample | Refused:
        """Return sample ``index``: a function of the recipe and the index alone."""
        ...


@dataclass(frozen=True)
class Built:
    """What a build wrote: samples by label, refusals by reason, and the format's notices.

    redrawn: attempts within samples that were thrown away, by reason (a recipe's ``redrawn`` meta).
    """

    labels: dict[str, int]
    refused: dict[str, int] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    redrawn: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Task:
    recipe: Recipe
    root: Path
    format: str
    spec: Spec

    def __call__(self, index: int) -> Line:
        sample = self.recipe.make(index)
        if isinstance(sample, Refused):
            return {"refused": sample.reason}
        part = get_writer(self.format).write_sample(self.root, index, sample, self.spec)
        width, height = sample.size
        return {
            "id": sample.id,
            "image": part["image"],
            "label": sample.label,
            "group": sample.group,
            "width": width,
            "height": height,
            "meta": sample.meta,
            "part": part,
        }


def build(
    root: Path,
    recipe: Recipe,
    count: int,
    *,
    format_name: str,
    spec: Spec,
    made_by: dict[str, Any],
    workers: int,
    label: str,
) -> Built:
    """Write samples 0 to count-1 of a recipe as a data set into ``root``, going on if interrupted.

    ``root`` should lie in a staged folder. The same recipe gives the same bytes for any number of
    workers and after any interruption.
    """
    writer = get_writer(format_name)
    make_folder(root)
    if (root / "dataset.json").is_file():
        return finished(root)
    journal = root / JOURNAL
    done = _resume(journal)
    task = _Task(recipe, root, format_name, spec)
    results = ordered_map(task, range(done, count), workers)
    _append(journal, track(results, label, count, done))

    def lines() -> Iterator[Line]:
        return (line for line in _read(journal) if "refused" not in line)

    refused = Counter(line["refused"] for line in _read(journal) if "refused" in line)
    redrawn: Counter[str] = Counter()
    for line in lines():
        # A copied sample's meta is the user's: it may hold anything.
        counts = line["meta"].get("redrawn")
        if isinstance(counts, dict):
            redrawn.update({why: n for why, n in counts.items() if type(n) is int})
    notices = writer.finish(root, spec, lines)
    summary = {"refused": dict(refused), "notices": notices, "redrawn": dict(redrawn)}
    labels = write_manifest(root, format_name, spec.classes, {**made_by, **summary}, lines())
    with writing_in(journal):
        journal.unlink()
    return Built(labels, dict(refused), notices, dict(redrawn))


def finished(root: Path) -> Built:
    """Return what a completed build wrote."""
    content = json.loads((root / "dataset.json").read_text("utf-8"))
    # It may lie on a disk that is read-only by now.
    with suppress(OSError):
        (root / JOURNAL).unlink(missing_ok=True)
    made_by = content["made_by"]
    return Built(content["labels"], made_by["refused"], made_by["notices"], made_by["redrawn"])


def _resume(journal: Path) -> int:
    """Return the number of whole lines; a last line cut off by a kill is removed."""
    if not journal.is_file():
        return 0
    with writing_in(journal), journal.open("r+b") as file:
        count = whole = 0
        for line in file:
            if line.endswith(b"\n"):
                count, whole = count + 1, whole + len(line)
        file.truncate(whole)
    return count


def _append(journal: Path, lines: Iterator[Line]) -> None:
    with writing_in(journal), journal.open("a", encoding="utf-8", newline="\n") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()


def _read(journal: Path) -> Iterator[Line]:
    with journal.open(encoding="utf-8") as file:
        yield from map(json.loads, file)
