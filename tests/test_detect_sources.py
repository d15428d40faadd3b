"""Synthetic images that show photos which a detector learns from are judged by another half's."""

import json

import numpy as np
import pytest

from flawsmith.data.formats import read_dataset
from flawsmith.data.scan import scan
from flawsmith.evaluate.detect import judge
from flawsmith.evaluate.detect_settings import DetectSettings
from flawsmith.evaluate.detect_sources import shares_of, shown_groups
from tests.augment_helpers import part, surface, write_scan
from tests.detector_helpers import stripes
from tests.feature_helpers import one_thread  # noqa: F401
from tests.segmenter_helpers import write_set

CLEAN = 6


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    samples = [part(f"clean-{i}", image=surface(i)) for i in range(CLEAN)]
    return write_scan(tmp_path_factory.mktemp("clean") / "parts", samples)


def painted(folder, metas, names="made"):
    """Return synthetic images with these provenances."""
    pit = (0, (12, 9, 19, 15))
    samples = [part(f"{names}-{i}", [pit], image=surface(50 + i)) for i in range(len(metas))]
    root = write_scan(folder, samples).dataset.root
    path = root / "samples.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line, meta in zip(lines, metas, strict=True):
        line["meta"] = meta
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return scan(read_dataset(root))


def test_each_is_judged_by_the_half_that_it_does_not_show(clean, tmp_path):
    metas = [{"background": f"clean-{i}"} for i in range(CLEAN)]
    made = painted(tmp_path / "made", metas)
    shares, left = shares_of(clean, made, 0)
    assert (len(shares), left) == (2, 0)
    for share in shares:
        learned = {fact.id for fact in share.clean.facts}
        shown = {record.meta["background"] for record in share.made.dataset.records}
        assert len(learned) == CLEAN // 2
        assert not learned & shown
        assert learned | shown == {f"clean-{i}" for i in range(CLEAN)}


def test_what_shows_both_halves_is_left_out_and_what_shows_none_is_in_either(clean, tmp_path):
    of_all = [{"defects": [{"donor": f"clean-{i}"} for i in range(CLEAN)]}]
    free = [{"background": "elsewhere"}] * 4
    made = painted(tmp_path / "made", of_all + free + [{"source": "clean-0"}])
    shares, left = shares_of(clean, made, 0)
    assert left == 1
    assert sum(len(share.made.facts) for share in shares) == 5
    assert min(len(share.made.facts) for share in shares) >= 2


def test_pixels_tell_too_and_nothing_shown_is_one_share(clean, tmp_path):
    free = painted(tmp_path / "free", [{"background": "elsewhere"}, {}])
    shares, left = shares_of(clean, free, 0)
    assert (len(shares), left) == (1, 0)
    assert shares[0].clean is clean
    copies = write_scan(tmp_path / "copies", [part("copy", image=surface(2))])
    assert shown_groups(clean, copies) == [{clean.facts[2].group}]
    assert len(shares_of(clean, copies, 0)[0]) == 1  # one half alone has anything to judge
    assert len(shares_of(clean, copies, 0)[0][0].clean.facts) == CLEAN // 2


def test_where_there_are_no_halves_what_shows_a_photo_is_left_out(tmp_path):
    alone = write_scan(tmp_path / "alone", [part("clean-0", image=surface(0))])
    made = painted(tmp_path / "made", [{"background": "clean-0"}, {}])
    shares, left = shares_of(alone, made, 0)
    assert left == 1
    assert [share.made.dataset.ids for share in shares] == [("made-1",)]
    assert shares[0].clean is alone
    assert shares_of(alone, made.select([0]), 0) == ((), 1)


def test_copies_of_what_is_learned_are_not_taken_for_new_ones(tmp_path):
    """To a detector that learned them, copies are as clean as can be; to one that did not, as new.

    Grain differs from picture to picture: the distance of a copy to its own photo is 0.
    """
    root = tmp_path
    good, none = stripes(20, 64, 0)
    bad, marks = stripes(12, 64, 5, blob=True)
    others, free = stripes(24, 64, 9)
    learned = write_set(root / "clean", good, [m[None] for m in none], ("blob",))
    planes = [m[None] for m in (*free, *marks)]
    real = write_set(root / "real", [*others, *bad], planes, ("blob",))
    copies = write_set(root / "copies", good, [m[None] for m in none], ("blob",))
    settings = DetectSettings(
        side=64, draws=100, detectors=("pixels",), baselines=False, options={}
    )
    (one,) = judge(learned, real, copies, settings, device="cpu")
    assert one.halves
    assert one.left_out == 0
    assert min(one.seen.scores["synthetic clean"]) > 0
    scores = [np.median(one.seen.scores[kind]) for kind in ("synthetic clean", "real clean")]
    assert scores[0] == pytest.approx(scores[1], rel=0.2)
