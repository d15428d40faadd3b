"""The stage of the plan: what this run does within its budget, settled once."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from flawsmith.data.kept import read_kept
from flawsmith.data.scan import Scan
from flawsmith.data.writing import write_file
from flawsmith.evaluate.segmenter.tiles import Tiling
from flawsmith.pipeline.budget import PRESETS, Asked, Load, Plan, Rates
from flawsmith.pipeline.detecting import clean_of, detect_fault
from flawsmith.pipeline.planning import default_plan, plan_within
from flawsmith.pipeline.settings import RunMethod, RunSettings
from flawsmith.pipeline.stages import Stages
from flawsmith.progress import say

PLAN = "plan.json"
# Minutes: some thousand years.
LONGEST = 1e9


def plan_stage(
    stages: Stages,
    train: Scan,
    test: Scan,
    methods: tuple[RunMethod, ...],
    settings: RunSettings,
    device: str,
    *,
    gate: bool,
) -> Plan:
    """Return the run's plan, measuring the machine unless it was before.

    test: what the gate would test on; only its sizes are looked at. methods: those that the data
    allows; gate: whether it can be run. A plan is made again only when what it answers has
    changed, not when the machine or its load has.
    """
    load = load_of(train, test, methods, settings, gate=gate)
    asked = asked_of(settings)
    # Other detectors change what follows the plan, not what it settles: no segmenter is trained
    # anew for them.
    answered = {name: value for name, value in asdict(load).items() if name != "judged"}
    inputs = {
        "budget": settings.budget,
        "load": answered,
        "asked": asdict(asked),
        "segment": settings.of_gate().deciding(real_only=True),
        "inpaint": settings.inpaint.model_dump(mode="json"),
        # How its pictures are drawn and selected changes no time that counts. Whether there are
        # three is in the load.
        "gen": [settings.clean, settings.gen_arch, settings.gen.preset, settings.gen.train],
    }

    def work(folder: Path) -> None:
        if settings.budget == "none":
            plan = default_plan(load, asked, settings.count)
        else:
            rates = _rates(train, load, settings, device)
            plan = plan_within(PRESETS[settings.budget], load, asked, rates)
            plan = replace(plan, detectors=settings.judges if load.judged else ())
        write_file(folder / PLAN, json.dumps(plan.to_json(), indent=1) + "\n")

    folder = stages.make("plan", inputs, ("split",), work)
    plan = read_plan(folder)
    if plan.cap:
        say(plan.sentence)
        if load.judged and plan.detectors != settings.judges:
            new = [name for name in settings.judges if name not in plan.detectors]
            if new:
                say(f"note: the plan was made without {', '.join(new)}: that time comes on top")
    for note in plan.notes:
        say(f"note: {note}")
    return plan


def read_plan(folder: Path) -> Plan:
    """Return the plan that the stage left; raises InputError for what is not as it was written."""
    return read_kept(folder / PLAN, Plan, _plan_of)


def _plan_of(content: dict[str, Any]) -> Plan:
    """Return the plan of a kept file; raises KeyError or ValueError for parts that are none."""
    plan = Plan.from_json(content)
    minutes = [*plan.minutes.values(), plan.cap or 0.0]
    if not plan.sentence or not plan.methods or not all(0 <= m < LONGEST for m in minutes):
        raise ValueError("no plan of so many minutes")
    return plan


def applied(plan: Plan, settings: RunSettings) -> RunSettings:
    """Return the settings with what the plan settles."""
    chosen = {"count": plan.count, "seeds": plan.seeds, "gate_steps": plan.steps}
    steps = {"inpaint_steps": plan.inpaint} if plan.inpaint else {}
    steps |= {"gen_steps": plan.gen} if plan.gen else {}
    return settings.model_copy(update={**chosen, **steps})


def load_of(
    train: Scan, test: Scan, methods: tuple[RunMethod, ...], settings: RunSettings, *, gate: bool
) -> Load:
    """Return what there is to do."""
    segment = settings.of_gate()
    sizes = [fact.width * fact.height for fact in train.facts]
    marked = any(fact.planes for fact in train.facts)
    return Load(
        methods=methods,
        pixels=sum(sizes) / len(sizes),
        tested=tiled_pixels(test, segment.tiling),
        crops=float(segment.batch * segment.crop**2),
        inpaint=_preset_steps(settings) if "inpaint" in methods else 0,
        gate=gate,
        agreement=settings.filter and settings.agreement and marked,
        filter=settings.filter,
        gen=_clean_steps(settings, train),
        drawn=settings.gen.count if settings.clean == "gan" else 0,
        generators=settings.generators,
        judged=0 if detect_fault(train, test, settings) else len(test.facts),
    )


def tiled_pixels(test: Scan, tiling: Tiling) -> float:
    """Return the pixels of all tiles that the test images are predicted in."""
    sides = [(tiling.spans(fact.width), tiling.spans(fact.height)) for fact in test.facts]
    return float(sum(len(x) * len(y) * x[0].length * y[0].length for x, y in sides))


def asked_of(settings: RunSettings) -> Asked:
    """Return what the user has set; a setting that has its default counts if it was given."""
    return Asked(
        named=settings.methods is not None,
        count=settings.count if "count" in settings.model_fields_set else None,
        inpaint=settings.inpaint_steps or settings.inpaint.train.get("steps"),
        arms=settings.arms,
        seeds=settings.seeds,
        steps=settings.gate_steps,
        filter=settings.filtering.get("steps"),
        gen=settings.gen_steps or settings.gen.train.get("steps"),
    )


def _preset_steps(settings: RunSettings) -> int:
    # Only here: it loads torch.
    from flawsmith.pipeline.inpaint import plan_of

    return plan_of(settings, "auto").setup.loop.steps


def _clean_steps(settings: RunSettings, train: Scan) -> int:
    if settings.clean != "gan":
        return 0
    # Only here: it loads torch.
    from flawsmith.pipeline.gen_plan import gen_steps

    return gen_steps(settings, train)


def _rates(train: Scan, load: Load, settings: RunSettings, device: str) -> Rates:
    """Measure what the plan has to know; the networks are loaded for nothing else."""
    rates = Rates()
    watched = load.filter and any(fact.planes for fact in train.facts)
    if load.gate or watched or "inpaint" in load.methods or load.gen or load.judged:
        say("plan: measuring how quick this machine is")
    if load.gate or load.agreement:
        from flawsmith.pipeline.measuring import segment_seconds

        rates = replace(rates, segment=segment_seconds(train, settings.of_gate(), device))
    if "inpaint" in load.methods:
        from flawsmith.pipeline.inpaint import plan_of
        from flawsmith.pipeline.measuring import inpaint_seconds

        setup = plan_of(settings, device).setup
        rates = replace(rates, inpaint=inpaint_seconds(train, setup, device))
    if load.gen:
        from flawsmith.pipeline.gen_plan import timed_on
        from flawsmith.pipeline.measuring import gen_seconds

        clean = train.select(train.where("good"))
        timed = timed_on(clean, settings, device)
        rates = replace(rates, gen=gen_seconds(clean, timed, device))
    if watched:
        from flawsmith.pipeline.measuring import watch_seconds

        watch, look = watch_seconds(train, settings.of_filter(), device)
        rates = replace(rates, watch=watch, look=look)
    if load.judged:
        from flawsmith.pipeline.measuring import detect_seconds

        clean = clean_of(train, settings.seed)
        learn, judge = detect_seconds(clean, settings.of_detect(), device)
        rates = replace(rates, learn=learn, judge=judge)
    return rates
