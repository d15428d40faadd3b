"""The last data stages: real parts and accepted candidates, or those that nobody should train with.

Nothing of an earlier run may be taken for this one's: of ``dataset/synthetic`` and ``candidates/``
there is the one that this run's gate asks for, never both.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flawsmith.data.build import build
from flawsmith.data.collected import Collected, Entry
from flawsmith.data.scan import Scan
from flawsmith.data.staging import JOB
from flawsmith.data.writing import Spec, write_lines, writing_in
from flawsmith.errors import OutputError
from flawsmith.evaluate.certificate import Verdict, decision
from flawsmith.pipeline.candidates import Made, Verdicts
from flawsmith.pipeline.filtering import sample_lines
from flawsmith.pipeline.gate import Gate
from flawsmith.pipeline.settings import RunMethod
from flawsmith.pipeline.source import Parts
from flawsmith.pipeline.stages import Stages

DATASET = "dataset"
CANDIDATES = "candidates"
SYNTHETIC = "synthetic"
SAMPLES = "samples.jsonl"


@dataclass(frozen=True)
class Writer:
    """How data sets are written. format: as ``--to`` names it; classes: of all of them."""

    stages: Stages
    format: str
    classes: tuple[str, ...]
    overlap: bool
    seed: int
    workers: int

    def write(self, root: Path, entries: tuple[Entry, ...], part: str) -> None:
        """Write a data set of these entries."""
        build(
            root,
            Collected(entries, self.classes),
            len(entries),
            format_name=self.format,
            spec=Spec(self.classes, overlap=self.overlap),
            made_by={"stage": DATASET, "part": part, "seed": self.seed},
            workers=self.workers,
            label=f"write {part}",
        )


def dataset_stages(
    writer: Writer,
    found: Scan,
    parts: Parts,
    made: dict[RunMethod, Made],
    verdicts: Verdicts,
    gate: Gate,
) -> dict[str, Path]:
    """Return each data set's folder by its name.

    ``dataset/`` has ``train`` and ``test`` (real) and ``synthetic`` (accepted). verdicts: of the
    filter; where the gate refuses, what passed it lies in ``candidates/`` and nothing is accepted.
    """
    stages = writer.stages
    refused = gate.state == "not accepted"
    sets = {
        name: tuple(
            Entry(found.dataset.records[i], found.dataset.classes, {"method": "real"})
            for i in indices
        )
        for name, indices in parts.items()
    }
    passed = _entries(made, verdicts, gate.decided(verdicts))
    if not refused:
        sets[SYNTHETIC] = passed

    def work(folder: Path) -> None:
        for name, entries in sets.items():
            writer.write(folder / name, entries, name)
        write_lines(folder / "rejected.jsonl", _rejected(gate.decided(verdicts)))

    needs = tuple(n for n in ("split", "certificate", "filter") if n in stages.digests)
    inputs = {"to": writer.format, "gate": gate.state}
    dataset = stages.make(DATASET, inputs, needs, work, folder=stages.out / DATASET)
    folders = {name: dataset / name for name in sets}
    place = stages.out / CANDIDATES
    if refused and passed:

        def put_aside(folder: Path) -> None:
            writer.write(folder, passed, CANDIDATES)

        folders[CANDIDATES] = stages.make(CANDIDATES, inputs, needs, put_aside, folder=place)
    else:
        for name in (CANDIDATES, CANDIDATES + ".partial", CANDIDATES + ".replaced"):
            _remove_own(stages.out / name)
    return folders


def made_again(name: str, folder: Path) -> Path:
    """Return what to remove so that a data set is made again: most are parts of one folder."""
    return folder if name == CANDIDATES else folder.parent


def write_samples(out: Path, verdicts: Verdicts) -> Path:
    """Write the last word on every candidate, with its scores, as ``samples.jsonl`` of the run."""
    path = out / SAMPLES
    new = path.with_name(path.name + ".new")
    write_lines(new, (json.dumps(line, ensure_ascii=False) for line in sample_lines(verdicts)))
    with writing_in(path):
        new.replace(path)
    return path


def all_classes(real: tuple[str, ...], others: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the real classes, then those that only candidates have."""
    names = dict.fromkeys(real)
    for classes in others:
        names.update(dict.fromkeys(classes))
    return tuple(names)


def _entries(made: dict[RunMethod, Made], verdicts: Verdicts, last: Verdicts) -> tuple[Entry, ...]:
    """Return those that passed the filter, with the last word on each."""
    return tuple(
        Entry(record, entry.dataset.classes, decision(final))
        for method, entry in made.items()
        for record, verdict, final in zip(
            entry.dataset.records, verdicts[method], last[method], strict=True
        )
        if verdict.accepted
    )


def _rejected(verdicts: Verdicts) -> Iterator[str]:
    for method, listed in verdicts.items():
        for verdict in listed:
            if not verdict.accepted:
                yield json.dumps({"method": method, **_brief(verdict)}, ensure_ascii=False)


def _brief(verdict: Verdict) -> dict[str, Any]:
    content = asdict(verdict)
    del content["digest"]
    return content


def _remove_own(folder: Path) -> None:
    """Remove a folder that an earlier run has made."""
    if (folder / JOB).is_file():
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be removed: {error.strerror or error}") from error
