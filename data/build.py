"""The one engine that writes data sets: converted, split, drawn or augmented.

A recipe makes sample i; workers make and write samples; the parent appends one journal line a
sample, in index order. The journal is therefore both the resume point (its number of lines) and the
source of samples.jsonl, and nothing grows in memory with the number of samples.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from flawsmith.data import journal
from flawsmith.data.division import Shard
from flawsmith.data.formats import get_writer
from flawsmith.data.kept import as_written, fits, read_kept
from flawsmith.data.manifest import MANIFEST, checked_line, write_manifest
from flawsmith.data.parallel import ordered_map
from flawsmith.data.shard_manifest import LINES, SHARD, write_shard
from flawsmith.data.writing import Line, Spec, make_folder, writing_in
from flawsmith.progress import track
from flawsmith.sample import LABELS, Sample

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
    shard: Shard | None = None,
) -> Built:
    """Write samples 0 to count-1 of a recipe as a data set into ``root``, going on if interrupted.

    ``root`` should lie in a staged folder. The same recipe gives the same bytes for any number of
    workers and after any interruption. shard: write only its samples, as ``merge`` takes them.
    """
    make_folder(root)
    if (root / (SHARD if shard else MANIFEST)).is_file():
        return finished(root)
    span = shard.samples(count) if shard else range(count)
    lines = root / (LINES if shard else JOURNAL)
    done = journal.resume(lines)
    task = _Task(recipe, root, format_name, spec)
    results = ordered_map(task, span[done:], workers)
    settle = getattr(get_writer(format_name), "settle", None)

    def after(number: int) -> None:
        if settle:
            settle(root, span.start, span[done + number])

    if done:
        after(-1)  # a kill may have come between that line and what is done after it
    journal.append(lines, track(results, label, len(span), done), after)
    if not shard:
        return complete(root, format_name, spec, made_by)
    built = _tally(lines)
    write_shard(root, shard, count, format_name, spec, made_by, vars(built))
    return built


def complete(root: Path, format_name: str, spec: Spec, made_by: dict[str, Any]) -> Built:
    """Write what describes the whole data set, once all its samples are in the journal."""
    lines = root / JOURNAL
    built = _tally(lines)

    def written() -> Iterator[Line]:
        return (line for line in journal.read(lines) if "refused" not in line)

    with as_written(lines, root):
        notices = get_writer(format_name).finish(root, spec, written)
    summary = {"refused": built.refused, "notices": notices, "redrawn": built.redrawn}
    labels = write_manifest(root, format_name, spec.classes, {**made_by, **summary}, written())
    with writing_in(lines):
        lines.unlink()
    return Built(labels, built.refused, notices, built.redrawn)


def _tally(lines: Path) -> Built:
    """Return what a journal's samples come to, without the format's notices.

    Raises InputError for a line that no build writes.
    """
    labels: Counter[str] = Counter(dict.fromkeys(LABELS, 0))
    refused: Counter[str] = Counter()
    redrawn: Counter[str] = Counter()
    for line in _ours(lines):
        if "refused" in line:
            refused[line["refused"]] += 1
            continue
        labels[line["label"]] += 1
        # A copied sample's meta is the user's: it may hold anything.
        counts = line["meta"].get("redrawn")
        if isinstance(counts, dict):
            redrawn.update({why: n for why, n in counts.items() if type(n) is int})
    return Built(dict(labels), dict(refused), [], dict(redrawn))


def _ours(lines: Path) -> Iterator[Line]:
    with as_written(lines, lines.parent):
        for line in journal.read(lines):
            if not isinstance(line.get("refused", ""), str):
                raise ValueError("a refusal is no text")
            if "refused" not in line and not isinstance(checked_line(line, "")["part"], dict):
                raise ValueError("a line without its part")
            yield line


@dataclass(frozen=True)
class _Shard:
    """What counts of shard.json here."""

    built: Built


@dataclass(frozen=True)
class MadeBy:
    """What every dataset.json of ours tells of its making; other commands add theirs."""

    refused: dict[str, int]
    notices: list[str]
    redrawn: dict[str, int]


@dataclass(frozen=True)
class _Told:
    """What counts of dataset.json here."""

    format: str
    labels: dict[str, int]
    made_by: MadeBy


def read_told(root: Path, made_by: Any = MadeBy, *, remove: Path | None = None) -> dict[str, Any]:
    """Return a dataset.json that a build of ours wrote; raises InputError for another one.

    made_by: what is wanted of its making, a dataclass: ``MadeBy`` and what a command adds.
    remove: the folder that holds job.json, if not ``root``: while that is there the same command
    makes nothing again.
    """

    def made(content: dict[str, Any]) -> dict[str, Any]:
        fits(content["made_by"], made_by)
        return content

    return read_kept(root / MANIFEST, _Told, made, remove=remove)


def finished(root: Path, *, remove: Path | None = None) -> Built:
    """Return what a completed build, or shard of one, wrote; raises InputError for other files.

    remove: as in ``read_told``.
    """
    if (root / SHARD).is_file():
        path = root / SHARD
        return read_kept(path, _Shard, lambda told: Built(**told["built"]), remove=remove)
    content = read_told(root, remove=remove)
    # It may lie on a disk that is read-only by now.
    with suppress(OSError):
        (root / JOURNAL).unlink(missing_ok=True)
    made_by = content["made_by"]
    return Built(content["labels"], made_by["refused"], made_by["notices"], made_by["redrawn"])
