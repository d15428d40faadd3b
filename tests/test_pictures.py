"""Outlines stay off the defects, crops hold them, and data URIs stay small."""

import base64

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flawsmith.data.thumbnails import CONTEXT, defect_box, outlined, thumbnail
from flawsmith.evaluate.pictures import data_uri, pair_rows
from flawsmith.sample import Masks, Sample

RED, BLUE = (255, 0, 0), (0, 0, 255)


def sample(masks: Masks, name: str = "a", group: str = "", fill: int = 128) -> Sample:
    image = np.full(masks.shape[1:], fill, np.uint8)
    return Sample(name, image, masks, "defective" if masks.any() else "good", group or name)


def block(shape: tuple[int, int, int], plane: int, x: int, y: int, w: int, h: int) -> Masks:
    masks = np.zeros(shape, bool)
    masks[plane, y : y + h, x : x + w] = True
    return masks


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.booleans())
def test_outline_never_covers_a_mask_pixel(seed: int, thickness: int, grey: bool) -> None:
    rng = np.random.default_rng(seed)
    masks = np.stack([cv2.blur(rng.random((40, 50)), (5, 5)) > 0.55 for _ in range(3)])
    image = rng.integers(0, 256, (40, 50) if grey else (40, 50, 3)).astype(np.uint8)
    drawn = outlined(image, masks, [RED, BLUE, RED], thickness=thickness)
    union = masks.any(axis=0)
    before = np.stack([image] * 3, axis=2) if grey else image
    assert drawn.shape == (40, 50, 3)
    assert (drawn[union] == before[union]).all()


def test_outline_surrounds_the_defect_with_a_free_gap() -> None:
    masks = block((1, 21, 21), 0, 9, 9, 3, 3)
    drawn = outlined(np.full((21, 21), 128, np.uint8), masks, [RED], thickness=2, gap=1)
    row = drawn[10]
    # Mask 9-11, one free pixel, two of line, one darkened; the same on the other side.
    expected = ["g"] * 5 + ["d", "r", "r"] + ["g"] * 5 + ["r", "r", "d"] + ["g"] * 5
    names: dict[tuple[int, ...], str] = {(128, 128, 128): "g", (42, 42, 42): "d", RED: "r"}
    assert [names[tuple(map(int, pixel))] for pixel in row] == expected


def test_each_class_has_its_colour_and_an_empty_one_none() -> None:
    masks = block((3, 60, 60), 0, 10, 10, 6, 6) | block((3, 60, 60), 2, 40, 40, 6, 6)
    drawn = outlined(np.zeros((60, 60, 3), np.uint8), masks, [RED, (0, 255, 0), BLUE], thickness=1)
    assert (drawn[:30, :30] == RED).all(axis=2).any()
    assert (drawn[30:, 30:] == BLUE).all(axis=2).any()
    assert not drawn[..., 1].any()


def test_outline_leaves_its_input_alone() -> None:
    image = np.full((30, 30, 3), 9, np.uint8)
    outlined(image, block((1, 30, 30), 0, 10, 10, 4, 4), [RED], thickness=2)
    assert (image == 9).all()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_crop_holds_the_defect_and_its_context(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(20, 900)), data.draw(st.integers(20, 400))
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    w, h = data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y))
    left, top, wide, high = defect_box(block((1, height, width), 0, x, y, w, h)[0])
    assert 0 <= left <= x
    assert 0 <= top <= y
    assert x + w <= left + wide <= width
    assert y + h <= top + high <= height
    assert wide >= min(width, CONTEXT)
    assert high >= min(height, CONTEXT)


def test_a_small_defect_in_a_strip_is_shown_close_and_in_four_to_three() -> None:
    found = thumbnail(
        sample(block((1, 256, 1600), 0, 700, 100, 30, 12)), width=320, zoom_to_defect=True
    )
    assert found.image.shape == (240, 320)
    assert found.box[2:] == (128, 96)
    assert not found.whole
    # 30 x 12 pixels at 2.5 times the size.
    assert abs(int(found.masks.sum()) - 30 * 12 * 6.25) < 0.1 * 30 * 12 * 6.25


