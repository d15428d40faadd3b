"""Rounds of the gate of ``flawsmith run``, with runs made up: gains, costs, what is cut."""

import json

import numpy as np
import pytest

from flawsmith.data.images import write_png
from flawsmith.errors import DoesNotHelp
from flawsmith.evaluate.segment import SegmentCheck
from flawsmith.evaluate.segment_curve import Curve
from tests.gate_helpers import GATE, config_of, gated, lines_of, made_up, told_by
from tests.report_helpers import Page
from tests.run_helpers import check_sets, make_source


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_source(tmp_path_factory.mktemp("run") / "parts", each=10)


@pytest.fixture
def gains(monkeypatch):
    """Let the arms be better or worse than the real one by what is put in here."""
    found = {"calls": []}
    run_arm = made_up(found, found["calls"])
    monkeypatch.setattr("flawsmith.evaluate.segment_runs.run_arm", run_arm)
    return found


def quick(folder, **changes):
    """Without segmenters in the filter, as the runs of the gate are made up."""
    return config_of(folder, agreement=False, **changes)


def test_accepted_and_from_one_to_the_other(source, tmp_path, gains):
    out = tmp_path / "out"
    gains["real+filtered"] = 0.2
    result = told_by(source, out, *quick(tmp_path, arms=["random", "paste"]))
    assert (result["state"], result["accepted"]) == ("accepted", True)
    assert result["verdict"].startswith("accepted: real+filtered against real: mIoU +")
    assert result["verdict"].endswith(": helps")
    sets = check_sets(out / "dataset")
    check = SegmentCheck.from_json(result["gate"])
    arms = ("real", "real+filtered", "real+random", "real+paste")
    assert tuple(arm.name for arm in check.arms) == arms
    assert len(sets["synthetic"]) == check.arm("real+filtered").added
    assert len(sets["synthetic"]) == check.arm("real+random").added
    assert {(f.arm, f.base) for f in check.findings} == {
        *((arm, "real") for arm in arms[1:]),
        ("real+filtered", "real+random"),
        ("real+filtered", "real+paste"),
    }
    assert {sample.meta["decision"] for sample in sets["synthetic"]} == {"accepted"}
    assert not (out / "candidates").exists()
    accepted = {line["id"] for line in lines_of(out / "samples.jsonl") if line["accepted"]}
    assert accepted == {*sets["synthetic"].ids}
    page = Page((out / "report.html").read_text("utf-8"))
    assert "Accepted: it helps." in page.text
    # Other settings, another verdict: nothing of the earlier one stays.
    gains["real+filtered"] = -0.2
    done = gated(source, out, *quick(tmp_path, gate_steps=7))
    assert isinstance(done.exception, DoesNotHelp)
    assert "hurts" in str(done.exception)
    assert not (out / "dataset" / "synthetic").exists()
    assert (out / "candidates").is_dir()
    gains["real+filtered"] = 0.2
    told_by(source, out, *quick(tmp_path, gate_steps=9))
    # The same counts of segmenters that learned for less long are another finding.
    again = told_by(source, out, *quick(tmp_path, gate_steps=8))
    assert again["gate"]["steps"] == 8
    assert not (out / "candidates").exists()
    assert (out / "dataset" / "synthetic").is_dir()
    # Without the gate nothing is measured, and the same set is there, under its own name.
    result = told_by(source, out, *quick(tmp_path, gate_steps=8), "--no-gate")
    assert result["state"] == "not measured"
    assert result["verdict"] == "not measured: the gate is switched off"
    assert result["gate"] is None
    assert {*check_sets(out / "dataset")["synthetic"].ids} == accepted
    assert "Not measured." in Page((out / "report.html").read_text("utf-8")).text


def test_the_gate_goes_seed_by_seed_and_is_redone_only_where_it_changed(source, tmp_path, gains):
    out = tmp_path / "out"
    gains["real+filtered"] = 0.2
    told_by(source, out, *quick(tmp_path))
    order = list(dict.fromkeys(gains["calls"]))
    assert order == [(arm, seed) for seed in (4, 5) for arm in GATE]
    stages = out / "stages" / "gate-runs"
    before = {p: p.stat().st_mtime_ns for p in stages.rglob("job.json")}
    # One arm and one seed more: what was trained stays.
    more = {"seeds": 3, "arms": ["random", "paste"]}
    told_by(source, out, *quick(tmp_path, **more))
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert (stages / "real+paste" / "6").is_dir()
    # Other pastes: the arms that hold one are trained anew, the others are not.
    before = {p: p.stat().st_mtime_ns for p in stages.rglob("job.json")}
    told_by(source, out, *quick(tmp_path, **more, paste={"feather": 1}))
    changed = {p.parent.parent.name for p in before if p.stat().st_mtime_ns != before[p]}
    assert "real+paste" in changed
    assert "real" not in changed


