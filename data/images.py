"""Reading and writing pictures: 8-bit grey or RGB, or one clear line why not.

Nothing is converted in silence: 16-bit, translucent, CMYK and rotated-by-EXIF pictures are refused,
because every repair would be a guess about the user's data.
"""

import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
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
# Of one picture.
PIXEL_LIMIT = Pillow.MAX_IMAGE_PIXELS or 1 << 26
IMAGE_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})
INDEX_MODES = IMAGE_MODES | {"I", "I;16", "I;16B", "I;16L", "I;16N", "F"}
INDEX_MEND = "save class numbers as a grey or palette PNG with 8 bits"
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
    with _open(path) as picture, _decoding(path):
        # To be asked first: it is gone once the picture is decoded.
        deep = _is_16_bit(picture)
        _check_single_upright(path, picture)
        if picture.mode not in IMAGE_MODES or deep:
            raise InputError(
                f"pictures must be 8-bit grey or RGB; this one is {picture.mode}"
                + ", 16 bits a channel" * deep,
                where=path,
                mend="convert it to 8 bit grey or RGB first, with the scaling you want",
            )
        transparent = "transparency" in picture.info
        if picture.mode == "P" or (picture.mode == "RGB" and transparent):
            picture = picture.convert("RGBA" if transparent else "RGB")
        elif picture.mode == "1" or (picture.mode == "L" and transparent):
            picture = picture.convert("LA" if transparent else "L")
        return _without_alpha(path, np.array(picture))


def read_index(path: Path) -> NDArray[np.uint8]:
    """Return a label picture as (H, W) uint8 of the values stored in the file.

    Palette files give their indices, 1-bit files 0 and 1; RGB is accepted only if grey.
    """
    with _open(path) as picture, _decoding(path):
        raw = _raw_mode(picture)
        deep = _is_16_bit(picture) and picture.mode[0] != "I"
        _check_single_upright(path, picture)
        if picture.mode not in INDEX_MODES or deep:
            raise InputError(
                f"a mask must be a grey or palette picture; this one is {picture.mode}"
                + ", 16 bits a channel" * deep,
                where=path,
                mend=INDEX_MEND,
            )
        array: NDArray[np.generic] = np.array(picture)
    if array.ndim == 3:
        opaque = _without_alpha(path, np.asarray(array, np.uint8))
        if opaque.ndim == 3 and (opaque != opaque[..., :1]).any():
            raise InputError("the mask is a colour picture", where=path, mend=INDEX_MEND)
        array = opaque if opaque.ndim == 2 else np.ascontiguousarray(opaque[..., 0])
    if array.dtype in (np.bool_, np.uint8):
        # Pillow spreads the values of 2 and 4 bits over 0 to 255.
        step = 85 if raw.startswith("L;2") else 17 if raw.startswith("L;4") else 1
        return np.asarray(array.astype(np.uint8, copy=False) // step, np.uint8)
    values = array.astype(np.float64)
    if not ((values >= 0) & (values <= 255) & (values == np.floor(values))).all():
        raise InputError(
            f"mask values run from {array.min()} to {array.max()}; wanted whole numbers up to 255",
            where=path,
            mend="save the mask with 8 bits",
        )
    return array.astype(np.uint8)


def _check_single_upright(path: Path, picture: Pillow.Image) -> None:
    if getattr(picture, "n_frames", 1) > 1:
        raise InputError("the file holds several pictures", where=path, mend="save one a file")
    if picture.getexif().get(EXIF_ORIENTATION, 1) != 1:
        raise InputError(
            "the picture is to be shown turned (EXIF orientation), so image and mask may not fit",
            where=path,
            mend="save it upright and without the tag, for instance with mogrify -auto-orient",
        )


def _without_alpha(path: Path, array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (H, W) or (H, W, 3) of (H, W), (H, W, 2 to 4); raises InputError if not opaque."""
    if array.ndim == 2 or array.shape[2] == 3:
        return array
    if array[..., -1].min() < 255:
        raise InputError(
            "the picture is partly transparent",
            where=path,
            mend="flatten it onto its background and save it without alpha",
        )
    return np.ascontiguousarray(array[..., 0] if array.shape[2] == 2 else array[..., :3])


def _raw_mode(picture: Pillow.Image) -> str:
    """Return how the file stores its pixels, such as ``RGB;16B``: the mode tells only a part."""
    tiles = getattr(picture, "tile", None)
    args = tiles[0][3] if tiles else ""
    return str(args if isinstance(args, str) else args[0] if args else "")


def _is_16_bit(picture: Pillow.Image) -> bool:
    # Pillow drops the low byte of 16-bit RGB in silence. (BMP's 16 bits hold a whole pixel.)
    return picture.format in {"PNG", "TIFF"} and ";16" in _raw_mode(picture)


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
        unshare(path)
        path.write_bytes(content)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def unshare(path: Path) -> None:
    """Remove a file that has other names: ``merge`` links, and a shard must not change with it."""
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISREG(facts.st_mode) and facts.st_nlink > 1:
        path.unlink()


def _open(path: Path) -> Pillow.Image:
    with _decoding(path):
        # Pillow warns from 89 megapixels on and raises from 179; a header may lie, so both stop.
        return Pillow.open(path, formats=FORMATS)


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Turn what decoders raise on broken files into InputError, and keep their warnings quiet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Pillow.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning)
            yield
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning) as error:
        raise _too_large(path) from error
    except DECODE_ERRORS as error:
        raise InputError(_reason(error), where=path, mend="replace or remove the file") from error


def _too_large(path: Path) -> InputError:
    return InputError(
        f"more pixels than the limit of {Pillow.MAX_IMAGE_PIXELS:,} by its header",
        where=path,
        mend="cut it into parts, or remove it if it is not yours",
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "the file does not exist"
    if isinstance(error, IsADirectoryError):
        return "it is a folder, not a picture"
    if isinstance(error, UnidentifiedImageError):
        return "not a picture that can be read (PNG, JPEG, BMP, TIFF or WebP)"
    if isinstance(error, PermissionError):
        return "cannot be read: permission denied"
    return f"the picture is broken or cut short: {error}"
