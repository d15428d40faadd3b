"""``flawsmith inpaint apply``: from a trained run and clean images to candidates on disk."""

from pathlib import Path
from typing import Any

from flawsmith.augment.job import files_of
from flawsmith.augment.shapes import RunShapes
from flawsmith.data.build import Built, build, finished
from flawsmith.data.division import Shard, part_of
from flawsmith.data.formats import ReadOptions
from flawsmith.data.jobs import Show, check_format, describe_job, open_source, quiet
from flawsmith.data.scan import scan
from flawsmith.data.staging import staged
from flawsmith.data.writing import resolved
from flawsmith.errors import InputError
from flawsmith.inpaint.apply_settings import ApplySettings
from flawsmith.inpaint.prepare import open_run, prepare
from flawsmith.progress import say


def apply(
    run: Path,
    backgrounds: Path,
    out: Path,
    settings: ApplySettings,
    *,
    options: ReadOptions | None = None,
    device: str = "auto",
    to: str = "folder",
    workers: int = 1,
    overwrite: bool = False,
    drawn: RunShapes | None = None,
    shard: Shard | None = None,
    show: Show = quiet,
) -> Built:
    """Write ``settings.count`` candidates, painted by a run into images, as the data set ``out``.

    drawn: the masks of the run that the settings name, as ``gen.masks.open_masks`` gives them.
    shard: make only its samples, for ``merge``.
    ``show`` gets the data set of backgrounds. On a GPU one process paints, whatever ``workers``
    says. Resumes an interrupted job; raises InputError for unusable input and OutputError when
    writing fails, with nothing under the name ``out``.
    """
    options = options or ReadOptions()
    check_format(to)
    dataset = open_source(backgrounds, out, options)
    for folder in (run, settings.masks_run):
        if folder is not None:
            _check_apart(folder, out)
    opened = open_run(run, device)
    kind = opened.painter.device.type
    chosen: dict[str, Any] = {
        **settings.model_dump(mode="json"),
        "to": to,
        "files": files_of(settings.shaping, drawn),
        "weights": opened.trained.digest,
        # The same weights round otherwise elsewhere: half a job on each would be neither's.
        "device": kind,
    }
    job = describe_job("inpaint apply", dataset, options, chosen)
    with staged(out, part_of(job, settings.count, shard), overwrite=overwrite) as stage:
        if stage.done:
            say(f"{out} is complete already")
            return finished(out)
        found = scan(dataset, workers=workers, on_error=options.on_error)
        show(found.dataset)
        candidates = prepare(opened, found, settings, workers, drawn)
        for notice in candidates.notices:
            say(f"note: {notice}")
        return build(
            stage.path,
            candidates.recipe,
            settings.count,
            format_name=to,
            spec=candidates.spec,
            made_by=job,
            workers=workers if kind == "cpu" else 1,
            label="painting",
            shard=shard,
        )


def _check_apart(run: Path, out: Path) -> None:
    """Raise InputError when the output would replace the run or lie among its files."""
    source, target = resolved(run), resolved(out)
    if target.is_relative_to(source) or source.is_relative_to(target):
        raise InputError(
            "the output and the run lie in one another", where=out, mend="choose a folder beside it"
        )
