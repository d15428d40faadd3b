"""The first stages: read the source and look at all of it, then set the test part aside."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from flawsmith.data.alike import LookAlikes, join_look_alikes
from flawsmith.data.cropping import WHOLE, crop_plates
from flawsmith.data.dataset import DataSet, Skipped
from flawsmith.data.fingerprint import fingerprint
from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.data.images import PIXEL_LIMIT
from flawsmith.data.kept import as_written, read_kept, read_kept_lines
from flawsmith.data.scan import Facts, Scan, scan
from flawsmith.data.split import limit_per_class, showing_only, split_groups
from flawsmith.data.staging import JOB, job_digest
from flawsmith.data.writing import write_file, write_lines
from flawsmith.errors import InputError
from flawsmith.pipeline.settings import RunSettings
from flawsmith.pipeline.stages import Stages
from flawsmith.progress import say

Parts = dict[str, list[int]]


def read_stage(
    stages: Stages,
    source: DataSet,
    options: ReadOptions,
    workers: int,
    look_alikes: LookAlikes = "join",
) -> Scan:
    """Return the source's samples with their facts; photos of plates are cropped first."""
    dataset = source
    needs: tuple[str, ...] = ()
    if source.format == "plates":
        dataset = _crop(stages, source.root, options, workers)
        options = ReadOptions()
        needs = ("plates",)

    def work(folder: Path) -> None:
        found = scan(dataset, workers=workers, on_error=options.on_error)
        if look_alikes == "join":
            found = join_look_alikes(found, workers=workers)
        write_lines(folder / "facts.jsonl", (json.dumps(f.to_json()) for f in found.facts))
        seen = {
            "notices": found.dataset.notices,
            "skipped": [asdict(entry) for entry in found.dataset.skipped],
        }
        write_file(folder / "read.json", json.dumps(seen, indent=1))

    inputs = {
        "source": fingerprint(dataset),
        "options": asdict(options),
        "look_alikes": look_alikes,
    }
    return restore(dataset, stages.make("read", inputs, needs, work))


def _crop(stages: Stages, src: Path, options: ReadOptions, workers: int) -> DataSet:
    """Crop the plates of raw photos; the run goes on with the upright plates."""
    out = stages.out / "stages" / "plates"
    out.parent.mkdir(parents=True, exist_ok=True)
    cropped = crop_plates(src, out, whole=True, options=options, workers=workers, overwrite=True)
    stages.digests["plates"] = job_digest(read_kept(out / JOB, dict[str, Any]))
    plates = read_dataset(out / WHOLE)
    notice = (f"photos of plates: {len(plates)} plates cropped to 240x1200 and used as samples",)
    refused = tuple(Skipped("photo", reason) for reason in cropped.refused)
    return replace(plates, notices=plates.notices + notice, skipped=plates.skipped + refused)


def restore(dataset: DataSet, folder: Path) -> Scan:
    """Return the source as the stage of reading left it.

    Raises InputError for what is not as it was written.
    """
    path = folder / "facts.jsonl"
    facts = tuple(read_kept_lines(path, Facts, facts_under(dataset.classes)))
    seen = read_kept(folder / "read.json", _Seen)
    by_id = {record.id: record for record in dataset.records}
    with as_written(path):
        records = tuple(replace(by_id.pop(fact.id), group=fact.group) for fact in facts)
    skipped = tuple(Skipped(**entry) for entry in seen["skipped"])
    dataset = replace(dataset, records=records, notices=tuple(seen["notices"]), skipped=skipped)
    return Scan(dataset, facts)


@dataclass(frozen=True)
class _Seen:
    """What read.json holds."""

    notices: tuple[str, ...]
    skipped: tuple[Skipped, ...]


def facts_under(classes: tuple[str, ...]) -> Callable[[dict[str, Any]], Facts]:
    """Return what makes a kept line the facts of a sample of these classes.

    It raises ValueError for what no picture can be: all later stages count on these numbers.
    """

    def made(line: dict[str, Any]) -> Facts:
        found = Facts.from_json(line)
        counts = (*found.pixels, *(part.area for part in found.components))
        planes = {part.plane for part in found.components}
        pixels = found.width * found.height
        if (
            min(found.width, found.height) < 1
            or not 0 < pixels <= PIXEL_LIMIT
            or not all(0 <= count <= pixels for count in counts)
            or len(found.pixels) != len(classes)
            or not planes <= {*range(len(classes))}
        ):
            raise ValueError(f"{found.id[:80]!r} is of another size, or of other classes")
        return found

    return made


@dataclass(frozen=True)
class _Parts:
    """What parts.json holds: ids."""

    train: list[str]
    test: list[str]


def split_stage(stages: Stages, found: Scan, settings: RunSettings) -> Parts:
    """Return the indices of ``train`` (which methods may see) and ``test`` (which none may).

    Samples of classes not asked for, and those beyond ``per_class``, are in neither.
    """

    def work(folder: Path) -> None:
        fractions = (1 - settings.test_fraction, settings.test_fraction)
        usable = showing_only(found, settings.classes)
        facts = [found.facts[i] for i in usable]
        train, test = split_groups(facts, fractions, settings.seed)
        if settings.per_class is not None:
            train, few = limit_per_class(train, facts, settings.per_class, settings.seed)
            for plane, number in few.items():
                name = found.dataset.classes[plane]
                say(f"note: {number} training images of {name}, not {settings.per_class}")
        ids = [found.dataset.ids[i] for i in usable]
        parts = {"train": [ids[i] for i in train], "test": [ids[i] for i in test]}
        write_file(folder / "parts.json", json.dumps(parts, indent=1, ensure_ascii=False))

    inputs: dict[str, Any] = {
        "test": settings.test_fraction,
        "seed": settings.seed,
        "classes": settings.classes,
        "per_class": settings.per_class,
    }
    folder = stages.make("split", inputs, ("read",), work)
    parts = read_parts(folder, found.dataset.ids)
    if not all(parts.values()):
        raise InputError(
            "too few groups to set a test part aside",
            where=found.dataset.root,
            mend="give more images, or another test_fraction",
        )
    return parts


def read_parts(folder: Path, ids: Sequence[str]) -> Parts:
    """Return the parts that the stage left, as places among these ids.

    Raises InputError for what is not as it was written: an image in both, one that is not there.
    """
    index = {name: i for i, name in enumerate(ids)}

    def made(content: dict[str, list[str]]) -> Parts:
        parts = {name: [index[i] for i in ids] for name, ids in content.items()}
        chosen = [i for places in parts.values() for i in places]
        if len({*chosen}) < len(chosen) or len(parts) != 2:
            raise ValueError("an image is in it twice, or in a part that is none")
        return parts

    return read_kept(folder / "parts.json", _Parts, made)
