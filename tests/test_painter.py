"""Painting: bytes outside of the hole, what moves with what, and a run that learned two shapes."""

import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from flawsmith.errors import InputError
from flawsmith.inpaint.generators import build_generator
from flawsmith.inpaint.hole import hole_of, soft_of
from flawsmith.inpaint.painter import Painter, load_painter
from flawsmith.inpaint.settings import InpaintSettings
from flawsmith.seeding import rng
from tests.augment_helpers import surface
from tests.format_helpers import FUZZ
from tests.inpaint_run_helpers import LEVELS, SURFACE, make_source, mark, texture, train_shapes
from tests.train_helpers import run_toy

LOOKS = 4


def painter_of(channels=1, classes=2, kind="unet", **changes):
    """An untrained painter: it knows nothing, but must keep to its hole all the same."""
    torch.set_num_threads(1)
    names = tuple(f"class {i}" for i in range(classes))
    settings = InpaintSettings(generator=kind, size=32, width=4, **changes)
    generator = build_generator(kind, channels, classes, 4, 0).eval()
    return Painter(generator, names, channels, settings, torch.device("cpu"))


PAINTERS = {(c, k): painter_of(c, k) for c in (1, 3) for k in (1, 3)}


@st.composite
def jobs(draw):
    """A picture, grey or in colour, smaller or larger than the crop, and boxes as its masks."""
    height, width = draw(st.integers(1, 90)), draw(st.integers(1, 140))
    image = surface(draw(st.integers(0, 9)), rgb=draw(st.booleans()), size=(0, 0, width, height))
    classes = draw(st.sampled_from([1, 3]))
    masks = np.zeros((classes, height, width), bool)
    for _ in range(draw(st.integers(0, 3))):
        x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        w, h = draw(st.sampled_from([1, 2, 7, 50, 140])), draw(st.sampled_from([1, 3, 12, 60]))
        masks[draw(st.integers(0, classes - 1)), y : y + h, x : x + w] = True
    return image, masks, draw(st.sampled_from([1, 3]))


@FUZZ
@given(jobs(), st.floats(0, 3))
def test_every_byte_outside_of_the_hole_is_kept(job, strength):
    image, masks, channels = job
    before = image.copy()
    painter = PAINTERS[channels, len(masks)]
    painted = painter.paint(image, masks, rng(1), strength)
    outside = ~hole_of(masks.any(axis=0), 3)
    assert (painted.shape, painted.dtype) == (image.shape, np.uint8)
    assert (painted[outside] == image[outside]).all()
    assert (image == before).all()  # the picture that was given is not changed
    assert (painter.paint(image, masks, rng(1), strength) == painted).all()
    assert (painter.paint(image, masks, rng(1), 0.0) == image).all()


@pytest.mark.parametrize("kind", ["unet", "spade", "lama"])
def test_all_of_the_hole_is_painted(kind):
    image, masks = surface(1, size=(0, 0, 120, 70)), np.zeros((2, 70, 120), bool)
    masks[0, 0:20, 0:9] = True  # at the border
    masks[1, 30:34, 30:110] = True  # larger than the crop
    masks[0, 50:60, 60:70] = True  # and within the window of that one
    painted = painter_of(kind=kind).paint(image, masks, rng(2))
    for part in (masks[0], masks[1]):
        assert (painted[part] != image[part]).mean() > 0.6
    # Of a scaled window too the change is there at both ends.
    assert (painted[30:34, 30:40] != image[30:34, 30:40]).mean() > 0.6
    assert (painted[30:34, 100:110] != image[30:34, 100:110]).mean() > 0.6


