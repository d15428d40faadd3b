"""The plate finder against photos whose truth is known, and cropping against the drawn plate."""

import cv2
import numpy as np
import pytest

from flawsmith.data.demo_bench import draw_bench
from flawsmith.data.demo_plates import PlatePhoto, draw_plate, draw_plate_photo, photograph
from flawsmith.data.plate_pose import pose_of, shrinkage
from flawsmith.data.plates import (
    PARTS,
    PLATE_SIZE,
    PlatePose,
    divide,
    divide_masks,
    locate_plate,
    rectify,
    rectify_masks,
)
from flawsmith.errors import InputError
from flawsmith.sample import Image, Masks
from flawsmith.seeding import rng


@pytest.fixture(scope="module")
def photos() -> list[PlatePhoto]:
    return [draw_plate_photo(rng(41, "find", i), defective=i % 3 == 0) for i in range(30)]


@pytest.fixture(scope="module")
def poses(photos: list[PlatePhoto]) -> list[PlatePose | None]:
    return [locate_plate(photo.image) for photo in photos]


def corner_error(found: PlatePose, photo: PlatePhoto) -> float:
    """Largest distance of a corner from its true place, in plate heights."""
    true = np.array(photo.pose.corners)
    away = np.linalg.norm(np.array(found.corners) - true, axis=1).max()
    return float(away / np.linalg.norm(true[3] - true[0]))


def empty_bench(seed: int, shape: tuple[int, int] = (750, 512)) -> Image:
    corners = np.array([[0.4, 0.1], [0.6, 0.1], [0.6, 0.9], [0.4, 0.9]])
    return draw_bench(rng(seed, "bench"), shape, corners)


def test_finds_the_plate_in_nearly_every_photo(
    photos: list[PlatePhoto], poses: list[PlatePose | None]
) -> None:
    found = [(pose, photo) for pose, photo in zip(poses, photos, strict=True) if pose]
    assert len(found) >= 29
    assert max(corner_error(pose, photo) for pose, photo in found) < 0.015
    assert np.mean([corner_error(pose, photo) for pose, photo in found]) < 0.004
    assert max(abs(pose.angle - photo.pose.angle) for pose, photo in found) < 0.5


@pytest.mark.parametrize("angle", [-14.5, 14.5])
def test_finds_a_plate_turned_by_nearly_15_degrees(angle: float) -> None:
    photo = draw_plate_photo(rng(3, "turn"), defective=False)
    middle = np.array(photo.pose.corners).mean(axis=0)
    turn = cv2.getRotationMatrix2D(middle.tolist(), photo.pose.angle - angle, 1.0)
    # The plate is moved to the middle, so that turning does not push it out of the photo.
    turn[:, 2] += np.array([256, 375]) - middle
    turned = cv2.warpAffine(photo.image, turn, (512, 750), borderMode=cv2.BORDER_REFLECT)
    pose = locate_plate(np.asarray(turned, dtype=np.uint8))
    assert pose is not None
    assert pose.angle == pytest.approx(angle, abs=0.5)


def test_works_at_other_scales() -> None:
    photo = draw_plate_photo(rng(8, "scale"), defective=True, scale=1 / 3)
    pose = locate_plate(photo.image)
    assert pose is not None
    assert corner_error(pose, photo) < 0.002


