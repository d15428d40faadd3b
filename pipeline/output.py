"""The last data stage: the real parts and the accepted candidates as data sets for training."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from flawsmith.data.build import Refused, build
from flawsmith.data.dataset import Record, load
from flawsmith.data.scan import Scan
from flawsmith.data.writing import Spec, write_lines
from flawsmith.evaluate.certificate import Verdict, decision
from flawsmith.pipeline.candidates import Made, Verdicts
from flawsmith.pipeline.settings import RunMethod, RunSettings
from flawsmith.pipeline.source import Parts
from flawsmith.pipeline.stages import Stages
from flawsmith.sample import Sample


@dataclass(frozen=True)
class Entry:
    """A sample to copy: its record, the classes of its planes, and what to add to its meta."""

    record: Record
    classes: tuple[str, ...]
    meta: dict[str, Any]


@dataclass(frozen=True)
class Collected:
    """The recipe that copies entries of several data sets under one list of classes."""

    entries: tuple[Entry, ...]
    classes: tuple[str, ...]

    def make(self, index: int) -> Sample | Refused:
        entry = self.entries[index]
        sample = load(entry.record, len(entry.classes))
        masks = np.zeros((len(self.classes), *sample.image.shape[:2]), bool)
        for name, plane in zip(entry.classes, sample.masks, strict=True):
            masks[self.classes.index(name)] = plane
        return replace(sample, masks=masks, meta={**sample.meta, **entry.meta})


def dataset_stage(
    stages: Stages,
    found: Scan,
    parts: Parts,
    made: dict[RunMethod, Made],
    verdicts: Verdicts,
    settings: RunSettings,
    workers: int,
) -> Path:
    """Return ``dataset/`` with ``train`` and ``test`` (real) and ``synthetic`` (accepted)."""
    classes = all_classes(found.dataset.classes, [m.dataset.classes for m in made.values()])
    sets = {
        name: tuple(
            Entry(found.dataset.records[i], found.dataset.classes, {"method": "real"})
            for i in indices
        )
        for name, indices in parts.items()
    }
    sets["synthetic"] = tuple(
        Entry(record, entry.dataset.classes, decision(verdict))
        for method, entry in made.items()
        for record, verdict in zip(entry.dataset.records, verdicts[method], strict=True)
        if verdict.accepted
    )

    def work(folder: Path) -> None:
        spec = Spec(classes, overlap=found.overlap)
        for name, entries in sets.items():
            build(
                folder / name,
                Collected(entries, classes),
                len(entries),
                format_name=settings.to,
                spec=spec,
                made_by={"stage": "dataset", "part": name, "seed": settings.seed},
                workers=workers,
                label=f"write {name}",
            )
        write_lines(folder / "rejected.jsonl", _rejected(verdicts))

    needs = ("split", "certificate")
    return stages.make("dataset", {"to": settings.to}, needs, work, folder=stages.out / "dataset")


def all_classes(real: tuple[str, ...], others: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the real classes, then those that only candidates have."""
    names = dict.fromkeys(real)
    for classes in others:
        names.update(dict.fromkeys(classes))
    return tuple(names)


def _rejected(verdicts: Verdicts) -> Any:
    for method, listed in verdicts.items():
        for verdict in listed:
            if not verdict.accepted:
                yield json.dumps({"method": method, **_brief(verdict)}, ensure_ascii=False)


def _brief(verdict: Verdict) -> dict[str, Any]:
    content = asdict(verdict)
    del content["digest"]
    return content
