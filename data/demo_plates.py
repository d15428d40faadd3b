"""Demo photos of battery plates: a plate, turned a little, on a bench, in uneven light.

The same plate can be photographed several times (``draw_plate`` once, ``photograph`` often); the
plate's defects stay, bench, pose and light change. Lengths are given at full scale, a photo of
4096x6000, and shrink with it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.data.demo_bench import draw_bench
from flawsmith.data.demo_plate_surface import PLATE_CLASSES, draw_defects, draw_surface
from flawsmith.data.demo_texture import Field, Span, blobs
from flawsmith.data.plate_pose import PlatePose, pose_of, to_photo
from flawsmith.sample import Image, Masks

PHOTO_SIZE = (4096, 6000)  # width, height at scale 1
DEMO_SCALE = 1 / 8


class Shot(NamedTuple):
    """How photos of plates differ from one another."""

    plate_width: float = 880  # px; the height is five times this
    zoom: Span = Span(0.96, 1.04)
    turn: Span = Span(-6.0, 6.0)  # degrees
    shift: Span = Span(-0.75, 0.75)  # share of the room between plate and photo border
    light: Span = Span(0.06, 0.2)  # unevenness
    shadow: float = 26  # px, how far the plate's shadow reaches
    noise: Span = Span(1.0, 2.2)  # grey levels


SHOT = Shot()


@dataclass(frozen=True)
class Plate:
    """An upright plate at a photo's scale: image (H, W, 3) uint8, masks (2, H, W) bool."""

    image: Image
    masks: Masks


@dataclass(frozen=True)
class PlatePhoto:
    """A photo (H, W, 3) uint8 with masks (2, H, W) bool, and the truth behind it."""

    image: Image
    masks: Masks
    pose: PlatePose
    plate: Plate


def draw_plate_photo(
    generator: np.random.Generator, *, defective: bool, scale: float = DEMO_SCALE
) -> PlatePhoto:
    """Draw a plate and its photo of (6000 * scale, 4096 * scale) pixels.

    Classes of the masks: scratch, dent. All randomness comes from ``generator``.
    """
    return photograph(generator, draw_plate(generator, defective=defective, scale=scale), scale)


def draw_plate(
    generator: np.random.Generator, *, defective: bool, scale: float = DEMO_SCALE
) -> Plate:
    """Draw an upright plate: anode, glass and cathode, clean or with scratches and dents."""
    width = max(24, round(SHOT.plate_width * scale))
    surface = draw_surface(generator, width)
    masks: Masks = np.zeros((len(PLATE_CLASSES), 5 * width, width), dtype=np.bool_)
    # A draw may leave nothing that can be seen; then it is drawn anew.
    while defective and not masks.any():
        painted, masks = draw_defects(generator, surface)
        surface = painted if masks.any() else surface
    return Plate(np.clip(np.rint(surface), 0, 255).astype(np.uint8), masks)


def photograph(
    generator: np.random.Generator, plate: Plate, scale: float = DEMO_SCALE
) -> PlatePhoto:
    """Photograph ``plate``, drawn at the same ``scale``, on a new bench in a new light."""
    width, height = round(PHOTO_SIZE[0] * scale), round(PHOTO_SIZE[1] * scale)
    size = (plate.image.shape[1], plate.image.shape[0])
    pose = _draw_pose(generator, size, (width, height))
    photo = draw_bench(generator, (height, width), np.array(pose.corners) / (width, height))
    light = _light(generator, (height, width))
    masks = _lay(photo, plate, pose, SHOT.shadow * scale)
    _finish(generator, photo, light)
    return PlatePhoto(photo, masks, pose, plate)


def _draw_pose(
    generator: np.random.Generator, plate: tuple[int, int], photo: tuple[int, int]
) -> PlatePose:
    turn = np.radians(SHOT.turn.draw(generator))
    zoom = SHOT.zoom.draw(generator)
    right = np.array([np.cos(turn), np.sin(turn)]) * plate[0] * zoom / 2
    down = np.array([-np.sin(turn), np.cos(turn)]) * plate[1] * zoom / 2
    room = np.array(photo) / 2 - np.abs(right) - np.abs(down)
    middle = np.array(photo) / 2 + room * [SHOT.shift.draw(generator) for _ in range(2)]
    return pose_of(middle + np.array([-right - down, right - down, right + down, down - right]))


def _lay(photo: Image, plate: Plate, pose: PlatePose, shadow: float) -> Masks:
    """Lay the plate and its shadow into ``photo`` in place; the masks (K, H, W) in the photo."""
    corners = np.array(pose.corners)
    pad = int(np.ceil(3 * shadow)) + 3
    left, top = (max(int(n) - pad, 0) for n in corners.min(axis=0))
    right, bottom = (int(n) + pad for n in corners.max(axis=0))
    window = photo[top:bottom, left:right]
    size = (window.shape[1], window.shape[0])
    plate_size = (plate.image.shape[1], plate.image.shape[0])
    matrix = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]]) @ to_photo(pose, plate_size)

    def lay(source: NDArray[np.uint8], border: int) -> NDArray[np.uint8]:
        warped = cv2.warpPerspective(
            source, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border
        )
        return np.asarray(warped, dtype=np.uint8)

    solid = np.full(plate.image.shape[:2], 255, dtype=np.uint8)
    cover = lay(solid, cv2.BORDER_CONSTANT).astype(np.float32)[..., None] / 255
    fall = np.array([[1, 0, 0.5 * shadow], [0, 1, 0.7 * shadow]])
    soft = cv2.GaussianBlur(cv2.warpAffine(cover[..., 0], fall, size), (0, 0), max(shadow, 0.3))
    shaded = window * (1 - 0.5 * np.asarray(soft)[..., None])
    laid = lay(plate.image, cv2.BORDER_REPLICATE)
    window[:] = np.rint(laid * cover + shaded * (1 - cover)).astype(np.uint8)
    masks: Masks = np.zeros((len(plate.masks), *photo.shape[:2]), dtype=np.bool_)
    for plane, mask in enumerate(plate.masks):
        part = lay(mask.astype(np.uint8) * 255, cv2.BORDER_CONSTANT)
        masks[plane, top:bottom, left:right] = part > 127
    return masks


def _light(generator: np.random.Generator, shape: tuple[int, int]) -> Field:
    """(H, W) factor of about 1: slow unevenness and a darker rim."""
    small = (150, 102)
    rows, columns = (np.linspace(-1, 1, n, dtype=np.float32) for n in small)
    slow = SHOT.light.draw(generator) * blobs(generator, small, (110, 90))
    rim = 0.14 * (rows[:, None] ** 2 + columns[None, :] ** 2) / 2
    factor = np.clip(1.04 + slow - rim, 0.55, 1.3)
    return np.asarray(cv2.resize(factor, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def _finish(generator: np.random.Generator, photo: Image, light: Field) -> None:
    """Light and sensor noise, in place and by bands: a full-size photo is 74 MB as it is."""
    noise = SHOT.noise.draw(generator)
    for top in range(0, photo.shape[0], 512):
        band = photo[top : top + 512]
        speckle = noise * generator.standard_normal(band.shape[:2], dtype=np.float32)
        lit = band * light[top : top + 512, :, None] + speckle[..., None]
        band[:] = np.clip(np.rint(lit), 0, 255).astype(np.uint8)
