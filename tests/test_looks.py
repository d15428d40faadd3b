"""Which pictures are compared: boxes worked by hand, properties of any, and how often one is read.

Boxes are x, y, width, height in pixels.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.data.dataset import DataSet
from flawsmith.data.images import read_image
from flawsmith.data.scan import Component, Facts, Scan
from flawsmith.evaluate import looks as module
from flawsmith.evaluate.comparison import Box
from flawsmith.evaluate.looks import CROPS_AN_IMAGE, REACH, SIDE, Look, Pictures, crop_boxes, looks
from flawsmith.sample import Label
from tests.augment_helpers import part, surface, write_scan
from tests.format_helpers import FUZZ


def facts(
    boxes: Sequence[Box],
    *,
    size: tuple[int, int] = (400, 300),
    plane: int = 0,
    label: Label = "defective",
    key: str = "a",
) -> Facts:
    """Return the facts of a 400 by 300 image of two classes with these defects in one of them."""
    found = tuple(Component(plane, *box, area=box[2] * box[3]) for box in boxes)
    pixels = [0, 0]
    pixels[plane] = sum(component.area for component in found)
    return Facts(key, label, f"part-{key}", *size, 1, tuple(pixels), found, False, f"pixels-{key}")


def seen(*entries: Facts, classes: tuple[str, ...] = ("pit", "streak")) -> list[Look]:
    return looks(Scan(DataSet(Path("set"), "folder", classes, ()), entries), ("image", "crop"))


def test_a_small_defect_is_seen_with_its_surroundings():
    # Its middle is (105, 104): half of the 64 pixels to each side.
    assert crop_boxes(facts([(100, 100, 10, 8)]), 0) == [(73, 72, 64, 64)]


def test_a_large_defect_gets_half_of_its_longer_side_around_it():
    # 1.5 * 80 = 120; the middle is (140, 105).
    assert crop_boxes(facts([(100, 100, 80, 10)]), 0) == [(80, 45, 120, 120)]
    assert crop_boxes(facts([(100, 100, 10, 80)]), 0) == [(45, 80, 120, 120)]


@pytest.mark.parametrize(
    ("box", "crop"),
    [
        ((0, 0, 10, 8), (0, 0, 64, 64)),
        ((390, 292, 10, 8), (336, 236, 64, 64)),
        ((0, 150, 10, 8), (0, 122, 64, 64)),
        ((0, 140, 300, 10), (0, 0, 400, 300)),  # 450 are wanted
        ((390, 60, 10, 180), (130, 15, 270, 270)),
    ],
)
def test_at_the_border_the_square_moves_inside(box, crop):
    assert crop_boxes(facts([box]), 0) == [crop]


def test_an_image_smaller_than_a_crop_is_seen_whole():
    assert crop_boxes(facts([(3, 4, 5, 6)], size=(40, 30)), 0) == [(0, 0, 40, 30)]
    # Cut in height alone: 64 of 100 columns, all 30 rows.
    assert crop_boxes(facts([(50, 4, 6, 6)], size=(100, 30)), 0) == [(21, 0, 64, 30)]


def test_several_defects_in_an_image_smaller_than_a_crop_are_one_picture():
    far = facts([(0, 0, 4, 4), (56, 44, 4, 4)], size=(60, 48))
    assert crop_boxes(far, 0) == [(0, 0, 60, 48)]
    # Also where they are of two classes: then it counts for both, and once for all of them.
    two = Facts(
        "a", "defective", "part-a", 60, 48, 1, (16, 16),
        (Component(0, 0, 0, 4, 4, 16), Component(1, 56, 44, 4, 4, 16)), False, "pixels",
    )  # fmt: skip
    crops = [look for look in seen(two) if look.view == "crop"]
    assert [(look.box, look.scopes) for look in crops] == [
        ((0, 0, 60, 48), ("(all)", "pit", "streak"))
    ]


@pytest.mark.parametrize("down", [False, True])
def test_defects_within_reach_are_one(down):
    def placed(box: Box) -> Box:
        return (box[1], box[0], box[3], box[2]) if down else box

    def crops(gap: int) -> list[Box]:
        pair = [placed((100, 100, 30, 10)), placed((130 + gap, 100, 40, 10))]
        return [placed(box) for box in crop_boxes(facts(pair), 0)]

    # Sixteen pixels between them: 86 by 10, so 129 around (143, 105).
    assert crops(REACH) == [(143 - 64, 105 - 64, 129, 129)]
    # One more, and each has its own 64 around its middle; the larger comes first.
    assert crops(REACH + 1) == [(135, 73, 64, 64), (83, 73, 64, 64)]


def test_a_corner_within_reach_on_one_axis_only_is_apart():
    corner = [(100, 100, 10, 10), (110 + REACH, 111 + REACH, 10, 10)]
    assert len(crop_boxes(facts(corner), 0)) == 2


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 2, 0), (0, 3, 1, 2), (2, 0, 3, 1)])
def test_a_chain_of_defects_is_one(order):
    chain = [(100 + 24 * i, 100, 10, 10) for i in range(4)]
    # 82 by 10: 123 around (141, 105).
    assert crop_boxes(facts([chain[i] for i in order]), 0) == [(80, 44, 123, 123)]


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1), (2, 1, 0)])
def test_what_a_joined_box_reaches_joins_it(order):
    # The arms of an L are near one another; the dot, 30 from both, lies in their common box.
    angle = [(100, 100, 80, 5), (100, 110, 5, 70), (150, 145, 5, 5)]
    # 80 by 80: 120 around (140, 140).
    assert crop_boxes(facts([angle[i] for i in order]), 0) == [(80, 80, 120, 120)]


def test_other_classes_neither_join_nor_count():
    pit, streak = facts([(100, 100, 10, 8)]), facts([(112, 100, 10, 8)], plane=1)
    both = Facts(
        **{**vars(pit), "pixels": (80, 80), "components": pit.components + streak.components}
    )
    assert crop_boxes(both, 0) == crop_boxes(pit, 0)
    assert crop_boxes(both, 1) == crop_boxes(streak, 1)


def test_the_largest_four_of_an_image_and_class():
    # Of widths 10, 11, .. 16, far apart: 16, 15, 14 and 13 stay, the largest first.
    row = [(5 + 55 * i, 100, 10 + i, 10) for i in range(7)]
    found = crop_boxes(facts(row), 0)
    assert len(found) == CROPS_AN_IMAGE == 4
    middles = [5 + 55 * i + (10 + i) // 2 for i in (6, 5, 4, 3)]
    assert [box[0] for box in found] == [middle - 32 for middle in middles]
    # Each class and image has its own four.
    crops = [look for look in seen(facts(row), facts(row, plane=1, key="b")) if look.view == "crop"]
    assert [(look.id, look.scopes) for look in crops] == [
        *[("a", ("(all)", "pit"))] * 4,
        *[("b", ("(all)", "streak"))] * 4,
    ]


def test_every_sample_but_the_unknown_ones_is_seen():
    entries = [
        facts([], label="good", key="clean"),
        facts([(100, 100, 10, 8)], label="unknown", key="odd"),
        facts([(100, 100, 10, 8)], key="marked"),
    ]
    found = seen(*entries)
    assert [(look.index, look.id, look.group, look.view, look.scopes) for look in found] == [
        (0, "clean", "part-clean", "image", ("(good)",)),
        (2, "marked", "part-marked", "image", ("(defective)", "pit")),
        (2, "marked", "part-marked", "crop", ("(all)", "pit")),
    ]
    assert [look.box for look in found[:2]] == [(0, 0, 400, 300)] * 2


def test_only_the_views_that_are_asked_for():
    scan = Scan(DataSet(Path("set"), "folder", ("pit",), ()), (facts([(100, 100, 10, 8)]),))
    assert [look.view for look in looks(scan, ("image",))] == ["image"]
    assert [look.view for look in looks(scan, ("crop",))] == ["crop"]
    assert looks(scan, ()) == []


def test_a_class_named_like_a_scope_is_told_apart():
    entry = facts([(100, 100, 10, 8)])
    assert [look.scopes for look in seen(entry, classes=("good", "all"))] == [
        ("(defective)", "good"),
        ("(all)", "good"),
    ]
    assert [look.scopes for look in seen(entry, classes=("(good)", "(all)"))] == [
        ("(defective)", "class (good)"),
        ("(all)", "class (good)"),
    ]


def test_keys_are_of_the_pixels_and_the_box():
    marked = seen(facts([(100, 100, 10, 8), (200, 200, 10, 8)]))
    keys = [look.key for look in marked]
    assert len(set(keys)) == 3  # the image and two crops
    assert all(len(key) == 32 and int(key, 16) >= 0 for key in keys)
    again = Facts(**{**vars(facts([(100, 100, 10, 8)])), "id": "copy", "group": "other"})
    assert [look.key for look in seen(again)][1] in keys
    other = Facts(**{**vars(again), "digest": "other pixels"})
    assert not {look.key for look in seen(other)} & set(keys)


@st.composite
def defects(draw: st.DrawFn, most: int) -> Facts:
    """Facts with up to ``most`` defects anywhere in an image of any size."""
    width, height = draw(st.integers(1, 300)), draw(st.integers(1, 300))
    boxes = []
    for _ in range(draw(st.integers(1, most))):
        w, h = draw(st.integers(1, width)), draw(st.integers(1, height))
        x, y = draw(st.integers(0, width - w)), draw(st.integers(0, height - h))
        boxes.append((x, y, w, h))
    return facts(boxes, size=(width, height))


def within(inner: Box, outer: Box) -> bool:
    return (
        outer[0] <= inner[0]
        and outer[1] <= inner[1]
        and inner[0] + inner[2] <= outer[0] + outer[2]
        and inner[1] + inner[3] <= outer[1] + outer[3]
    )


@FUZZ
@given(entry=defects(CROPS_AN_IMAGE))
def test_every_defect_lies_in_a_crop_and_every_crop_in_its_image(entry):
    crops = crop_boxes(entry, 0)
    assert len(set(crops)) == len(crops) <= CROPS_AN_IMAGE
    for x, y, w, h in crops:
        assert within((x, y, w, h), (0, 0, entry.width, entry.height))
        assert w >= min(SIDE, entry.width)
        assert h >= min(SIDE, entry.height)
        assert w == h or w == entry.width or h == entry.height
    for c in entry.components:
        assert any(within((c.x, c.y, c.width, c.height), crop) for crop in crops)


@FUZZ
@given(entry=defects(12), seed=st.integers(0, 99))
def test_the_order_of_the_defects_changes_nothing(entry, seed):
    order = np.random.default_rng(seed).permutation(len(entry.components))
    mixed = Facts(**{**vars(entry), "components": tuple(entry.components[i] for i in order)})
    assert crop_boxes(mixed, 0) == crop_boxes(entry, 0)


def test_pictures_are_cut_and_each_image_is_read_once(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(module, "read_image", lambda path: read.append(path) or read_image(path))
    size = (0, 0, 200, 150)
    boxes = [(0, (20, 20, 30, 28)), (0, (150, 110, 162, 118)), (1, (20, 110, 30, 118))]
    samples = [
        part("a-grey", boxes, image=surface(1, size=size)),
        part("b-colour", boxes[:1], image=surface(2, size=size, rgb=True)),
        part("c-clean", image=surface(3, size=size)),
    ]
    found = write_scan(tmp_path / "set", samples)
    chosen = looks(found, ("image", "crop"))
    pictures = Pictures(found.dataset, chosen)
    by_id = {sample.id: sample.image for sample in samples}
    for place, look in enumerate(chosen):
        x, y, w, h = look.box
        wanted = by_id[look.id][y : y + h, x : x + w]
        assert pictures(place).dtype == np.uint8
        assert np.array_equal(pictures(place), wanted)
    assert len(chosen) == 4 + 2 + 1
    assert [path.stem for path in read] == ["a-grey", "b-colour", "c-clean"]
    # Any order is right, if slower.
    assert np.array_equal(pictures(0), by_id["a-grey"])
    assert len(read) == 4
