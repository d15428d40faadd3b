"""The sheet of a run: each row changes one thing alone."""

from itertools import pairwise

import numpy as np
import pytest
from click.testing import CliRunner

from flawsmith.augment.shapes import Shape
from flawsmith.cli import cli
from flawsmith.data.images import read_image
from flawsmith.errors import InputError
from flawsmith.inpaint.sheet import COLUMNS, GAP, HEAD, STRENGTHS, TILE, Sheet
from flawsmith.inpaint.training import setup_of, train_inpaint
from tests.augment_helpers import CLASSES, make_parts, write_scan


class Marks:
    """A painter that paints its noise's tone where the masks say, as strongly as asked."""

    classes = ("pit", "bar")

    def paint(self, image, masks, generator, strength=1.0):
        tone = generator.integers(0, 256)
        painted = image.astype(float)
        painted[masks.any(axis=0)] += strength * (tone - painted[masks.any(axis=0)])
        return painted.round().clip(0, 255).astype(np.uint8)


class Blocks:
    """Draws blocks of a size from the generator; now and then one too large for any view."""

    classes = ("bar", "pit")
    planes = (0, 1)

    def draw(self, generator, plane, frame):
        sides = generator.integers(4, 60, 2) // (1 + plane)
        return Shape(np.ones(sides, bool), "block")


def tiles(rows, which):
    """Return the tiles of one row of the sheet."""
    top = which * (HEAD + TILE + GAP) + HEAD
    body = rows[top : top + TILE]
    return [body[:, i * (TILE + GAP) : i * (TILE + GAP) + TILE] for i in range(COLUMNS)]


@pytest.fixture(scope="module")
def drawn():
    view = np.full((48, 48), 110, np.uint8)
    return Sheet(Marks(), Blocks(), {0: (1,), 1: (0,)}, seed=3).draw({0: view, 1: view})


def test_its_size(drawn):
    assert drawn.shape == (6 * (HEAD + TILE + GAP), COLUMNS * (TILE + GAP), 3)
    assert len(STRENGTHS) == COLUMNS - 1


def test_the_noise_alone_changes(drawn):
    gaps = [np.abs(tile - 110.0) for tile in tiles(drawn, 0)[1:]]
    changed = np.array([gap > gap.max() / 2 for gap in gaps if gap.max() > 20])
    assert len(changed) > 3
    assert np.mean(changed != changed[0]) < 0.01  # the same place; rims are rounded otherwise
    assert len({tile.tobytes() for tile in tiles(drawn, 0)[1:]}) > 4


def test_the_mask_alone_changes(drawn):
    clean, *moved = tiles(drawn, 1)
    assert (clean == 110).all()
    tones = {int(tile.reshape(-1)[np.abs(tile.reshape(-1) - 110.0).argmax()]) for tile in moved}
    assert len(tones) <= 2  # one look; cubic resizing overshoots by little
    assert len({(tile != 110).tobytes() for tile in moved}) > 4


def test_the_strength_alone_changes(drawn):
    _, nothing, *stronger = tiles(drawn, 2)
    assert (nothing == 110).all()
    change = [np.abs(tile - 110.0).sum() for tile in stronger]
    assert all(before <= after for before, after in pairwise(change))
    assert change[0] < change[3]


def test_the_command(tmp_path):
    write_scan(tmp_path / "parts", make_parts())
    setup = setup_of("tiny", None, {"steps": 2, "device": "cpu"})
    train_inpaint(tmp_path / "parts", tmp_path / "run", setup)
    words = ["inpaint", "sheet", *(str(tmp_path / name) for name in ("run", "parts", "sheet.png"))]
    result = CliRunner().invoke(cli, [*words, "--classes", CLASSES[0], "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert read_image(tmp_path / "sheet.png").shape[0] == 3 * (HEAD + TILE + GAP)
    wrong = CliRunner().invoke(cli, [*words[:-1], str(tmp_path / "sheet.jpg")])
    assert isinstance(wrong.exception, InputError)
    assert not (tmp_path / "sheet.jpg").exists()
