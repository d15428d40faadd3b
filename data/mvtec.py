"""The layout of MVTec AD: ``train/good``, ``test/<type>`` and ``ground_truth/<type>``.

The defect types are the classes. What is written are names that begin with the sample's number:
anomalib pairs masks with images by their sorted position.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flawsmith.data.dataset import DataSet, Declared, MaskSource, NoMask, Record
from flawsmith.data.images import encode_png, read_index
from flawsmith.data.pairs import THRESHOLD, check_mask_size
from flawsmith.data.reading import Reading, hidden, unique_ids
from flawsmith.data.writing import Lines, Spec, write_file, write_picture
from flawsmith.errors import InputError
from flawsmith.sample import Masks, Sample, check_id

NAME = "mvtec"
SPLITS = frozenset({"train", "validation", "test"})
TRUTH = "ground_truth"
GOOD = "good"
# MVTec AD's own name for images with defects of several types.
COMBINED = "combined"
UNLABELLED = "unlabelled"
ENDINGS = ("_mask", "")


@dataclass(frozen=True)
class DefectMask:
    """One grey mask picture of one class; ``plane`` None: it must not mark anything.

    It marks where it is 128 or more, values between being softened edges; or, if it has no such
    pixel, where it holds its only value besides 0 (masks of 0 and 1 are common).
    """

    path: Path
    plane: int | None

    def read(self, shape: tuple[int, int, int]) -> Masks:
        values = read_index(self.path)
        check_mask_size(self.path, values.shape, shape)
        found = np.flatnonzero(np.bincount(values.ravel(), minlength=256))
        if found[-1] >= THRESHOLD:
            marked = values >= THRESHOLD
        elif len(found) <= 2:
            marked = values > 0
        else:
            raise InputError(
                f"the mask holds the values {', '.join(map(str, found[:6]))}",
                where=self.path,
                mend="save masks with 0 and 255",
            )
        masks = np.zeros(shape, bool)
        if self.plane is not None:
            masks[self.plane] = marked
        elif marked.any():
            raise InputError("a mask that marks a defect in a good image", where=self.path)
        return masks


def detect(root: Path) -> str | None:
    """Return what was seen if the layout begins here or one or two folders down."""
    homes = find_homes(root)
    if not homes:
        return None
    places = [home.relative_to(root).as_posix() for home in homes]
    return f"train/, test/ or ground_truth/ in {', '.join(places[:3])}"


def find_homes(root: Path) -> list[Path]:
    """Return the folders, all at the least depth of 0, 1 or 2, where the layout begins."""
    for pattern in (".", "*", "*/*"):
        folders = [root] if pattern == "." else sorted(root.glob(pattern))
        homes = [
            f for f in folders
            if f.is_dir() and _is_home(f) and _is_reached(f, root)
        ]  # fmt: skip
        if homes:
            return homes
    return []


def _is_reached(folder: Path, root: Path) -> bool:
    """Tell whether the walk over ``root`` gets here: no hidden folder and no link on the way."""
    way = [p for p in (folder, *folder.parents) if root in p.parents]
    return not any(hidden(p.name) or p.is_symlink() for p in way)


def _is_home(folder: Path) -> bool:
    train, test, truth = (
        (folder / name).is_dir() for name in (f"train/{GOOD}", "test", TRUTH)
    )  # fmt: skip
    return (train and (test or truth)) or (test and truth)


def read(reading: Reading, classes: tuple[str, ...] | None) -> DataSet:
    """Pair images and masks by type and stem; images that should have a mask are ``unknown``."""
    root = reading.root
    homes = find_homes(root) or [root]
    if len(homes) > 1:
        raise InputError(
            f"{len(homes)} data sets: {', '.join(h.relative_to(root).as_posix() for h in homes)}",
            where=root,
            mend="give the folder of one of them",
        )
    home, types, masks = homes[0], {}, {}
    for path in reading.images(str(home.relative_to(root))):
        top, *middle = path.relative_to(home).parts[:-1] or ("",)
        if top == TRUTH and middle:
            masks[middle[0], path.stem] = path
        elif top == UNLABELLED:
            types[path] = UNLABELLED
        elif top in SPLITS and middle:
            types[path] = middle[0]
        else:
            reading.pass_over(path, "not in a folder that names its type")
    given = classes or ()
    found = sorted(set(types.values()) - {GOOD, UNLABELLED, *given})
    names = (*given, *found)
    ids = unique_ids(reading, types, root)
    records = []
    for path, kind in types.items():
        stems = [path.stem + ending for ending in ENDINGS]
        mask = next((masks.pop((kind, s)) for s in stems if (kind, s) in masks), None)
        if path not in ids:
            continue
        meta = {} if kind == UNLABELLED else {"split": path.relative_to(home).parts[0]}
        records.append(Record(ids[path], path, *_truth(kind, mask, names), meta=meta))
        if records[-1].declared == "unknown":
            reading.pass_over(path, "no mask: label unknown, not used")
    for mask in masks.values():
        reading.pass_over(mask, "a mask without an image")
    return DataSet(root, NAME, names, tuple(records))


def _truth(kind: str, mask: Path | None, names: tuple[str, ...]) -> tuple[MaskSource, Declared]:
    """Return the masks of an image of this type and what the layout says of it."""
    if mask is None or kind == UNLABELLED:
        return NoMask(), "good" if kind == GOOD else "unknown"
    if kind == GOOD:
        return DefectMask(mask, None), "good"
    return DefectMask(mask, names.index(kind)), "defective"


def write_sample(root: Path, index: int, sample: Sample, spec: Spec) -> dict[str, Any]:
    """Write the image and, of a defective one, its mask; several types go to ``combined``."""
    check_classes(spec.classes)
    stem = f"{index:07d}_{sample.id}"
    marked = [n for n, m in zip(spec.classes, sample.masks, strict=True) if m.any()]
    if sample.label == GOOD:
        split = "test" if sample.meta.get("split") == "test" else "train"
        folder = f"{split}/{GOOD}"
    elif sample.label == "unknown" or not marked:
        folder, marked = UNLABELLED, []
    else:
        kind = marked[0] if len(marked) == 1 else COMBINED
        folder = f"test/{kind}"
        pixels = sample.union.astype(np.uint8) * 255
        write_file(root / TRUTH / kind / f"{stem}_mask.png", encode_png(pixels))
    image = write_picture(root, f"{folder}/{stem}", sample, spec)
    return {"image": image, "merged": len(marked) > 1, "unlabelled": folder == UNLABELLED}


def check_classes(classes: tuple[str, ...]) -> None:
    """Raise InputError for names that cannot be folders of defect types."""
    seen: set[str] = set()
    for name in classes:
        try:
            check_id(name)
            usable = not hidden(name) and name.casefold() not in (GOOD, UNLABELLED)
        except InputError:
            usable = False
        # Some file systems do not tell Scratch from scratch.
        if not usable or name.casefold() in seen:
            raise InputError(
                f"the class name {name[:80]!r} cannot be a folder of this layout",
                mend="rename the class, or write another format",
            )
        seen.add(name.casefold())


def finish(root: Path, spec: Spec, lines: Lines) -> list[str]:
    """Nothing describes the folder as a whole; the notices tell what it does not hold."""
    counts: Counter[str] = Counter()
    for line in lines():
        counts.update({key: bool(line["part"][key]) for key in ("merged", "unlabelled")})
    notices = []
    if counts["merged"]:
        notices.append(
            f"{counts['merged']} samples of several classes were merged into test/{COMBINED} with "
            "the union of their masks: this layout holds one type an image"
        )
    if counts["unlabelled"]:
        notices.append(
            f"{counts['unlabelled']} images of unknown label lie in {UNLABELLED}/, "
            "which other programs do not read"
        )
    return notices
