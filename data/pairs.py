"""Image and mask side by side: ``x.jpg`` with ``x.png``, or ``x.png`` with ``x_mask.png``.

The top folder names the class (``MT_Break/Imgs/...``); one named like ``good`` or ``MT_Free`` holds
clean images. Masks are thresholded at 128, as their anti-aliased edges in the wild need.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flawsmith.data.dataset import DataSet, Declared, NoMask, Record
from flawsmith.data.images import is_image, read_index
from flawsmith.data.reading import Reading, is_good_name, unique_ids
from flawsmith.errors import InputError
from flawsmith.sample import Masks

NAME = "pairs"
THRESHOLD = 128
MASK_ENDINGS = ("_mask", "_gt", "_label")
DEFAULT_CLASS = "defect"


@dataclass(frozen=True)
class ThresholdMask:
    """One grey mask picture that marks one class where it is at least 128."""

    path: Path
    plane: int | None

    def read(self, shape: tuple[int, int, int]) -> Masks:
        values = read_index(self.path)
        check_mask_size(self.path, values.shape, shape)
        masks = np.zeros(shape, bool)
        marked = values >= THRESHOLD
        if self.plane is not None:
            masks[self.plane] = marked
        elif marked.any():
            raise InputError(
                "its folder holds clean images, yet its mask marks a defect",
                where=self.path,
                mend="move it among the defective images, or empty its mask",
            )
        return masks


def check_mask_size(path: Path, found: tuple[int, ...], shape: tuple[int, int, int]) -> None:
    """Raise InputError unless a mask of (H, W) ``found`` fits masks of (K, H, W) ``shape``."""
    if found != shape[1:]:
        raise InputError(
            f"the mask is {found[1]}x{found[0]}, its image {shape[2]}x{shape[1]}",
            where=path,
            mend="draw or export the mask at the size of its image",
        )


def detect(root: Path) -> str | None:
    """Return what was seen if most images of ``root`` lie beside their masks."""
    images = Reading(root, "skip").images()
    pairs = _pair(images)
    paired = sum(mask is not None for mask in pairs.values())
    if not paired or 2 * paired < len(pairs):
        return None
    image, mask = next((i, m) for i, m in pairs.items() if m is not None)
    return f"{paired} images with a mask beside them, like {image.name} and {mask.name}"


def read(reading: Reading, classes: tuple[str, ...] | None) -> DataSet:
    """Pair the files; images without a mask outside of clean folders are ``unknown``."""
    pairs = _pair(reading.images())
    tops = {image: _top(image, reading.root) for image in pairs}
    ids = unique_ids(reading, pairs, reading.root)
    found = sorted({top for top in tops.values() if not is_good_name(top)})
    classes = classes or tuple(found)
    strange = [top for top in found if top not in classes]
    if strange:
        raise InputError(
            f"the folder {strange[0]!r} is none of the classes {', '.join(classes)}",
            where=reading.root,
        )
    records = []
    for image, mask in ((image, mask) for image, mask in pairs.items() if image in ids):
        good = is_good_name(tops[image])
        declared: Declared = "good" if good else "defective"
        if tops[image] == DEFAULT_CLASS and image.parent == reading.root:
            declared = "by-mask"
        source: ThresholdMask | NoMask = NoMask()
        if mask is not None:
            source = ThresholdMask(mask, None if good else classes.index(tops[image]))
        elif not good:
            declared = "unlabelled" if image.parent == reading.root else "unknown"
            reading.pass_over(image, "no mask beside it: label unknown, not used")
        records.append(Record(ids[image], image, source, declared))
    return DataSet(reading.root, NAME, classes, tuple(records))


def _top(image: Path, root: Path) -> str:
    parts = image.relative_to(root).parts
    return parts[0] if len(parts) > 1 else DEFAULT_CLASS


def _pair(images: list[Path]) -> dict[Path, Path | None]:
    """Return each image with its mask: the PNG of the same or the longer name in its folder."""
    by_name: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in images:
        by_name[path.parent, path.stem].append(path)
    masks: dict[Path, Path] = {}
    for (folder, stem), files in by_name.items():
        pngs = [p for p in files if p.suffix.lower() == ".png"]
        others = [p for p in files if p.suffix.lower() != ".png" and is_image(p)]
        if pngs and len(others) == 1:
            masks[others[0]] = pngs[0]
        for ending in MASK_ENDINGS:
            partner = by_name.get((folder, stem + ending))
            if partner:
                masks.update(dict.fromkeys(files, partner[0]))
    taken = set(masks.values())
    return {path: masks.get(path) for path in images if path not in taken}
