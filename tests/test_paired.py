"""Paired intervals: a naive loop, identity, coverage, groups, seeds, classes of few groups."""

import json
from dataclasses import replace

import numpy as np
import pytest

from flawsmith.errors import InputError
from flawsmith.evaluate import paired
from flawsmith.evaluate.overlap import figure_names, overlap
from flawsmith.evaluate.paired import Difference, compare
from flawsmith.seeding import rng
from tests.paired_helpers import arms, counts

ARRAYS = ("tp", "fp", "fn", "largest")


def by_name(found):
    return {one.name: one for one in found}


def picked(one, rows):
    """The counts of these images, repeated as often as they are named."""
    lists = {name: [getattr(one, name)[i] for i in rows] for name in ("ids", "groups", "labels")}
    arrays = {name: getattr(one, name)[rows] for name in ARRAYS}
    return replace(one, **{name: tuple(v) for name, v in lists.items()}, **arrays)


def flat(found):
    alarms = np.nan if found.alarm_share is None else found.alarm_share
    figures = [found.miou, *found.iou, found.mdice, *found.dice, alarms]
    return np.array([np.nan if value is None else value for value in figures])


def naive(arm, base, seed, draws, min_area):
    """Draw images one by one, pool each run, average: no weights, no sums of groups."""
    first = base[0]
    names = list(dict.fromkeys(first.groups))
    seeds = sorted(base)
    shares = [1 / len(names)] * len(names)
    of_groups = rng(seed, "paired", "groups").multinomial(len(names), shares, draws)
    found = []
    for times in of_groups:
        often = dict(zip(names, times, strict=True))
        rows = [i for i, g in enumerate(first.groups) for _ in range(often[g])]
        each = [
            flat(overlap(picked(arm[s], rows), min_area))
            - flat(overlap(picked(base[s], rows), min_area))
            for s in seeds
        ]
        found.append(np.mean(each, axis=0))
    return np.array(found)


def same_luck(pair):
    """The arms with each seed's counts those of the first: seeds change nothing."""
    return [dict.fromkeys(one, one[0]) for one in pair]


def test_a_naive_loop_agrees():
    arm, base = same_luck(arms())
    drawn = naive(arm, base, 3, 300, 15)
    found = compare(arm, base, seed=3, draws=300, min_area=15)
    assert [one.name for one in found] == list(figure_names(("a", "b")))
    for i, one in enumerate(found):
        usable = drawn[~np.isnan(drawn[:, i]), i]
        assert one.draws == len(usable)
        assert (one.low, one.high) == pytest.approx(np.quantile(usable, [0.025, 0.975]), abs=1e-12)


def test_what_seeds_change_is_student_s_t():
    """Groups that are all alike leave the seeds' error alone: the textbook's t interval."""
    shares = {0: 0.50, 1: 0.56, 2: 0.62}
    truth = np.full((30, 1), 1000)
    both = []
    for one in (shares, dict.fromkeys(shares, 0.4)):
        hit = {s: (truth * share).astype(int) for s, share in one.items()}
        both.append({s: counts(t, 0 * t, truth - t, range(30)) for s, t in hit.items()})
    found = by_name(compare(*both, draws=40_000))["IoU a"]
    half = 4.3027 * 0.06 / 3**0.5  # t of 2 degrees of freedom at 0.975
    assert found.value == pytest.approx(0.16)
    assert found.high - found.value == pytest.approx(half, rel=0.03)
    assert found.value - found.low == pytest.approx(half, rel=0.03)


def test_the_value_is_that_of_the_pooled_figures():
    arm, base = arms()
    own, other = ([flat(overlap(one[s], 15)) for s in range(3)] for one in (arm, base))
    for i, one in enumerate(compare(arm, base, min_area=15)):
        assert one.own == pytest.approx(np.mean(own, axis=0)[i])
        assert one.base == pytest.approx(np.mean(other, axis=0)[i])
        assert one.value == pytest.approx(one.own - one.base)
        assert one.by_seed == pytest.approx([own[s][i] - other[s][i] for s in range(3)])
        assert one.low <= one.value <= one.high
        assert one.better == ("low" if one.name == "false alarms" else "high")
        assert (one.groups, one.images, one.seeds) == (12, 24, 3)
        assert one.showing == 6


