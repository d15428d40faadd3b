"""Anything at all in the user's files: reading gives a data set or InputError, nothing else, and
no file outside of the data folder is opened.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.data.dataset import DataSet
from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.data.images import encode_png
from flawsmith.data.scan import scan
from flawsmith.errors import InputError
from tests.format_helpers import FUZZ
from tests.fuzzing import only_inside

GREY = encode_png(np.arange(48, dtype=np.uint8).reshape(6, 8))
MASK = encode_png(np.eye(6, 8, dtype=np.uint8) * 255)
NAMES = ["a.png", "b.png", "images/a.png", "../a.png", "/etc/passwd", "C:\\a.png", "a\0", "", "."]


def make(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def try_to_read(root: Path, name: str | None) -> None:
    """Read all samples, stopping at bad ones and skipping them; only InputError may come out."""
    for options in (ReadOptions(name), ReadOptions(name, on_error="skip")):
        found = _read(root, options)
        if isinstance(found, InputError):
            (line,) = str(found).splitlines()
            assert line.startswith(str(root))
        else:
            assert all(sample.masks.shape[0] == len(found.classes) for sample in found)


def _read(root: Path, options: ReadOptions) -> DataSet | InputError:
    try:
        with only_inside(root, name="folders" if options.on_error == "stop" else ""):
            return scan(read_dataset(root, options), on_error=options.on_error).dataset
    except InputError as error:
        return error


def check(files: dict[str, bytes], name: str | None) -> None:
    with TemporaryDirectory() as folder:
        # Resolved, as macOS puts temporary folders behind a link.
        try_to_read(make(Path(folder).resolve() / "in", files), name)


def test_the_watch_sees_what_is_opened(tmp_path: Path) -> None:
    make(tmp_path, {"in/a": b"", "secret": b""})
    with only_inside(tmp_path / "in"):
        (tmp_path / "in/a").read_bytes()
    with pytest.raises(AssertionError, match="secret"), only_inside(tmp_path / "in"):
        (tmp_path / "secret").read_bytes()


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-2, 60)
    | st.integers()
    | st.floats()
    | st.sampled_from(NAMES)
    | st.text(max_size=6)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects whose fields are right, wrong or missing, and now and then no objects at all."""
    mixed = {key: field | field | values for key, field in fields.items()}
    return st.one_of(
        st.fixed_dictionaries({}, optional=mixed), st.fixed_dictionaries(mixed), values
    )


cells = (
    st.sampled_from(
        ["a.png", "b.png", "1", "2", "4", "1 2", "1 2 9 3", "48 1", "", '"', "x,y", "\n"]
    )
    | st.text(max_size=8)
    | st.sampled_from(NAMES)
)
rows = st.lists(st.lists(cells, min_size=2, max_size=4).map(",".join), max_size=6).map("\n".join)
IMAGES = {"train_images/a.png": GREY, "train_images/b.png": GREY}


@FUZZ
@given(rows)
def test_rows_of_train_csv(text: str) -> None:
    table = encoded("ImageId,ClassId,EncodedPixels\n" + text)
    check(IMAGES | {"train.csv": table}, None)


@FUZZ
@given(st.binary(max_size=80), st.sampled_from(["severstal", None]))
def test_bytes_of_train_csv(content: bytes, name: str | None) -> None:
    check(IMAGES | {"train.csv": content}, name)
    check(IMAGES | {"train.csv": b"ImageId,ClassId,EncodedPixels\n" + content}, name)


@FUZZ
@given(st.sampled_from(["file,group", "class,file,group", "path,x_group", "", ","]), rows)
def test_groups_csv(header: str, text: str) -> None:
    files = {"images/a.png": GREY, "masks/a.png": MASK, "images/sub/a.png": GREY}
    check(files | {"groups.csv": encoded(f"{header}\n{text}")}, "folder")


@FUZZ
@given(
    objects(
        flawsmith=st.just(1),
        format=st.sampled_from(
            ["folder", "pairs", "coco", "mvtec", "plates", "yolo-seg", "severstal"]
        ),
        classes=st.lists(st.text(max_size=3), max_size=3),
    ),
    st.lists(
        objects(
            id=st.sampled_from(["a", "b", "../x", "a\nb"]),
            image=st.sampled_from(["images/a.png", *NAMES]),
            label=st.sampled_from(["good", "defective", "unknown", "fine"]),
            group=st.text(max_size=3),
            meta=st.dictionaries(st.text(max_size=3), values, max_size=2),
        ),
        max_size=3,
    ),
)
def test_dataset_json_and_samples_jsonl(manifest: Any, lines: list[Any]) -> None:
    files = {"images/a.png": GREY, "masks/a.png": MASK, "images/b.png": GREY}
    files["dataset.json"] = json.dumps(manifest).encode()
    files["samples.jsonl"] = "\n".join(map(json.dumps, lines)).encode()
    check(files, None)


numbers = st.integers(-9, 20) | st.floats(-20, 20) | st.integers() | st.floats()
segmentations = (
    st.lists(st.lists(numbers, max_size=9), max_size=3)
    | objects(
        size=st.just([6, 8]),
        counts=st.lists(st.integers(0, 30), max_size=6) | st.text(max_size=8),
    )
    | st.just([[1, 1, 5, 1, 5, 4]])
)


@FUZZ
@given(
    objects(
        images=st.lists(
            objects(
                id=st.integers(0, 2),
                file_name=st.sampled_from(["a.png", *NAMES]),
                width=st.just(8),
                height=st.just(6),
            ),
            max_size=3,
        ),
        annotations=st.lists(
            objects(
                image_id=st.integers(0, 2),
                category_id=st.integers(0, 1),
                segmentation=segmentations,
            ),
            max_size=3,
        ),
        categories=st.lists(objects(id=st.integers(0, 1), name=st.text(max_size=3)), max_size=2),
    )
)
def test_coco_json(content: Any) -> None:
    files = {"images/a.png": GREY, "images/b.png": GREY}
    check(files | {"annotations.json": json.dumps(content).encode()}, "coco")


fields = st.sampled_from(
    ["0", "1", "0.1", "0.5", "0.9", "1.0", "-0", "nan", "1e400", "²", "_1", "x"]
)


@FUZZ
@given(
    st.lists(st.lists(fields, max_size=9).map(" ".join), max_size=4).map("\n".join)
    | st.text(max_size=30),
    st.none() | objects(names=st.lists(st.text(max_size=3), max_size=2) | values),
)
def test_yolo_labels_and_data_yaml(labels: str, table: Any) -> None:
    files = {"images/a.png": GREY, "labels/a.txt": encoded(labels)}
    if table is not None:
        files["data.yaml"] = json.dumps(table).encode()
    check(files, "yolo-seg")


@FUZZ
@given(st.text(max_size=40) | st.binary(max_size=40))
def test_texts_of_data_yaml_and_classes_txt(content: str | bytes) -> None:
    text = content if isinstance(content, bytes) else encoded(content)
    check({"images/a.png": GREY, "labels/a.txt": b"0 0 0 1 0 1 1", "data.yaml": text}, "yolo-seg")
    check({"images/a.png": GREY, "masks/a.png": MASK, "classes.txt": text}, "folder")
