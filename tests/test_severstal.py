"""The Severstal layout: an independent decoder reads what is written, bad rows get one line."""

import csv
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flawsmith.data import severstal
from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.data.images import read_image
from flawsmith.data.writing import Spec
from flawsmith.errors import InputError
from tests.format_helpers import (
    assert_same,
    make_sample,
    mask_stacks,
    round_trip,
    save_grey,
    write_set,
)

HEADER = "ImageId,ClassId,EncodedPixels\n"
SPEC = Spec(("1", "2", "3", "4"), overlap=True)


def save(root: Path, rows: str, names: str = "abc") -> Path:
    for name in names:
        save_grey(root / f"train_images/{name}.jpg")
    (root / "train.csv").write_text(HEADER + rows, encoding="utf-8")
    return root


def complaint(root: Path) -> str:
    with pytest.raises(InputError) as caught:
        list(read_dataset(root))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(mask_stacks(4), min_size=1, max_size=3), st.sampled_from(["s", "a, b", 'q"', "é 点"])
)
def test_round_trip_and_the_plain_decoder_sees_the_same(stacks: list, name: str) -> None:
    samples = [make_sample(f"{name}{i}", masks) for i, masks in enumerate(stacks)]
    with TemporaryDirectory() as folder:
        root = Path(folder)
        assert_same(round_trip(root, severstal, "severstal", samples, SPEC), samples)
        with (root / "train.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        images = {p.name: read_image(p) for p in (root / "train_images").iterdir()}
    seen = {key: np.zeros((4, *image.shape), bool) for key, image in images.items()}
    for row in rows:
        numbers = np.array(row["EncodedPixels"].split(), int)
        plane = seen[row["ImageId"]][int(row["ClassId"]) - 1]
        flat = np.zeros(plane.size, bool)
        for start, length in zip(numbers[::2] - 1, numbers[1::2], strict=True):
            flat[start : start + length] = True
        plane[:] = flat.reshape(plane.shape[1], plane.shape[0]).T
    for sample in samples:
        assert np.array_equal(seen[sample.id + ".png"], sample.masks)


def test_rows_by_hand(tmp_path: Path) -> None:
    # 8x6 images: pixel 7 is the top of the second column.
    save(tmp_path, "a.jpg,3,7 2\na.jpg,1,1 1 48 1\nb.jpg,4,\n")
    found = {s.id: s for s in read_dataset(tmp_path)}
    assert read_dataset(tmp_path).classes == ("1", "2", "3", "4")
    assert {key: s.label for key, s in found.items()} == {
        "a": "defective",
        "b": "unknown",  # a row that marks nothing
        "c": "good",  # no row
    }
    assert np.argwhere(found["a"].masks).tolist() == [[0, 0, 0], [0, 5, 7], [2, 0, 1], [2, 1, 1]]


def test_no_row_is_written_for_empty_planes(tmp_path: Path) -> None:
    masks = np.zeros((4, 3, 4), bool)
    masks[1, 0, 0] = True
    write_set(tmp_path, severstal, [make_sample("a", masks), make_sample("b", masks & False)], SPEC)
    assert (tmp_path / "train.csv").read_text() == HEADER + "a.png,2,1 1\n"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a.jpg,5,1 2", "train.csv:2: unknown ClassId '5'; the classes are 1 to 4"),
        ("a.jpg,0,1 2", "unknown ClassId '0'"),
        ("a.jpg,-1,1 2", "unknown ClassId '-1'"),
        ("a.jpg,,1 2", "unknown ClassId ''"),
        ("a.jpg,1.0,1 2", "unknown ClassId '1.0'"),
        ("a.jpg,²,1 2", "unknown ClassId"),
        ("a.jpg,0000000011,1 2", "unknown ClassId"),
        ("a.jpg," + "1" * 5000 + ",1 2", "unknown ClassId"),
        ("a.jpg,1,1 2\na.jpg,1,5 2", "train.csv:3: a second row for a.jpg, class 1"),
        ("a.jpg,1,1", "train.csv:2: run-length row has 1 numbers"),
        ("a.jpg,1,48 2", "train.csv:2: run-length row ends at pixel 49"),
        ("a.txt,1,1 2", "'a.txt' is no picture's name"),
        (",1,1 2", "train.csv:2: the file name '' points outside"),
        (
            "../a.jpg,1,1 2",
            "train.csv:2: the file name '../a.jpg' points outside of the data folder",
        ),
        ("/etc/a.jpg,1,1 2", "train.csv:2: the file name '/etc/a.jpg' points outside"),
        ("a.jpg,1", "train.csv:2: the row has another number of fields than the 3 columns"),
        ("a.jpg,1,1 2,7", "train.csv:2: the row has another number of fields"),
        ('a.jpg,1,"1 2', "not a CSV"),
    ],
)
def test_bad_rows_get_one_line(tmp_path: Path, row: str, words: str) -> None:
    assert words in complaint(save(tmp_path, row + "\n"))


