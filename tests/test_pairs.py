"""Image and mask side by side: the classes are folders, clean ones among them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.data.images import encode_jpeg, write_png
from flawsmith.errors import InputError
from tests.format_helpers import save_mask


def save_photo(path: Path, height: int = 6, width: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_jpeg(np.full((height, width), 90, np.uint8)))
    return path


def tiles(root: Path) -> Path:
    """The layout of magnetic_tile."""
    for name, value in (("MT_Break/Imgs/a", 255), ("MT_Crack/Imgs/b", 255), ("MT_Free/Imgs/c", 0)):
        save_photo(root / f"{name}.jpg")
        save_mask(root / f"{name}.png", value=value)
    return root


def complaint(root: Path) -> str:
    with pytest.raises(InputError) as caught:
        list(read_dataset(root))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_classes_are_folders_and_free_ones_are_clean(tmp_path: Path) -> None:
    found = read_dataset(tiles(tmp_path))
    assert found.format == "pairs"
    assert found.classes == ("MT_Break", "MT_Crack")
    assert [(s.id, s.label) for s in found] == [
        ("a", "defective"),
        ("b", "defective"),
        ("c", "good"),
    ]
    assert np.argwhere(found[1].masks).tolist() == [[1, 1, 2], [1, 1, 3], [1, 1, 4]]


def test_masks_are_cut_at_128(tmp_path: Path) -> None:
    save_photo(tmp_path / "a.jpg", 1, 4)
    write_png(tmp_path / "a.png", np.array([[0, 127, 128, 255]], np.uint8))
    (sample,) = read_dataset(tmp_path)
    assert sample.masks[0].tolist() == [[False, False, True, True]]


def test_labels_without_a_usable_mask(tmp_path: Path) -> None:
    tiles(tmp_path)
    save_photo(tmp_path / "MT_Free/Imgs/d.jpg")
    save_photo(tmp_path / "MT_Break/Imgs/e.jpg")
    save_photo(tmp_path / "MT_Break/Imgs/f.jpg")
    save_mask(tmp_path / "MT_Break/Imgs/f.png", value=0)
    found = read_dataset(tmp_path)
    labels = {s.id: s.label for s in found}
    assert (labels["d"], labels["e"], labels["f"]) == ("good", "unknown", "unknown")
    assert [str(s) for s in found.skipped] == [
        "MT_Break/Imgs/e.jpg: no mask beside it: label unknown, not used"
    ]
    assumed = read_dataset(tmp_path, ReadOptions(assume_good=True))
    # It lies among the broken ones, so that nobody's word makes it a background.
    assert {s.id: s.label for s in assumed}["e"] == "unknown"


def test_files_at_the_top_are_judged_by_their_masks(tmp_path: Path) -> None:
    for name, value in (("a", 255), ("b", 0)):
        save_photo(tmp_path / f"{name}.jpg")
        save_mask(tmp_path / f"{name}.png", value=value)
    found = read_dataset(tmp_path)
    assert found.classes == ("defect",)
    assert [s.label for s in found] == ["defective", "good"]


@pytest.mark.parametrize("ending", ["_mask", "_gt", "_label"])
def test_masks_by_their_ending(tmp_path: Path, ending: str) -> None:
    save_mask(tmp_path / "Kratzer tief/ü.png", value=90)
    save_mask(tmp_path / f"Kratzer tief/ü{ending}.png")
    found = read_dataset(tmp_path)
    assert found.classes == ("Kratzer tief",)
    assert [(s.id, s.label) for s in found] == [("ü", "defective")]


def test_a_marked_mask_among_the_clean_is_refused(tmp_path: Path) -> None:
    tiles(tmp_path)
    save_mask(tmp_path / "MT_Free/Imgs/c.png")
    line = complaint(tmp_path)
    assert "MT_Free/Imgs/c.png: its folder holds clean images, yet its mask marks a defect" in line
    assert "(mend: move it among the defective images, or empty its mask)" in line


def test_masks_of_another_size_or_in_colour_are_refused(tmp_path: Path) -> None:
    tiles(tmp_path)
    save_mask(tmp_path / "MT_Break/Imgs/a.png", 8, 6)
    assert "a.png: the mask is 6x8, its image 8x6 (mend:" in complaint(tmp_path)
    pixels = np.zeros((6, 8, 3), np.uint8)
    pixels[1, 1] = (255, 0, 0)
    write_png(tmp_path / "MT_Break/Imgs/a.png", pixels)
    assert "a.png: the mask is a colour picture (mend:" in complaint(tmp_path)


def test_two_photos_for_one_mask_are_refused(tmp_path: Path) -> None:
    tiles(tmp_path)
    Pillow.fromarray(np.zeros((6, 8), np.uint8)).save(tmp_path / "MT_Break/Imgs/a.bmp")
    with pytest.raises(InputError, match=r"two images share the id 'MT_Break__Imgs__a'"):
        read_dataset(tmp_path, ReadOptions("pairs"))
    found = read_dataset(tmp_path, ReadOptions("pairs", on_error="skip"))
    assert not [s for s in found if s.id.endswith("a")]
    assert sum(s.bad for s in found.skipped) == 3


def test_a_manifest_with_other_classes_is_refused(tmp_path: Path) -> None:
    tiles(tmp_path)
    (tmp_path / "dataset.json").write_text('{"flawsmith": 1, "format": "pairs", "classes": ["x"]}')
    assert "the folder 'MT_Break' is none of the classes x" in complaint(tmp_path)
