"""What ``clean: gan`` is to do, and why it cannot: before anything is trained."""

from dataclasses import dataclass, replace
from typing import Any

from flawsmith.data.plates import PARTS
from flawsmith.data.scan import Scan
from flawsmith.errors import InputError
from flawsmith.evaluate.filtering.select_settings import SelectSettings
from flawsmith.evaluate.filtering.thresholds import lacking
from flawsmith.gen.pictures import chosen, shape_of
from flawsmith.gen.training import Setup, setup_of
from flawsmith.pipeline.settings import RunMethod, RunSettings
from flawsmith.pipeline.surfaces import PAINTING

# Settings of a generator that would make no images like the real ones.
SETTLED = ("with_masks", "classes", "images", "resize", "crop")


@dataclass(frozen=True)
class GenPlan:
    """How a generator is trained, how many images are drawn from it, and how they are judged.

    The same holds for each of three, whose parts are joined to ``count`` plates at most; blend:
    pixels of each part that a seam may change.
    """

    setup: Setup
    count: int
    truncation: float
    select: SelectSettings
    blend: int


def gen_plan_of(settings: RunSettings, device: str) -> GenPlan:
    """Return the plan; raises InputError for a wrong setting.

    Images are made at the real ones' size, whatever the preset shrinks them to.
    """
    own = settings.gen
    for name in SETTLED:
        if name in own.train:
            raise InputError(
                f"{name} is no setting here: whole clean images are made",
                where="settings of gen",
                mend="leave it out",
            )
    flags: dict[str, Any] = {"longest": 0, "device": device, "seed": settings.seed, **own.train}
    if settings.gen_arch:
        flags["arch"] = settings.gen_arch
    if settings.gen_steps:
        flags["steps"] = settings.gen_steps
        flags.pop("epochs", None)
    setup = setup_of(own.preset, None, flags)
    return GenPlan(setup, own.count, own.truncation, settings.of_select(), own.blend)


def check_clean(train: Scan, methods: tuple[RunMethod, ...], settings: RunSettings) -> None:
    """Raise InputError where no generator can learn these clean images, or nobody paints on them.

    Wanted are parts seen alike: clean images of one size, enough to learn and to select from; and
    plates that can be cut into three, if they are to be.
    """
    mend = "leave out --clean gan"
    root = train.dataset.root
    if not set(methods) & set(PAINTING):
        told = ", ".join(methods)
        raise InputError(f"no method paints on clean images: {told}", where=root, mend=mend)
    clean = train.select(train.where("good"))
    sizes = {(fact.width, fact.height) for fact in clean.facts}
    if len(sizes) != 1:
        found = f"{len(sizes)} sizes of clean training images" if sizes else "no clean one"
        raise InputError(
            f"a generator needs clean images of one size, found {found}", where=root, mend=mend
        )
    if settings.gen_parts == "three":
        _check_plates(clean, settings.gen.blend)
    elif "blend" in settings.gen.model_fields_set:
        raise InputError(
            "blend is of seams, and whole images have none",
            where="settings of gen",
            mend="leave it out, or --gen-parts three for upright plates",
        )
    if why := lacking([fact.group for fact in clean.facts]):
        raise InputError(f"too few clean images to generate more: {why}", where=root, mend=mend)
    setup = gen_plan_of(settings, "auto").setup
    if len(clean.facts) < setup.loop.batch:
        raise InputError(
            f"{len(clean.facts)} clean training images, fewer than the generator's batch of "
            f"{setup.loop.batch}",
            where=root,
            mend=f"gen: {{train: {{batch: {len(clean.facts)}}}}} in the config file, or {mend}",
        )
    shown = shown_to(chosen(clean, setup.gen)[0], settings)
    shape = shape_of(shown, setup.gen)
    if (shape.width, shape.height) != (shown.facts[0].width, shown.facts[0].height):
        raise InputError(
            f"generated images would be {shape.width}x{shape.height}, unlike the real ones",
            where="settings of gen",
            mend="leave out longest",
        )


def _check_plates(clean: Scan, blend: int) -> None:
    """Raise InputError where images of one size cannot be cut into three, and joined again."""
    mend, root = "--gen-parts whole, or leave out --clean gan", clean.dataset.root
    width, height = clean.facts[0].width, clean.facts[0].height
    if width > height:
        raise InputError(
            f"images {width}x{height} lie on their side: anode, glass and cathode stand one below "
            "the other in upright plates",
            where=root,
            mend=f"turn them, or {mend}",
        )
    if height % len(PARTS):
        raise InputError(
            f"images {width}x{height} cannot be cut into three parts of one height",
            where=root,
            mend=mend,
        )
    if height // len(PARTS) < max(2, 2 * blend):
        raise InputError(
            f"parts {height // len(PARTS)} px high are too low to blend {blend} px at both ends",
            where=root,
            mend=f"gen: {{blend: {height // len(PARTS) // 2}}} in the config file, or {mend}",
        )
    if len({fact.channels for fact in clean.facts}) != 1:
        raise InputError(
            "some clean training plates are grey, others in colour", where=root, mend=mend
        )


def shown_to(clean: Scan, settings: RunSettings) -> Scan:
    """Return clean images with the sizes that a generator sees: of a part, if there are three.

    The pictures are still the whole ones.
    """
    if settings.gen_parts != "three":
        return clean
    facts = (replace(fact, height=fact.height // len(PARTS)) for fact in clean.facts)
    return Scan(clean.dataset, tuple(facts))


def timed_on(clean: Scan, settings: RunSettings, device: str) -> Setup:
    """Return the setup of a training whose steps on these whole images take as long as one's own.

    Where there are three generators it sees windows of a part's size, so that nothing need be cut
    before the plan.
    """
    setup = gen_plan_of(settings, device).setup
    if settings.gen_parts != "three":
        return setup
    fact = shown_to(clean, settings).facts[0]
    gen = setup.gen.model_copy(update={"crop": (fact.width, fact.height)})
    return replace(setup, gen=gen)


def gen_steps(settings: RunSettings, train: Scan) -> int:
    """Return the training steps of a generator that the settings or their preset ask for."""
    setup = gen_plan_of(settings, "auto").setup
    if setup.epochs is None:
        return setup.loop.steps
    each = setup.loop.batch * setup.gen.critic_steps
    return -(-setup.epochs * len(train.where("good")) // each)
