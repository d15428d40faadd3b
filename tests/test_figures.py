"""The figures of one comparison, on made-up features of known distributions."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from flawsmith.errors import InputError
from flawsmith.evaluate.comparison import Figure
from flawsmith.evaluate.figures import LARGEST, SMALLEST, Array, Floors, Side, draw_size, figures
from flawsmith.evaluate.kernel import kid
from flawsmith.seeding import rng

D = 6
NAME = "FD (test)"
LOW = {"KID", NAME, "nearest real", "near copies"}
HIGH = {"precision", "recall", "density", "coverage", "diversity"}
Found = dict[str, Figure]


@pytest.fixture(autouse=True)
def fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HALVINGS", "DRAWS"):
        monkeypatch.setattr(f"flawsmith.evaluate.figures.{name}", 40)


def cloud(count: int, *key: int | str, shift: float = 0, scale: float = 1) -> Array:
    """Return (count, D) samples of a normal distribution."""
    found = rng(5, *key).normal(shift, scale, (count, D))
    return found.astype(np.float32)


def side(features: Array, part: int = 1, prefix: str = "") -> Side:
    """Return real samples, ``part`` of them from each physical part."""
    return Side(features, tuple(f"{prefix}{i // part}" for i in range(len(features))))


def judged(
    real: Side, made: Array, train: Side | None = None, *, seed: int = 0, n: int | None = None
) -> Found:
    others = train.groups if train else ()
    n = draw_size(real.groups, others, len(made), seed) if n is None else n
    return {figure.name: figure for figure in figures(real, train, made, n, seed, NAME)}


def numbers(found: Found) -> list[float]:
    return [
        x
        for f in found.values()
        for x in (f.value, f.low, f.high, f.floor, f.full)
        if x is not None
    ]


def refusal(real: Sequence[str], made: int, train: Sequence[str] = ()) -> str:
    with pytest.raises(InputError) as caught:
        draw_size(tuple(real), tuple(train), made, 0)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def parts(count: int) -> tuple[str, ...]:
    return tuple(f"part-{i}" for i in range(count))


def others(count: int) -> tuple[str, ...]:
    return tuple(f"train-{i}" for i in range(count))


def test_too_few_samples_are_refused_with_what_is_needed():
    needed = "and 10 are needed: about 20 real samples of several parts"
    assert refusal(parts(2), 50) == "2 real samples, and 10 are needed"
    assert refusal(parts(19), 50) == f"19 real samples of 19 parts give halves of 9, {needed}"
    assert refusal((), 50) == "0 real samples, and 10 are needed"
    assert refusal(("one",), 50) == "1 real sample, and 10 are needed"
    # However many: one part has no halves.
    assert refusal(["one"] * 60, 50) == f"60 real samples of 1 part give halves of 0, {needed}"
    # One large part and two small ones: the small ones are the other half.
    assert "give halves of 2" in refusal(["one"] * 60 + ["two", "three"], 50)


def test_too_few_of_one_side_are_refused_with_what_is_needed():
    assert refusal(parts(40), 9) == "9 made samples, and 10 are needed"
    assert refusal(parts(40), 0) == "0 made samples, and 10 are needed"
    # The training side gives the halves, but there is too little to compare with.
    assert refusal(parts(9), 50, train=others(80)) == "9 real samples, and 10 are needed"


def test_n_is_the_smallest_of_what_there_is():
    def n(real: int, made: int, train: int = 0) -> int:
        return draw_size(parts(real), others(train), made, 0)

    assert n(20, 10) == SMALLEST == 10
    assert n(61, 500) == 30  # the smaller half
    assert n(61, 25) == 25
    assert n(28, 500, train=72) == 28  # as many parts as the real side has, against 72
    assert n(72, 500, train=28) == 28
    # A small training part does not spoil the floor: all real samples are halved instead.
    assert n(300, 500, train=10) == 155
    assert n(40, 500, train=8) == 24
    assert n(2000, 3000) == LARGEST
    # Whole parts go to one half: of 5 parts of 8, one half has two.
    assert draw_size(tuple("abcde") * 8, (), 90, 0) == 16


def test_alike_samples_are_within_the_floors():
    rounds = [
        judged(side(cloud(60, "real", seed)), cloud(60, "made", seed), seed=seed)
        for seed in range(20)
    ]
    # A mean over draws against a percentile of single draws: less than one in twenty is beyond.
    for name in (LOW | HIGH) - {"nearest real", "near copies"}:
        assert np.mean([found[name].inside for found in rounds]) >= 0.9, name
    # Each sample's distance is measured once, so these floors know less of chance.
    copies = [found["near copies"].value for found in rounds]
    assert np.mean(copies) == pytest.approx(0.05, abs=0.03)
    assert np.mean([found["nearest real"].inside for found in rounds]) >= 0.6


def test_the_figures_and_which_way_is_better():
    found = judged(side(cloud(40, "real")), cloud(30, "made"))
    assert list(found) == [
        *("KID", NAME, "precision", "recall", "density", "coverage", "diversity"),
        *("nearest real", "near copies"),
    ]
    assert {name for name, figure in found.items() if figure.better == "low"} == LOW
    assert {name for name, figure in found.items() if figure.better == "high"} == HIGH
    for figure in found.values():
        assert figure.low <= figure.value <= figure.high
        assert type(figure.value) is type(figure.floor) is float


def test_the_distance_that_is_called_fid_is_better_low():
    (fid,) = (
        figure
        for figure in figures(side(cloud(40, "real")), None, cloud(30, "made"), 10, 0, "FID")
        if figure.name == "FID"
    )
    assert fid.better == "low"


def test_shifted_samples_are_beyond():
    found = judged(side(cloud(60, "real")), cloud(60, "made", shift=2))
    for name in ("KID", NAME, "precision", "recall", "density", "coverage", "nearest real"):
        assert not found[name].inside, name
    # As varied as the real ones, and no copies: those two tell nothing of a shift.
    assert found["diversity"].inside
    assert found["near copies"].inside
    # Every coordinate's mean is 2 off: the squared distance of the means is 4 D.
    assert found[NAME].full == pytest.approx(4 * D, rel=0.2)


def test_memorised_copies_are_found_though_the_distances_are_low():
    real = cloud(60, "real")
    near = real + cloud(60, "noise", scale=0.01)
    found = judged(side(real), near)
    assert found["KID"].inside
    assert found[NAME].inside
    assert (found["near copies"].value, found["near copies"].full) == (1, 1)
    assert not found["near copies"].inside
    assert found["nearest real"].full < 0.1 < 1 < found["nearest real"].floor


def test_copies_of_the_training_side_are_found_in_it_alone():
    real, train = side(cloud(40, "real")), side(cloud(40, "train"), prefix="train-")
    assert judged(real, train.features)["near copies"].value < 0.3
    found = judged(real, train.features, train)
    assert found["near copies"].value == 1
    assert found["nearest real"].full == 0


def test_the_training_side_joins_the_floor():
    # Another light in the training part: real parts differ that much from one another.
    real = side(cloud(40, "real"))
    train = side(cloud(40, "train", shift=3), prefix="train-")
    made = cloud(40, "made", shift=0.8)
    alone, joined = judged(real, made, n=20), judged(real, made, train, n=20)
    assert not alone[NAME].inside
    assert joined[NAME].inside
    assert joined[NAME].floor > 1.5 * alone[NAME].floor
    # The values are of the real side alone all the same.
    assert joined[NAME].full == alone[NAME].full
    assert joined[NAME].value == pytest.approx(alone[NAME].value, rel=0.2)
    # And as nobody's part is in both sides, more samples a draw can be had.
    assert draw_size(real.groups, train.groups, 40, 0) == 40 > draw_size(real.groups, (), 40, 0)


def test_the_floor_has_as_few_parts_as_the_real_side():
    # Parts differ much more than photos of one: what a few parts give must be the measure.
    def photos(count: int, *key: int | str) -> Array:
        centres = np.repeat(cloud(count, "parts", *key, scale=2), 8, axis=0)
        return centres + cloud(8 * count, "photos", *key, scale=0.5)

    beyond = 0
    for seed in range(6):
        real, train = side(photos(6, "real", seed), 8), side(photos(14, "train", seed), 8, "t")
        found = judged(real, photos(14, "made", seed), train, seed=seed)
        beyond += sum(not figure.inside for figure in found.values())
    assert beyond <= 5  # of 54; halving all the parts instead calls more than half of them


def test_more_samples_than_the_draws_take():
    real, train = side(cloud(300, "real"), 3), side(cloud(1400, "train"), 3, prefix="train-")
    found = judged(real, cloud(1100, "made"), train)
    assert sum(figure.inside for figure in found.values()) >= 8
    copies = np.concatenate([cloud(900, "made"), train.features[-200:]])
    assert judged(real, copies, train)["near copies"].full == pytest.approx(200 / 1100, abs=0.03)


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_some_copies_among_new_samples_are_called(share):
    real = cloud(60, "real")
    count = int(share * 100)
    made = np.concatenate([cloud(100 - count, "made"), real[:count] + cloud(count, scale=0.01)])
    found = judged(side(real), made)["near copies"]
    assert found.full == pytest.approx(share)
    assert not found.inside


def test_mode_collapse_lowers_diversity_and_recall():
    found = judged(side(cloud(60, "real")), cloud(60, "made", scale=0.05))
    for name in ("diversity", "recall"):
        assert not found[name].inside, name
        assert found[name].value < found[name].floor / 2
    assert found["diversity"].full == pytest.approx(0.05, rel=0.2)
    # Everything made lies among the real ones.
    assert found["precision"].value == 1


@pytest.mark.parametrize("level", [0, 0.1, 1e4])
def test_features_without_variance_give_numbers(level):
    real = side(np.full((30, D), level, np.float32))
    same = judged(real, np.full((25, D), level, np.float32))
    assert np.isfinite(numbers(same)).all()
    assert (same[NAME].value, same["nearest real"].value, same["diversity"].value) == (0, 0, 1)
    assert same["KID"].value == pytest.approx(0, abs=1e-9 * (level**2 + 1) ** 3)
    assert same["near copies"].value == 1
    varied = judged(real, cloud(25, "made"))
    assert np.isfinite(numbers(varied)).all()
    # More varied than samples that do not vary at all is no number: neither praised nor blamed.
    assert (varied["diversity"].value, varied["diversity"].inside) == (1, True)
    assert not varied[NAME].inside
    constant = judged(side(cloud(30, "real")), np.full((25, D), level, np.float32))
    assert np.isfinite(numbers(constant)).all()
    assert constant["diversity"].value == 0
    assert not constant["diversity"].inside


def test_duplicates_give_numbers():
    real, made = side(cloud(12, "real").repeat(4, 0), part=4), cloud(5, "made").repeat(6, 0)
    found = judged(real, made)
    assert np.isfinite(numbers(found)).all()
    # Each photo is there four times, as one part: the distance to another part is no zero.
    assert found["nearest real"].floor > 0.1
    assert found["near copies"].value < 0.7


def test_one_dead_feature_changes_no_verdict():
    real, made = cloud(40, "real"), cloud(40, "made")
    real[:, 0] = made[:, 0] = 0
    found = judged(side(real), made)
    assert np.isfinite(numbers(found)).all()
    assert found["KID"].inside
    assert found[NAME].inside


def test_features_that_are_no_numbers_are_no_figures():
    broken = cloud(30, "made")
    broken[3, 2] = math.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        judged(side(cloud(40, "real")), broken)


def test_the_seed_decides_everything():
    real, made = side(cloud(50, "real"), part=2), cloud(45, "made")
    assert judged(real, made, seed=1) == judged(real, made, seed=1)
    one, other = judged(real, made, seed=1), judged(real, made, seed=2)
    assert one["KID"].value != other["KID"].value
    assert one["KID"].floor != other["KID"].floor
    # All samples at once leave nothing to chance.
    assert one[NAME].full == other[NAME].full


def test_the_global_state_decides_nothing():
    real, made = side(cloud(40, "real")), cloud(30, "made")
    np.random.seed(1)  # noqa: NPY002
    first = judged(real, made)
    np.random.seed(2)  # noqa: NPY002
    assert judged(real, made) == first


def test_the_order_of_the_made_samples_changes_no_full_value():
    real, made = side(cloud(40, "real")), cloud(40, "made", shift=0.5)
    mixed = made[rng(0).permutation(len(made))]
    one, other = judged(real, made), judged(real, mixed)
    for name, figure in one.items():
        assert figure.full == pytest.approx(other[name].full, rel=1e-9), name
        assert figure.value == pytest.approx(other[name].value, rel=0.3, abs=0.05), name
        assert figure.floor == other[name].floor, name


@pytest.mark.parametrize("count", [40, 70])
def test_the_full_kid_is_that_of_published_practice(count):
    real, made = side(cloud(40, "real")), cloud(count, "made", shift=0.5)
    found = judged(real, made)["KID"]
    assert found.full == pytest.approx(kid(real.features, made, rng(0, "KID"))[0], rel=1e-5)
    # Unbiased: the mean of the draws is about the same, whatever n.
    assert found.value == pytest.approx(found.full, rel=0.3)


def test_floors_are_kept_for_the_next_candidates():
    real, train = side(cloud(40, "real")), side(cloud(30, "train"), prefix="train-")
    floors: Floors = {}
    first = figures(real, train, cloud(30, "one"), 20, 0, NAME, floors)
    assert list(floors) == [20]
    kept = {n: list(values) for n, values in floors.items()}
    again = figures(real, train, cloud(30, "one"), 20, 0, NAME, floors)
    assert again == first == figures(real, train, cloud(30, "one"), 20, 0, NAME)
    other = figures(real, train, cloud(44, "two", shift=1), 20, 0, NAME, floors)
    assert [figure.floor for figure in other] == [figure.floor for figure in first]
    assert floors == kept
    # Another n has floors of its own.
    fewer = figures(real, train, cloud(12, "one"), 12, 0, NAME, floors)
    assert list(floors) == [20, 12]
    assert fewer == figures(real, train, cloud(12, "one"), 12, 0, NAME)


def test_fewer_samples_have_higher_floors():
    real, made = side(cloud(80, "real")), cloud(40, "made")
    few, many = judged(real, made, n=10), judged(real, made, n=40)
    assert few[NAME].floor > 1.5 * many[NAME].floor
    assert few["KID"].floor > 1.5 * many["KID"].floor
