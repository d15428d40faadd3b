"""Distances of real photos, degraded, mirrored, copied, held out (FLAWSMITH_TEST_DATA).

The 115 photos of blowholes show 24 tiles, up to six times each. Every second tile is the training
part; every second of its photos, changed in one way, is a candidate.
"""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from flawsmith.data.formats import read_dataset
from flawsmith.data.scan import scan
from flawsmith.evaluate.comparison import Figure
from flawsmith.evaluate.features import extract, open_extractor
from flawsmith.evaluate.figures import Floors, Side, draw_size, figures
from flawsmith.sample import Image
from flawsmith.seeding import rng
from tests.feature_helpers import keyed, one_thread  # noqa: F401

pytestmark = pytest.mark.realdata
CHANGES = ("flip", "blur 1", "blur 2", "blur 4", "noise 5", "noise 10", "noise 20")
NAME = "FD (lite0)"
Found = dict[str, Figure]


def changed(image: Image, change: str, place: int) -> Image:
    """Return a grey photo mirrored, blurred by a Gaussian (pixels), or with noise (grey levels)."""
    kind, _, amount = change.partition(" ")
    if kind == "flip":
        return image[:, ::-1]
    if kind == "blur":
        return np.asarray(cv2.GaussianBlur(image, (0, 0), float(amount)), np.uint8)
    noise = rng(0, change, place).normal(0, float(amount), image.shape)
    return np.asarray(np.clip(np.rint(image + noise), 0, 255), np.uint8)


@pytest.fixture(scope="module")
def judged() -> dict[str, Found]:
    """The figures of each kind of candidates; one extraction and one set of floors for all."""
    folder = Path(os.environ.get("FLAWSMITH_TEST_DATA", "")) / "magnetic_tile"
    if "FLAWSMITH_TEST_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("FLAWSMITH_TEST_DATA names no folder with magnetic_tile")
    dataset = read_dataset(folder)
    blowholes = [i for i, r in enumerate(dataset.records) if r.image.parts[-3] == "MT_Blowhole"]
    photos = scan(dataset.select(blowholes))
    images = [sample.image for sample in photos.dataset]
    groups = np.array([fact.group for fact in photos.facts])
    assert (len(images), len(set(groups))) == (115, 24)
    extractor = open_extractor("lite0")
    features = extract(extractor, *keyed(images), device="cpu")

    training = np.isin(groups, sorted(set(groups), key=int)[1::2])
    real = Side(features[~training], tuple(groups[~training]))
    train = Side(features[training], tuple(groups[training]))
    chosen = np.flatnonzero(training)[::2]
    made = {"copies": features[chosen]}
    for change in CHANGES:
        pictures = [changed(images[i], change, int(i)) for i in chosen]
        made[change] = extract(extractor, *keyed(pictures), device="cpu")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("HALVINGS", "DRAWS"):
            patch.setattr(f"flawsmith.evaluate.figures.{name}", 40)
        n = draw_size(real.groups, train.groups, len(chosen), 0)
        assert n == len(chosen) == 33
        floors: Floors = {}
        measured = {name: figures(real, train, m, n, 0, NAME, floors) for name, m in made.items()}
        least = draw_size(real.groups, (), len(train), 0)
        measured["held out"] = figures(real, None, train.features, least, 0, NAME)
    return {name: {figure.name: figure for figure in found} for name, found in measured.items()}


@pytest.mark.parametrize("measure", ["KID", NAME])
@pytest.mark.parametrize("degradation", ["blur", "noise"])
def test_more_degradation_is_farther(judged, measure, degradation):
    kinds = [change for change in CHANGES if change.startswith(degradation)]
    values = [judged[kind][measure].value for kind in ("copies", *kinds)]
    assert np.all(np.diff(values) > 0), values
    assert not judged[kinds[-1]][measure].inside


@pytest.mark.parametrize("measure", ["KID", NAME])
def test_mirrored_photos_are_nearer_than_degraded_ones(judged, measure):
    flip = judged["flip"][measure]
    assert flip.inside
    for strong in ("blur 2", "blur 4", "noise 20"):
        assert not judged[strong][measure].inside
    # Measured: 0.013 and 0.25 for the KID, 49 and 165 for the Frechet distance.
    assert flip.value < judged["blur 2"][measure].value / {"KID": 5, NAME: 2}[measure]


def test_copies_are_named_though_nothing_else_tells(judged):
    copies = judged["copies"]
    assert copies["KID"].inside
    assert copies[NAME].inside
    assert copies["nearest real"].full == 0
    assert (copies["near copies"].value, copies["near copies"].full) == (1, 1)
    assert not copies["near copies"].inside
    # Mirroring does not hide where a photo comes from; a blur that is plainly visible does.
    assert judged["flip"]["near copies"].value > 0.3
    assert judged["blur 2"]["near copies"].value == 0


@pytest.mark.parametrize("measure", ["KID", NAME])
def test_photos_of_other_tiles_are_within_the_floor(judged, measure):
    held_out = judged["held out"]
    assert held_out[measure].inside
    assert held_out["nearest real"].value > 0
    assert held_out["near copies"].value < 0.6
