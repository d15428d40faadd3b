"""The demo data set, one sample at a time: steel strips or photos of battery plates.

Sample i depends on (seed, i) alone, and so do its label, its class and, for plates, which plate it
shows. Labels come in small blocks of fixed content in a seeded order, so that even a short run
from index 0 holds clean and defective samples of several classes in about the real shares.
"""

import numpy as np

from flawsmith.data.demo_plate_surface import PLATE_CLASSES
from flawsmith.data.demo_plates import DEMO_SCALE, draw_plate, photograph
from flawsmith.data.demo_strips import SECOND_CLASS_SHARE, STRIP_CLASSES, draw_strip
from flawsmith.errors import InputError
from flawsmith.sample import Masks, Sample
from flawsmith.seeding import rng

DEMO_KINDS = ("severstal", "plates")
DEMO_CLASSES: dict[str, tuple[str, ...]] = {"severstal": STRIP_CLASSES, "plates": PLATE_CLASSES}

# 17 strips, 9 of them defective (0 is clean): 0.529 against 6666 of 12568 = 0.530. Over four
# blocks the classes come 4 : 1 : 27 : 4; with the second classes that is about the real shares,
# 897, 247, 5150 and 801 images of 6666 (class 2 is too rare for less than one in 36).
STRIP_BLOCKS = tuple((0,) * 8 + (1, 4, extra) + (3,) * 6 for extra in (2, 3, 3, 3))
# Five plates on ten photos: how often each is photographed, the first of them defective. Two bad
# photos of ten; the real set has 207 good and 53 bad.
PLATE_BLOCK = (2, 1, 2, 2, 3)


def demo_sample(kind: str, seed: int, index: int, *, scale: float = DEMO_SCALE) -> Sample:
    """Draw sample ``index`` of the demo set ``kind`` ("severstal" or "plates").

    scale: of the plate photos, 1 is 4096x6000 pixels; strips are always 1600x256.
    Strips are grey with 4 masks, plate photos RGB with 2. Raises InputError for another kind, a
    negative seed or index, or a scale outside 0.05 to 1.
    """
    if kind not in DEMO_KINDS:
        raise InputError(f"no demo data of kind {kind!r}", mend=f"one of {', '.join(DEMO_KINDS)}")
    if seed < 0 or index < 0:
        raise InputError(f"seed {seed}, index {index}", mend="use numbers from 0 on")
    if not 0.05 <= scale <= 1:
        raise InputError(f"scale {scale} of the plate photos", mend="use 0.05 to 1")
    return _strip(seed, index) if kind == "severstal" else _plate(seed, index, scale)


def _strip(seed: int, index: int) -> Sample:
    block, place = divmod(index, len(STRIP_BLOCKS[0]))
    content = STRIP_BLOCKS[block % len(STRIP_BLOCKS)]
    order = rng(seed, "demo-severstal-block", block).permutation(len(content))
    first = content[int(order[place])]
    generator = rng(seed, "demo-severstal", index)
    classes = [first] if first else []
    if first and generator.random() < SECOND_CLASS_SHARE:
        classes.append(_other_class(generator, first))
    image, masks = draw_strip(generator, defective=bool(first), classes=classes)
    name = f"strip_{index:05d}"
    return Sample(
        id=name,
        image=image,
        masks=masks,
        label="defective" if first else "good",
        group=name,
        meta={"demo": "severstal", "seed": seed, "index": index},
    )


def _other_class(generator: np.random.Generator, first: int) -> int:
    # The scratch is by far the commonest companion; beside a scratch it is a patch or a pit.
    return 3 if first != 3 else int(generator.choice([1, 4]))


def _plate(seed: int, index: int, scale: float) -> Sample:
    plate, defective = _plate_of(seed, index)
    drawn = draw_plate(rng(seed, "demo-plate", plate), defective=defective, scale=scale)
    photo = photograph(rng(seed, "demo-plates", index), drawn, scale)
    corners = [[round(value, 2) for value in corner] for corner in photo.pose.corners]
    return Sample(
        id=f"plate_{index:05d}",
        image=photo.image,
        masks=_apart(photo.masks),
        label="defective" if defective else "good",
        group=f"plate_{plate:05d}",
        meta={"demo": "plates", "seed": seed, "index": index, "corners": corners},
    )


def _plate_of(seed: int, index: int) -> tuple[int, bool]:
    """The number of the plate that photo ``index`` shows, and whether it is defective."""
    block, place = divmod(index, sum(PLATE_BLOCK))
    generator = rng(seed, "demo-plates-block", block)
    order = generator.permutation(len(PLATE_BLOCK))
    # A short run, too, is to show both kinds: the defective plate is one of the first two.
    place_of_defective = int(np.flatnonzero(order == 0)[0])
    early = int(generator.integers(2))
    order[[place_of_defective, early]] = order[[early, place_of_defective]]
    last_photos = np.cumsum([PLATE_BLOCK[int(k)] for k in order])
    slot = int(np.searchsorted(last_photos, place, side="right"))
    return block * len(PLATE_BLOCK) + slot, bool(order[slot] == 0)


def _apart(masks: Masks) -> Masks:
    """Return the masks with shared pixels left to the first class: one index PNG holds them."""
    taken = np.cumsum(masks, axis=0) - masks > 0
    return np.asarray(masks & ~taken)
