"""What assembling refuses, in one line and with nothing written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flawsmith.data.formats import ReadOptions
from flawsmith.data.plates import PARTS
from flawsmith.errors import InputError
from flawsmith.gen.assemble import Parts
from tests.assemble_helpers import (
    CLASSES,
    HEIGHT,
    WIDTH,
    join,
    sample_of,
    write,
    write_parts,
)


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> Parts:
    return write_parts(tmp_path_factory.mktemp("parts"))


def glass_of(root: Path, height=HEIGHT, width=WIDTH, classes=CLASSES, *, grey=False) -> Path:
    image = np.full((height, width) if grey else (height, width, 3), 180, np.uint8)
    masks = np.zeros((len(classes), height, width), bool)
    return write(root, [sample_of("odd", image, masks)], classes)


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ({"height": 99}, "odd.png: this glass is 60x99 colour, the first anode.*60x100 colour"),
        ({"width": 61}, "this glass is 61x100 colour.*flawsmith data plates crops"),
        ({"grey": True}, "this glass is 60x100 grey.*60x100 colour.*save all in one way"),
        ({"classes": ("Scratch",)}, "anode has the class 'scratch' and glass the class 'Scratch'"),
        ({"classes": ("dent ",)}, "in one way"),
    ],
)
def test_parts_that_do_not_fit(parts, tmp_path, kind, wanted):
    glass = glass_of(tmp_path / "glass", **kind)
    with pytest.raises(InputError, match=wanted):
        join(replace(parts, glass=glass), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["glass"]


def test_mixed_sizes_in_one_folder_name_the_odd_one(parts, tmp_path):
    (tmp_path / "glass").mkdir()
    image = np.full((HEIGHT, WIDTH, 3), 180, np.uint8)
    write(tmp_path / "glass", [sample_of("fits", image), sample_of("low", image[1:])])
    with pytest.raises(InputError, match=r"low\.png: this glass is 60x99"):
        join(replace(parts, glass=tmp_path / "glass"), tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"blend": 51}, "100 px high are too low to blend 51 px.*--blend 50 or less"),
        ({"count": 61}, "only 60 different ones can be made of 4 anode, 3 glass, 5 cathode"),
    ],
)
def test_wishes_that_cannot_be_met(parts, tmp_path, settings, wanted):
    with pytest.raises(InputError, match=wanted):
        join(parts, tmp_path / "out", **settings)
    assert not list(tmp_path.iterdir())
    join(parts, tmp_path / "out", blend=50, count=60)


def test_folders_that_clash(parts, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no known layout: it holds nothing"):
        join(replace(parts, cathode=tmp_path / "empty"), tmp_path / "out")
    with pytest.raises(InputError, match="no such folder"):
        join(replace(parts, cathode=tmp_path / "none"), tmp_path / "out")
    with pytest.raises(InputError, match="given for both anode and cathode"):
        join(replace(parts, cathode=parts.anode), tmp_path / "out")
    for inner in (parts.glass / "out", parts.cathode):
        with pytest.raises(InputError, match="inside of the source folder"):
            join(parts, inner)
    with pytest.raises(InputError, match="inside of the output"):
        join(parts, parts.glass.parent)
    assert sorted(path.name for path in parts.glass.parent.iterdir()) == sorted(PARTS)
    with pytest.raises(InputError, match="this real plate is 60x100"):
        join(parts, tmp_path / "out", real=glass_of(tmp_path / "real"))
    assert not (tmp_path / "out").exists()


def test_a_broken_part_stops_or_is_skipped(tmp_path):
    parts = write_parts(tmp_path / "parts", (2, 3, 2))
    (parts.glass / "images/glass-1.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"glass-1\.png"):
        join(parts, tmp_path / "out")
    done = join(parts, tmp_path / "out", count=8, options=ReadOptions(on_error="skip"))
    assert done.parts["glass"]["usable"] == 2
