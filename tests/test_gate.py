"""The gate's parts: who is in which arm, what is tested on, what is kept of rounds and costs."""

import json
import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from flawsmith.data.dataset import NoMask
from flawsmith.errors import InputError
from flawsmith.evaluate.certificate import Verdict
from flawsmith.evaluate.filtering.reasons import SURPLUS, UNREAL
from flawsmith.evaluate.segment import judge
from flawsmith.evaluate.segmenter.settings import SegmentSettings
from flawsmith.pipeline.arms import alike, members
from flawsmith.pipeline.candidates import choose_methods
from flawsmith.pipeline.costs import Costs
from flawsmith.pipeline.filtering import can_halve
from flawsmith.pipeline.gate import Gate, gate_fault, gate_images
from flawsmith.pipeline.measuring import inpaint_seconds, segment_seconds
from flawsmith.pipeline.pool import Moved, only_others, pool_of
from flawsmith.pipeline.rounds import Rounds
from flawsmith.pipeline.settings import RunSettings
from tests.augment_helpers import CLASSES, make_parts, part, surface, write_scan
from tests.inpaint_run_helpers import setup
from tests.paired_helpers import counts
from tests.segmenter_helpers import settings, shapes_of

TEN = range(10)
PIT, STREAK, BOTH = ("pit",), ("streak",), ("pit", "streak")


def verdict(number, classes, reason=""):
    return Verdict(f"c{number}", classes, f"d{number}", reason)


@pytest.fixture(scope="module")
def candidates():
    """Thirty of paste and thirty of inpaint; of each ten accepted, five without a certificate."""
    verdicts, methods = [], []
    for i in range(60):
        method = "paste" if i < 30 else "inpaint"
        classes = (PIT, STREAK, BOTH)[i % 3] if method == "paste" else (PIT, STREAK)[i % 2]
        k = i % 30
        reason = "" if k < 10 else "mask empty" if k < 15 else UNREAL if k < 20 else SURPLUS
        verdicts.append(verdict(i, classes, reason))
        methods.append(method)
    return methods, verdicts


def by_classes(places, verdicts):
    return Counter(verdicts[i].classes for i in places)


def test_every_arm_has_as_many_as_filtered(candidates):
    methods, verdicts = candidates
    arms = ("filtered", "random", "paste", "inpaint", "classical", "all")
    found = members(arms, methods, verdicts, 7)
    assert list(found) == [f"real+{arm}" for arm in arms]
    assert found["real+filtered"] == [*range(10), *range(30, 40)]
    certified = {i for i in range(60) if not 10 <= i % 30 < 15}
    for name, places in found.items():
        assert places == sorted(set(places)), name
        assert set(places) <= certified, name
    # Random: the same number of each combination of classes, from the whole pool.
    wanted = by_classes(found["real+filtered"], verdicts)
    assert by_classes(found["real+random"], verdicts) == wanted
    assert found["real+random"] != found["real+filtered"]
    assert {methods[i] for i in found["real+random"]} == {"paste", "inpaint"}
    # A method's: as many, of its own; its classes as far as it has them.
    for arm in ("paste", "inpaint"):
        own = found[f"real+{arm}"]
        assert len(own) == 20
        assert {methods[i] for i in own} == {arm}
    paste = by_classes(found["real+paste"], verdicts)
    assert all(paste[key] >= min(wanted[key], 8) for key in (PIT, STREAK))
    assert len(found["real+all"]) == 50
    assert found["real+classical"] == []
    # By the seed alone.
    assert members(arms, methods, verdicts, 7) == found
    assert members(arms, methods, verdicts, 8) != found


def test_too_few_of_a_kind_are_all_there_are():
    verdicts = [verdict(i, PIT if i < 6 else STREAK) for i in range(12)]
    # Six pits are wanted, two can be had; streaks fill up, then there is no more.
    assert alike([0, 1, 6, 7, 8], [0, 1, 2, 3, 4, 5], verdicts, 0, "x") == [0, 1, 6, 7, 8]
    some = alike([0, 1, 6, 7, 8, 9], [0, 1, 2, 3], verdicts, 0, "x")
    assert {0, 1} < set(some)
    assert len(some) == 4
    assert alike([], [1], verdicts, 0, "x") == []
    assert alike([1, 2], [], verdicts, 0, "x") == []


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return write_scan(tmp_path_factory.mktemp("parts") / "set", make_parts(clean=9))


def test_what_is_tested_on(parts):
    every = gate_images(parts, 100, 0)
    assert every.facts == parts.facts
    some = gate_images(parts, 4, 0)
    labels = Counter(fact.label for fact in some.facts)
    assert labels == {"defective": 6, "good": 4}
    assert gate_images(parts, 4, 0).facts == some.facts
    assert gate_images(parts, 4, 1).facts != some.facts
    assert Counter(f.label for f in gate_images(parts, 0, 0).facts) == {"defective": 6}
    unknown = replace(parts, facts=tuple(replace(f, label="unknown") for f in parts.facts))
    assert gate_images(unknown, 100, 0).facts == ()


def test_where_nothing_can_be_measured(parts):
    clean = parts.select(parts.where("good"))
    assert gate_fault(parts, parts) == ""
    assert "no defect is marked on the training images" in gate_fault(clean, parts)
    assert "no defect is marked on the test images" in gate_fault(parts, clean)
    one = parts.select(parts.where("defective")[:1])
    assert "of one group" in gate_fault(parts, one)
    assert can_halve(parts, 0)
    assert not can_halve(one, 0)


