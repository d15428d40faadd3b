"""One pass over all pixels: which samples can be read, and what each holds."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from typing import Any

import cv2
import numpy as np

from flawsmith.data.dataset import DataSet, Record, Skipped, load
from flawsmith.data.joining import merged
from flawsmith.data.parallel import ordered_map
from flawsmith.data.reading import OnError
from flawsmith.errors import InputError, printable
from flawsmith.progress import track
from flawsmith.sample import Image, Label, Masks, Sample, pixel_counts


@dataclass(frozen=True)
class Component:
    """One connected component (8-connected) of a class mask: its box and area, in pixels."""

    plane: int
    x: int
    y: int
    width: int
    height: int
    area: int


@dataclass(frozen=True)
class Facts:
    """What one sample holds: size in pixels, pixels a class, components, and a pixel digest.

    joined: the group that the source names, where copies of its images lie in ``group``.
    """

    id: str
    label: Label
    group: str
    width: int
    height: int
    channels: int
    pixels: tuple[int, ...]
    components: tuple[Component, ...]
    overlap: bool
    digest: str
    joined: str = ""

    @property
    def planes(self) -> tuple[int, ...]:
        """The classes present."""
        return tuple(plane for plane, count in enumerate(self.pixels) if count)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(content: dict[str, Any]) -> "Facts":
        components = tuple(Component(**entry) for entry in content["components"])
        return Facts(**{**content, "pixels": tuple(content["pixels"]), "components": components})


@dataclass(frozen=True)
class Scan:
    """A data set whose every sample can be read, with the facts of each, in the same order."""

    dataset: DataSet
    facts: tuple[Facts, ...]

    @property
    def overlap(self) -> bool:
        """Whether any sample's planes overlap."""
        return any(facts.overlap for facts in self.facts)

    def select(self, indices: Sequence[int]) -> "Scan":
        """Return the scan of these samples, in this order."""
        return Scan(self.dataset.select(indices), tuple(self.facts[i] for i in indices))

    def where(self, label: Label) -> list[int]:
        """Return the indices of the samples with this label."""
        return [i for i, facts in enumerate(self.facts) if facts.label == label]

    def joined(self, links: Iterable[Sequence[int]], notice: str) -> "Scan":
        """Return the same with the groups of linked samples merged, and a notice that says so.

        links: indices of samples that belong together. ``Facts.joined`` keeps the source's name.
        """
        groups = merged([facts.group for facts in self.facts], links)
        facts = tuple(
            f if g == f.group else replace(f, group=g, joined=f.joined or f.group)
            for f, g in zip(self.facts, groups, strict=True)
        )
        pairs = zip(self.dataset.records, groups, strict=True)
        records = tuple(replace(record, group=group) for record, group in pairs)
        notices = (*self.dataset.notices, notice)
        return Scan(replace(self.dataset, records=records, notices=notices), facts)


@dataclass(frozen=True)
class _Look:
    records: tuple[Record, ...]
    classes: int

    def __call__(self, index: int) -> Facts | Skipped:
        try:
            sample = load(self.records[index], self.classes)
        except InputError as error:
            where = error.where or self.records[index].id
            return Skipped(printable(where), printable(error.what), error.mend, bad=True)
        return facts_of(sample)


def facts_of(sample: Sample) -> Facts:
    """Return what a scan says of a decoded sample."""
    pixels = pixel_counts(sample.masks)
    height, width = sample.image.shape[:2]
    return Facts(
        id=sample.id,
        label=sample.label,
        group=sample.group,
        width=width,
        height=height,
        channels=1 if sample.image.ndim == 2 else 3,
        pixels=pixels,
        components=components(sample.masks),
        overlap=int(np.count_nonzero(sample.union)) < sum(pixels),
        digest=pixel_digest(sample.image),
    )


def scan(
    dataset: DataSet, *, workers: int = 1, on_error: OnError = "stop", may_be_empty: bool = False
) -> Scan:
    """Decode every sample once; exact copies of an image are put into one group.

    A bad sample raises InputError (``stop``, the first in order) or joins ``skipped``; that no good
    one is left raises it too, unless ``may_be_empty``.
    """
    look = _Look(dataset.records, len(dataset.classes))
    results = ordered_map(look, range(len(dataset)), workers, chunk=16)
    kept: list[int] = []
    facts: list[Facts] = []
    skipped: list[Skipped] = []
    for index, result in enumerate(track(results, "reading", len(dataset))):
        if isinstance(result, Facts):
            kept.append(index)
            facts.append(result)
        elif on_error == "stop":
            raise InputError(result.reason, where=result.where, mend=result.mend)
        else:
            where = result.where.removeprefix(f"{dataset.root}/")
            skipped.append(replace(result, where=where))
    if not kept and not may_be_empty:
        found = f"such as {skipped[0]}" if skipped else "it is empty"
        raise InputError(f"no sample can be used: {found}", where=dataset.root)
    readable = replace(dataset.select(kept), skipped=dataset.skipped + tuple(skipped))
    return _name_empty(_join_copies(Scan(readable, tuple(facts))))


def components(masks: Masks) -> tuple[Component, ...]:
    """Return the 8-connected components of (K, H, W) masks, class by class."""
    found = []
    for plane, mask in enumerate(masks):
        if mask.any():
            stats = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)[2]
            found += [Component(plane, *map(int, row)) for row in stats[1:]]
    return tuple(found)


def pixel_digest(image: Image) -> str:
    """Return a digest of an image's pixels and shape."""
    state = blake2b(str(image.shape).encode(), digest_size=16)
    state.update(np.ascontiguousarray(image).data)
    return state.hexdigest()


def _join_copies(scan: Scan) -> Scan:
    """Merge the groups of images with the very same pixels: no split may separate copies."""
    same: dict[str, list[int]] = defaultdict(list)
    for index, facts in enumerate(scan.facts):
        same[facts.digest].append(index)
    copies = [indices for indices in same.values() if len(indices) > 1]
    if not copies:
        return scan
    return scan.joined(
        copies,
        f"{len(copies)} images occur more than once; their copies share a group: "
        + ", ".join(" = ".join(scan.facts[i].id for i in indices) for indices in copies[:3]),
    )


def _name_empty(scan: Scan) -> Scan:
    """Say which defective images have an empty mask: they count as unknown and are not used."""
    pairs = zip(scan.dataset.records, scan.facts, strict=True)
    empty = [f.id for record, f in pairs if record.declared == "defective" and f.label == "unknown"]
    if not empty:
        return scan
    notice = f"{len(empty)} images among the defective ones have an empty mask (unknown, not used)"
    notices = (*scan.dataset.notices, f"{notice}: {', '.join(empty[:5])}")
    return Scan(replace(scan.dataset, notices=notices), scan.facts)
