"""Run-length masks: Severstal's rows in numpy, COCO's two forms on pycocotools' C code.

A Severstal row is ``start length start length ...``: pixels numbered from 1 down the columns, so
pixel ``(y, x)`` of an image of height H is ``x * H + y + 1``. COCO's uncompressed RLE is the list
of run lengths in the same order, beginning with the background: the two differ only by a
cumulative sum. pycocotools is the tests' oracle for the rows; used for them it took far longer.
"""

import json
import warnings

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from flawsmith.errors import InputError

Mask = NDArray[np.bool_]
ALLOWED = b"0123456789 "
# No image has so many pixels, and sums of two such numbers do not wrap around.
BEYOND = 2**53


def decode_severstal(text: str, height: int, width: int) -> Mask:
    """Return the (height, width) bool mask of a row; an empty row is an empty mask.

    Raises InputError for odd or non-numeric entries, starts below 1, lengths below 1, runs that
    overlap or step back, and runs past the last pixel.
    """
    if not text.strip():
        return np.zeros((height, width), bool)
    if text.encode("utf-8", "surrogatepass").translate(None, ALLOWED):
        raise InputError("run-length row holds something else than whole numbers and spaces")
    numbers = _whole_numbers(text)
    if len(numbers) % 2:
        raise InputError(f"run-length row has {len(numbers)} numbers; they come in pairs")
    starts, lengths = numbers[::2] - 1, numbers[1::2]
    ends = starts + lengths
    if starts[0] < 0:
        raise InputError("run-length row starts at pixel 0; pixels count from 1")
    if (lengths < 1).any():
        raise InputError("run-length row has a run of length 0")
    if (starts[1:] < ends[:-1]).any():
        raise InputError("run-length row has runs that overlap or step back")
    if ends[-1] > height * width:
        raise InputError(
            f"run-length row ends at pixel {ends[-1]}, "
            f"past the last of a {width}x{height} image ({height * width})"
        )
    counts = np.empty(len(numbers) + 1, np.int64)
    counts[0], counts[1::2], counts[2:-1:2] = starts[0], lengths, starts[1:] - ends[:-1]
    counts[-1] = height * width - ends[-1]
    marked = np.zeros(len(counts), bool)
    marked[1::2] = True
    return np.repeat(marked, counts).reshape(width, height).T


def _whole_numbers(text: str) -> NDArray[np.int64]:
    """Return the numbers of a text of digits and spaces."""
    try:
        try:
            # JSON's parser is C, and takes a third of the time of numpy's own for text.
            listed = json.loads(f"[{text.strip().replace(' ', ',')}]")
        except json.JSONDecodeError:  # several spaces in a row, leading zeros
            listed = text.split()
        numbers = np.array(listed, np.int64)
    except (ValueError, OverflowError):
        numbers = np.array([BEYOND])
    if numbers.max() >= BEYOND:
        raise InputError("run-length row holds a number beyond any image")
    return numbers


def encode_severstal(mask: Mask) -> str:
    """Return the row of an (H, W) bool mask: runs merged, ascending; '' for an empty mask."""
    first, pixels = _marked_span(mask)
    if not len(pixels):
        return ""
    edges = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    bounds = np.concatenate([[0], edges, [len(pixels)]])
    # The span begins and ends with a marked run, so runs alternate and their number is odd.
    numbers = np.empty(len(bounds), np.int64)
    numbers[::2] = bounds[::2] + first + 1
    numbers[1::2] = bounds[1::2] - bounds[:-1:2]
    # One format of them all is the quickest way to many decimal numbers.
    return ("%d " * len(numbers))[:-1] % tuple(numbers.tolist())


def _marked_span(mask: Mask) -> tuple[int, Mask]:
    """Return the pixels down the columns from the first to the last marked one, and its index."""
    first_column = 0
    if not mask.flags.f_contiguous:
        # Only the columns that are marked need to be turned round.
        columns = np.flatnonzero(mask.any(axis=0))
        if not len(columns):
            return 0, np.zeros(0, bool)
        first_column = int(columns[0])
        mask = mask[:, first_column : columns[-1] + 1]
    flat = mask.ravel(order="F")
    first = int(flat.argmax()) if len(flat) else 0
    # numpy finds the first one quickly, but not the last.
    pixels = flat[first : first + 1 + flat[first:].tobytes().rfind(1)]
    return first_column * mask.shape[0] + first, pixels


def decode_counts(counts: list[int], height: int, width: int) -> Mask:
    """Return the (height, width) bool mask of COCO's uncompressed run lengths.

    Raises InputError unless they are whole numbers >= 0 that add up to the image.
    """
    if any(type(count) is not int or count < 0 for count in counts):
        raise InputError("run lengths must be whole numbers of 0 or more")
    if sum(counts) != height * width:
        raise InputError(
            f"run lengths add up to {sum(counts)} pixels; a {width}x{height} image has "
            f"{height * width}"
        )
    rle = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    with warnings.catch_warnings():
        # pycocotools 2.0.11 has not caught up with NumPy 2's protocol for copies.
        warnings.filterwarnings("ignore", "__array__ impl", DeprecationWarning, "pycocotools")
        return np.ascontiguousarray(coco_mask.decode(rle)).view(np.bool_)


def encode_counts(mask: Mask) -> NDArray[np.int64]:
    """Return COCO's uncompressed run lengths of an (H, W) bool mask, background first."""
    return parse_compressed(compress(mask))


def compress(mask: Mask) -> str:
    """Return COCO's compressed counts string of an (H, W) bool mask."""
    encoded = coco_mask.encode(np.asfortranarray(mask).view(np.uint8))
    return str(encoded["counts"], "ascii")


def decompress(text: str, height: int, width: int) -> Mask:
    """Return the (height, width) bool mask of COCO's compressed counts; checked before decoding."""
    return decode_counts(parse_compressed(text).tolist(), height, width)


def parse_compressed(text: str) -> NDArray[np.int64]:
    """Return the run lengths in COCO's compressed string.

    Each character carries 5 bits (low first), 0x20 "more follows"; the last one's 0x10 is the sign;
    from the fourth number on the difference to the number two before is stored (pycocotools,
    ``rleToString``). Raises InputError for characters outside of that alphabet or a cut-off end.
    """
    codes = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8).astype(np.int64) - 48
    if not len(codes):
        return codes
    if codes.min() < 0 or codes.max() > 63 or codes[-1] & 0x20:
        raise InputError("compressed run lengths are damaged")
    ends = np.flatnonzero((codes & 0x20) == 0)
    begins = np.concatenate([[0], ends[:-1] + 1])
    digits = ends - begins + 1
    if digits.max() > 8:
        raise InputError("compressed run lengths hold a number of more than 40 bits")
    place = np.arange(len(codes)) - np.repeat(begins, digits)
    values = np.add.reduceat((codes & 0x1F) << (5 * place), begins)
    values -= np.where(codes[ends] & 0x10, 1 << (5 * digits), 0)
    # Undo the differences: a cumulative sum over every second number, from the second on
    # (the first number and the second stand alone; the third starts the even chain).
    values[2::2] = np.cumsum(values[2::2])
    values[1::2] = np.cumsum(values[1::2])
    return values
