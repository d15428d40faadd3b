"""From pictures of any sizes to the one that a network makes: as they are, scaled, or windows."""

from collections import Counter

import cv2
import numpy as np

from flawsmith.data.scan import Scan
from flawsmith.errors import InputError
from flawsmith.gen.settings import GenSettings
from flawsmith.gen.shapes import SMALLEST
from flawsmith.sample import Image, Masks

# How many sizes an error message lists.
NAMED = 4


def size_of(found: Scan, settings: GenSettings) -> tuple[int, int]:
    """Return the (width, height) that the networks will make of these pictures.

    Raises InputError that names the sizes where they differ, or where a picture is too small for
    the windows asked for.
    """
    sizes = Counter((fact.width, fact.height) for fact in found.facts)
    if settings.crop:
        _check_room(found, settings.crop)
        return settings.crop
    if settings.resize:
        return settings.resize
    if len(sizes) > 1:
        raise InputError(
            f"pictures of {len(sizes)} sizes: {_listed(sizes)}",
            where=found.dataset.root,
            mend=f"--resize {_common(sizes)} scales all to one size, --crop cuts windows of one",
        )
    return shrunk(next(iter(sizes)), settings.longest)


def shrunk(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Return a size with the same aspect whose longer side is at most ``longest``; 0: as it is."""
    share = min(1.0, longest / max(size)) if longest else 1.0
    width, height = (max(SMALLEST, round(side * share)) for side in size)
    return width, height


def fitted(image: Image, masks: Masks, size: tuple[int, int]) -> tuple[Image, Masks]:
    """Scale a picture (H, W[, 3]) with masks (K, H, W) to cover (width, height), cut the middle.

    Aspects are kept. Pictures shrink by area means, masks keep the nearest value.
    """
    tall, wide = image.shape[:2]
    if (wide, tall) == size:
        return image, masks
    share = max(size[0] / wide, size[1] / tall)
    cover = (max(size[0], round(wide * share)), max(size[1], round(tall * share)))
    how = cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR
    left, top = (cover[0] - size[0]) // 2, (cover[1] - size[1]) // 2
    rows, columns = slice(top, top + size[1]), slice(left, left + size[0])
    scaled = np.asarray(cv2.resize(image, cover, interpolation=how), np.uint8)
    planes = [
        cv2.resize(plane.view(np.uint8), cover, interpolation=cv2.INTER_NEAREST) > 0
        for plane in np.ascontiguousarray(masks)
    ]
    marked = np.stack(planes) if planes else np.zeros((0, cover[1], cover[0]), bool)
    return scaled[rows, columns], marked[:, rows, columns]


def _check_room(found: Scan, crop: tuple[int, int]) -> None:
    small = [f for f in found.facts if f.width < crop[0] or f.height < crop[1]]
    if small:
        raise InputError(
            f"{len(small)} pictures are smaller than the windows of {crop[0]}x{crop[1]}, such as "
            f"{small[0].id} ({small[0].width}x{small[0].height})",
            where=found.dataset.root,
            mend="a smaller --crop, or --resize",
        )


def _listed(sizes: Counter[tuple[int, int]]) -> str:
    shown = [f"{w}x{h} ({count})" for (w, h), count in sizes.most_common(NAMED)]
    more = f" and {len(sizes) - NAMED} more" if len(sizes) > NAMED else ""
    return ", ".join(shown) + more


def _common(sizes: Counter[tuple[int, int]]) -> str:
    width, height = sizes.most_common(1)[0][0]
    return f"{width}x{height}"
