"""Twin folders of images and masks: what is written comes back, and what each label rests on."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from flawsmith.data import folder
from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.data.images import read_index, write_png
from flawsmith.data.scan import scan
from flawsmith.data.writing import Spec
from flawsmith.errors import InputError
from flawsmith.sample import Masks, Sample
from tests.format_helpers import (
    assert_same,
    make_sample,
    mask_stacks,
    round_trip,
    save_grey,
    save_mask,
    write_set,
)

SKIP = ReadOptions(on_error="skip")
NAMES = ("Kratzer tief", "点", "ä.ö", "4")


def labels(root: Path, **options: bool) -> dict[str, str]:
    return {s.id: s.label for s in read_dataset(root, ReadOptions(**options))}


def complaint(root: Path) -> str:
    with pytest.raises(InputError) as caught:
        list(read_dataset(root))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def notes(root: Path) -> str:
    found = read_dataset(root)
    return " / ".join([*map(str, found.skipped), *found.notices])


@settings(max_examples=25, deadline=None)
@given(st.data(), st.integers(1, 4), st.booleans())
def test_index_and_planes_round_trip(data: st.DataObject, classes: int, overlap: bool) -> None:
    stacks = data.draw(st.lists(mask_stacks(classes, overlap), min_size=1, max_size=3))
    samples = [make_sample(f"Träger {i}.v", m, source="x") for i, m in enumerate(stacks)]
    spec = Spec(NAMES[:classes], overlap=overlap and classes > 1)
    with TemporaryDirectory() as name:
        found = round_trip(Path(name), folder, "folder", samples, spec)
        assert found.classes == spec.classes
        assert_same(found, samples)
        assert [s.meta for s in found] == [{"source": "x"}] * len(samples)


def test_many_classes(tmp_path: Path) -> None:
    for count in (254, 255, 300):
        masks = np.zeros((count, 20, 20), bool)
        masks[np.arange(count), np.arange(count) // 20, np.arange(count) % 20] = True
        spec = Spec(tuple(f"c{i}" for i in range(count)))
        root = tmp_path / str(count)
        assert_same(
            round_trip(root, folder, "folder", [make_sample("a", masks)], spec),
            [make_sample("a", masks)],
        )
        # One grey picture holds 254 classes; more take a folder a class.
        assert (root / "masks/a.png").is_file() == (count == 254)


@pytest.mark.parametrize("name", ["../../evil", "/evil", "a/b", ".hidden"])
def test_a_class_name_is_no_way_out(tmp_path: Path, name: str) -> None:
    spec = Spec(("a", name), overlap=True)  # a folder for each class
    root = tmp_path / "deep" / "down" / "set"
    with pytest.raises(InputError, match="cannot be a file name"):
        folder.write_sample(root, 0, make_sample("x", np.ones((2, 3, 3), bool)), spec)
    assert not list(tmp_path.rglob("*.png"))
    # One picture with a number for each class needs no folder of that name.
    folder.write_sample(
        root, 0, make_sample("x", np.ones((2, 3, 3), bool)), replace(spec, overlap=False)
    )


def test_unknown_samples_are_written_without_a_mask(tmp_path: Path) -> None:
    samples = [
        make_sample("a", np.ones((2, 4, 5), bool)),
        make_sample("b", np.zeros((2, 4, 5), bool)),
    ]
    odd = Sample("c", samples[0].image, np.zeros((2, 4, 5), bool), "unknown", "c")
    write_set(tmp_path, folder, [*samples, odd], Spec(("x", "y"), overlap=True))
    assert labels(tmp_path) == {"a": "defective", "b": "good", "c": "unknown"}
    assert not list(tmp_path.rglob("masks/**/c.png"))


def test_what_another_program_sees_in_an_index_mask(tmp_path: Path) -> None:
    masks = np.zeros((2, 3, 4), bool)
    masks[0, 1, 2] = masks[1, 2, 3] = True
    write_set(tmp_path, folder, [make_sample("a", masks)], Spec(("x", "y")))
    picture = Pillow.open(tmp_path / "masks/a.png")
    assert picture.mode == "L"
    assert np.array(picture).tolist() == [[0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 2]]
    assert (tmp_path / "classes.txt").read_text() == "x\ny\n"


def test_labels_rest_on_masks_and_folders(tmp_path: Path) -> None:
    for name in (
        "good/g",
        "defective/empty",
        "defective/marked",
        "defective/none",
        "x/empty",
        "x/m",
    ):
        save_grey(tmp_path / f"images/{name}.png")
    for name, value in (
        ("defective/empty", 0), ("defective/marked", 255), ("x/empty", 0), ("x/m", 255)
    ):  # fmt: skip
        save_mask(tmp_path / f"masks/{name}.png", value=value)
    assert labels(tmp_path) == {
        "good__g": "good",  # its folder says so
        "defective__empty": "unknown",  # among the defective ones, yet nothing is marked
        "defective__marked": "defective",
        "defective__none": "unknown",
        "x__empty": "good",  # somebody looked and drew nothing
        "x__m": "defective",
    }
    assert "1 images have no mask (label unknown, not used): none.png" in notes(tmp_path)
    save_grey(tmp_path / "images/x/none.png")
    assumed = labels(tmp_path, assume_good=True)
    assert assumed["x__none"] == "good"
    assert assumed["defective__none"] == "unknown"  # its folder says otherwise
    assert labels(tmp_path, assume_good=True)["defective__empty"] == "unknown"


def test_a_good_image_with_a_marked_mask_is_refused(tmp_path: Path) -> None:
    save_grey(tmp_path / "images/good/a.png")
    save_mask(tmp_path / "masks/good/a.png")
    line = complaint(tmp_path)
    assert "images/good/a.png: it counts as clean by its place, yet its mask marks 3 pixels" in line
    assert "mend: move it" in line


def test_partners_that_are_missing_are_named(tmp_path: Path) -> None:
    for name in "abcdefg":
        save_grey(tmp_path / f"images/{name}.png")
    save_mask(tmp_path / "masks/a.png")
    save_mask(tmp_path / "masks/stray.png")
    text = notes(tmp_path)
    assert "masks/stray: a mask without an image" in text
    assert "6 images have no mask (label unknown, not used): b.png, c.png, d.png" in text
    assert "f.png ..." in text


def test_images_without_any_masks_are_unknown(tmp_path: Path) -> None:
    save_grey(tmp_path / "images/a.png")
    assert labels(tmp_path) == {"a": "unknown"}
    assert labels(tmp_path, assume_good=True) == {"a": "good"}
    assert "images/ without any masks" in notes(tmp_path)


@pytest.mark.parametrize("name", ["masks", "annotations", "labels"])
@pytest.mark.parametrize("ending", ["", "_mask", "_label", "_gt"])
def test_names_of_mask_folders_and_files(tmp_path: Path, name: str, ending: str) -> None:
    save_grey(tmp_path / "images/deep/er/a.png")
    save_mask(tmp_path / name / f"deep/er/a{ending}.png")
    (sample,) = read_dataset(tmp_path)
    assert (sample.id, sample.label, int(sample.masks.sum())) == ("a", "defective", 3)


def test_class_numbers_are_found_or_taken_from_the_list(tmp_path: Path) -> None:
    save_grey(tmp_path / "images/a.png")
    save_mask(tmp_path / "masks/a.png", value=3)
    assert read_dataset(tmp_path).classes == ("3",)
    (tmp_path / "classes.txt").write_text("\ufeffone\n two \n\nthree\n", encoding="utf-8")
    (sample,) = read_dataset(tmp_path)
    assert read_dataset(tmp_path).classes == ("one", "two", "three")
    assert sample.masks.sum(axis=(1, 2)).tolist() == [0, 0, 3]
    (tmp_path / "classes.txt").write_text("one\ntwo\n")
    line = complaint(tmp_path)
    assert f"{tmp_path}/masks/a.png: the mask holds the value 3, which is no class" in line
    assert "(known: 0 and 1, 2)" in line
    assert "mend: list the classes in classes.txt" in line
    (tmp_path / "classes.txt").write_text("one\none\n")
    assert "classes.txt: needs one class name a line, each once" in complaint(tmp_path)


def test_a_mask_of_0_and_255_has_one_class(tmp_path: Path) -> None:
    save_grey(tmp_path / "images/a.png")
    save_mask(tmp_path / "masks/a.png")
    assert read_dataset(tmp_path).classes == ("defect",)
    (tmp_path / "classes.txt").write_text("crack\n")
    (sample,) = read_dataset(tmp_path)
    assert int(sample.masks[0].sum()) == 3
    (tmp_path / "classes.txt").write_text("crack\npit\n")
    assert "the value 255" in complaint(tmp_path)


def test_grey_masks_are_not_taken_for_classes(tmp_path: Path) -> None:
    save_grey(tmp_path / "images/a.png")
    save_mask(tmp_path / "masks/a.png", value=77)
    assert "the value 77, which is no class (known: 0 and none)" in complaint(tmp_path)


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    save_grey(tmp_path / "images/a.png", 6, 8)
    save_mask(tmp_path / "masks/a.png", 8, 6)
    line = complaint(tmp_path)
    assert "masks/a.png: the mask is 6x8, its image 8x6 (mend: draw or export" in line


def test_two_masks_for_one_image_are_refused(tmp_path: Path) -> None:
    save_grey(tmp_path / "images/a.png")
    save_mask(tmp_path / "masks/a.png")
    Pillow.fromarray(read_index(tmp_path / "masks/a.png")).save(tmp_path / "masks/a.bmp")
    with pytest.raises(
        InputError, match=r"two masks for one image: a\.bmp and a\.png \(mend: keep"
    ):
        list(read_dataset(tmp_path, ReadOptions("folder")))


def test_class_folders_and_mirrored_folders_are_told_apart(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for root, image in ((one, "a"), (two, "crack/a")):
        save_grey(root / f"images/{image}.png")
        save_mask(root / "masks/crack/a.png")
    save_grey(one / "images/b.png")
    save_mask(one / "masks/pit/a.png")
    found = read_dataset(one)
    assert found.classes == ("crack", "pit")
    assert found[0].masks.all(axis=0).sum() == 3
    assert [s.label for s in found] == ["defective", "unknown"]
    assert read_dataset(two).classes == ("defect",)
    Pillow.fromarray(read_index(one / "masks/pit/a.png")).save(one / "masks/pit/a.bmp")
    assert "two masks for one image" in complaint(one)


def test_images_that_share_an_id_are_refused_together(tmp_path: Path) -> None:
    save_grey(tmp_path / "images/a.png")
    save_grey(tmp_path / "images/b.png")
    Pillow.fromarray(np.zeros((6, 8), np.uint8)).save(tmp_path / "images/a.bmp")
    for name in "ab":
        save_mask(tmp_path / f"masks/{name}.png")
    line = complaint(tmp_path)
    assert "images/a.bmp: two images share the id 'a': a.bmp and a.png (mend: rename" in line
    found = read_dataset(tmp_path, SKIP)
    assert found.ids == ("b",)
    assert [(s.where, s.bad) for s in found.skipped] == [
        ("images/a.bmp", True),
        ("images/a.png", True),
    ]


def test_a_broken_mask_is_listed_once(tmp_path: Path) -> None:
    save_grey(tmp_path / "images/a.png")
    save_grey(tmp_path / "images/b.png")
    save_mask(tmp_path / "masks/a.png")
    (tmp_path / "masks/b.png").write_bytes(b"text")
    found = scan(read_dataset(tmp_path, SKIP), on_error="skip").dataset
    assert found.ids == ("a",)
    assert [s.where for s in found.skipped] == ["masks/b.png"]


def test_hidden_files_and_foreign_ones_take_no_part(tmp_path: Path) -> None:
    save_grey(tmp_path / "images/a.png")
    save_mask(tmp_path / "masks/a.png")
    for name in (
        "images/.DS_Store",
        "images/._a.png",
        "images/.cache/b.png",
        "__MACOSX/images/a.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"junk")
    assert read_dataset(tmp_path).ids == ("a",)


def test_masks_with_soft_edges_in_class_folders_are_cut_at_half(tmp_path: Path) -> None:
    save_grey(tmp_path / "images/a.png", 1, 4)
    (tmp_path / "masks/crack").mkdir(parents=True)
    write_png(tmp_path / "masks/crack/a.png", np.array([[0, 127, 128, 255]], np.uint8))
    (sample,) = read_dataset(tmp_path)
    masks: Masks = sample.masks
    assert masks[0].tolist() == [[False, False, True, True]]
