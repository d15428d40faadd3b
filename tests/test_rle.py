"""Run-length rows and COCO's counts: rows worked out by hand, independent decoders, bad input."""

import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from flawsmith.data.rle import (
    Mask,
    compress,
    decode_counts,
    decode_severstal,
    decompress,
    encode_counts,
    encode_severstal,
    parse_compressed,
)
from flawsmith.errors import InputError
from tests.format_helpers import mask_stacks


def kaggle_decode(text: str, height: int, width: int) -> Mask:
    """The decoder that circulates with the Severstal data set."""
    flat = np.zeros(height * width, bool)
    numbers = [int(number) for number in text.split()]
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        flat[start - 1 : start - 1 + length] = True
    return flat.reshape(width, height).T


def at(height: int, width: int, *pixels: tuple[int, int]) -> Mask:
    """The mask of these (y, x)."""
    mask = np.zeros((height, width), bool)
    for y, x in pixels:
        mask[y, x] = True
    return mask


# Pixels of a 3x4 image (3 high, 4 wide) are numbered  1 4 7 10
#                                                      2 5 8 11
#                                                      3 6 9 12
@pytest.mark.parametrize(
    ("row", "pixels"),
    [
        ("1 2 5 1", [(0, 0), (1, 0), (1, 1)]),
        ("1 1", [(0, 0)]),
        ("12 1", [(2, 3)]),
        ("3 2", [(2, 0), (0, 1)]),
        ("4 3", [(0, 1), (1, 1), (2, 1)]),
        ("2 1 5 1 8 1 11 1", [(1, 0), (1, 1), (1, 2), (1, 3)]),
        ("1 12", [(y, x) for y in range(3) for x in range(4)]),
        ("", []),
    ],
)
def test_rows_worked_out_by_hand(row: str, pixels: list[tuple[int, int]]) -> None:
    mask = at(3, 4, *pixels)
    assert np.array_equal(decode_severstal(row, 3, 4), mask)
    assert encode_severstal(mask) == row


def test_runs_that_touch_are_read_and_written_as_one() -> None:
    assert np.array_equal(decode_severstal(" 1 2  3 1 ", 3, 4), at(3, 4, (0, 0), (1, 0), (2, 0)))
    assert encode_severstal(decode_severstal("1 2 3 1", 3, 4)) == "1 3"
    assert encode_severstal(decode_severstal("01 02", 3, 4)) == "1 2"


@settings(max_examples=150, deadline=None)
@given(mask_stacks(classes=1), st.sampled_from("CF"))
def test_rows_round_trip_and_agree_with_the_plain_decoder(masks: Mask, order: str) -> None:
    mask = np.array(masks[0], order=order)
    height, width = mask.shape
    row = encode_severstal(mask)
    assert np.array_equal(kaggle_decode(row, height, width), mask)
    found = decode_severstal(row, height, width)
    assert found.dtype == np.bool_
    assert found.shape == (height, width)
    assert np.array_equal(found, mask)
    starts, lengths = np.array(row.split(), int).reshape(-1, 2).T
    assert (starts[1:] > (starts + lengths)[:-1]).all()


@pytest.mark.parametrize("view", [np.s_[::2, 1:], np.s_[3:9, ::-1], np.s_[5:6, :], np.s_[:, 7:8]])
def test_views_into_larger_arrays_are_encoded_by_their_own_pixels(
    view: tuple[slice, slice],
) -> None:
    mask = (np.random.default_rng(1).random((20, 30)) < 0.3)[view]
    assert np.array_equal(kaggle_decode(encode_severstal(mask), *mask.shape), mask)
    assert np.array_equal(decompress(compress(mask), *mask.shape), mask)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("1", "1 numbers; they come in pairs"),
        ("1 2 5", "3 numbers; they come in pairs"),
        ("0 1", "starts at pixel 0; pixels count from 1"),
        ("1 0", "run of length 0"),
        ("1 2 5 0", "run of length 0"),
        ("1 3 3 1", "overlap or step back"),
        ("5 1 1 2", "overlap or step back"),
        ("5 1 5 1", "overlap or step back"),
        ("12 2", "ends at pixel 13, past the last of a 4x3 image (12)"),
        ("13 1", "ends at pixel 13"),
        ("-1 2", "something else than whole numbers"),
        ("1 -2", "something else than whole numbers"),
        ("1 2.0", "something else than whole numbers"),
        ("1,2", "something else than whole numbers"),
        ("1\t2", "something else than whole numbers"),
        ("1\n2", "something else than whole numbers"),
        ("nan nan", "something else than whole numbers"),
        ("1e3 2", "something else than whole numbers"),
        ("0x1 2", "something else than whole numbers"),
        ("١ ٢", "something else than whole numbers"),
        ("¹ 2", "something else than whole numbers"),
        ("1 2\0", "something else than whole numbers"),
        ("1 99999999999999999", "beyond any image"),
        ("999999999999999999 999999999999999999", "beyond any image"),
        ("1 18446744073709551617", "beyond any image"),
        ("1" * 5000 + " 1", "beyond any image"),
        ("1  99999999999999999999", "beyond any image"),
        ("01 " + "9" * 5000, "beyond any image"),
    ],
)
def test_bad_rows_are_refused(row: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        decode_severstal(row, 3, 4)
    assert words in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 14), max_size=8).map(lambda numbers: " ".join(map(str, numbers)))
    | st.text(st.sampled_from("0123456789 -.\t١e"), max_size=20)
    | st.text(max_size=20)
)
def test_any_row_is_refused_or_means_what_the_plain_decoder_says(row: str) -> None:
    try:
        found = decode_severstal(row, 3, 4)
    except InputError:
        return
    assert np.array_equal(found, kaggle_decode(row, 3, 4))


