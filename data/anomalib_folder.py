"""anomalib's ``Folder`` layout: ``normal_*`` and ``abnormal_*`` folders beside ``mask``.

There is one class. A mask is named like its image: ``mask/x.png``, or ``mask/abnormal_test/x.png``.
"""

from collections import Counter
from pathlib import Path

from flawsmith.data.dataset import DataSet, Declared, MaskSource, NoMask, Record
from flawsmith.data.mvtec import DefectMask
from flawsmith.data.pairs import DEFAULT_CLASS
from flawsmith.data.reading import Reading, unique_ids
from flawsmith.errors import InputError

NAME = "anomalib-folder"
NORMAL = ("normal_train", "normal_test")
ABNORMAL = ("abnormal_train", "abnormal_test")
MASKS = "mask"
ENDINGS = ("", "_mask")


def detect(root: Path) -> str | None:
    """Return what was seen if a folder of normal images lies beside abnormal ones or masks."""
    seen = [name for name in (*NORMAL, *ABNORMAL, MASKS) if (root / name).is_dir()]
    whole = set(seen) & set(NORMAL) and set(seen) - set(NORMAL)
    return f"the folders {', '.join(seen)}" if whole else None


def read(reading: Reading, classes: tuple[str, ...] | None) -> DataSet:
    """Pair images and masks by name; an abnormal image without a mask is ``unknown``."""
    root = reading.root
    names = classes or (DEFAULT_CLASS,)
    if len(names) != 1:
        raise InputError(f"this layout has one class, not {len(names)}", where=root)
    files = {p: p.relative_to(root).with_suffix("").parts for p in reading.images()}
    images = {p: parts for p, parts in files.items() if parts[0] in (*NORMAL, *ABNORMAL)}
    masks = {"/".join(parts[1:]): p for p, parts in files.items() if parts[0] == MASKS}
    shared = Counter(parts[-1] for parts in images.values() if parts[0] in ABNORMAL)
    ids = unique_ids(reading, images, root)
    records = []
    for path, parts in images.items():
        good = parts[0] in NORMAL
        key = next((key for key in _keys(parts) if key in masks), None)
        if key is not None and "/" not in key and shared[parts[-1]] > 1:
            raise InputError(
                f"{shared[parts[-1]]} abnormal images are called {parts[-1]!r}",
                where=masks[key],
                mend=f"put it into {MASKS}/{parts[0]}/ or the like",
            )
        meta = {"split": parts[0].rpartition("_")[2]}
        source: MaskSource = NoMask()
        declared: Declared = "good" if good else "unknown"
        if key is not None:
            source = DefectMask(masks.pop(key), None if good else 0)
            declared = "good" if good else "defective"
        elif not good:
            reading.pass_over(path, "no mask: label unknown, not used")
        if path in ids:
            records.append(Record(ids[path], path, source, declared, meta=meta))
    for mask in masks.values():
        reading.pass_over(mask, "a mask without an abnormal image")
    return DataSet(root, NAME, names, tuple(records))


def _keys(parts: tuple[str, ...]) -> list[str]:
    """Return where the mask of an image may lie below ``mask/``, the most exact place first.

    A mask without a folder belongs to an abnormal image, even where a normal one has that name.
    """
    places = ["/".join(parts)]
    if parts[0] in ABNORMAL:
        places += ["/".join(parts[1:]), parts[-1]]
    return [place + ending for place in dict.fromkeys(places) for ending in ENDINGS]