class Tone(torch.nn.Module):
    """Paints white, and notes what it was shown."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, image, hole, masks, noise):
        self.seen.append((image, hole, masks))
        return torch.ones_like(image)


def white(channels=1, grow=3, feather=3):
    settings = InpaintSettings(size=32, grow=grow, feather=feather)
    return Painter(Tone(), ("a", "b"), channels, settings, torch.device("cpu"))


@pytest.mark.parametrize("strength", [0.5, 1.0, 4.0])
def test_the_change_is_scaled_and_fades_at_the_rim(strength):
    image, masks = surface(3), np.zeros((2, 48, 64), bool)
    masks[0, 20:28, 30:40] = True
    soft = soft_of(hole_of(masks[0], 3), 3)
    wanted = np.clip(image + strength * soft * (255.0 - image), 0, 255)
    painted = white().paint(image, masks, rng(0), strength)
    assert np.abs(painted - wanted).max() <= 0.5 + 1e-3


def test_two_sites_with_overlapping_boxes_do_not_paint_each_other_s_pixels():
    """An L around a dot: the dot lies in the L's box, and each window shows both holes."""
    image, masks = surface(4), np.zeros((2, 48, 64), bool)
    masks[0, 10:34, 20:22] = masks[0, 32:34, 20:44] = True
    masks[1, 14:17, 36:39] = True
    painter = white(grow=0, feather=0)
    painted = painter.paint(image, masks, rng(0))
    union = masks.any(axis=0)
    assert (painted[union] == 255).all()
    assert (painted[~union] == image[~union]).all()
    assert len(painter.generator.seen) == 2  # the larger one first
    first, second = ([p[0] for p in planes] for planes in painter.generator.seen)
    assert first[1].sum() == second[1].sum() == union.sum()
    # What was painted first is surroundings to the next; the rest is still clean then.
    tones = (first[0][first[1] > 0], second[0][second[1] > 0])
    assert (tones[0] < 0.2).all()
    assert int((tones[1] == 1).sum()) == int(masks[0].sum())


def test_what_the_generator_is_shown():
    image, masks = surface(5, rgb=True), np.zeros((2, 48, 64), bool)
    masks[1, 20:28, 30:40] = True
    painter = white(channels=1)
    painter.paint(image, masks, rng(0))
    ((shown, hole, classes),) = painter.generator.seen
    assert shown.shape == (1, 1, 32, 32)  # a grey run sees the mean of the colours
    assert shown.mean() == pytest.approx(image.mean() / 127.5 - 1, abs=0.02)
    assert classes[0, 1].sum() == 80
    assert classes[0, 0].sum() == 0
    assert hole.sum() == hole_of(masks[1], 3).sum()


def test_a_grey_run_keeps_a_picture_s_colours():
    """The same is added to each colour: the surface's tint is still there under the defect."""
    image, masks = surface(6, rgb=True), np.zeros((1, 48, 64), bool)
    masks[0, 20:28, 30:40] = True
    painted = PAINTERS[1, 1].paint(image, masks, rng(0), 0.3)
    change = painted.astype(int) - image
    assert np.abs(change[masks[0]]).max() > 3
    assert (change.max(axis=2) - change.min(axis=2)).max() <= 1


def test_a_colour_run_paints_grey_pictures():
    image, masks = surface(6), np.zeros((1, 48, 64), bool)
    masks[0, 20:28, 30:40] = True
    painted = PAINTERS[3, 1].paint(image, masks, rng(0))
    assert painted.ndim == 2
    assert (painted[masks[0]] != image[masks[0]]).mean() > 0.6


