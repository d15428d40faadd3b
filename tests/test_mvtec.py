"""MVTec AD: pairing by name, names that anomalib pairs by position, and real welding images."""

import os
import pickle
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flawsmith.data import mvtec
from flawsmith.data.formats import read_dataset
from flawsmith.data.images import read_index
from flawsmith.data.writing import Spec
from flawsmith.errors import InputError
from flawsmith.sample import Masks
from tests.format_helpers import (
    assert_same,
    make_sample,
    mask_stacks,
    round_trip,
    save_grey,
    save_mask,
    write_set,
)

SPEC = Spec(("crack", "pit"))


def mark(plane: int | None, classes: int = 2) -> Masks:
    masks = np.zeros((classes, 5, 7), bool)
    if plane is not None:
        masks[plane, 1:3, 2:6] = True
    return masks


def layout(root: Path) -> Path:
    save_grey(root / "train/good/000.png")
    save_grey(root / "test/good/000.png")
    save_grey(root / "test/pit/000.png")
    save_grey(root / "test/crack/000.png")
    save_mask(root / "ground_truth/pit/000_mask.png")
    save_mask(root / "ground_truth/crack/000.png")
    return root


@pytest.mark.parametrize("depth", ["", "raw", "raw/welding"])
def test_reading_at_any_depth(tmp_path: Path, depth: str) -> None:
    layout(tmp_path / depth)
    found = read_dataset(tmp_path)
    assert (found.format, found.classes) == ("mvtec", ("crack", "pit"))
    prefix = "__".join([*Path(depth).parts, ""])
    assert {s.id: (s.label, s.meta["split"]) for s in found} == {
        f"{prefix}train__good__000": ("good", "train"),
        f"{prefix}test__good__000": ("good", "test"),
        f"{prefix}test__pit__000": ("defective", "test"),
        f"{prefix}test__crack__000": ("defective", "test"),
    }
    pit = next(s for s in found if s.id.endswith("pit__000"))
    assert np.argwhere(pit.masks).tolist() == [[1, 1, 2], [1, 1, 3], [1, 1, 4]]
    assert pickle.loads(pickle.dumps(found.records)) == found.records


def test_orphans_are_named_and_never_clean(tmp_path: Path) -> None:
    layout(tmp_path)
    save_grey(tmp_path / "test/pit/001.png")
    save_mask(tmp_path / "ground_truth/pit/007_mask.png")
    save_grey(tmp_path / "test/loose.png")
    found = read_dataset(tmp_path)
    assert {s.label for s in found if "001" in s.id} == {"unknown"}
    assert {s.where: s.reason for s in found.skipped} == {
        "test/loose.png": "not in a folder that names its type",
        "test/pit/001.png": "no mask: label unknown, not used",
        "ground_truth/pit/007_mask.png": "a mask without an image",
    }


def test_several_categories_are_listed(tmp_path: Path) -> None:
    for name in ("bottle", "cable"):
        layout(tmp_path / name)
    with pytest.raises(InputError, match=r"2 data sets: bottle, cable .*one of them"):
        read_dataset(tmp_path)
    assert len(read_dataset(tmp_path / "cable")) == 4


@pytest.mark.parametrize("value", [255, 128, 127, 1])
def test_masks_of_one_value(tmp_path: Path, value: int) -> None:
    layout(tmp_path)
    save_mask(tmp_path / "ground_truth/pit/000_mask.png", value=value)
    assert next(s for s in read_dataset(tmp_path) if "pit" in s.id).masks.sum() == 3


