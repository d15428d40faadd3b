"""Seams: what a blend may change, what a score says, and the verdict against real plates."""

import numpy as np
import pytest

from flawsmith.data.demo_plate_surface import draw_surface
from flawsmith.data.plate_pose import pose_of, rectify
from flawsmith.gen.seam_report import (
    LIKE_REAL,
    MIN_REAL,
    NOT_JUDGED,
    STANDS_OUT,
    TOO_SMOOTH,
    SeamFigures,
    Spread,
    judge_seam,
)
from flawsmith.gen.seams import FLAT, blend_seam, seam_score
from flawsmith.seeding import rng
from tests.augment_helpers import blob_masks

WIDTH, HEIGHT = 60, 100  # of a part
ROWS = (HEIGHT, 2 * HEIGHT)


@pytest.fixture(scope="module")
def cropped():
    """40 clean demo plates, cropped as out of photos, a pixel off here and there: (40, 300, 60, 3).

    The crop is what makes a joint's row uncertain and its step soft.
    """
    corners = np.array([[0, 0], [2, 0], [2, 10], [0, 10]]) * WIDTH + 20.0
    plates = []
    for i in range(40):
        generator = rng(5, "seam", i)
        drawn = np.clip(np.rint(draw_surface(generator, 2 * WIDTH)), 0, 255).astype(np.uint8)
        photo = np.pad(drawn, ((20, 20), (20, 20), (0, 0)), "edge")
        pose = pose_of(corners + generator.normal(0, 2.5, (4, 2)))
        plates.append(rectify(photo, pose, (WIDTH, 3 * HEIGHT)))
    return np.stack(plates)


@pytest.fixture(scope="module")
def joined(cropped):
    """As many plates of parts of three different ones each, joined as they are."""
    order = [np.roll(np.arange(len(cropped)), shift) for shift in (0, 7, 13)]
    return np.concatenate([np.split(cropped, 3, axis=1)[n][order[n]] for n in range(3)], axis=1)


def unmarked(plate):
    return np.zeros(plate.shape[:2], bool)


def scores_of(plates, row):
    return [seam_score(plate, row, unmarked(plate)) for plate in plates]


def two_tones(shape=(12, 9), low=100, high=130):
    plate = np.full(shape, low, np.uint8)
    plate[6:] = high
    return plate


def test_a_step_is_spread_evenly():
    plate = two_tones()
    blended = blend_seam(plate, 6, 2, unmarked(plate))
    assert blended[:, 0].tolist() == [100] * 4 + [106, 112, 118, 124] + [130] * 4
    assert (blended == blended[:, :1]).all()
    assert np.array_equal(blend_seam(plate, 6, 0, unmarked(plate)), plate)


def test_a_step_that_goes_on_as_beside_it_stays():
    ramp = np.repeat(np.arange(0, 240, 20, dtype=np.uint8)[:, None], 30, axis=1)
    for width in (1, 4, 6):
        assert np.array_equal(blend_seam(ramp, 6, width, unmarked(ramp)), ramp)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("channels", [(), (3,)])
def test_only_clean_pixels_of_the_strip_change(seed, channels):
    plate = np.random.default_rng(seed).integers(0, 256, (40, 50, *channels)).astype(np.uint8)
    plate[20:] //= 2
    before = plate.copy()
    marked = blob_masks((40, 50), seed)
    blended = blend_seam(plate, 20, 3, marked)
    changed = blended != plate
    changed = changed.any(axis=2) if channels else changed
    assert changed.any()
    assert not changed[marked].any()
    assert not changed[:17].any()
    assert not changed[23:].any()
    assert np.array_equal(plate, before)


def test_a_defect_does_not_set_the_step():
    plate = two_tones((12, 200))
    marked = unmarked(plate)
    marked[4:6, 90:110] = True
    painted = plate.copy()
    painted[marked] = 255
    blended = blend_seam(painted, 6, 2, marked)
    assert np.array_equal(blended[~marked], blend_seam(plate, 6, 2, unmarked(plate))[~marked])
    everywhere = np.ones_like(marked)
    everywhere[[0, 1, -1]] = False
    assert np.array_equal(blend_seam(painted, 6, 2, everywhere), painted)


def test_colours_are_blended_each_by_itself():
    plate = np.random.default_rng(1).integers(40, 200, (20, 30, 3)).astype(np.uint8)
    blended = blend_seam(plate, 10, 4, unmarked(plate))
    for channel in range(3):
        grey = blend_seam(np.ascontiguousarray(plate[..., channel]), 10, 4, unmarked(plate))
        assert np.array_equal(blended[..., channel], grey)