def test_grey_photos_are_found_well_or_not_at_all(photos: list[PlatePhoto]) -> None:
    errors = []
    for photo in photos[:8]:
        grey = np.asarray(cv2.cvtColor(photo.image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        pose = locate_plate(grey)
        # Without colour, cathode and wood may be one tone: then None is the right answer.
        if pose is not None:
            errors.append(corner_error(pose, photo))
    assert len(errors) >= 6
    assert max(errors) < 0.015


def test_same_place_in_a_full_size_copy() -> None:
    photo = draw_plate_photo(rng(9, "full"), defective=False, scale=1 / 4)
    full = np.asarray(cv2.resize(photo.image, (4096, 6000)), dtype=np.uint8)
    pose = locate_plate(full)
    assert pose is not None
    np.testing.assert_allclose(np.array(pose.corners) / 4, photo.pose.corners, atol=4)


@pytest.mark.parametrize("seed", range(6))
def test_empty_bench_has_no_plate(seed: int) -> None:
    assert locate_plate(empty_bench(seed)) is None


@pytest.mark.parametrize("side", ["top", "bottom", "left", "right"])
@pytest.mark.parametrize("share", [0.04, 0.3])
def test_a_plate_cut_by_the_border_is_not_found(
    photos: list[PlatePhoto], side: str, share: float
) -> None:
    for photo in photos[:2]:
        corners = np.array(photo.pose.corners)
        low, high = corners.min(axis=0), corners.max(axis=0)
        # Cut a share of the plate's height, or of its width beyond the lean of its sides.
        lean = np.ptp(corners[[0, 3], 0])
        x = lean + share * (high[0] - low[0] - lean)
        y = share * (high[1] - low[1]) + np.ptp(corners[[0, 1], 1])
        height, width = photo.image.shape[:2]
        cut = {
            "top": photo.image[int(low[1] + y) :],
            "bottom": photo.image[: int(high[1] - y)],
            "left": photo.image[:, int(low[0] + x) :],
            "right": photo.image[:, : int(high[0] - x)],
        }[side]
        assert cut.shape[0] < height or cut.shape[1] < width
        assert locate_plate(np.ascontiguousarray(cut)) is None


def test_two_plates_are_not_guessed_at(photos: list[PlatePhoto]) -> None:
    for one, two in zip(photos[:2], photos[3:5], strict=True):
        assert locate_plate(np.hstack([one.image, two.image])) is None


@pytest.mark.parametrize("shape", [(750, 512), (750, 512, 3), (40, 30), (1, 1)])
def test_blank_and_tiny_photos_have_no_plate(shape: tuple[int, ...]) -> None:
    assert locate_plate(np.full(shape, 128, dtype=np.uint8)) is None
    noise = rng(1, "noise").integers(0, 256, shape).astype(np.uint8)
    assert locate_plate(noise) is None


def in_light_of(image: Image, other: Image) -> np.ndarray:
    """Grey of ``image``, its slow light replaced by that of ``other``."""
    grey, target = (a.astype(np.float32).mean(axis=2) for a in (image, other))
    return grey * cv2.GaussianBlur(target, (0, 0), 40) / cv2.GaussianBlur(grey, (0, 0), 40)


def test_the_cropped_plate_is_the_drawn_plate(
    photos: list[PlatePhoto], poses: list[PlatePose | None]
) -> None:
    errors = []
    for photo, pose in list(zip(photos, poses, strict=True))[:8]:
        assert pose is not None
        cropped = rectify(photo.image, pose)
        assert cropped.shape == (1200, 240, 3)
        drawn = np.asarray(cv2.resize(photo.plate.image, PLATE_SIZE), dtype=np.uint8)
        errors.append(np.abs(in_light_of(cropped, drawn) - drawn.mean(axis=2)).mean())
    # Grey levels; half of it is the grain that 110 photo pixels across cannot hold.
    assert max(errors) < 8
    assert np.mean(errors) < 5


def test_rectify_is_exact_on_an_unturned_plate() -> None:
    image = rng(2, "exact").integers(0, 256, (1300, 300, 3)).astype(np.uint8)
    pose = pose_of(np.array([[30, 40], [270, 40], [270, 1240], [30, 1240]], dtype=float))
    assert pose.angle == 0
    np.testing.assert_array_equal(rectify(image, pose), image[40:1240, 30:270])
    masks = image.transpose(2, 0, 1) > 128
    np.testing.assert_array_equal(rectify_masks(masks, pose), masks[:, 40:1240, 30:270])


def test_shrinking_averages_instead_of_aliasing() -> None:
    rows, columns = np.indices((2400, 480))
    chess = (((rows + columns) % 2) * 255).astype(np.uint8)
    pose = pose_of(np.array([[0, 0], [480, 0], [480, 2400], [0, 2400]], dtype=float))
    assert shrinkage(pose, PLATE_SIZE) == 2
    assert np.abs(rectify(chess, pose).astype(int) - 127).max() <= 1


@pytest.mark.parametrize("at", range(8))
def test_a_line_one_photo_pixel_wide_survives_shrinking(at: int) -> None:
    masks: Masks = np.zeros((1, 4400, 880), dtype=np.bool_)
    masks[0, 1000:3000, 400 + at] = True
    pose = pose_of(np.array([[0, 0], [880, 0], [880, 4400], [0, 4400]], dtype=float))
    out = rectify_masks(masks, pose)[0]
    rows = out.any(axis=1)
    assert rows[274:817].all()
    assert not rows[:271].any()
    assert out.sum(axis=1).max() <= 2


def test_masks_follow_the_plate(photos: list[PlatePhoto], poses: list[PlatePose | None]) -> None:
    ratios = []
    for photo, pose in zip(photos, poses, strict=True):
        if pose is None or not photo.masks.any():
            continue
        cropped = rectify_masks(photo.masks, pose).any(axis=0)
        drawn = photo.plate.masks.any(axis=0).astype(np.float32)
        true = np.asarray(cv2.resize(drawn, PLATE_SIZE)) > 0.5
        ratios.append((cropped & true).sum() / (cropped | true).sum())
    # A scratch is two photo pixels wide at this scale: half a pixel of the pose costs a quarter.
    assert len(ratios) >= 8
    assert np.mean(ratios) > 0.7


def test_one_plate_in_two_photos_crops_to_one_picture() -> None:
    plate = draw_plate(rng(6, "plate"), defective=True)
    crops = []
    for shot in range(2):
        photo = photograph(rng(6, "shot", shot), plate)
        pose = locate_plate(photo.image)
        assert pose is not None
        crops.append(rectify(photo.image, pose))
    error = np.abs(in_light_of(crops[0], crops[1]) - crops[1].mean(axis=2))
    assert error.mean() < 5


def test_divide_gives_three_equal_parts() -> None:
    plate = rng(0, "divide").integers(0, 256, (1200, 240, 3)).astype(np.uint8)
    parts = divide(plate)
    assert tuple(parts) == PARTS
    np.testing.assert_array_equal(np.concatenate(list(parts.values())), plate)
    masks = plate.transpose(2, 0, 1) > 200
    pieces = divide_masks(masks)
    assert {piece.shape for piece in pieces.values()} == {(3, 400, 240)}
    np.testing.assert_array_equal(np.concatenate(list(pieces.values()), axis=1), masks)
    assert divide(plate[..., 0])["glass"].shape == (400, 240)
    with pytest.raises(InputError, match="1000 px high"):
        divide(plate[:1000])
