"""The unit that every part of flawsmith passes on: one image with its masks."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from flawsmith.errors import CONTROL, InputError

Label = Literal["good", "defective", "unknown"]
LABELS: tuple[Label, ...] = get_args(Label)
Image = NDArray[np.uint8]
Masks = NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """One image and its class masks.

    image: (H, W) grey or (H, W, 3) RGB, uint8, 0 to 255.
    masks: (K, H, W) bool, one plane a class of the data set, in its order; planes may overlap.
    label: ``good`` (clean, usable as a background), ``defective`` or ``unknown``.
    group: samples of one physical part share it; a split never separates them.
    meta: JSON-able provenance (how the sample was made).

    Raises ValueError when shapes, dtypes, label and masks contradict one another.
    """

    id: str
    image: Image
    masks: Masks
    label: Label
    group: str
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_id(self.id)
        if self.image.dtype != np.uint8 or not (
            self.image.ndim == 2 or (self.image.ndim == 3 and self.image.shape[2] == 3)
        ):
            raise ValueError(
                f"{self.id}: image is {self.image.dtype} {self.image.shape}; "
                "wanted uint8 (H, W) or (H, W, 3)"
            )
        if self.masks.dtype != np.bool_ or self.masks.ndim != 3:
            raise ValueError(
                f"{self.id}: masks are {self.masks.dtype} {self.masks.shape}; wanted bool (K, H, W)"
            )
        if self.masks.shape[1:] != self.image.shape[:2]:
            raise ValueError(
                f"{self.id}: masks {self.masks.shape[1:]} and image {self.image.shape[:2]} differ"
            )
        if self.label not in LABELS:
            raise ValueError(f"{self.id}: label {self.label!r}; wanted one of {LABELS}")
        if self.label == "good" and self.masks.any():
            raise ValueError(f"{self.id}: labelled good, yet its mask is not empty")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.shape[1], self.image.shape[0]

    @property
    def union(self) -> Masks:
        """(H, W) bool: any class."""
        return np.asarray(self.masks.any(axis=0))


def pixel_counts(masks: Masks) -> tuple[int, ...]:
    """Return the marked pixels of each plane of (K, H, W) masks; many times faster than a sum."""
    return tuple(int(np.count_nonzero(plane)) for plane in masks)


def check_id(sample_id: str, where: object = "") -> None:
    """Raise InputError unless ``sample_id`` is safe as a file stem (no separators, no escapes)."""
    if (
        not sample_id
        or sample_id.startswith(".")
        or len(sample_id.encode("utf-8", "surrogatepass")) > 200
        or "/" in sample_id
        or "\\" in sample_id
        or CONTROL.search(sample_id)
    ):
        raise InputError(
            f"sample id {sample_id[:80]!r} cannot be a file name",
            where=where,
            mend="rename it: no slash, no control character, no leading dot, at most 200 bytes",
        )
