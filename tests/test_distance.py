"""What is compared with what, and what is told of it; the network is a stand-in."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from flawsmith.data.images import read_image
from flawsmith.data.scan import Scan
from flawsmith.errors import InputError
from flawsmith.evaluate import looks
from flawsmith.evaluate.comparison import Distances
from flawsmith.evaluate.distance import CLOSEST, Compute, DistanceSettings, compare
from flawsmith.evaluate.features import open_extractor
from flawsmith.sample import Sample
from tests.augment_helpers import CLASSES, part, surface, write_scan
from tests.distance_helpers import (  # noqa: F401
    HERE_BOX,
    MADE,
    REAL,
    SIZE,
    THERE,
    THERE_BOX,
    clean,
    eye,
    marked,
    of,
    row,
)
from tests.eye import Eye

BOTH = ("image", "crop")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stems of the pictures that are decoded for their features, in order."""
    found: list[str] = []
    monkeypatch.setattr(looks, "read_image", lambda p: found.append(p.stem) or read_image(p))
    return found


def compared(
    root: Path,
    real: Sequence[Sample] | Scan,
    made: Sequence[Sample] | Scan,
    train: Sequence[Sample] | Scan | None = None,
    views: Sequence[str] = BOTH,
    compute: Compute | None = None,
) -> Distances:
    sides = {"real": real, "made": made, "train": train}
    found = {
        name: side if side is None or isinstance(side, Scan) else write_scan(root / name, side)
        for name, side in sides.items()
    }
    settings = DistanceSettings(views=tuple(views))
    return compare(*found.values(), settings, open_extractor("lite0"), compute or Compute())


def scopes(distances: Distances) -> list[tuple[str, str]]:
    return [(entry.view, entry.scope) for entry in distances.comparisons]


def test_each_view_and_scope_with_its_numbers(tmp_path):
    real = [*REAL, *clean("clean", 22), *row("streak", range(61, 161, 4), plane=1)]
    made = [*MADE[:15], *clean("new", 12, seed=500), *row("line", range(63, 163, 4), plane=1)]
    distances = compared(tmp_path, real, made)
    assert [
        (e.view, e.scope, e.n_real, e.groups, e.n_made, e.n, e.refused)
        for e in distances.comparisons
    ] == [
        ("image", "(good)", 22, 22, 12, 11, ""),
        ("image", "(defective)", 45, 45, 40, 22, ""),
        ("image", "pit", 20, 20, 15, 10, ""),
        ("image", "streak", 25, 25, 25, 12, ""),
        ("crop", "(all)", 45, 45, 40, 22, ""),
        ("crop", "pit", 20, 20, 15, 10, ""),
        ("crop", "streak", 25, 25, 25, 12, ""),
    ]
    for entry in distances.comparisons:
        assert {"KID", "FD (lite0)"} < {figure.name for figure in entry.figures}
        assert 0 < len(entry.closest) <= CLOSEST
    assert (distances.features, distances.seed) == ("lite0", 0)
    assert "224x224" in distances.resize


def test_sizes_and_colours_may_be_mixed(tmp_path):
    mixed = []
    for i in range(24):
        size = (0, 0, 40 + 9 * i, 300 - 11 * i)
        image = surface(i, size=size, rgb=bool(i % 2))
        mixed.append(part(f"mixed-{i}", [(0, (5, 6, 15, 14))], image=image))
    distances = compared(tmp_path, mixed, MADE)
    assert not any(entry.refused for entry in distances.comparisons)
    assert {entry.n_real for entry in distances.comparisons} == {24}


def test_a_class_that_only_candidates_have_is_refused_and_the_others_are_not(tmp_path):
    made = write_scan(
        tmp_path / "dented",
        [*MADE, *row("dent", range(61, 161, 5), plane=1)],
        ("pit", "dent"),
    )
    distances = compared(tmp_path, REAL, made)
    # Streaks, a class without samples on either side, are no scope at all.
    assert scopes(distances) == [
        *[("image", "(defective)"), ("image", "pit"), ("image", "dent")],
        *[("crop", "(all)"), ("crop", "pit"), ("crop", "dent")],
    ]
    for view in BOTH:
        dent = of(distances, view, "dent")
        assert dent.refused == "0 real samples, and 10 are needed"
        assert (dent.n_real, dent.n_made, dent.n, dent.figures, dent.closest) == (0, 20, 0, (), ())
        assert of(distances, view, "pit").figures


def test_classes_are_matched_by_name_whatever_their_order(tmp_path):
    swapped = write_scan(
        tmp_path / "swapped", row("made", range(62, 162, 5), plane=1), CLASSES[::-1]
    )
    assert of(compared(tmp_path, REAL, swapped), "crop", "pit").n_made == 20


def test_classes_named_like_scopes_do_not_mix_with_them(tmp_path):
    names = ("good", "(all)")
    real = [*REAL, *clean("clean", 21), *row("second", range(61, 161, 4), plane=1)]
    made = [*MADE, *clean("new", 13, seed=500), *row("other", range(63, 163, 5), plane=1)]
    distances = compared(
        tmp_path,
        write_scan(tmp_path / "real-named", real, names),
        write_scan(tmp_path / "made-named", made, names),
    )
    counts = {(e.view, e.scope): (e.n_real, e.n_made) for e in distances.comparisons}
    assert counts == {
        ("image", "(good)"): (21, 13),
        ("image", "(defective)"): (45, 40),
        ("image", "good"): (20, 20),
        ("image", "class (all)"): (25, 20),
        ("crop", "(all)"): (45, 40),
        ("crop", "good"): (20, 20),
        ("crop", "class (all)"): (25, 20),
    }


