"""Whole jobs on data sets: read a folder, look at every sample, write a staged result.

A job is described by a dict (command, settings, source fingerprint): the same job run again goes on
where it stopped, or finds that it is done.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from flawsmith import __version__
from flawsmith.data.alike import look_alikes, told
from flawsmith.data.build import Built, Refused, build, finished
from flawsmith.data.dataset import DataSet, Record, load
from flawsmith.data.fingerprint import fingerprint
from flawsmith.data.formats import CONVERTIBLE, ReadOptions, read_dataset
from flawsmith.data.scan import Scan, scan
from flawsmith.data.staging import staged
from flawsmith.data.writing import Spec, resolved
from flawsmith.errors import InputError, printable
from flawsmith.sample import Sample

# Called once with the data set that a job works on, so that the caller can show its notices.
Show = Callable[[DataSet], None]


def quiet(dataset: DataSet) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class Copies:
    """The recipe that passes samples on as they are; ``meta`` gains the file each came from."""

    root: Path
    records: tuple[Record, ...]
    classes: int

    def make(self, index: int) -> Sample | Refused:
        record = self.records[index]
        sample = load(record, self.classes)
        return replace(sample, meta={"source": source_name(record, self.root), **sample.meta})


def copies_of(found: Scan) -> Copies:
    """Return the recipe of a scanned data set's samples."""
    return Copies(found.dataset.root, found.dataset.records, len(found.dataset.classes))


def source_name(record: Record, root: Path) -> str:
    """Return the image's path relative to its data folder, safe to write as UTF-8."""
    return printable(record.image.relative_to(root).as_posix())


def open_source(src: Path, out: Path, options: ReadOptions) -> DataSet:
    """Read the folder of a job; raises InputError when it or ``out`` would lie in the other."""
    check_apart(src, out)
    return read_dataset(src, options)


def check_apart(src: Path, out: Path) -> None:
    """Raise InputError when a job's source folder or ``out`` would lie in the other."""
    source, target = resolved(src), resolved(out)
    for inner, outer, found in (
        (target, source, "the output would lie inside of the source folder"),
        (source, target, "the source folder lies inside of the output, which would replace it"),
    ):
        if inner.is_relative_to(outer):
            raise InputError(found, where=out, mend="choose a folder beside the source")


def describe_job(
    command: str, dataset: DataSet, options: ReadOptions, settings: dict[str, Any]
) -> dict[str, Any]:
    """Return what makes a job's output what it is: JSON-able, without absolute paths."""
    return {
        "command": command,
        "flawsmith": __version__,
        "settings": settings,
        "read": asdict(options),
        "source": {
            "folder": printable(dataset.root.resolve().name),
            "format": dataset.format,
            "fingerprint": fingerprint(dataset),
        },
    }


def check_format(to: str) -> None:
    """Raise InputError unless data sets can be converted to this format."""
    if to not in CONVERTIBLE:
        raise InputError(
            f"the format {to!r} cannot be written", mend=f"one of {', '.join(CONVERTIBLE)}"
        )


def convert(
    src: Path,
    out: Path,
    *,
    to: str,
    options: ReadOptions | None = None,
    jpeg: bool = False,
    workers: int = 1,
    overwrite: bool = False,
    show: Show = quiet,
) -> Built:
    """Write the data set of ``src`` in the format ``to`` as ``out``; labels and groups survive.

    jpeg: write pictures as lossy JPEG. Raises InputError for bad input, OutputError when ``out``
    cannot be written.
    """
    options = options or ReadOptions()
    check_format(to)
    dataset = open_source(src, out, options)
    job = describe_job("data convert", dataset, options, {"to": to, "jpeg": jpeg})
    with staged(out, job, overwrite=overwrite) as stage:
        if stage.done:
            show(dataset)
        else:
            found = scan(dataset, workers=workers, on_error=options.on_error)
            show(found.dataset)
            build(
                stage.path,
                copies_of(found),
                len(found.dataset),
                format_name=to,
                spec=Spec(dataset.classes, overlap=found.overlap, jpeg=jpeg),
                made_by=job,
                workers=workers,
                label="writing",
            )
    return finished(out)


def check(src: Path, options: ReadOptions | None = None, *, workers: int = 1) -> DataSet:
    """Read every sample of ``src``; the result's ``skipped`` names each problem and its mend.

    Entries marked ``bad`` would stop other commands; the rest (a mask without its image, a surplus
    row) is passed over by them. Raises InputError only when the folder as a whole cannot be read.
    """
    options = replace(options or ReadOptions(), on_error="skip")
    dataset = read_dataset(src, options)
    found = scan(dataset, workers=workers, on_error="skip", may_be_empty=True)
    notice = told(found.facts, look_alikes(found, workers=workers))
    notices = (*found.dataset.notices, *filter(None, [notice]))
    return replace(found.dataset, notices=notices)


@dataclass(frozen=True)
class Drawn:
    """The recipe of the demo data."""

    kind: str
    seed: int
    scale: float

    def make(self, index: int) -> Sample | Refused:
        from flawsmith.data.demo import demo_sample

        return demo_sample(self.kind, self.seed, index, scale=self.scale)


def write_demo(
    out: Path,
    *,
    kind: str,
    count: int,
    scale: float,
    seed: int,
    workers: int,
    overwrite: bool = False,
) -> Built:
    """Draw ``count`` samples of the demo data ``kind`` (its format has the same name).

    scale: size of plate photos as a share of 4096x6000. Raises InputError for an unknown kind.
    """
    from flawsmith.data.demo import DEMO_CLASSES

    if kind not in DEMO_CLASSES:
        raise InputError(f"no demo data {kind!r}", mend=f"one of {', '.join(DEMO_CLASSES)}")
    settings = {"kind": kind, "count": count, "scale": scale, "seed": seed}
    job = {"command": "demo", "flawsmith": __version__, "settings": settings}
    with staged(out, job, overwrite=overwrite) as stage:
        if not stage.done:
            build(
                stage.path,
                Drawn(kind, seed, scale),
                count,
                format_name=kind,
                spec=Spec(tuple(DEMO_CLASSES[kind])),
                made_by=job,
                workers=workers,
                label="drawing",
            )
    return finished(out)
