"""What ``clean: gan`` is to do, and why it cannot: before anything is trained."""

from dataclasses import dataclass
from typing import Any

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
    """How the generator is trained, how many images are drawn from it, and how they are judged."""

    setup: Setup
    count: int
    truncation: float
    select: SelectSettings


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
    return GenPlan(setup, own.count, own.truncation, settings.of_select())


def check_clean(train: Scan, methods: tuple[RunMethod, ...], settings: RunSettings) -> None:
    """Raise InputError where no generator can learn these clean images, or nobody paints on them.

    Wanted are parts seen alike: clean images of one size, enough to learn and to select from.
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
    shape = shape_of(chosen(clean, setup.gen)[0], setup.gen)
    if (shape.width, shape.height) not in sizes:
        raise InputError(
            f"generated images would be {shape.width}x{shape.height}, unlike the real ones",
            where="settings of gen",
            mend="leave out longest",
        )


def gen_steps(settings: RunSettings, train: Scan) -> int:
    """Return the training steps that the settings or their preset ask for."""
    setup = gen_plan_of(settings, "auto").setup
    if setup.epochs is None:
        return setup.loop.steps
    each = setup.loop.batch * setup.gen.critic_steps
    return -(-setup.epochs * len(train.where("good")) // each)
