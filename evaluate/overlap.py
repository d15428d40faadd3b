"""How far predicted masks agree with real ones: pixels counted an image, pooled over a test set.

Planes may overlap, so each class is a binary problem of its own; the background is no class. Every
figure is a ratio of sums over images, or a mean of such ratios: resampling only weighs the sums.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from flawsmith.data.kept import fits
from flawsmith.data.scan import components
from flawsmith.errors import InputError
from flawsmith.sample import Label, Masks, Sample, pixel_counts

Pixels = NDArray[np.int64]
Values = NDArray[np.float64]
# In one picture, far beyond any: sums over all of them stay whole numbers.
MOST_PIXELS = 1 << 40


@dataclass(frozen=True)
class ImageCounts:
    """One predicted image: pixels a class that are true and predicted, only predicted, only true.

    largest: pixels of the largest 8-connected component of all predicted planes together.
    """

    id: str
    group: str
    label: Label
    tp: tuple[int, ...]
    fp: tuple[int, ...]
    fn: tuple[int, ...]
    largest: int


def count(sample: Sample, predicted: Masks) -> ImageCounts:
    """Count one image. predicted: (K, H, W) bool as ``sample.masks``, else ValueError."""
    if predicted.dtype != np.bool_ or predicted.shape != sample.masks.shape:
        raise ValueError(
            f"{sample.id}: predicted {predicted.dtype} {predicted.shape}; "
            f"wanted bool {sample.masks.shape}"
        )
    tp = np.array(pixel_counts(sample.masks & predicted), np.int64)
    fp = np.array(pixel_counts(predicted), np.int64) - tp
    fn = np.array(pixel_counts(sample.masks), np.int64) - tp
    parts = components(np.asarray(predicted.any(axis=0))[None])
    return ImageCounts(
        id=sample.id,
        group=sample.group,
        label=sample.label,
        tp=tuple(tp.tolist()),
        fp=tuple(fp.tolist()),
        fn=tuple(fn.tolist()),
        largest=max((part.area for part in parts), default=0),
    )


@dataclass(frozen=True, eq=False)
class Counts:
    """The counts of a test set of N images and K classes, as one network predicted it.

    tp, fp, fn: (N, K) int64, largest: (N,) int64, as in ``ImageCounts``. labels: ``good`` or
    ``defective``. unknown: ids of images that were left out, since nobody knows what they show.
    """

    classes: tuple[str, ...]
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    labels: tuple[Label, ...]
    tp: Pixels
    fp: Pixels
    fn: Pixels
    largest: Pixels
    unknown: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n, k = len(self.ids), len(self.classes)
        shapes = [a.shape for a in (self.tp, self.fp, self.fn, self.largest)]
        if shapes != [(n, k)] * 3 + [(n,)] or not n == len(self.groups) == len(self.labels):
            raise ValueError(f"counts of shape {shapes} for {n} images and {k} classes")

    @staticmethod
    def of(classes: tuple[str, ...], images: Iterable[ImageCounts]) -> "Counts":
        """Join the images' counts; those of unknown label only leave their ids.

        Raises InputError when no labelled image is left.
        """
        rows = list(images)
        known = [row for row in rows if row.label != "unknown"]
        if not known:
            raise InputError(
                f"the test set has no labelled image among its {len(rows)}",
                mend="test on images that are known to be good or have a mask",
            )
        tp, fp, fn = ([getattr(row, name) for row in known] for name in ("tp", "fp", "fn"))
        return Counts(
            classes=classes,
            ids=tuple(row.id for row in known),
            groups=tuple(row.group for row in known),
            labels=tuple(row.label for row in known),
            tp=np.array(tp, np.int64),
            fp=np.array(fp, np.int64),
            fn=np.array(fn, np.int64),
            largest=np.array([row.largest for row in known], np.int64),
            unknown=tuple(row.id for row in rows if row.label == "unknown"),
        )

    @property
    def shows(self) -> NDArray[np.bool_]:
        """(N, K) bool: whether an image has true pixels of a class."""
        return np.asarray(self.tp + self.fn > 0)

    @property
    def present(self) -> NDArray[np.bool_]:
        """(K,) bool: whether any image shows the class."""
        return np.asarray(self.shows.any(axis=0))

    def to_json(self) -> dict[str, Any]:
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else list(value)
            for name, value in vars(self).items()
        }

    @staticmethod
    def from_json(content: dict[str, Any]) -> "Counts":
        """Return what ``to_json`` gave; raises ValueError or TypeError for anything else."""
        fits(content, _CountsFile)
        arrays = ("tp", "fp", "fn", "largest")
        fields: dict[str, Any] = {
            name: np.array(value, np.int64) if name in arrays else tuple(value)
            for name, value in content.items()
        }
        return Counts(**fields)


@dataclass(frozen=True)
class _CountsFile:
    """``Counts.to_json`` as a file has it."""

    classes: list[str]
    ids: list[str]
    groups: list[str]
    labels: list[Literal["good", "defective"]]
    tp: list[list[Annotated[int, Field(ge=0, lt=MOST_PIXELS)]]]
    fp: list[list[Annotated[int, Field(ge=0, lt=MOST_PIXELS)]]]
    fn: list[list[Annotated[int, Field(ge=0, lt=MOST_PIXELS)]]]
    largest: list[Annotated[int, Field(ge=0, lt=MOST_PIXELS)]]
    unknown: list[str]


@dataclass(frozen=True)
class Overlap:
    """How well a test set was predicted; all shares are from 0 to 1.

    iou: of each class, tp / (tp + fp + fn) of its pixels over all images. dice: of each class, the
    mean of 2 tp / (2 tp + fp + fn) over the images that show it. (Pooled Dice is left out: it is
    2 IoU / (1 + IoU) and says nothing more.) miou, mdice: their means over the classes shown.
    absent: classes that no image shows; their iou and dice are None, and no mean contains them.
    clean: good images; alarmed: those of them with a predicted component of ``min_area`` pixels or
    more, of any class; None where there are no clean images. unknown: images left out, unlabelled.
    """

    classes: tuple[str, ...]
    iou: tuple[float | None, ...]
    dice: tuple[float | None, ...]
    miou: float
    mdice: float
    absent: tuple[str, ...]
    images: int
    groups: int
    clean: int
    alarmed: int | None
    alarm_share: float | None
    min_area: int
    unknown: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(content: dict[str, Any]) -> "Overlap":
        lists = {name: tuple(content[name]) for name in ("classes", "iou", "dice", "absent")}
        return Overlap(**{**content, **lists})


def overlap(counts: Counts, min_area: int = 1) -> Overlap:
    """Pool the counts of a test set. Raises InputError when no image shows any class."""
    tops, bottoms = terms(counts, min_area)
    found = figures(tops.sum(axis=0), bottoms.sum(axis=0)).tolist()
    if not counts.present.any():
        raise InputError(
            f"the test set shows no defect of any class ({', '.join(counts.classes)})",
            mend="test on images with defects too",
        )
    values = [None if np.isnan(value) else value for value in found]
    k = len(counts.classes)
    clean = counts.labels.count("good")
    return Overlap(
        classes=counts.classes,
        iou=tuple(values[1 : 1 + k]),
        dice=tuple(values[2 + k : -1]),
        miou=found[0],
        mdice=found[1 + k],
        absent=tuple(c for c, seen in zip(counts.classes, counts.present, strict=True) if not seen),
        images=len(counts.ids),
        groups=len(set(counts.groups)),
        clean=clean,
        alarmed=int(tops[:, -1].sum()) if clean else None,
        alarm_share=values[-1],
        min_area=min_area,
        unknown=len(counts.unknown),
    )


def terms(counts: Counts, min_area: int = 1) -> tuple[Values, Values]:
    """Return what each image adds to the numerators and to the denominators of the ratios.

    Both (N, 2K + 1) float64: IoU of each class, Dice of each class, false alarms. Raises ValueError
    for a ``min_area`` below 1 pixel: every image would be an alarm.
    """
    if min_area < 1:
        raise ValueError(f"min_area = {min_area}; wanted 1 pixel or more")
    union = counts.tp + counts.fp + counts.fn
    dice = 2 * counts.tp / np.maximum(union + counts.tp, 1)
    clean = np.array([label == "good" for label in counts.labels])[:, None]
    alarms = clean & (counts.largest[:, None] >= min_area)
    tops = np.concatenate([counts.tp, np.where(counts.shows, dice, 0), alarms], axis=1)
    return tops, np.concatenate([union, counts.shows, clean], axis=1).astype(np.float64)


def figures(tops: Values, bottoms: Values) -> Values:
    """Return the figures that sums of ``terms`` give: (..., 2K + 1) to (..., 2K + 3).

    In the order of ``figure_names``; nan where nothing shows the class, or no image is clean.
    """
    k = tops.shape[-1] // 2
    # Whether a class is there is for the truth to say (the images that show it, under its Dice):
    # by its union it would be absent for one network and predicted by mistake by another.
    there = bottoms.copy()
    there[..., :k] = bottoms[..., k : 2 * k]
    ratios = np.divide(tops, bottoms, out=np.full_like(tops, np.nan), where=there > 0)
    iou, dice, alarms = np.split(ratios, [k, 2 * k], axis=-1)
    return np.concatenate([_mean(iou), iou, _mean(dice), dice, alarms], axis=-1)


def figure_names(classes: Iterable[str]) -> tuple[str, ...]:
    """Return mIoU, IoU of each class, mDice, Dice of each class, false alarms."""
    names = list(classes)
    iou, dice = ([f"{kind} {name}" for name in names] for kind in ("IoU", "Dice"))
    return ("mIoU", *iou, "mDice", *dice, "false alarms")


def _mean(values: Values) -> Values:
    """Return the mean of what is known along the last axis (kept), nan where nothing is."""
    known = ~np.isnan(values)
    number = known.sum(axis=-1, keepdims=True)
    total = np.where(known, values, 0.0).sum(axis=-1, keepdims=True)
    return np.asarray(np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0))
