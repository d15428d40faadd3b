"""The job that divides a data set into parts, each a data set of its own."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flawsmith.data.alike import LookAlikes, join_look_alikes
from flawsmith.data.build import Built, MadeBy, build, finished, read_told
from flawsmith.data.formats import ReadOptions
from flawsmith.data.jobs import Show, check_format, copies_of, describe_job, open_source, quiet
from flawsmith.data.scan import Scan, scan
from flawsmith.data.split import (
    check_classes,
    check_fractions,
    limit_per_class,
    showing_only,
    split_groups,
)
from flawsmith.data.staging import staged
from flawsmith.data.writing import Spec
from flawsmith.errors import InputError
from flawsmith.sample import check_id


@dataclass(frozen=True)
class Plan:
    """How a data set is divided.

    names, fractions: of the parts; uses: what each part is for (noted in its dataset.json).
    classes: only samples that show no other; None: all. per_class: at most this many defective
    images a class in the first part, or None for all. look_alikes: whether the groups of photos
    that look like one part are joined first.
    """

    names: tuple[str, ...] = ("train", "test")
    fractions: tuple[float, ...] = (0.5, 0.5)
    uses: tuple[str, ...] = ()
    classes: tuple[str, ...] | None = None
    per_class: int | None = None
    look_alikes: LookAlikes = "join"
    seed: int = 0
    to: str = "folder"

    def check(self) -> None:
        """Raise InputError when the plan contradicts itself."""
        check_fractions(self.fractions)
        check_format(self.to)
        if len(self.names) != len(self.fractions):
            raise InputError(
                f"{len(self.names)} names for {len(self.fractions)} fractions",
                mend="give as many --names as --fractions",
            )
        for name in self.names:
            try:
                check_id(name)
            except InputError as error:
                raise InputError(
                    f"the part name {name[:80]!r} cannot be a folder's name",
                    mend="give --names without slashes, control characters and leading dots",
                ) from error
        if len({name.casefold() for name in self.names}) != len(self.names):
            raise InputError(f"a part name occurs twice: {', '.join(self.names)}")
        if self.per_class is not None and self.per_class < 1:
            raise InputError("--per-class must be 1 or more")


# The steel thesis divided the Severstal set in halves: one trained its generators, the other only
# measured.
PRESETS = {"steel-thesis": Plan(uses=("generators", "measuring only"), to="severstal")}


@dataclass(frozen=True)
class Part:
    """One part as written: images of each class, and images dropped to keep to ``per_class``."""

    name: str
    built: Built
    images: dict[str, int]
    dropped: int


@dataclass(frozen=True)
class Split:
    """The parts of a split; left_out: samples in none, because the fractions add up to less."""

    parts: tuple[Part, ...]
    left_out: int
    notices: tuple[str, ...]


def split(
    src: Path,
    out: Path,
    plan: Plan,
    *,
    options: ReadOptions | None = None,
    workers: int = 1,
    overwrite: bool = False,
    show: Show = quiet,
) -> Split:
    """Divide the data set of ``src`` by groups and classes into ``out/<name>``.

    Raises InputError for bad input, a plan that contradicts itself, or a part that would be empty.
    """
    options = options or ReadOptions()
    plan.check()
    dataset = open_source(src, out, options)
    check_classes(plan.classes, dataset)
    settings = {
        "names": list(plan.names),
        "fractions": list(plan.fractions),
        "uses": list(plan.uses),
        "classes": list(plan.classes) if plan.classes is not None else None,
        "per_class": plan.per_class,
        "look_alikes": plan.look_alikes,
        "seed": plan.seed,
        "to": plan.to,
    }
    job = describe_job("data split", dataset, options, settings)
    with staged(out, job, overwrite=overwrite) as stage:
        if stage.done:
            show(dataset)
        else:
            found = scan(dataset, workers=workers, on_error=options.on_error)
            if plan.look_alikes == "join":
                found = join_look_alikes(found, workers=workers)
            show(found.dataset)
            chosen = found.select(showing_only(found, plan.classes))
            _write_parts(chosen, stage.path, plan, job, workers)
    return _read_split(out, plan)


def divide_scan(found: Scan, plan: Plan) -> list[tuple[list[int], int]]:
    """Return for each part the indices of its samples and how many ``per_class`` dropped.

    Raises InputError when a part would be empty.
    """
    parts = split_groups(found.facts, plan.fractions, plan.seed)
    for name, part in zip(plan.names, parts, strict=True):
        if not part:
            groups = len({fact.group for fact in found.facts})
            raise InputError(
                f"the part {name!r} would be empty: {groups} groups for {len(parts)} parts",
                where=found.dataset.root,
                mend="raise its fraction, or ask for fewer parts",
            )
    whole = [len(part) for part in parts]
    if plan.per_class is not None:
        parts[0] = limit_per_class(parts[0], found.facts, plan.per_class, plan.seed)[0]
    return [(part, before - len(part)) for part, before in zip(parts, whole, strict=True)]


def _write_parts(found: Scan, root: Path, plan: Plan, job: dict[str, Any], workers: int) -> None:
    classes = found.dataset.classes
    for number, (indices, dropped) in enumerate(divide_scan(found, plan)):
        part = found.select(indices)
        images = Counter(plane for fact in part.facts for plane in fact.planes)
        facts = {
            "part": plan.names[number],
            "source_samples": len(found.facts),
            "dropped": dropped,
            "images": {name: images[plane] for plane, name in enumerate(classes)},
        }
        if plan.uses:
            facts["use"] = plan.uses[number]
        build(
            root / plan.names[number],
            copies_of(part),
            len(indices),
            format_name=plan.to,
            spec=Spec(classes, overlap=found.overlap),
            made_by={**job, **facts},
            workers=workers,
            label=plan.names[number],
        )


@dataclass(frozen=True)
class _MadeBy(MadeBy):
    source_samples: int
    images: dict[str, int]
    dropped: int


def _read_split(out: Path, plan: Plan) -> Split:
    parts = []
    samples = 0
    for name in plan.names:
        made_by = read_told(out / name, _MadeBy, remove=out)["made_by"]
        samples = made_by["source_samples"]
        built = finished(out / name, remove=out)
        parts.append(Part(name, built, made_by["images"], made_by["dropped"]))
    used = sum(part.dropped + sum(part.built.labels.values()) for part in parts)
    return Split(tuple(parts), samples - used, tuple(_notices(parts, plan)))


def _notices(parts: Sequence[Part], plan: Plan) -> list[str]:
    notices = []
    wanted = plan.classes or tuple(parts[0].images)
    for part in parts:
        missing = [name for name in wanted if not part.images[name]]
        if missing:
            notices.append(f"{part.name} has no image of {', '.join(missing)}")
    if plan.per_class is not None:
        counts = [(name, parts[0].images[name]) for name in wanted]
        short = [f"{name} {n}" for name, n in counts if n < plan.per_class]
        if short:
            notices.append(
                f"{parts[0].name} has fewer than {plan.per_class} images of: {', '.join(short)}"
            )
    return notices
