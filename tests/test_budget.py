"""The plan of a run: what fits a budget, what is given up first, what is never given up."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest

from flawsmith.pipeline.budget import (
    FEWEST_GEN,
    FEWEST_INPAINT,
    FEWEST_STEPS,
    PRESETS,
    Asked,
    Load,
    Plan,
    Rates,
    estimate,
)
from flawsmith.pipeline.planning import default_plan, plan_within

# 200 x 200 pixels, 100 test images of them, steps of 12 crops of 128 x 128.
LOAD = Load(("classical", "paste"), 40_000, 4e6, 12 * 128 * 128, inpaint=1000)
WITH = replace(LOAD, methods=("classical", "paste", "inpaint"))
QUICK = Rates(segment=0.02, inpaint=0.02)
CORES = Rates(segment=0.5, inpaint=0.9)
SLOW = Rates(segment=30.0, inpaint=30.0)


def test_the_hour_on_two_cores():
    plan = plan_within(PRESETS["hour"], WITH, Asked(), CORES)
    assert plan.inpaint == 600
    assert plan.arms == ("filtered", "random", "paste")
    assert plan.seeds == 3
    assert 200 <= plan.steps <= 400
    assert plan.total <= 60
    assert plan.minutes["inpaint"] == pytest.approx(9.0)
    # 4 arms, 3 seeds: 12 runs of the steps and of 0.4 steps a batch's worth of test pixels.
    run = plan.steps * 0.5 + 0.4 * 0.5 * 4e6 / (12 * 128 * 128)
    assert plan.minutes["gate"] == pytest.approx(12 * run / 60, abs=0.01)
    assert plan.minutes["filter"] == pytest.approx(
        (600 * 0.15 + 2 * plan.steps * 0.5) / 60, abs=0.01
    )
    told = plan.sentence
    assert told.startswith(
        f"plan: about {round(plan.total)} of 60 minutes: inpaint 600 steps 9 min"
    )
    assert f"gate 4 arms x 3 seeds x {plan.steps} steps" in told


def test_minutes_train_no_generator_and_the_day_shows_the_curve():
    plan = plan_within(PRESETS["minutes"], LOAD, Asked(), CORES)
    assert (plan.inpaint, plan.arms, plan.seeds) == (0, ("filtered", "random"), 2)
    assert plan.steps >= FEWEST_STEPS
    plan = plan_within(PRESETS["day"], WITH, Asked(), CORES)
    assert plan.inpaint == 1000
    assert plan.arms == ("filtered", "random", "paste", "inpaint", "classical", "all")
    assert (plan.seeds, plan.steps, plan.curve) == (5, 1600, True)
    assert plan.total <= 720
    # With twice as slow a machine the curve goes, or steps do; never beyond the cap unsaid.
    slower = plan_within(PRESETS["day"], WITH, Asked(), Rates(1.0, 1.8))
    assert slower.total <= 720
    assert slower.steps < 1600


def test_a_quick_machine_gets_the_whole_preset():
    for name, preset in PRESETS.items():
        load = WITH if preset.inpaint != 0 else LOAD
        plan = plan_within(preset, load, Asked(), QUICK)
        assert (plan.arms, plan.seeds, plan.steps) == (preset.arms, preset.seeds, preset.steps), (
            name
        )
        assert plan.total <= preset.minutes
        assert plan.notes == ()


def test_what_is_given_up_and_in_which_order():
    preset = PRESETS["hour"]
    plans = [
        plan_within(preset, WITH, Asked(), Rates(segment=s, inpaint=s))
        for s in (0.1, 0.5, 0.9, 1.2, 1.6, 2.5, 4.0, 30.0)
    ]
    for quick, slow in pairwise(plans):
        assert len(quick.arms) >= len(slow.arms)
        assert quick.seeds >= slow.seeds
        assert quick.inpaint >= slow.inpaint
    for plan in plans:
        # Arms go before the steps are too few; seeds only after the arms.
        if plan.steps < preset.enough or plan.seeds < preset.seeds:
            assert plan.arms == ("filtered", "random")
        assert ("left out for the time: real+paste" in plan.notes) == (len(plan.arms) < 3)
    last = plans[-1]
    assert (last.arms, last.seeds, last.steps) == (("filtered", "random"), 2, FEWEST_STEPS)
    assert "inpaint" not in last.methods
    assert any("inpaint is left out" in note for note in last.notes)
    assert last.total > 60  # and says so
    assert f"plan: about {round(last.total)} of 60" in last.sentence


def test_what_is_asked_for_is_kept():
    asked = Asked(
        named=True, count=30, inpaint=50, arms=("filtered", "all"), seeds=4, steps=60, filter=20
    )
    for name, preset in PRESETS.items():
        plan = plan_within(preset, WITH, asked, SLOW)
        assert plan.methods == WITH.methods, name
        found = (plan.count, plan.inpaint, plan.arms, plan.seeds, plan.steps, plan.filter)
        assert found == (30, 50, ("filtered", "all"), 4, 60, 20)
    # A method that was named is not left out: it gets the least that is worth it.
    plan = plan_within(PRESETS["minutes"], WITH, Asked(named=True), CORES)
    assert plan.inpaint == FEWEST_INPAINT
    # Nor is one whose training was: its steps are a wish like any other.
    plan = plan_within(PRESETS["hour"], WITH, Asked(inpaint=50), SLOW)
    assert (plan.inpaint, plan.methods) == (50, WITH.methods)
    # Few steps that were asked for are no reason to give up arms.
    plan = plan_within(PRESETS["hour"], WITH, Asked(steps=12), CORES)
    assert (plan.arms, plan.seeds, plan.steps) == (("filtered", "random", "paste"), 3, 12)
    # More of one thing leaves less for the others.
    many = plan_within(PRESETS["hour"], WITH, Asked(seeds=6), CORES)
    assert many.seeds == 6
    assert many.steps < plan_within(PRESETS["hour"], WITH, Asked(), CORES).steps


def test_arms_need_their_method_and_the_gate():
    plan = plan_within(PRESETS["day"], replace(LOAD, methods=("classical",)), Asked(), QUICK)
    assert plan.arms == ("filtered", "random", "classical", "all")
    plan = plan_within(PRESETS["day"], replace(LOAD, gate=False), Asked(), QUICK)
    assert plan.arms == ()
    assert not plan.curve
    assert "gate" not in plan.minutes
    # The filter's segmenters alone are planned, too.
    plan = plan_within(PRESETS["minutes"], replace(LOAD, gate=False), Asked(), CORES)
    assert plan.minutes["filter"] > 2 * plan.filter * 0.5 / 60
    plan = plan_within(PRESETS["minutes"], replace(LOAD, agreement=False), Asked(), CORES)
    assert plan.minutes["filter"] == pytest.approx(200 * 0.15 / 60, abs=0.01)


def test_an_arm_that_cannot_be_is_named_if_it_was_asked_for():
    bare = replace(LOAD, filter=False)
    for usual in (
        plan_within(PRESETS["hour"], bare, Asked(), QUICK),
        default_plan(bare, Asked(), 200),
    ):
        # Random and all would be the filtered arm once more.
        assert usual.arms[:2] == ("filtered", "paste")
        assert not {"random", "all"} & {*usual.arms}
        assert usual.notes == ()
    asked = Asked(arms=("filtered", "random", "inpaint", "paste"))
    for plan in (
        plan_within(PRESETS["hour"], bare, asked, QUICK),
        default_plan(bare, asked, 200),
    ):
        assert plan.arms == ("filtered", "paste")
        assert plan.notes == (
            "real+random left out: without the filter it has the same candidates as real+filtered",
            "real+inpaint left out: no candidate is made by this method",
        )


def test_without_a_budget_defaults_hold():
    plan = default_plan(WITH, Asked(), 200)
    assert (plan.cap, plan.count, plan.inpaint, plan.seeds, plan.steps) == (None, 200, 1000, 3, 800)
    assert plan.arms == ("filtered", "random", "paste", "inpaint", "classical")
    assert default_plan(LOAD, Asked(inpaint=7), 5).inpaint == 0
    assert estimate(plan, WITH).keys() == {"candidates", "filter"}  # no rates: nothing is known


def test_the_filters_detector_is_planned_in():
    asked = Asked(seeds=2, filter=100)
    plain = plan_within(PRESETS["minutes"], LOAD, asked, CORES)
    rates = replace(CORES, watch=60.0, look=0.06)
    plan = plan_within(PRESETS["minutes"], LOAD, asked, rates)
    # What it learns and looks at before, and 200 candidates.
    more = (60 + 200 * 0.06) / 60
    assert plan.minutes["filter"] == pytest.approx(plain.minutes["filter"] + more, abs=0.02)
    assert plan.steps < plain.steps
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_three_generators_share_the_quarter_of_one():
    load = replace(LOAD, gen=2000, drawn=100, generators=3)
    plan = plan_within(PRESETS["hour"], load, Asked(), replace(CORES, gen=0.3))
    assert (plan.gen, plan.generators) == (1000, 3)
    # Their steps, 300 parts made and looked at, of a third of the pixels, and 100 plates joined.
    seconds = 900 + 300 * (0.08 + 0.01 / 3 + 0.15) + 100 * (0.08 + 0.01)
    assert plan.minutes["gen"] == pytest.approx(seconds / 60, abs=0.01)
    assert "clean images 3 x 1000 steps 16 min" in plan.sentence
    assert plan.total <= 60
    slow = plan_within(PRESETS["minutes"], load, Asked(), replace(SLOW, gen=30.0))
    assert slow.gen == FEWEST_GEN
    assert plan_within(PRESETS["minutes"], load, Asked(gen=7), SLOW).gen == 7
    assert default_plan(load, Asked(), 200).generators == 3
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_a_generator_of_clean_images_is_planned_and_never_left_out():
    load = replace(LOAD, gen=2000, drawn=100)
    rates = replace(CORES, gen=0.3)
    plan = plan_within(PRESETS["hour"], load, Asked(), rates)
    # A quarter of the hour, at most.
    assert plan.gen == 2000
    assert plan_within(PRESETS["hour"], load, Asked(), replace(rates, gen=0.9)).gen == 1000
    # Its steps, and 100 images that are made and looked at.
    assert plan.minutes["gen"] == pytest.approx((600 + 100 * (0.08 + 0.01 + 0.15)) / 60, abs=0.01)
    assert "clean images 2000 steps 10 min" in plan.sentence
    assert plan.total <= 60
    assert plan.steps <= plan_within(PRESETS["hour"], LOAD, Asked(), CORES).steps
    slow = plan_within(PRESETS["minutes"], load, Asked(), replace(SLOW, gen=30.0))
    assert slow.gen == FEWEST_GEN
    assert f"of {PRESETS['minutes'].minutes:g} minutes: clean images 200 steps" in slow.sentence
    assert plan_within(PRESETS["minutes"], load, Asked(gen=7), rates).gen == 7
    assert plan_within(PRESETS["minutes"], replace(load, gen=40), Asked(), SLOW).gen == 40
    for off in (plan_within(PRESETS["hour"], LOAD, Asked(), rates), default_plan(LOAD, Asked(), 9)):
        assert off.gen == 0
        assert "gen" not in off.minutes
    assert default_plan(load, Asked(), 200).gen == 2000
    assert default_plan(load, Asked(gen=9), 200).gen == 9
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_a_plan_survives_json():
    for plan in (
        plan_within(PRESETS["hour"], WITH, Asked(), SLOW),
        default_plan(WITH, Asked(), 200),
    ):
        assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
