"""The plan that fits a budget on a measured machine: what is given up first, and what never is."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from flawsmith.evaluate.filtering.settings import STEPS as FILTER_STEPS
from flawsmith.evaluate.segmenter.settings import SegmentSettings
from flawsmith.pipeline.budget import (
    EVERY,
    FEWEST_GEN,
    FEWEST_INPAINT,
    FEWEST_SEEDS,
    FEWEST_STEPS,
    INPAINT_SHARE,
    PLANNED,
    Asked,
    Load,
    Plan,
    Preset,
    Rates,
    estimate,
)
from flawsmith.pipeline.settings import Arm, RunMethod
from flawsmith.settings import load_settings


def default_plan(load: Load, asked: Asked, count: int) -> Plan:
    """Return the plan without a budget: the settings' own defaults, nothing measured."""
    usual = load_settings(SegmentSettings, None, {})
    arms, notes = _arms(EVERY[:-1], load, asked)
    return Plan(
        cap=None,
        methods=load.methods,
        count=count,
        inpaint=(asked.inpaint or load.inpaint) if "inpaint" in load.methods else 0,
        arms=arms,
        seeds=asked.seeds or usual.seeds,
        steps=asked.steps or usual.steps,
        filter=asked.filter or FILTER_STEPS,
        curve=False,
        rates=Rates(),
        minutes={},
        notes=notes,
        gen=(asked.gen or load.gen) if load.gen else 0,
        generators=load.generators,
    )


def plan_within(preset: Preset, load: Load, asked: Asked, rates: Rates) -> Plan:
    """Return the plan of a budget. What was asked for is done as asked, and the rest around it.

    Where time is short: fewer training steps of the generator, then fewer of the gate, then arms
    are given up, then seeds, then the generator. Less than the least is never planned, so a slow
    machine may need more than the cap; the plan's minutes say so.
    """
    found = _plan(preset, load, asked, rates)
    dear = "inpaint" in found.methods and not asked.named and not asked.inpaint
    if dear and found.total > preset.minutes:
        others = tuple(m for m in load.methods if m != "inpaint")
        if others:
            found = _plan(preset, replace(load, methods=others), asked, rates)
            note = f"inpaint is left out: {preset.minutes:g} minutes are too few on this machine"
            found = replace(found, notes=(note, *found.notes))
    return found


def _plan(preset: Preset, load: Load, asked: Asked, rates: Rates) -> Plan:
    methods, inpaint, notes = _generator(preset, load, asked, rates)
    load = replace(load, methods=methods)
    count = asked.count or preset.count
    least = Plan(
        cap=preset.minutes,
        methods=methods,
        count=count,
        inpaint=inpaint,
        arms=(),
        seeds=asked.seeds or preset.seeds,
        steps=asked.steps or FEWEST_STEPS,
        filter=asked.filter or FEWEST_STEPS,
        curve=False,
        rates=rates,
        minutes={},
        gen=_clean_steps(preset, load, asked, rates),
        generators=load.generators,
    )
    arms, left_out = _arms(preset.arms, load, asked)
    notes += left_out
    found = least
    for tried in _tried(preset, arms, asked):
        found = _with_steps(replace(least, arms=tried[0], seeds=tried[1]), preset, load, asked)
        enough = asked.steps is not None or found.steps >= preset.enough
        if enough and found.total <= PLANNED * preset.minutes:
            break
    given_up = arms[len(found.arms) :]
    if given_up:
        notes.append(f"left out for the time: {', '.join(f'real+{arm}' for arm in given_up)}")
    if load.gate and preset.curve:
        curved = replace(found, curve=True)
        curved = replace(curved, minutes=estimate(curved, load))
        if curved.total <= preset.minutes:
            found = curved
        else:
            notes.append("left out for the time: the curve of the steps")
    return replace(found, notes=tuple(notes))


def _generator(
    preset: Preset, load: Load, asked: Asked, rates: Rates
) -> tuple[tuple[RunMethod, ...], int, list[str]]:
    """Return the methods, the generator's steps, and what is to be said of it."""
    if "inpaint" not in load.methods:
        return load.methods, 0, []
    if asked.inpaint:
        return load.methods, asked.inpaint, []
    most = load.inpaint if preset.inpaint is None else min(load.inpaint, preset.inpaint)
    fit = int(INPAINT_SHARE * 60 * preset.minutes / rates.inpaint) if rates.inpaint else most
    steps = _round(min(most, fit))
    # A preset of few steps, such as tiny, is as good with them as it will be.
    fewest = min(FEWEST_INPAINT, load.inpaint)
    others = tuple(m for m in load.methods if m != "inpaint")
    if steps >= fewest:
        return load.methods, steps, []
    if asked.named or not others:
        return load.methods, fewest, []
    note = f"inpaint is left out: {preset.minutes:g} minutes are too few for {fewest} steps"
    return others, 0, [note]


def _clean_steps(preset: Preset, load: Load, asked: Asked, rates: Rates) -> int:
    """Return the steps of each generator of clean images: asked for, so it is never left out.

    As many as their share of the time has room for, but at least the fewest that are worth it.
    """
    if not load.gen:
        return 0
    if asked.gen:
        return asked.gen
    each = rates.gen * load.generators
    fit = int(INPAINT_SHARE * 60 * preset.minutes / each) if each else load.gen
    return max(_round(min(load.gen, fit)), min(FEWEST_GEN, load.gen))


def _arms(
    usual: Sequence[Arm], load: Load, asked: Asked
) -> tuple[tuple[Arm, ...], tuple[str, ...]]:
    """Return the arms that can be, and why one that was asked for cannot."""
    if not load.gate:
        return (), ()
    faults = {arm: _fault(arm, load) for arm in asked.arms or usual}
    known = tuple(arm for arm, fault in faults.items() if not fault)
    told = (f"real+{arm} left out: {fault}" for arm, fault in faults.items() if fault)
    return known, tuple(told) if asked.arms else ()


def _fault(arm: Arm, load: Load) -> str:
    """Return why there is no such arm, or nothing."""
    if arm in ("paste", "inpaint", "classical") and arm not in load.methods:
        return "no candidate is made by this method"
    if arm in ("random", "all") and not load.filter:
        return "without the filter it has the same candidates as real+filtered"
    return ""


def _tried(
    preset: Preset, arms: tuple[Arm, ...], asked: Asked
) -> Iterator[tuple[tuple[Arm, ...], int]]:
    """Yield arms and seeds, ever fewer: arms from the last, then seeds."""
    seeds = asked.seeds or preset.seeds
    # Filtered and random, at least: without its control a gain says little.
    fewest = len(arms) if asked.arms else min(2, len(arms))
    for number in range(len(arms), fewest - 1, -1):
        yield arms[:number], seeds
    for fewer in range(seeds - 1, FEWEST_SEEDS - 1, -1):
        if not asked.seeds:
            yield arms[:fewest], fewer


def _with_steps(plan: Plan, preset: Preset, load: Load, asked: Asked) -> Plan:
    """Return the plan with as many steps of the segmenters as fit, the fewest if none do."""
    steps = [asked.steps] if asked.steps else range(preset.steps, FEWEST_STEPS - 1, -10)
    for number in steps:
        found = replace(plan, steps=number, filter=asked.filter or min(FILTER_STEPS, number))
        found = replace(found, minutes=estimate(found, load))
        if found.total <= PLANNED * preset.minutes:
            break
    return found


def _round(steps: int) -> int:
    """Return the steps without their last digit."""
    return steps // 10 * 10 if steps >= 20 else steps