def test_soft_edges_are_cut_at_128_and_class_numbers_refused(tmp_path: Path) -> None:
    path = save_mask(tmp_path / "m.png")
    soft = np.array([[0, 60, 127, 128, 200, 255]], np.uint8)
    for values, marked in ((soft, [3, 4, 5]), (soft // 100, None), (soft * 0, [])):
        mvtec.write_file(path, mvtec.encode_png(values))
        mask = mvtec.DefectMask(path, 0)
        if marked is None:
            with pytest.raises(InputError, match="values 0, 1, 2"):
                mask.read((1, 1, 6))
        else:
            assert np.flatnonzero(mask.read((1, 1, 6))).tolist() == marked
    with pytest.raises(InputError, match="mask is 6x1, its image 9x1"):
        mask.read((1, 1, 9))


def test_a_marked_good_image_is_refused(tmp_path: Path) -> None:
    layout(tmp_path)
    save_mask(tmp_path / "ground_truth/good/000_mask.png", value=0)
    assert Counter(s.label for s in read_dataset(tmp_path)) == {"good": 2, "defective": 2}
    save_mask(tmp_path / "ground_truth/good/000_mask.png")
    with pytest.raises(InputError, match="marks a defect in a good image"):
        list(read_dataset(tmp_path))


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    layout(tmp_path / "elsewhere")
    layout(tmp_path / "data")
    (tmp_path / "data/test/linked").symlink_to(tmp_path / "elsewhere/test/pit")
    (tmp_path / "data/test/pit/link.png").symlink_to(tmp_path / "elsewhere/test/pit/000.png")
    found = read_dataset(tmp_path / "data")
    assert len(found) == 4
    assert {s.where for s in found.skipped} == {"test/linked", "test/pit/link.png"}
    (tmp_path / "outer").mkdir()
    (tmp_path / "outer/link").symlink_to(tmp_path / "elsewhere")
    assert mvtec.detect(tmp_path / "outer") is None


@settings(max_examples=8, deadline=None)
@given(st.lists(mask_stacks(), min_size=1, max_size=4), st.data())
def test_round_trip_keeps_every_pixel_of_single_types(
    stacks: list[Masks], data: st.DataObject
) -> None:
    samples = []
    for i, masks in enumerate(stacks):
        masks[data.draw(st.integers(0, 1))] = False
        samples.append(
            make_sample(f"ä {i}.x", masks, split=data.draw(st.sampled_from(["test", ""])))
        )
    samples.append(make_sample("odd", mark(None), "unknown"))
    with TemporaryDirectory() as folder:
        assert_same(round_trip(Path(folder), mvtec, "mvtec", samples, SPEC), samples)


def test_sorted_positions_pair_images_with_masks(tmp_path: Path) -> None:
    ids = ["a-b", "a", "a_b", "ä b", "A", "a.b", "a_mask", "10", "9", "z" * 200]
    samples = [make_sample(key, mark(number % 2)) for number, key in enumerate(ids)]
    write_set(tmp_path, mvtec, samples, SPEC)
    images = sorted(str(p) for p in (tmp_path / "test").rglob("*.png"))
    masks = sorted(str(p) for p in (tmp_path / "ground_truth").rglob("*.png"))
    assert len(images) == len(masks) == len(ids)
    for image, mask in zip(images, masks, strict=True):
        # anomalib's own check of its pairs.
        assert Path(image).stem in Path(mask).stem
        assert Path(mask).stem == Path(image).stem + "_mask"
        assert Path(mask).parent.name == Path(image).parent.name


def test_where_samples_go(tmp_path: Path) -> None:
    both = mark(0) | mark(1)
    both[1, 4, 0] = True
    samples = [
        make_sample("g", mark(None)),
        make_sample("t", mark(None), split="test"),
        make_sample("c", mark(0), split="train"),
        make_sample("b", both),
        make_sample("u", mark(None), "unknown"),
        make_sample("e", mark(None), "defective"),
    ]
    notices = write_set(tmp_path, mvtec, samples, SPEC)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.png")) == [
        "ground_truth/combined/0000003_b_mask.png",
        "ground_truth/crack/0000002_c_mask.png",
        "test/combined/0000003_b.png",
        "test/crack/0000002_c.png",
        "test/good/0000001_t.png",
        "train/good/0000000_g.png",
        "unlabelled/0000004_u.png",
        "unlabelled/0000005_e.png",
    ]
    assert [n.split(" ")[0] for n in notices] == ["1", "2"]
    union = read_index(tmp_path / "ground_truth/combined/0000003_b_mask.png")
    assert np.array_equal(union, both.any(axis=0) * np.uint8(255))
    found = read_dataset(tmp_path)
    assert found.classes == ("combined", "crack")
    assert Counter(s.label for s in found) == {"good": 2, "defective": 2, "unknown": 2}


def test_a_manifest_with_merged_samples_can_be_read(tmp_path: Path) -> None:
    found = round_trip(tmp_path, mvtec, "mvtec", [make_sample("b", mark(0) | mark(1))], SPEC)
    assert found.classes == ("crack", "pit", "combined")
    assert found[0].masks.any(axis=(1, 2)).tolist() == [False, False, True]


@pytest.mark.parametrize(
    "classes",
    [("a/b",), ("..",), ("good",), ("Good",), (".x",), ("",), ("unlabelled",), ("a", "A")],
)
def test_class_names_that_are_no_folders(tmp_path: Path, classes: tuple[str, ...]) -> None:
    masks = mark(0, len(classes))
    with pytest.raises(InputError, match="cannot be a folder"):
        mvtec.write_sample(tmp_path, 0, make_sample("a", masks), Spec(classes))
    assert not any(tmp_path.iterdir())


@pytest.mark.realdata
def test_the_welding_images() -> None:
    folder = Path(os.environ.get("FLAWSMITH_TEST_DATA", "")) / "battery_weld"
    if "FLAWSMITH_TEST_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("FLAWSMITH_TEST_DATA names no folder with battery_weld")
    found = read_dataset(folder)
    places = Counter((r.declared, r.meta["split"], r.image.parent.name) for r in found.records)
    assert (found.format, found.classes) == ("mvtec", ("defective",))
    assert places == {
        ("good", "train", "good"): 37,
        ("good", "test", "good"): 35,
        ("defective", "test", "defective"): 93,
    }
    assert Counter(s.reason for s in found.skipped) == {"a mask without an image": 40}
    defective = found.select(range(0, len(found), 20))
    assert all(s.masks.any() == (s.label == "defective") for s in defective)
