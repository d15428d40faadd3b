"""A lazy, indexable collection of samples: what is known of each without decoding its pixels."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, overload

import numpy as np

from flawsmith.data.images import read_image
from flawsmith.errors import CONTROL, InputError
from flawsmith.sample import Image, Label, Masks, Sample, check_id

# What the layout says of an image. "by-mask" leaves it to the mask: empty is good, else defective;
# "unlabelled" has neither a mask nor a telling place, so that only the user can say more.
Declared = Literal["good", "defective", "unknown", "unlabelled", "by-mask"]


class MaskSource(Protocol):
    """Where a sample's masks lie; picklable, read on demand."""

    def read(self, shape: tuple[int, int, int]) -> Masks:
        """Return the (K, H, W) bool masks; raises InputError when they do not fit ``shape``."""
        ...


@dataclass(frozen=True)
class NoMask:
    """A sample without any mask file: nothing is marked."""

    def read(self, shape: tuple[int, int, int]) -> Masks:
        return np.zeros(shape, bool)


@dataclass(frozen=True)
class Record:
    """One entry of a data set: where its image and masks lie, and what its layout says of it."""

    id: str
    image: Path
    masks: MaskSource = field(default_factory=NoMask)
    declared: Declared = "by-mask"
    group: str = ""
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Skipped:
    """A file or entry that takes no part, why, and how to mend it.

    bad: it could not be read or trusted (else it merely lacks its partner or is surplus).
    """

    where: str
    reason: str
    mend: str = ""
    bad: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}" + (f" (mend: {self.mend})" if self.mend else "")


@dataclass(frozen=True)
class DataSet(Sequence[Sample]):
    """Samples of one folder, decoded when indexed.

    classes: names of the mask planes, in order.
    skipped: what was passed over, with reasons; notices: other things the user should know.
    """

    root: Path
    format: str
    classes: tuple[str, ...]
    records: tuple[Record, ...]
    skipped: tuple[Skipped, ...] = ()
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.classes:
            if not name.strip() or CONTROL.search(name):
                raise InputError(
                    f"the class name {name[:80]!r} is blank or has control characters",
                    where=self.root,
                    mend="rename the class",
                )
        seen: set[str] = set()
        for record in self.records:
            check_id(record.id, where=self.root)
            if record.id in seen:
                raise InputError(
                    f"the id {record.id!r} occurs twice", where=self.root, mend="rename one of them"
                )
            seen.add(record.id)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(record.id for record in self.records)

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(record.group or record.id for record in self.records)

    def __len__(self) -> int:
        return len(self.records)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> "DataSet": ...
    def __getitem__(self, index: int | slice) -> "Sample | DataSet":
        if isinstance(index, slice):
            return self.select(range(len(self))[index])
        return load(self.records[index], len(self.classes))

    def __iter__(self) -> Iterator[Sample]:
        return (load(record, len(self.classes)) for record in self.records)

    def select(self, indices: Iterable[int]) -> "DataSet":
        """Return a data set of these samples, in this order."""
        return replace(self, records=tuple(self.records[i] for i in indices))


def load(record: Record, classes: int) -> Sample:
    """Decode one record; raises InputError that names the file when image and masks do not fit."""
    image = read_image(record.image)
    masks = read_masks(record, classes, image)
    return Sample(
        id=record.id,
        image=image,
        masks=masks,
        label=judge_label(record, masks),
        group=record.group or record.id,
        meta=dict(record.meta),
    )


def read_masks(record: Record, classes: int, image: Image) -> Masks:
    """Return the record's (K, H, W) masks for this image."""
    height, width = image.shape[:2]
    try:
        masks = record.masks.read((classes, height, width))
    except MemoryError as error:
        raise InputError(
            f"{classes} masks of {width}x{height} do not fit into the memory", where=record.image
        ) from error
    if record.declared == "good" and masks.any():
        raise InputError(
            f"it counts as clean by its place, yet its mask marks {int(masks.any(0).sum())} pixels",
            where=record.image,
            mend="move it among the defective images, or empty its mask",
        )
    return masks


def judge_label(record: Record, masks: Masks) -> Label:
    """Return the label: only an image declared, or drawn, to be without defect is ``good``."""
    if record.declared == "by-mask":
        return "defective" if masks.any() else "good"
    if record.declared == "defective" and not masks.any():
        return "unknown"
    return "unknown" if record.declared == "unlabelled" else record.declared