def test_an_arm_against_itself():
    arm, _ = arms()
    for one in compare(arm, arm):
        assert one.low == one.value == one.high == 0


def test_the_other_way_round_is_the_negative():
    arm, base = arms()
    for there, back in zip(compare(arm, base), compare(base, arm), strict=True):
        swapped = (-there.value, -there.high, -there.low)
        assert (back.value, back.low, back.high) == pytest.approx(swapped, abs=1e-12)


def test_draws_are_the_same_again_and_in_blocks(monkeypatch):
    arm, base = arms()
    found = compare(arm, base, seed=1, draws=2000)
    assert compare(arm, base, seed=1, draws=2000) == found
    assert compare(arm, base, seed=2, draws=2000) != found
    monkeypatch.setattr(paired, "BLOCK", 12 * 700)
    for one, other in zip(compare(arm, base, seed=1, draws=2000), found, strict=True):
        assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-12)


def test_names_and_order_of_seeds_do_not_matter_to_pairing():
    arm, base = arms()
    assert compare(dict(reversed(arm.items())), base) == compare(arm, base)


def copied(one, times, own_groups):
    rows = np.tile(np.arange(len(one.ids)), times)
    more = picked(one, rows)
    if own_groups:
        groups = tuple(f"{g}-{i // len(one.ids)}" for i, g in enumerate(more.groups))
        more = replace(more, groups=groups)
    return more


def test_copies_within_a_group_do_not_narrow_the_interval():
    arm, base = arms(seed_spread=0)
    once = by_name(compare(arm, base))["mIoU"]
    width = once.high - once.low
    for own_groups, narrowing in ((False, 1.0), (True, 3.0)):
        more = [{s: copied(c, 9, own_groups) for s, c in one.items()} for one in (arm, base)]
        found = by_name(compare(*more))["mIoU"]
        assert found.value == pytest.approx(once.value)
        assert width / (found.high - found.low) == pytest.approx(narrowing, rel=0.15)


def widths(*pair):
    return {one.name: one.high - one.low for one in compare(*pair)}


def test_seeds_that_differ_widen_the_interval():
    steady = widths(*arms(seed_spread=0.0, seeds=5))["mIoU"]
    assert widths(*arms(seed_spread=0.15, seeds=5))["mIoU"] > 2 * steady