def test_clean_candidates_are_compared_with_clean_parts_alone(tmp_path):
    distances = compared(tmp_path, [*REAL, *clean("clean", 20)], clean("new", 12, seed=500))
    assert scopes(distances) == [("image", "(good)")]
    assert of(distances, "image", "(good)").n_real == 20


def test_the_training_side_joins_the_floors_and_not_the_numbers(tmp_path):
    train = row("train", range(64, 164, 4))
    alone = of(compared(tmp_path, REAL, MADE), "crop", "pit")
    joined = of(compared(tmp_path, REAL, MADE, train), "crop", "pit")
    assert (alone.n, joined.n) == (10, 20)
    assert (joined.n_real, joined.groups, joined.n_made) == (20, 20, 20)
    full = {figure.name: figure.full for figure in alone.figures}
    assert {f.name: f.full for f in joined.figures if f.name in ("KID", "recall")} == {
        name: full[name] for name in ("KID", "recall")
    }


def test_the_closest_pairs_name_each_sample_once_with_boxes(tmp_path):
    # Crops are alike where levels are: the defect lies elsewhere in the image.
    made = [
        marked("twin", 75, THERE),
        marked("second-twin", 75, (100, 40)),
        marked("of-train", 200, THERE),
        marked("close", 81, THERE),
        *row("far", range(230, 254, 2), THERE),
    ]
    # Another part in the training folder happens to have the name of a real one.
    train = [marked("real-3", 200), *row("train", range(205, 229, 2))]
    closest = of(compared(tmp_path, REAL, made, train), "crop", "(all)").closest
    assert [(pair.made, pair.real, pair.trained) for pair in closest[:3]] == [
        ("of-train", "real-3", True),
        ("second-twin", "real-3", False),
        ("close", "real-4", False),
    ]
    assert [pair.distance == 0 for pair in closest[:3]] == [True, True, False]
    assert closest[0].made_box == THERE_BOX
    assert closest[0].real_box == HERE_BOX
    assert len(closest) == CLOSEST
    assert [pair.distance for pair in closest] == sorted(pair.distance for pair in closest)
    assert len({pair.made for pair in closest}) == CLOSEST
    assert len({(pair.real, pair.trained) for pair in closest}) == CLOSEST


def test_whole_images_are_boxes_too(tmp_path):
    (pair, *_) = of(compared(tmp_path, REAL, MADE), "image", "(defective)").closest
    assert pair.made_box == pair.real_box == (0, 0, 200, 150)


def test_a_crowd_of_copies_is_one_pair(tmp_path):
    copies = [marked(f"copy-{i}", 75, (70 + i, 60)) for i in range(12)]
    (pair,) = of(compared(tmp_path, REAL, copies), "crop", "(all)").closest
    assert (pair.real, pair.distance) == ("real-3", 0)


def test_only_what_is_compared_is_read(tmp_path, read):
    real, made = [*REAL, *clean("clean", 30)], [*MADE, *clean("new", 5, seed=500)]
    distances = compared(tmp_path, real, made)
    assert "5 made samples, and 10 are needed" in of(distances, "image", "(good)").refused
    # Image and crop of each defective part, decoded once; of the clean ones nothing.
    assert sorted(read) == sorted(sample.id for sample in [*REAL, *MADE])
    assert Eye.seen == 2 * 40


def test_nothing_is_read_when_all_is_refused(tmp_path, read):
    distances = compared(tmp_path, REAL, MADE[:9])
    assert all(entry.refused for entry in distances.comparisons)
    assert (read, Eye.seen) == ([], 0)


@pytest.mark.parametrize("view", BOTH)
def test_one_view_alone(tmp_path, view):
    distances = compared(tmp_path, REAL, MADE, views=(view,))
    assert {entry.view for entry in distances.comparisons} == {view}
    assert Eye.seen == 40
    both = compared(tmp_path / "again", REAL, MADE)
    assert set(distances.comparisons) < set(both.comparisons)


def test_floors_are_kept_between_candidate_sets(tmp_path):
    real = write_scan(tmp_path / "kept", REAL)
    compute = Compute()
    first = compared(tmp_path, real, MADE, compute=compute)
    # Where a scope holds the same pictures as another, its floors serve both.
    assert set(compute.floors) < set(scopes(first))
    second = compared(tmp_path / "b", real, row("b", range(90, 190, 5)), compute=compute)
    assert second == compared(tmp_path / "c", real, row("b", range(90, 190, 5)))
    assert first == compared(tmp_path / "d", real, MADE, compute=compute)


def test_distances_are_the_same_after_json(tmp_path):
    made = [*MADE, *row("line", range(63, 113, 5), plane=1)]
    distances = compared(tmp_path, REAL, made, row("train", range(64, 164, 5)))
    assert any(entry.refused for entry in distances.comparisons)
    assert any(entry.closest for entry in distances.comparisons)
    content = json.loads(json.dumps(distances.to_json(), allow_nan=False))
    found = content["comparisons"][0]["figures"][0]
    assert found["inside"] == distances.comparisons[0].figures[0].inside
    assert Distances.from_json(content) == distances


def test_a_picture_that_goes_away_stops_with_its_line(tmp_path):
    made = write_scan(tmp_path / "made", MADE)
    gone = made.dataset.records[3].image
    gone.unlink()
    with pytest.raises(InputError, match=gone.name):
        compared(tmp_path, REAL, made)