def test_nothing_made_is_not_a_matter_of_classes(parts):
    others = {"procedural": replace(parts, dataset=replace(parts.dataset, classes=("a", "b")))}
    assert only_others(others, CLASSES)
    assert not only_others({**others, "paste": parts}, CLASSES)
    # Nothing passed the filter then, and the gate says so.
    assert not only_others({"paste": parts.select([])}, CLASSES)


def test_methods_stand_in_one_order_and_steps_ask_for_the_generator(parts):
    chosen = RunSettings(methods=("inpaint", "paste", "inpaint"))
    assert chosen.methods == ("paste", "inpaint")
    for steps, expected in ((None, False), (5, True)):
        usable, left_out = choose_methods(parts, RunSettings(inpaint_steps=steps))
        assert ("inpaint" in {*usable, *left_out}) == expected


def test_candidates_of_other_classes_are_in_no_row(tmp_path, parts):
    # Drawn ones have planes of their own; one of them bears the name of a real class.
    drawn = ("blob", "streak")
    samples = [
        part("a", [(0, (4, 4, 9, 9))], image=surface(1)),
        part("b", [(1, (4, 4, 9, 12))], image=surface(2)),
    ]
    made = write_scan(tmp_path / "drawn", samples, drawn)
    verdicts = {
        "procedural": [verdict(0, ("blob",)), verdict(1, STREAK)],
        "paste": [verdict(i, ()) for i in range(len(parts.facts))],
    }
    pool = pool_of({"procedural": made, "paste": parts}, verdicts, CLASSES, tmp_path)
    assert pool.outside == 1
    assert pool.methods[0] == "procedural"
    assert len(pool.methods) == 1 + len(parts.facts)
    sample, fact = pool.found.dataset[0], pool.found.facts[0]
    assert not sample.masks[0].any()
    assert np.array_equal(sample.masks[1], made.dataset[1].masks[1])
    assert fact.pixels == (0, 40)
    assert [c.plane for c in fact.components] == [1]
    assert Moved(NoMask(), (-1, 0)).read((1, 3, 4)).shape == (1, 3, 4)


def test_the_state_and_the_last_word():
    verdicts = {"paste": [verdict(0, PIT), verdict(1, PIT, UNREAL)]}
    for gain, state in ((0.2, "accepted"), (0.0, "not accepted"), (-0.2, "not accepted")):
        gate = Gate(check_of(gain))
        assert gate.state == state
        assert gate.sentence.startswith(f"{state}: real+filtered against real: mIoU ")
        last = gate.decided(verdicts)["paste"]
        assert last[0].accepted == (state == "accepted")
        assert last[1].reason == UNREAL
    unmeasured = Gate(missing="why")
    assert (unmeasured.state, unmeasured.sentence) == ("not measured", "not measured: why")
    assert unmeasured.decided(verdicts) == verdicts
    assert Gate(missing="nothing", passed=False).state == "not accepted"
    doubtful = Gate(replace(check_of(0.2), leak="a picture is in both"))
    assert doubtful.sentence.startswith("NOT TO BE TRUSTED (a picture is in both)")


def check_of(gain):
    """A check whose second arm finds so much more of ten defects, with both seeds."""
    found = {
        name: {
            seed: counts([[50 + 100 * more]] * 10, [[seed]] * 10, [[50 - 100 * more]] * 10, TEN)
            for seed in (0, 1)
        }
        for name, more in (("real", 0.0), ("real+filtered", gain))
    }
    return judge(found, settings=SegmentSettings(), real=SimpleNamespace(facts=()), added={})


def test_rounds_are_kept_for_the_same_comparison_only(tmp_path):
    path = tmp_path / "gate" / "rounds.json"
    rounds = Rounds.of(path, "job")
    rounds.begin(3)
    rounds.begin(4)
    rounds.begin(3)
    rounds.end("too late")
    again = Rounds.of(path, "job")
    assert (again.begun, again.cut) == ([3, 4], "too late")
    assert Rounds.of(path, "other") == Rounds(path, "other")
    for other in ("{", "[]", '{"job": "job", "begun": [3.5], "cut": ""}'):
        path.write_text(other)
        with pytest.raises(InputError, match=r"rounds\.json: .* [(]mend: remove"):
            Rounds.of(path, "job")


def stopped_after(seconds, costs):
    with costs.timed("a", "1"):
        time.sleep(seconds)
        raise KeyboardInterrupt


def test_costs_add_up_over_interruptions(tmp_path):
    path = tmp_path / "costs.json"
    costs = Costs(path)
    with pytest.raises(KeyboardInterrupt):
        stopped_after(0.03, costs)
    first = Costs(path).seconds("a")
    assert first >= 0.03
    costs = Costs(path)
    with costs.timed("a", "1"):
        time.sleep(0.03)
    assert costs.seconds("a") >= first + 0.03
    with costs.timed("b", "1"):
        pass
    assert costs.total(["a", "b", "c"]) == costs.seconds("a") + costs.seconds("b")
    assert costs.seconds("c") is None
    # Of other inputs it is another stage.
    with costs.timed("a", "2"):
        pass
    assert Costs(path).seconds("a") < first
    for content in ("{", "[1]", json.dumps({"a": 3, "b": {"inputs": "1", "seconds": "x"}})):
        path.write_text(content)
        assert Costs(path).total(["a", "b"]) == 0


def test_this_machine_is_measured_and_nothing_is_left(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "aside"))
    (tmp_path / "aside").mkdir()
    learned, _ = shapes_of(tmp_path / "shapes")
    assert 0 < segment_seconds(learned, settings(), "cpu") < 30
    assert 0 < inpaint_seconds(learned, setup(), "cpu") < 30
    assert list((tmp_path / "aside").iterdir()) == []
    assert capsys.readouterr().err == ""