def test_skipping_leaves_out_the_whole_image_of_a_bad_row(tmp_path: Path) -> None:
    save(tmp_path, "a.jpg,1,1 2\na.jpg,9,5 2\nb.jpg,1,1 2\n../x.jpg,1,1 2\n")
    found = read_dataset(tmp_path, ReadOptions(on_error="skip"))
    # What is left of a's mask would be a wrong one.
    assert found.ids == ("b", "c")
    assert [(s.where, s.bad) for s in found.skipped] == [
        ("train.csv:3", True),
        ("train.csv:5", True),
    ]


def test_rows_without_an_image_are_named(tmp_path: Path) -> None:
    save(tmp_path, "gone.jpg,1,1 2\n")
    found = read_dataset(tmp_path)
    assert [str(s) for s in found.skipped] == [
        "gone.jpg: train.csv has a mask for it, but there is no such image"
    ]


def test_a_name_in_two_folders_is_refused_if_a_row_needs_it(tmp_path: Path) -> None:
    save(tmp_path, "", "ab")
    save_grey(tmp_path / "train_images/more/a.jpg")
    assert set(read_dataset(tmp_path).ids) == {"a", "b", "more__a"}
    save(tmp_path, "a.jpg,1,1 2\n", "b")
    assert "2 images are called a.jpg, so its mask may be of any" in complaint(tmp_path)
    found = read_dataset(tmp_path, ReadOptions(on_error="skip"))
    assert found.ids == ("b",)


@pytest.mark.parametrize(
    "content",
    [
        HEADER.replace(",", ", "),
        "ImageId,ClassId\na.jpg,1\n",
        "ImageId_ClassId,EncodedPixels\na.jpg_1,1 2\n",
        "",
    ],
)
def test_other_tables_are_not_claimed(tmp_path: Path, content: str) -> None:
    save(tmp_path, "")
    (tmp_path / "train.csv").write_text(content)
    assert severstal.detect(tmp_path) is None
    with pytest.raises(InputError, match=r"train\.csv: the column .* is missing"):
        read_dataset(tmp_path, ReadOptions(format="severstal"))


def test_tables_of_other_programs_are_read(tmp_path: Path) -> None:
    save(tmp_path, "")
    # A byte order mark, Windows line ends, another order of columns, pandas' nameless index.
    text = ",EncodedPixels,ImageId,ClassId\r\n0,1 2,a.jpg,2\r\n\r\n1,5 1,b.jpg,1\r\n"
    (tmp_path / "train.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    found = read_dataset(tmp_path)
    assert found.format == "severstal"
    assert [s.label for s in found] == ["defective", "defective", "good"]


def test_a_table_that_is_no_text_is_named(tmp_path: Path) -> None:
    save(tmp_path, "")
    (tmp_path / "train.csv").write_bytes(HEADER.encode() + b"\xff\xfe,1,1 2\n")
    assert "train.csv: not UTF-8 text (mend: save it as UTF-8)" in complaint(tmp_path)


def test_without_a_table_the_named_format_says_so(tmp_path: Path) -> None:
    save_grey(tmp_path / "train_images/a.png")
    with pytest.raises(InputError, match=r"no train\.csv here"):
        read_dataset(tmp_path, ReadOptions(format="severstal"))
