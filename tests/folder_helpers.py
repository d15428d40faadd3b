"""Small folders of numbered images, and the one line that a reading of them refuses with."""

from pathlib import Path

import pytest

from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.errors import InputError
from tests.format_helpers import save_grey


def complaint(root: Path, options: ReadOptions | None = None) -> str:
    with pytest.raises(InputError) as caught:
        list(read_dataset(root, options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def numbered(root: Path, count: int = 4, place: str = "images") -> Path:
    for i in range(count):
        save_grey(root / place / f"p{i}.png", value=10 + i)
    return root
