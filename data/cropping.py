"""The job that crops battery plates out of photos and divides them into anode, glass, cathode.

Each photo is decoded and searched once: the upright plates are written first, as a data set, and
the parts are cut from that.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flawsmith.data.build import Built, MadeBy, Recipe, Refused, build, finished, read_told
from flawsmith.data.dataset import DataSet, Record, load
from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.data.jobs import Show, describe_job, open_source, quiet, source_name
from flawsmith.data.manifest import MANIFEST
from flawsmith.data.plates import (
    PARTS,
    divide,
    divide_masks,
    locate_plate,
    rectify,
    rectify_masks,
)
from flawsmith.data.reading import OnError
from flawsmith.data.staging import staged
from flawsmith.data.writing import Spec
from flawsmith.errors import InputError
from flawsmith.sample import Label, Masks, Sample

WHOLE = "plate"


@dataclass(frozen=True)
class Cropped:
    """The data sets written, by name, and the photos without a usable plate, with reasons."""

    parts: dict[str, Built]
    refused: tuple[str, ...]


@dataclass(frozen=True)
class PlateCrops:
    """The recipe of whole plates: photo i upright at 240x1200, or why not."""

    root: Path
    records: tuple[Record, ...]
    classes: int
    on_error: OnError

    def make(self, index: int) -> Sample | Refused:
        record = self.records[index]
        try:
            photo = load(record, self.classes)
        except InputError as error:
            if self.on_error == "stop":
                raise
            return Refused(str(error).replace(f"{self.root}/", ""))
        name = source_name(record, self.root)
        pose = locate_plate(photo.image)
        if pose is None:
            return Refused(f"{name}: not exactly one whole plate could be found in it")
        masks = rectify_masks(photo.masks, pose)
        corners = [[round(x, 2), round(y, 2)] for x, y in pose.corners]
        place = {"corners": corners, "angle": round(pose.angle, 3)}
        return replace(
            photo,
            image=rectify(photo.image, pose),
            masks=masks,
            label=label_of(photo.label, masks),
            meta={"source": name, **photo.meta, **place},
        )


@dataclass(frozen=True)
class PartCrops:
    """The recipe of one part (anode, glass or cathode) of upright plates."""

    records: tuple[Record, ...]
    classes: int
    part: str

    def make(self, index: int) -> Sample | Refused:
        plate = load(self.records[index], self.classes)
        masks = divide_masks(plate.masks)[self.part]
        return replace(
            plate,
            image=divide(plate.image)[self.part],
            masks=masks,
            label=label_of(plate.label, masks),
            meta={**plate.meta, "part": self.part},
        )


def label_of(photo: Label, masks: Masks) -> Label:
    """Return the label of a crop from its photo's label and the crop's masks (K, H, W).

    Only a crop of a good photo is good. One without a marked pixel from any other photo is
    ``unknown``: that the mask shows the worst defect does not mean that the rest is clean.
    """
    if photo == "good":
        return "good"
    return "defective" if masks.any() else "unknown"


def crop_plates(
    src: Path,
    out: Path,
    *,
    whole: bool = False,
    options: ReadOptions | None = None,
    workers: int = 1,
    overwrite: bool = False,
    show: Show = quiet,
) -> Cropped:
    """Write ``out/anode``, ``out/glass``, ``out/cathode`` (240x400), and ``out/plate`` if whole.

    Every crop keeps its photo's id and group. Raises InputError for bad input, and when no photo
    shows a plate.
    """
    options = options or ReadOptions()
    dataset = open_source(src, out, options)
    show(dataset)
    job = describe_job("data plates", dataset, options, {"whole": whole})
    with staged(out, job, overwrite=overwrite) as stage:
        if not stage.done:
            _write_crops(dataset, stage.path, job, options.on_error, workers)
            if not whole:
                shutil.rmtree(stage.path / _folder(job), ignore_errors=True)
    names = (*PARTS, WHOLE) if whole else PARTS
    refused = read_told(out / PARTS[0], _MadeBy, remove=out)["made_by"]["photos_refused"]
    return Cropped({name: finished(out / name, remove=out) for name in names}, tuple(refused))


@dataclass(frozen=True)
class _MadeBy(MadeBy):
    photos_refused: list[str]


def _folder(job: dict[str, Any]) -> str:
    return WHOLE if job["settings"]["whole"] else "." + WHOLE


def _write_crops(
    dataset: DataSet, root: Path, job: dict[str, Any], on_error: OnError, workers: int
) -> None:
    # Killed after the plates were removed again: the parts are complete.
    if all((root / part / MANIFEST).is_file() for part in PARTS):
        return
    classes = dataset.classes
    # Thin marks of two classes may come to share a pixel when a photo shrinks.
    spec = Spec(classes, overlap=len(classes) > 1)

    def write(name: str, recipe: Recipe, count: int, made_by: dict[str, Any]) -> Built:
        return build(
            root / name,
            recipe,
            count,
            format_name="folder",
            spec=spec,
            made_by=made_by,
            workers=workers,
            label=name.lstrip("."),
        )

    crops = PlateCrops(dataset.root, dataset.records, len(classes), on_error)
    plates = write(_folder(job), crops, len(dataset), job)
    if not sum(plates.labels.values()):
        raise InputError(
            f"no plate found in any of {len(dataset)} photos",
            where=dataset.root,
            mend="a photo must show one whole plate, upright, on a bench of another colour",
        )
    _write_parts(read_dataset(root / _folder(job)), list(plates.refused), job, write)


def _write_parts(
    plates: DataSet,
    refused: list[str],
    job: dict[str, Any],
    write: Callable[[str, Recipe, int, dict[str, Any]], Built],
) -> None:
    for part in PARTS:
        recipe = PartCrops(plates.records, len(plates.classes), part)
        made_by = {**job, "part": part, "photos_refused": refused}
        write(part, recipe, len(plates), made_by)
