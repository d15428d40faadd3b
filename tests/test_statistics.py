"""Statistics worked out by hand, and the plots drawn from them."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from flawsmith.data.formats import read_dataset
from flawsmith.data.images import image_size, write_png
from flawsmith.data.plots import write_plots
from flawsmith.data.scan import scan
from flawsmith.data.splitting import Plan, divide_scan
from flawsmith.data.statistics import components_an_image, describe

# pycocotools' compiled module does not know NumPy 2's copy keyword yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def make_set(root: Path) -> Path:
    """One clean image, one with class a twice, one with a and b, one RGB without a mask."""
    for name in ("images", "masks"):
        (root / name).mkdir()
    (root / "classes.txt").write_text("a\n$b_1$\nc\n")
    masks = np.zeros((3, 10, 20), np.uint8)
    masks[1, 1:3, 1:5] = 1  # 8 pixels
    masks[1, 6, 2:4] = 1  # 2 pixels
    masks[2, 5, 5] = 1
    masks[2, 6:9, 6] = 1  # touches it diagonally: one component of 4 pixels
    masks[2, 0, :] = 2  # 20 pixels
    for i, mask in enumerate(masks):
        write_png(root / f"images/p{i}.png", np.full(mask.shape, 10 * i, np.uint8))
        write_png(root / f"masks/p{i}.png", mask)
    write_png(root / "images/p3.png", np.zeros((6, 6, 3), np.uint8))
    return root


def test_golden_numbers(tmp_path):
    found = scan(read_dataset(make_set(tmp_path)))
    statistics = describe(found)
    assert (statistics.format, statistics.samples, statistics.groups) == ("folder", 4, 4)
    assert statistics.labels == {"good": 1, "defective": 2, "unknown": 1}
    assert statistics.sizes == {"20x10": 3, "6x6": 1}
    assert (statistics.grey, statistics.colour) == (3, 1)
    assert (statistics.several_classes, statistics.overlapping) == (1, 0)
    first, second, third = statistics.classes
    assert (first.name, first.images, first.components, first.pixels) == ("a", 2, 3, 14)
    # Areas 2, 4, 8: the 5% quantile lies a tenth of the way from 2 to 4.
    assert first.areas == pytest.approx(
        {"0": 2, "0.05": 2.2, "0.25": 3, "0.5": 4, "0.75": 6, "0.95": 7.6, "1": 8}
    )
    assert (second.images, second.components, second.pixels) == (1, 1, 20)
    assert (third.images, third.components, third.pixels, third.areas) == (0, 0, 0, {})
    assert components_an_image(found.facts) == [2, 2]
    assert components_an_image(found.facts, 0) == [2, 1]
    json.dumps(statistics.to_json())


def test_plots_of_any_set(tmp_path):
    # A class name with dollar signs must not be taken for a formula; an empty class is drawn too.
    (tmp_path / "set").mkdir()
    found = scan(read_dataset(make_set(tmp_path / "set")))
    paths = write_plots(found, tmp_path / "plots")
    assert [path.name for path in paths] == [
        "labels.png",
        "components_per_class.png",
        "components_per_image.png",
        "areas.png",
    ]
    assert all(min(image_size(path)) > 150 for path in paths)


def test_plots_without_any_defect(tmp_path):
    (tmp_path / "images").mkdir()
    write_png(tmp_path / "images/a.png", np.zeros((5, 5), np.uint8))
    assert len(write_plots(scan(read_dataset(tmp_path)), tmp_path / "plots")) == 4


def real_data(name: str) -> Path:
    folder = Path(os.environ.get("FLAWSMITH_TEST_DATA", "")) / name
    if "FLAWSMITH_TEST_DATA" not in os.environ or not folder.is_dir():
        pytest.skip(f"FLAWSMITH_TEST_DATA names no folder with {name}")
    return folder


@pytest.mark.realdata
def test_magnetic_tile():
    found = scan(read_dataset(real_data("magnetic_tile")))
    statistics = describe(found)
    assert statistics.labels == {"good": 317, "defective": 388, "unknown": 4}
    assert {entry.name: entry.images for entry in statistics.classes} == {
        "MT_Blowhole": 115,
        "MT_Break": 85,
        "MT_Crack": 57,
        "MT_Fray": 32,
        "MT_Uneven": 99,
    }
    # groups.csv: each tile was photographed several times; no tile may be on both sides.
    for seed in range(3):
        parts = [part for part, _ in divide_scan(found, Plan(seed=seed))]
        assert sorted(i for part in parts for i in part) == list(range(709))
        tiles = [{found.facts[i].group for i in part} for part in parts]
        assert not tiles[0] & tiles[1]
        for plane in range(5):
            images = [sum(plane in found.facts[i].planes for i in part) for part in parts]
            assert abs(images[0] - images[1]) <= 6  # a tile's exposures at most


@pytest.mark.realdata
def test_neu_seg_and_severstal():
    assert len(read_dataset(real_data("neu_seg"))) == 1131
    statistics = describe(scan(read_dataset(real_data("severstal_recon5"))))
    assert statistics.samples == 5
    assert [entry.images for entry in statistics.classes] == [1, 0, 4, 1]  # 6 rows