def test_what_a_seed_does_to_both_arms_is_no_difference():
    """The same luck in both arms cancels only if a drawn seed is drawn for both."""
    _, base = arms(seed_spread=0.15, seeds=5)
    arm = {s: replace(c, fp=c.fp // 2) for s, c in base.items()}
    unpaired = {s: arm[(s + 1) % 5] for s in arm}
    assert 5 * widths(arm, base)["mIoU"] < widths(unpaired, base)["mIoU"]


def simulated(generator, groups, seeds, gain, run_sd):
    """A class of 100 pixels in each group's one image; true IoU 0.5 + gain against 0.5."""
    ease = generator.normal(0, 8, groups)
    gains = generator.normal(100 * gain, 8, groups)
    both = []
    for more in (gains, 0.0):
        run = generator.normal(0, run_sd, (seeds, 1)) + generator.normal(0, 4, (seeds, groups))
        tp = np.clip(np.round(50 + ease + more + run), 0, 100).astype(int)[..., None]
        both.append({s: counts(t, 0 * t, 100 - t, range(groups)) for s, t in enumerate(tp)})
    return both


@pytest.mark.parametrize(
    ("groups", "seeds", "run_sd"), [(25, 5, 2), (25, 3, 2), (12, 3, 2), (25, 3, 6), (40, 3, 0)]
)
def test_the_interval_holds_the_true_difference_about_as_often_as_it_says(groups, seeds, run_sd):
    generator = np.random.default_rng(1)
    inside, times = 0, 400
    for i in range(times):
        arm, base = simulated(generator, groups, seeds, 0.05, run_sd)
        found = compare(arm, base, seed=i, draws=400)[0]
        inside += found.low <= 0.05 <= found.high
    # Three standard errors of the count around 0.95 are 0.033.
    assert 0.917 < inside / times < 0.983


def test_one_seed_and_few_groups_are_said():
    arm, base = arms(seeds=1)
    found = by_name(compare(arm, base))
    assert found["mIoU"].warning == (
        "fewer than 10 groups show a (6), b (6); "
        "one seed: what another training run would change is not in the interval"
    )
    assert found["Dice b"].warning.startswith("fewer than 10 groups show b (6); one seed")
    assert found["false alarms"].warning.startswith("fewer than 10 groups show clean images (6)")
    two = by_name(compare(*arms(seeds=2, groups=40)))
    assert {one.warning for one in two.values()} == {"only 2 seeds"}
    assert {one.warning for one in compare(*arms(groups=40))} == {""}


def rare(found_by_arm):
    """Twenty groups of class a; the last shows class b too; no image shows c."""
    truth = np.full((20, 3), 100)
    truth[:19, 1] = truth[:, 2] = 0
    tp = np.zeros_like(truth)
    tp[:, 0] = 50
    tp[19, 1] = found_by_arm
    return {s: counts(tp, 0 * tp, truth - tp, range(20)) for s in range(3)}


def test_classes_that_a_draw_or_the_test_set_lacks():
    arm, base = rare(90), rare(30)
    found = by_name(compare(arm, base, draws=4000))
    assert not any(name.endswith(" c") for name in found)
    assert found["mIoU"].value == pytest.approx(0.3)
    assert found["IoU b"].value == pytest.approx(0.6)
    # The one group is missing in (19/20)^20 = 36% of draws: class b has no figure there, and the
    # mean is that of class a, where nothing differs.
    assert found["IoU b"].draws == pytest.approx(4000 * (1 - 0.95**20), abs=120)
    assert found["IoU b"].showing == 1
    assert found["mIoU"].draws == 4000
    assert (found["mIoU"].low, found["mIoU"].high) == (0, pytest.approx(0.3))
    assert found["mIoU"].warning == "fewer than 10 groups show b (1)"
    assert found["IoU a"].warning == ""
    # No image is clean.
    assert "false alarms" not in found


def test_false_alarms_alone_may_differ():
    _, base = arms()
    quiet = {s: replace(c, largest=0 * c.largest) for s, c in base.items()}
    loud = {s: replace(c, largest=0 * c.largest + 99) for s, c in base.items()}
    found = by_name(compare(quiet, loud))
    assert (found["false alarms"].low, found["false alarms"].high) == (-1, -1)
    assert found["mIoU"].value == 0


def test_arms_that_cannot_be_paired():
    arm, base = arms()
    with pytest.raises(ValueError, match=r"seeds \[0, 1\] and \[0, 1, 2\]"):
        compare({s: arm[s] for s in (0, 1)}, base)
    with pytest.raises(ValueError, match=r"seeds \[\] and \[\]"):
        compare({}, {})
    for name, value in (("ids", base[0].ids[::-1]), ("groups", base[0].ids)):
        with pytest.raises(ValueError, match=f"the runs differ in the {name}"):
            compare({**arm, 1: replace(arm[1], **{name: value})}, base)
    with pytest.raises(ValueError, match="true masks"):
        compare({**arm, 1: replace(arm[1], fn=arm[1].fn + 1)}, base)
    with pytest.raises(ValueError, match="0 draws"):
        compare(arm, base, draws=0)


def test_test_sets_that_give_no_interval():
    one = {0: counts([[1], [2]], [[0], [0]], [[1], [1]], ["g", "g"])}
    with pytest.raises(InputError, match="all 2 test images are of one group"):
        compare(one, one)
    clean = {0: counts([[0], [0]], [[3], [0]], [[0], [0]], "gh", ["good", "good"])}
    with pytest.raises(InputError, match="no defect"):
        compare(clean, clean)


def test_json_and_back():
    for one in compare(*arms(), draws=50):
        assert Difference.from_json(json.loads(json.dumps(one.to_json()))) == one