@settings(max_examples=150, deadline=None)
@given(mask_stacks(classes=1))
def test_compressed_counts_are_those_of_pycocotools(masks: Mask) -> None:
    mask = masks[0]
    height, width = mask.shape
    oracle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    text = compress(mask)
    assert text == oracle["counts"].decode()
    assert np.array_equal(decompress(text, height, width), mask)
    # The plain meaning of the counts: runs down the columns, background first.
    counts = encode_counts(mask).tolist()
    runs = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    assert np.array_equal(runs.reshape(width, height).T, mask)
    assert np.array_equal(decode_counts(counts, height, width), mask)


def test_counts_worked_out_by_hand() -> None:
    # 3x4, marked (1,0), (2,0), (0,1): pixels 1 to 3 from 0, so 1 background, 3 marked, 8 left.
    mask = at(3, 4, (1, 0), (2, 0), (0, 1))
    assert encode_counts(mask).tolist() == [1, 3, 8]
    assert np.array_equal(decode_counts([1, 3, 8], 3, 4), mask)
    assert np.array_equal(decode_counts([0, 12], 3, 4), np.ones((3, 4), bool))
    assert np.array_equal(decode_counts([1, 1, 0, 2, 8], 3, 4), mask)


def test_long_runs_that_take_several_characters() -> None:
    mask = np.zeros((700, 900), bool)
    mask[100:650, 300:301] = mask[5, 800] = True
    assert parse_compressed(compress(mask)).tolist() == [210_100, 550, 349_355, 1, 69_994]
    assert np.array_equal(decompress(compress(mask), 700, 900), mask)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([], "add up to 0"),
        ([11], "add up to 11 pixels; a 4x3 image has 12"),
        ([1, 2, 2**64], "add up to"),
        ([-1, 13], "0 or more"),
        ([True, 11], "whole numbers"),
        ([1.0, 11], "whole numbers"),
    ],
)
def test_bad_counts_are_refused(counts: list[int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        decode_counts(counts, 3, 4)


def as_text(counts: list[int]) -> str:
    """pycocotools' compressed text of any run lengths, whether they fit the image or not."""
    rle = coco_mask.frPyObjects({"size": [3, 4], "counts": counts}, 3, 4)
    return str(rle["counts"], "ascii")


texts = (
    st.lists(st.integers(0, 6), max_size=6).map(as_text)
    | st.lists(st.integers(0, 2), max_size=9).map(lambda c: as_text([*c, max(0, 12 - sum(c))]))
    | st.text(st.sampled_from("".join(map(chr, range(46, 114)))), max_size=30)
    | st.text(st.characters(), max_size=12)
)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@settings(max_examples=300, deadline=None)
@given(texts)
@example("138")
def test_any_compressed_text_is_refused_or_valid(text: str) -> None:
    try:
        counts = parse_compressed(text)
        mask = decompress(text, 3, 4)
    except InputError:
        assert text != "138"
        return
    assert counts.sum() == 12
    assert (counts >= 0).all()
    oracle = coco_mask.decode({"size": [3, 4], "counts": text.encode()})
    assert np.array_equal(mask, oracle.astype(bool))


@pytest.mark.parametrize("text", ["~", "0o", "\ud800", "é0", "0" * 3 + "o" * 9 + "0"])
def test_damaged_compressed_texts_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="compressed run lengths"):
        parse_compressed(text)


def test_decoding_shows_no_warning() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        decode_counts([1, 3, 8], 3, 4)
    assert caught == []