def test_masks_and_pictures_that_do_not_fit():
    painter, image = painter_of(), surface(0)
    masks = np.zeros((2, 48, 64), bool)

    def complaint(*args):
        with pytest.raises(InputError) as caught:
            painter.paint(*args)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    wanted = "one plane a class, of the picture's size: class 0, class 1"
    for wrong in (masks[:1], masks[0], masks[:, :, 1:], np.zeros((2, 90, 90), bool)):
        told = complaint(image, wrong, rng(0))
        assert f"masks of shape {wrong.shape} for a picture of (48, 64)" in told
        assert wanted in told
    assert "masks of uint8" in complaint(image, masks.view(np.uint8), rng(0))
    assert "a picture of float64 (48, 64)" in complaint(image / 255, masks, rng(0))
    assert "a picture of uint8 (48, 64, 4)" in complaint(np.dstack([image] * 4), masks, rng(0))
    assert "a picture of uint8 (0, 64)" in complaint(image[:0], masks[:, :0], rng(0))
    for strength in (-0.1, float("nan"), float("inf")):
        assert f"strength {strength}" in complaint(image, masks, rng(0), strength)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on bright squares and dark discs, of few steps and so with a larger rate."""
    folder = tmp_path_factory.mktemp("trained")
    changes = {"steps": 60, "ema": 0.9, "log_every": 50}
    train_shapes(
        make_source(folder / "source"), folder / "run", {"generator_rate": 1.5e-3}, **changes
    )
    return folder / "run"


@pytest.fixture(scope="module")
def painter(trained):
    return load_painter(trained, "cpu")


def test_bright_squares_and_dark_discs(painter):
    assert painter.classes == ("square", "disc")
    for i in range(6):
        image, radius = texture(1000 + i), 4 + i % 3
        for plane, sign in ((0, 1), (1, -1)):
            x, y = rng(i, "new place").integers(8, 48, 2)
            masks = mark(plane, x, y, radius)
            means = [
                float(painter.paint(image, masks, rng(look, "look"))[masks[plane]].mean())
                for look in range(LOOKS)
            ]
            shifts = sign * (np.array(means) - image[masks[plane]].mean())
            # At least half of what the real ones differ from the surface by.
            assert shifts.min() > abs(LEVELS[plane] - SURFACE) / 2, (i, plane, means)


def test_the_class_decides_and_not_the_mask_s_shape(painter):
    image, masks = texture(2000), mark(0, 30, 28, 5)
    square, disc = (painter.paint(image, m, rng(0)) for m in (masks, masks[::-1]))
    inside = masks[0]
    assert square[inside].mean() > SURFACE + 40
    assert disc[inside].mean() < SURFACE - 40
    assert (square == disc)[~hole_of(inside, 2)].all()


def test_the_noise_changes_the_look_and_not_the_place(painter):
    image = texture(2001)
    for plane in (0, 1):
        masks = mark(plane, 40, 20, 6)
        looks = [painter.paint(image, masks, rng(i, "look")).astype(int) for i in range(LOOKS)]
        outside = ~hole_of(masks[plane], 2)
        for one, two in pairwise(looks):
            assert (one == two)[outside].all()
            assert np.abs(one - two)[masks[plane]].mean() > 1


def test_the_mask_moves_the_defect(painter):
    image = np.full((80, 120), SURFACE, np.uint8)
    changed = []
    for x, y in ((30, 30), (80, 45)):
        masks = mark(1, x, y, 5, image.shape)
        change = painter.paint(image, masks, rng(7)).astype(int) - image
        rows, columns = np.nonzero(change < -30)
        assert abs(rows.mean() - y) < 1
        assert abs(columns.mean() - x) < 1
        changed.append(change[y - 7 : y + 8, x - 7 : x + 8])
    # On an even surface the same noise gives the same defect, wherever it lies.
    assert (changed[0] == changed[1]).all()


def test_a_run_s_weights_in_other_states(trained, tmp_path):
    def complaint(folder):
        with pytest.raises(InputError) as caught:
            load_painter(folder, "cpu")
        assert "\n" not in str(caught.value)
        assert str(folder) in str(caught.value)
        return str(caught.value)

    def folder(name, content=None, **facts):
        """A run folder with the trained weights, but other facts, or with other content."""
        out = tmp_path / name
        out.mkdir()
        path = out / "model.safetensors"
        if content is None:
            own = {"flawsmith": json.dumps(facts_of(trained) | facts)}
            save_file(load_file(trained / "model.safetensors"), path, own)
        else:
            path.write_bytes(content)
        return out

    whole = (trained / "model.safetensors").read_bytes()
    config = facts_of(trained)["config"]
    assert "no trained weights here (mend: flawsmith inpaint train SRC RUN" in complaint(tmp_path)
    assert "no valid safetensors file" in complaint(folder("short", whole[: len(whole) // 2]))
    assert "no valid safetensors file" in complaint(folder("text", b"not weights at all"))
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    save_file({"a": torch.zeros(2)}, foreign / "model.safetensors")
    assert "not flawsmith's" in complaint(foreign)
    run_toy(tmp_path / "toy", steps=1)
    assert "weights of 'toy', not of an inpainting run" in complaint(tmp_path / "toy")
    newer = config | {"settings": config["settings"] | {"invented later": 3}}
    older = {name: value for name, value in config.items() if name != "channels"}
    huge = config | {"settings": config["settings"] | {"width": 4_000_000}}
    wrongs = {"newer": newer, "older": older, "list": [1], "none": None, "huge": huge}
    wrongs |= {f"channels {n}": config | {"channels": n} for n in (-5, 0, 2)}
    wrongs |= {f"{len(c)} classes": config | {"classes": c} for c in ([], ["a", "a"])}
    for name, wrong in wrongs.items():
        assert re.search("its settings .* train it again", complaint(folder(name, config=wrong)))
    other = config | {"classes": ["square", "disc", "third"]}
    assert "no painter of flawsmith: enter.conv" in complaint(folder("classes", config=other))
    same = folder("same")
    image, masks = texture(5), mark(0, 30, 30, 5)
    first, second = (load_painter(f, "cpu").paint(image, masks, rng(0)) for f in (trained, same))
    assert (first == second).all()


def facts_of(run: Path):
    header = (run / "model.safetensors").read_bytes()
    length = int.from_bytes(header[:8], "little")
    return json.loads(json.loads(header[8 : 8 + length])["__metadata__"]["flawsmith"])
