"""Reading and writing pictures: 8-bit grey or RGB, or one clear line why not.

Nothing is converted in silence: 16-bit, translucent, CMYK and rotated-by-EXIF pictures are refused,
because every repair would be a guess about the user's data.
"""

import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from flawsmith.errors import InputError, OutputError
from flawsmith.sample import Image

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
# What Pillow's decoders raise on broken files, by their own tests and by our fuzzing.
DECODE_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError,
    OverflowError, MemoryError, struct.error, zlib.error,
)  # fmt: skip
EXIF_ORIENTATION = 274
# Of OpenCV's settings the fastest one that is also among the smallest on photographs: each row's
# difference to the row above, run-length coded (half the time of plain level 1, a tenth smaller).
PNG_OPTIONS = [
    cv2.IMWRITE_PNG_COMPRESSION, 1,
    cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE,
    cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP,
]  # fmt: skip


def is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def image_size(path: Path) -> tuple[int, int]:
    """Width and height from the header alone; raises InputError if it is no picture we read."""
    with _open(path) as picture:
        return picture.size


def read_image(path: Path) -> Image:
    """Return (H, W) grey or (H, W, 3) RGB uint8.

    A palette, 1-bit or fully opaque picture with alpha is expanded without loss; anything that
    would lose or guess raises InputError.
    """
    with _open(path) as picture:
        if picture.getexif().get(EXIF_ORIENTATION, 1) != 1:
            raise InputError(
                "the picture is to be shown turned (EXIF orientation), so its mask may not fit",
                where=path,
                mend="save it upright and without the tag, for instance with mogrify -auto-orient",
            )
        if picture.mode == "P":
            picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
        elif picture.mode == "1":
            picture = picture.convert("L")
        array = _decode(path, picture)
    if array.ndim == 3 and array.shape[2] in (2, 4):
        if array[..., -1].min() < 255:
            raise InputError(
                "the picture is partly transparent",
                where=path,
                mend="flatten it onto its background and save it without alpha",
            )
        array = array[..., 0] if array.shape[2] == 2 else np.ascontiguousarray(array[..., :3])
    if array.dtype != np.uint8 or picture.mode not in {"L", "LA", "RGB", "RGBA"}:
        raise InputError(
            f"pictures must be 8-bit grey or RGB; this one is {picture.mode} {array.dtype}",
            where=path,
            mend="convert it to 8 bit grey or RGB first, with the scaling you want",
        )
    return np.asarray(array, np.uint8)


def read_index(path: Path) -> NDArray[np.uint8]:
    """Return a label picture as (H, W) uint8 of the values stored in the file.

    Palette files give their indices, 1-bit files 0 and 1; RGB is accepted only if grey.
    """
    with _open(path) as picture:
        array = _decode(path, picture)
        mode = picture.mode
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    if mode in {"RGB", "RGBA", "LA"}:
        colours = array[..., :1] if mode == "LA" else array[..., :3]
        if (colours != colours[..., :1]).any():
            raise InputError(
                "the mask is a colour picture",
                where=path,
                mend="save class numbers as a grey or palette PNG",
            )
        array = np.ascontiguousarray(colours[..., 0])
    if array.dtype != np.uint8:
        if array.min() < 0 or array.max() > 255:
            raise InputError(
                f"mask values run from {array.min()} to {array.max()}; at most 255 can be read",
                where=path,
                mend="save the mask with 8 bits",
            )
        array = array.astype(np.uint8)
    return np.asarray(array, np.uint8)


def write_png(path: Path, array: NDArray[np.uint8]) -> None:
    """Write (H, W) or (H, W, 3) RGB uint8 losslessly; the same pixels give the same bytes.

    Raises OutputError when the disk is full or the folder cannot be written.
    """
    write_bytes(path, encode_png(array))


def encode_png(array: NDArray[np.uint8]) -> bytes:
    """PNG bytes of (H, W) or (H, W, 3) RGB uint8."""
    return _encode(".png", array, PNG_OPTIONS)


def encode_jpeg(array: NDArray[np.uint8], quality: int = 95) -> bytes:
    """JPEG bytes of (H, W) or (H, W, 3) RGB uint8; lossy."""
    return _encode(".jpg", array, [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_bmp(array: NDArray[np.uint8]) -> bytes:
    """BMP bytes of (H, W) or (H, W, 3) RGB uint8."""
    return _encode(".bmp", array, [])


def _encode(suffix: str, array: NDArray[np.uint8], options: list[int]) -> bytes:
    pixels = array if array.ndim == 2 else cv2.cvtColor(array, cv2.COLOR_RGB2BGR)
    return cv2.imencode(suffix, pixels, options)[1].tobytes()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole; raises OutputError naming it when that fails."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def _open(path: Path) -> Pillow.Image:
    try:
        with warnings.catch_warnings():
            # Pillow warns from 89 megapixels on and raises from 179; a header may lie, so both stop.
            warnings.simplefilter("error", Pillow.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning)
            return Pillow.open(path, formats=FORMATS)
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning) as error:
        raise InputError(
            f"more pixels than the limit of {Pillow.MAX_IMAGE_PIXELS:,} by its header",
            where=path,
            mend="cut it into parts, or remove it if it is not yours",
        ) from error
    except DECODE_ERRORS as error:
        raise InputError(_reason(error), where=path, mend="replace or remove the file") from error


def _decode(path: Path, picture: Pillow.Image) -> NDArray[np.generic]:
    if getattr(picture, "n_frames", 1) > 1:
        raise InputError("the file holds several pictures", where=path, mend="save one a file")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning)
            return np.array(picture)
    except DECODE_ERRORS as error:
        raise InputError(_reason(error), where=path, mend="replace or remove the file") from error


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "the file does not exist"
    if isinstance(error, IsADirectoryError):
        return "it is a folder, not a picture"
    if isinstance(error, UnidentifiedImageError):
        return "not a picture that can be read (PNG, JPEG, BMP, TIFF or WebP)"
    return f"the picture is broken or cut short: {error}"
