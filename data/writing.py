"""What all writers share: the folder-wide facts they are told, and the line they leave a sample.

A format module that can be written has two functions:

``write_sample(root, index, sample, spec) -> dict``
    writes this sample's own files below ``root`` and returns JSON-able facts: ``image`` (the
    picture's path relative to ``root``) and whatever its ``finish`` needs. Called in worker
    processes, for each index once or, after an interruption, once more with the same result.

``finish(root, spec, lines) -> list[str]``
    writes what describes the whole folder (a CSV, a JSON) from the stream of lines, in index order,
    and returns notices: what this format could not hold.

It may have a third, called after each sample in the process that collects the lines:

``settle(root, first, index) -> None``
    sample ``index`` of a job that began at ``first`` is there; work on several samples can be done.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from flawsmith.data.images import encode_jpeg, encode_png, unshare, write_bytes
from flawsmith.errors import OutputError
from flawsmith.sample import Sample

# What samples.jsonl holds of one sample: id, label, group, width, height, image, meta; while the
# folder is being written also ``part``, the dict that ``write_sample`` returned.
Line = dict[str, Any]


@dataclass(frozen=True)
class Spec:
    """Facts about a data set that are settled before its first sample is written.

    classes: names of the mask planes; overlap: whether any sample's planes overlap;
    jpeg: write pictures as JPEG (lossy) where the format allows it.
    """

    classes: tuple[str, ...]
    overlap: bool = False
    jpeg: bool = False


class Writer(Protocol):
    """A format module that can write (see the module docstring)."""

    def write_sample(
        self, root: Path, index: int, sample: Sample, spec: Spec
    ) -> dict[str, Any]: ...
    def finish(self, root: Path, spec: Spec, lines: "Lines") -> list[str]: ...


Lines = Callable[[], Iterator[Line]]


def write_picture(root: Path, stem: str, sample: Sample, spec: Spec) -> str:
    """Write the image as ``root/stem.png`` (or .jpg) and return that relative path."""
    suffix, content = (
        (".jpg", encode_jpeg(sample.image)) if spec.jpeg else (".png", encode_png(sample.image))
    )
    write_file(root / (stem + suffix), content)
    return stem + suffix


def write_file(path: Path, content: bytes | str) -> None:
    """Write a file, making its folder; raises OutputError naming it."""
    make_folder(path.parent)
    write_bytes(path, content.encode() if isinstance(content, str) else content)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a text file line by line, without holding it; raises OutputError naming it."""
    make_folder(path.parent)
    with writing_in(path):
        unshare(path)
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(line + "\n" for line in lines)


@contextmanager
def writing_in(path: Path) -> Iterator[None]:
    """Turn what the system says of a failed write in here into an OutputError naming ``path``."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def make_folder(path: Path) -> None:
    """Make a folder and its parents; raises OutputError naming it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be made: {error.strerror or error}") from error


def resolved(path: Path) -> Path:
    """Return the absolute path without links; raises OutputError for a link to itself."""
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise OutputError(f"{path}: cannot be used: {error}") from error