def test_a_round_that_does_not_fit_is_cut_and_stays_cut(source, tmp_path, gains, monkeypatch):
    out = tmp_path / "out"
    gains["real+filtered"] = 0.2
    spent = {"minutes": 0.0}
    stages = "flawsmith.pipeline.stages.Stages.spent"
    monkeypatch.setattr(stages, property(lambda self: 60 * spent["minutes"]))
    monkeypatch.setattr("flawsmith.pipeline.measuring.segment_seconds", lambda *words: 0.01)
    own = {"seeds": 4, "methods": ["classical", "paste"]}
    plenty = quick(tmp_path, budget="minutes", **own)
    spent["minutes"] = 9.9
    result = told_by(source, out, *plenty)
    assert result["gate"]["seeds"] == [4, 5]
    cut = "2 of 4 seeds: the budget of 10 minutes is used up"
    assert cut in result["notices"]
    assert cut in Page((out / "report.html").read_text("utf-8")).text
    # Resumed on a quicker day it says the same; with more time it goes on.
    spent["minutes"] = 0.0
    again = told_by(source, out, *plenty)
    assert again["gate"] == result["gate"]
    assert cut in again["notices"]
    more = told_by(source, out, *quick(tmp_path, budget="hour", **own))
    assert more["gate"]["seeds"] == [4, 5, 6, 7]
    assert not any("seeds:" in notice for notice in more["notices"])


def test_a_plan_is_said_first_and_kept(source, tmp_path, gains):
    out = tmp_path / "out"
    left = {"gate_steps": None, "seeds": None, "arms": None}
    flags = quick(tmp_path, budget="hour", methods=["classical", "paste"], **left)
    done = gated(source, out, *flags, "--json")
    plan = next(line for line in done.stderr.splitlines() if line.startswith("plan: about"))
    assert "of 60 minutes" in plan
    assert "gate 4 arms x 3 seeds x 400 steps" in plan
    kept = json.loads((out / "stages" / "plan" / "plan.json").read_text())
    assert kept["rates"]["segment"] > 0
    assert kept["rates"]["inpaint"] == 0
    assert json.loads(done.stdout)["plan"] == kept
    gated(source, out, *flags, "--to", "coco")
    assert json.loads((out / "stages" / "plan" / "plan.json").read_text()) == kept


def test_when_nothing_can_be_measured_that_is_said(source, tmp_path, gains):
    # Drawn defects of classes that no real image shows are in no arm.
    result = told_by(source, tmp_path / "a", *quick(tmp_path, methods=["procedural"]))
    assert result["verdict"] == "not measured: no candidate shows a class of the real images"
    assert gains["calls"] == []
    assert result["parts"]["synthetic"]["defective"] > 0
    done = gated(
        source, tmp_path / "b", *quick(tmp_path, methods=["paste", "procedural"]), "--json"
    )
    result = json.loads(done.stdout)
    assert any("of classes that no real image shows are in no arm" in n for n in result["notices"])
    reasons = result["methods"]["procedural"]["rejected"]
    assert any("no real sample shows" in reason for reason in reasons)
    assert result["methods"]["procedural"]["accepted"] == 0


def test_nothing_left_is_not_accepted(source, tmp_path, gains):
    # A region without room for any defect: not one candidate can be made.
    roi, out = tmp_path / "roi.png", tmp_path / "out"
    write_png(roi, np.pad(np.full((2, 2), 255, np.uint8), ((4, 42), (4, 58))))
    own = {"methods": ["paste"], "paste": {"roi": str(roi)}}
    done = gated(source, out, *quick(tmp_path, **own))
    assert isinstance(done.exception, DoesNotHelp)
    told = f"does not help: no candidate passed the filter; report {out / 'report.html'}"
    assert str(done.exception) == told
    assert "verdict: not accepted: no candidate passed the filter" in done.stdout
    assert gains["calls"] == []
    assert not (out / "dataset" / "synthetic").exists()
    assert not (out / "candidates").exists()


def test_the_day_shows_whether_the_steps_suffice(source, tmp_path, gains, monkeypatch):
    asked = []

    def curve(real, settings, folder, *, device):
        asked.append((len(real.facts), settings.steps))
        return Curve((4, 8, 16), ((0.5, 0.5), (0.55, 0.57), (0.56, 0.57)), (4, 5), 9, 6, 5, 3)

    monkeypatch.setattr("flawsmith.pipeline.curve.curve", curve)
    monkeypatch.setattr("flawsmith.pipeline.measuring.segment_seconds", lambda *words: 0.01)
    gains["real+filtered"] = 0.2
    out, flags = tmp_path / "out", quick(tmp_path, budget="day", methods=["paste", "classical"])
    result = told_by(source, out, *flags)
    assert asked == [(sum(result["parts"]["train"].values()), 3)]
    told = "doubling 8 steps moves mIoU by +0.5 points (3 held-out groups, 2 seeds): enough"
    assert told in result["notices"]
    assert told in Page((out / "report.html").read_text("utf-8")).text
    assert told_by(source, out, *flags) == result
    assert len(asked) == 1
