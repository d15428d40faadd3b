"""What a detector is given: pictures of one size and one colour mode."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.data.cache import SampleCache
from flawsmith.data.scan import Scan
from flawsmith.errors import InputError
from flawsmith.sample import Image, Masks

# uint8 (H, W) or (H, W, 3) RGB, all alike.
Pictures = Sequence[Image]
SMALLEST, LARGEST = 8, 4096


@dataclass(frozen=True)
class Form:
    """The form that all pictures of a detector share. channels: 1 grey, 3 RGB."""

    height: int
    width: int
    channels: int

    def __post_init__(self) -> None:
        sides = (self.height, self.width)
        if not SMALLEST <= min(sides) <= max(sides) <= LARGEST or self.channels not in (1, 3):
            raise InputError(
                f"pictures of {self}",
                mend=f"sides of {SMALLEST} to {LARGEST} pixels, 1 or 3 colours",
            )

    def __str__(self) -> str:
        mode = {1: "grey", 3: "RGB"}.get(self.channels, f"{self.channels} colours")
        return f"{self.width}x{self.height}, {mode}"

    @staticmethod
    def of(picture: Image) -> "Form":
        """Return a picture's form; raises ValueError for what is no picture."""
        if picture.dtype != np.uint8 or picture.ndim not in (2, 3):
            raise ValueError(
                f"found {picture.dtype} {picture.shape}; wanted uint8 (H, W) or (H, W, 3)"
            )
        height, width = picture.shape[:2]
        return Form(height, width, 1 if picture.ndim == 2 else picture.shape[2])

    def check(self, picture: Image) -> None:
        """Raise InputError for a picture of another form: of another size or colour mode."""
        found = Form.of(picture)
        if found != self:
            raise InputError(
                f"a picture of {found}; the detector was trained on {self}",
                mend="bring all pictures to the size and colour mode of the clean ones",
            )


def planes(pictures: Pictures, form: Form) -> NDArray[np.uint8]:
    """Return (N, C, H, W) uint8 of pictures, each checked; raises as ``Form.check`` does."""
    found = np.empty((len(pictures), form.channels, form.height, form.width), np.uint8)
    for row, picture in zip(found, pictures, strict=True):
        form.check(picture)
        row[:] = np.atleast_3d(picture).transpose(2, 0, 1)
    return found


class Fitted(Sequence[Image]):
    """Samples of a scanned data set, decoded when indexed and brought to one form.

    Smaller by averaging areas, larger bilinearly; grey is the mean of the colours, RGB repeats the
    grey plane. The whole picture is stretched: nothing is cut away.
    """

    def __init__(self, found: Scan, indices: Sequence[int], form: Form) -> None:
        self.samples = SampleCache(found.dataset)
        self.indices = tuple(indices)
        self.form = form

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> list[Image]: ...
    def __getitem__(self, index: int | slice) -> "Image | list[Image]":
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        return fitted(self.samples[self.indices[index]].image, self.form)

    def mask(self, index: int) -> Masks:
        """Return (H, W) bool, the union of the sample's masks in the form's size."""
        return fitted_mask(self.samples[self.indices[index]].union, self.form)


def fitted(image: Image, form: Form) -> Image:
    """Return a picture in the given form."""
    if image.ndim == 3 and form.channels == 1:
        image = np.rint(image.mean(axis=2)).astype(np.uint8)
    height, width = image.shape[:2]
    if (height, width) != (form.height, form.width):
        shrinks = height * width > form.height * form.width
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        image = np.asarray(
            cv2.resize(image, (form.width, form.height), interpolation=how), np.uint8
        )
    if image.ndim == 2 and form.channels == 3:
        image = np.repeat(image[:, :, None], 3, axis=2)
    return image


def fitted_mask(mask: Masks, form: Form) -> Masks:
    """Return an (H, W) bool mask in the form's size; a mark does not vanish, however thin."""
    size = (form.width, form.height)

    near = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    if mask.any() and not near.any():
        near = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    return np.asarray(near)