def test_grain_is_kept():
    noise = np.random.default_rng(2).normal(0, 6, (40, 400))
    plate = np.clip(two_tones((40, 400), 90, 90) + noise, 0, 255).astype(np.uint8)
    plate[20:] += 40
    strip = slice(16, 24)
    blended = blend_seam(plate, 20, 4, unmarked(plate))
    rows = blended[strip].astype(float)
    assert rows.std(axis=1) == pytest.approx(plate[strip].std(axis=1), rel=0.15)
    assert np.diff(blended[14:26].mean(axis=1)).max() < 40 / 9 + 1


def test_score_by_hand():
    plate = two_tones((40, 10))
    assert seam_score(plate, 20, unmarked(plate)) == 1  # flat there
    plate[20:] = 170
    assert seam_score(plate, 20, unmarked(plate)) == pytest.approx((40 + FLAT) / FLAT)
    ramp = np.repeat(np.arange(40, dtype=np.uint8)[:, None] * 3, 10, axis=1)
    ramp[20:] += 6
    # 16 lines of gradient 3 around one of 9.
    assert seam_score(ramp, 20, unmarked(ramp)) == pytest.approx((9 + FLAT) / (3 + FLAT))
    # Colour: the mean over channels.
    colour = np.stack([ramp, ramp, ramp], axis=2)
    assert seam_score(colour, 20, unmarked(ramp)) == seam_score(ramp, 20, unmarked(ramp))


def test_marked_columns_are_not_measured():
    plate = two_tones((40, 10))
    marked = unmarked(plate)
    plate[20:, 3] = 255
    marked[20, 3] = True
    assert seam_score(plate, 20, marked) == 1
    marked[18] = True
    assert seam_score(plate, 20, marked) is None
    far = unmarked(plate)
    far[:11] = True
    assert seam_score(plate, 20, far) > 1


def healed(plates, row):
    return [blend_seam(plate, row, 4, unmarked(plate)) for plate in plates]


@pytest.mark.parametrize("row", ROWS)
def test_a_hard_step_is_told_from_real_plates_and_blending_heals_it(cropped, joined, row):
    real = scores_of(cropped, row)
    hard = judge_seam("s", row, scores_of(joined, row), real)
    assert hard.verdict == STANDS_OUT
    blended = judge_seam("s", row, scores_of(healed(joined, row), row), real)
    assert blended.verdict == LIKE_REAL
    assert blended.made.median < 0.8 * hard.made.median


@pytest.mark.parametrize("row", ROWS)
def test_real_plates_are_like_other_real_plates(cropped, row):
    one, other = scores_of(cropped[::2], row), scores_of(cropped[1::2], row)
    assert judge_seam("s", row, one, other).verdict == LIKE_REAL
    assert judge_seam("s", row, other, one).verdict == LIKE_REAL
    kept = judge_seam("s", row, scores_of(healed(cropped, row), row), one + other)
    assert kept.verdict == LIKE_REAL


def test_verdict_by_hand():
    real = [float(n) for n in range(101)]  # 5% and 95% quantiles: 5 and 95
    made = [50.0] * 7 + [96.0] * 2 + [4.0]
    figures = judge_seam("s", 3, [*made, None], real)
    assert figures.real == Spread(101, 5.0, 50.0, 95.0)
    assert (figures.above, figures.below, figures.verdict) == (0.2, 0.1, LIKE_REAL)
    assert figures.made == Spread(10, 24.7, 50.0, 96.0)
    assert judge_seam("s", 3, [*made, 96.0], real).verdict == STANDS_OUT
    assert judge_seam("s", 3, [4.0, 50.0, 50.0, 50.0], real).verdict == TOO_SMOOTH
    assert SeamFigures.from_json(figures.to_json()) == figures


@pytest.mark.parametrize(
    ("made", "real", "why"),
    [
        ([1.0], None, "no real plates given"),
        ([1.0], [1.0] * (MIN_REAL - 1) + [None], f"{MIN_REAL - 1} real plates measured"),
        ([None], [1.0] * MIN_REAL, "defects cover"),
    ],
)
def test_what_cannot_be_judged_says_why(made, real, why):
    figures = judge_seam("s", 3, made, real)
    assert figures.verdict == NOT_JUDGED
    assert why in figures.why
    assert figures.above is None
    assert SeamFigures.from_json(figures.to_json()) == figures