def test_scattered_defects_give_way_to_the_largest() -> None:
    scattered = block((1, 256, 1600), 0, 5, 5, 10, 10) | block((1, 256, 1600), 0, 1500, 100, 40, 40)
    left, _, width, _ = defect_box(scattered[0])
    assert left <= 1500
    assert left + width >= 1540
    assert width < 300


def test_the_crop_follows_the_class_it_is_for() -> None:
    masks = block((2, 300, 900), 0, 20, 20, 10, 10) | block((2, 300, 900), 1, 800, 200, 10, 10)
    boxes = [thumbnail(sample(masks), width=99, zoom_to_defect=True, plane=k).box for k in (0, 1)]
    assert boxes[0][0] < 100
    assert boxes[1][0] > 600


def test_without_zoom_or_defect_the_whole_is_shown() -> None:
    masks = block((1, 200, 400), 0, 7, 7, 1, 1)
    whole = thumbnail(sample(masks), width=100, zoom_to_defect=False)
    assert (whole.box, whole.whole, whole.image.shape) == ((0, 0, 400, 200), True, (100, 200))
    assert thumbnail(sample(masks & False), width=100, zoom_to_defect=True).whole
    # A mask of one pixel is still there at a quarter of the size.
    assert thumbnail(sample(masks), width=50, zoom_to_defect=False).masks.sum() == 1


def test_a_portrait_is_no_higher_than_the_width() -> None:
    assert thumbnail(
        sample(np.zeros((1, 400, 100), bool)), width=80, zoom_to_defect=True
    ).image.shape == (80, 20)


@pytest.mark.parametrize("shape", [(300, 400), (300, 400, 3)])
def test_data_uri_is_a_small_jpeg(shape: tuple[int, ...]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    uri = data_uri(noise, limit=12_000)
    kind, _, text = uri.partition(",")
    content = base64.b64decode(text, validate=True)
    assert kind == "data:image/jpeg;base64"
    assert len(content) <= 12_000
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) is not None


def test_data_uri_keeps_colours_apart() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, 10:12] = RED
    content = base64.b64decode(data_uri(image).partition(",")[2])
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    back = decoded[..., ::-1]
    assert np.abs(back.astype(int) - image).mean() < 8
    assert back[16, 10, 0] > 200


def test_pair_rows_take_different_groups_first() -> None:
    masks = block((2, 100, 100), 0, 40, 40, 10, 10)
    real = [sample(masks, f"r{i}", group="same" if i < 3 else f"g{i}") for i in range(5)]
    rows = pair_rows(real, [sample(masks, "m")], ("Crack", "Pit"), method="paste", limit=4)
    assert [row.name for row in rows] == ["Crack"]
    assert [tile.id for tile in rows[0].real] == ["r0", "r3", "r4", "r1"]
    made = rows[0].made[0]
    assert (made.id, made.origin, made.classes) == ("m", "paste", ("Crack",))


def test_pair_rows_show_a_sample_under_each_of_its_classes() -> None:
    masks = block((2, 100, 100), 0, 10, 10, 10, 10) | block((2, 100, 100), 1, 70, 70, 10, 10)
    rows = pair_rows([sample(masks)], [], ("Crack", "Pit"), method="paste")
    assert [(row.name, len(row.real), len(row.made)) for row in rows] == [
        ("Crack", 1, 0),
        ("Pit", 1, 0),
    ]


def test_a_wide_crop_is_laid_out_wide() -> None:
    masks = block((1, 100, 800), 0, 20, 40, 700, 20)
    tile = pair_rows([sample(masks)], [], ("Scratch",), method="paste", width=100)[0].real[0]
    assert (tile.shape, tile.width) == ("wide", 200)
