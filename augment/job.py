"""From a scanned data set and settings to candidates on disk."""

from dataclasses import dataclass
from pathlib import Path

from flawsmith.augment.bank import MIN_AREA, make_bank
from flawsmith.augment.canvas import SIDE
from flawsmith.augment.classical import Classical, sources_of
from flawsmith.augment.region import Region
from flawsmith.augment.settings import AugmentSettings, Method
from flawsmith.augment.shapes import FolderShapes, RunShapes
from flawsmith.data.build import Built, Recipe, build, finished
from flawsmith.data.division import Shard, part_of
from flawsmith.data.formats import ReadOptions
from flawsmith.data.images import read_index
from flawsmith.data.jobs import (
    Show,
    check_apart,
    check_format,
    describe_job,
    open_source,
    quiet,
)
from flawsmith.data.scan import Scan, pixel_digest, scan
from flawsmith.data.staging import staged
from flawsmith.data.surfaces import has_surface, notices_of
from flawsmith.data.symmetry import flips_of
from flawsmith.data.writing import Spec
from flawsmith.errors import InputError
from flawsmith.progress import say
from flawsmith.settings import load_settings


@dataclass(frozen=True)
class Candidates:
    """A recipe with the facts that its data set needs before the first sample."""

    recipe: Recipe
    spec: Spec
    notices: tuple[str, ...] = ()


def missing_for(
    method: Method, found: Scan, settings: AugmentSettings | None = None, side: int = SIDE
) -> str | None:
    """Return why a method cannot work on this data, or None.

    side: pixels that a region should measure where no image is clean.
    """
    settings = settings or load_settings(AugmentSettings, None, {"method": method})
    if method == "classical":
        if sources_of(found, settings):
            return None
        kind = "usable" if settings.sources == "all" else settings.sources
        of = f" of the class {', '.join(settings.classes)}" if settings.classes else ""
        return f"no {kind} image{of}"
    if not has_surface(found, side, Region(settings.roi).of):
        return "no clean image, and no defect-free region of another, to put defects into"
    from_bank = method == "paste" or settings.mask_source == "bank"
    if from_bank and not make_bank(found, tuple(range(len(found.dataset.classes)))):
        return f"no image with a defect and its mask (of {MIN_AREA} pixels at least)"
    return None


def files_of(settings: AugmentSettings, drawn: RunShapes | None = None) -> dict[str, str]:
    """Return name -> digest of what the settings name: the user's pictures, a run's weights.

    They are inputs of the job like any setting: redrawn under the same name they change its result.
    """
    digests = {} if drawn is None else {"masks_run": drawn.digest}
    if settings.roi is not None:
        digests["roi"] = pixel_digest(read_index(settings.roi))
    if settings.mask_folder is not None:
        for name, paths in FolderShapes.of(settings.mask_folder).files:
            for path in paths:
                key = f"{name}/{path.relative_to(settings.mask_folder).as_posix()}"
                digests[key] = pixel_digest(read_index(path))
    return digests


def prepare(
    found: Scan, settings: AugmentSettings, workers: int = 1, drawn: RunShapes | None = None
) -> Candidates:
    """Return the method's recipe for this data; raises InputError when it cannot work on it.

    workers: processes that look for regions where no image is clean. drawn: the masks of the run
    that the settings name.
    """
    _check_classes(found, settings, drawn)
    reason = missing_for(settings.method, found, settings)
    if reason:
        raise InputError(
            f"{settings.method} cannot work here: {reason}",
            where=found.dataset.root,
            mend="see flawsmith data info; --assume-good if images without masks are clean",
        )
    classes = found.dataset.classes
    if settings.method == "paste":
        from flawsmith.augment.paste import Paste

        paste = Paste.of(found, settings, workers, drawn)
        return Candidates(paste, Spec(classes), notices_of(found, paste.backgrounds))
    if settings.method == "procedural":
        from flawsmith.augment.procedural import Procedural

        recipe = Procedural.of(found, settings, workers, drawn)
        notices = notices_of(found, recipe.backgrounds)
        return Candidates(recipe, Spec(recipe.shapes.classes), notices)
    return _classical(found, settings)


def _check_classes(found: Scan, settings: AugmentSettings, drawn: RunShapes | None) -> None:
    """Raise InputError for a class that the data does not have (drawn defects have their own)."""
    foreign = set(drawn.classes if drawn else ()) - set(found.dataset.classes)
    if foreign and settings.method == "paste":
        raise InputError(
            f"its masks are of {', '.join(sorted(foreign))}, which the images do not have",
            where=settings.masks_run or "",
            mend=f"a run that learned {', '.join(found.dataset.classes) or '(none)'}",
        )
    unknown = set(settings.classes or ()) - set(found.dataset.classes)
    if unknown and settings.method != "procedural":
        raise InputError(
            f"no class {', '.join(sorted(unknown))}",
            where=found.dataset.root,
            mend=f"one of {', '.join(found.dataset.classes) or '(none)'}",
        )


def _classical(found: Scan, settings: AugmentSettings) -> Candidates:
    flips = _flips(found, settings)
    notices: tuple[str, ...] = ()
    if settings.flips == "auto" and settings.preset == "safe" and not all(flips):
        names = [n for n, ok in zip(("left-right", "top-bottom"), flips, strict=True) if not ok]
        notices = (
            f"{' and '.join(names)} flips left out: flipped clean images look like no real one "
            "(--flips all keeps them)",
        )
    recipe = Classical.of(found, settings, flips)
    return Candidates(recipe, Spec(found.dataset.classes, overlap=found.overlap), notices)


def _flips(found: Scan, settings: AugmentSettings) -> tuple[bool, bool]:
    if settings.flips != "auto":
        return (settings.flips == "all",) * 2
    return flips_of(found)


def augment(
    src: Path,
    out: Path,
    settings: AugmentSettings,
    *,
    options: ReadOptions,
    to: str = "folder",
    workers: int = 1,
    overwrite: bool = False,
    jpeg: bool = False,
    drawn: RunShapes | None = None,
    shard: Shard | None = None,
    show: Show = quiet,
) -> Built:
    """Write ``settings.count`` candidates made from the data set ``src`` as the data set ``out``.

    drawn: the masks of the run that the settings name, as ``gen.masks.open_masks`` gives them.
    shard: make only its samples; ``merge`` joins all shards to what the undivided job writes.
    ``show`` gets the data set that was read. Resumes an interrupted job; raises InputError for
    unusable input and OutputError when writing fails, with nothing under the name ``out``.
    """
    check_format(to)
    dataset = open_source(src, out, options)
    if settings.masks_run is not None:
        check_apart(settings.masks_run, out)
    files = files_of(settings, drawn)
    chosen = {"to": to, "jpeg": jpeg, "files": files, **settings.model_dump(mode="json")}
    job = describe_job("augment", dataset, options, chosen)
    with staged(out, part_of(job, settings.count, shard), overwrite=overwrite) as stage:
        if stage.done:
            say(f"{out} is complete already")
            return finished(out)
        found = scan(dataset, workers=workers, on_error=options.on_error)
        show(found.dataset)
        candidates = prepare(found, settings, workers, drawn)
        for notice in candidates.notices:
            say(f"note: {notice}")
        return build(
            stage.path,
            candidates.recipe,
            settings.count,
            format_name=to,
            spec=Spec(candidates.spec.classes, candidates.spec.overlap, jpeg),
            made_by=job,
            workers=workers,
            label=settings.method,
            shard=shard,
        )
