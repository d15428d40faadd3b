"""What painting needs before its first sample: the run, its masks, and the backgrounds, checked."""

from dataclasses import dataclass
from pathlib import Path

from flawsmith.augment.job import Candidates
from flawsmith.augment.region import Region, Regions
from flawsmith.augment.shapes import RunShapes, ShapeSource, shape_source
from flawsmith.data.cache import SampleCache
from flawsmith.data.scan import Scan
from flawsmith.data.surfaces import Surface, notices_of, surfaces_of
from flawsmith.data.writing import Spec, resolved
from flawsmith.errors import InputError
from flawsmith.inpaint.apply_settings import ApplySettings
from flawsmith.inpaint.maskbank import read_masks
from flawsmith.inpaint.painter import Painter, load_painter
from flawsmith.inpaint.recipe import Inpaint, TrainedRun
from flawsmith.inpaint.settings import KIND
from flawsmith.train.runs import CONFIG, WEIGHTS, read_job
from flawsmith.train.weights import file_sha256

# A background's side shorter than a crop's by more than this would be mirrored several times over.
SMALLEST_SHARE = 4
NAMED = 5


@dataclass(frozen=True)
class OpenRun:
    """A run that was looked at: its identity, and its generator."""

    trained: TrainedRun
    painter: Painter


def open_run(run: Path, device: str = "auto") -> OpenRun:
    """Read a run's weights; raises InputError for a missing, broken, older or foreign run."""
    if (run / CONFIG).is_file():
        kind = read_job(run).get("kind")
        if kind != KIND:
            raise InputError(f"a run of {kind!r}, not of inpaint train", where=run)
    painter = load_painter(run, device)
    digest = file_sha256(run / WEIGHTS)
    return OpenRun(TrainedRun(resolved(run), digest, str(painter.device)), painter)


def prepare(
    opened: OpenRun,
    found: Scan,
    settings: ApplySettings,
    workers: int = 1,
    drawn: RunShapes | None = None,
) -> Candidates:
    """Return the recipe that paints into scanned backgrounds; InputError when it cannot.

    drawn: the masks of the run that the settings name, if they name one.
    """
    recipe, notices = recipe_of(opened, found, settings, workers, drawn)
    return Candidates(recipe, Spec(opened.painter.classes), notices)


def recipe_of(
    opened: OpenRun,
    found: Scan,
    settings: ApplySettings,
    workers: int = 1,
    drawn: RunShapes | None = None,
) -> tuple[Inpaint, tuple[str, ...]]:
    """Return the same recipe, and what is to be said about its backgrounds."""
    classes = opened.painter.classes
    masks = read_masks(opened.trained.path, classes, workers=workers)
    learned = {plane for fact in masks.facts for plane in fact.planes}
    wanted = _wanted(settings, classes, learned, opened.trained.path)
    shapes = shape_source(settings.shaping, masks, SampleCache(masks.dataset), drawn)
    kinds = _kinds(settings, classes, wanted, shapes)
    region = Region(settings.roi)
    surfaces = surfaces_of(found, opened.painter.settings.size, workers, region.of)
    backgrounds, notices = _large_enough(found, surfaces, opened.painter)
    recipe = Inpaint(
        opened.trained,
        SampleCache(found.dataset),
        backgrounds,
        Regions(settings.roi),
        shapes,
        kinds,
        settings.shaping,
        settings.strength,
    )
    return recipe, notices


def _wanted(
    settings: ApplySettings, classes: tuple[str, ...], learned: set[int], run: Path
) -> tuple[int, ...]:
    """Return the planes to paint; raises InputError for a class that the run has not learned."""
    names = {classes[plane]: plane for plane in sorted(learned)}
    for name in settings.classes or ():
        if name not in names:
            raise InputError(
                f"the run has not learned a class {name!r}",
                where=run,
                mend=f"of {', '.join(names)}",
            )
    return tuple(names[name] for name in settings.classes or names)


def _kinds(
    settings: ApplySettings,
    classes: tuple[str, ...],
    wanted: tuple[int, ...],
    shapes: ShapeSource,
) -> dict[int, tuple[int, ...]]:
    """Return, a plane of the run, the planes of the source that its masks may be of."""
    named = {shapes.classes[plane]: plane for plane in shapes.planes}
    if settings.masks == "procedural":
        # Drawn shapes have no class of their own: each may carry any defect's look.
        return {p: (named[classes[p]],) if classes[p] in named else shapes.planes for p in wanted}
    foreign = named.keys() - set(classes)
    if foreign:
        raise InputError(
            f"masks of {', '.join(sorted(foreign))}, which the run does not paint",
            where=settings.mask_folder or settings.masks_run or "",
            mend=f"name the sub-folders after classes of {', '.join(classes)}"
            if settings.mask_folder
            else f"masks of a run that learned {', '.join(classes)}",
        )
    kinds: dict[int, tuple[int, ...]] = {
        plane: (named[classes[plane]],) for plane in wanted if classes[plane] in named
    }
    without = [classes[plane] for plane in wanted if plane not in kinds]
    if not kinds or (settings.classes and without):
        raise InputError(
            f"no usable mask of {', '.join(without)}",
            where=settings.mask_folder or settings.masks_run or "",
            mend=f"of {', '.join(named) or '(none)'}, or --masks procedural",
        )
    return kinds


def _large_enough(
    found: Scan, surfaces: tuple[Surface, ...], painter: Painter
) -> tuple[tuple[Surface, ...], tuple[str, ...]]:
    """Return the surfaces to paint on, and notices; raises InputError when none can be used."""
    if not surfaces:
        raise InputError(
            "no clean image, and no defect-free region of another, to paint on",
            where=found.dataset.root,
            mend="add clean images; --assume-good if images without masks are clean",
        )
    least = -(-painter.settings.size // SMALLEST_SHARE)
    large = tuple(s for s in surfaces if min(s.size(found)) >= least)
    if not large:
        raise InputError(
            f"every background is smaller than {least} pixels",
            where=found.dataset.root,
            mend=f"larger ones; the generator sees {painter.settings.size} pixels at once",
        )
    notices = notices_of(found, surfaces)
    small = [found.facts[s.sample].id for s in surfaces if min(s.size(found)) < least]
    if small:
        some = ", ".join(small[:NAMED])
        notices += (f"{len(small)} backgrounds left out, smaller than {least} pixels: {some}",)
    return large, notices
