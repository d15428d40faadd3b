"""What a folder offers the page: candidates to review, a painter, clean pictures, a report."""

from dataclasses import dataclass
from pathlib import Path

from flawsmith.data.manifest import MANIFEST, SAMPLES
from flawsmith.data.tables import read_json
from flawsmith.errors import InputError

# What run, filter and the trainings leave. Their own modules load torch, and the review, which
# needs none, would open seconds later; a test holds these names to theirs.
MARK, REPORT = "run.json", "report.html"
ACCEPTED, CANDIDATES, RESULT = "accepted", "candidates", "filter.json"
CONFIG, WEIGHTS, PREVIEWS = "config.json", "model.safetensors", "previews"
# The kind of a run of ``gen train``, and the stage of ``run`` that makes one.
WHOLE = "gen"
PAINTED = "painted"


@dataclass(frozen=True)
class Trained:
    """A training run to look at. whole: of ``gen train``, which paints nothing."""

    path: Path
    whole: bool = False


@dataclass(frozen=True)
class Opened:
    """The folders that the page works on.

    sets: data sets of candidates; verdicts: lines of a filter or run on them; real: real images,
    the clean ones to paint on; run: of ``inpaint train``, to paint with; trained: all trainings;
    save: where painted pairs go.
    """

    root: Path
    sets: tuple[Path, ...] = ()
    verdicts: Path | None = None
    real: Path | None = None
    run: Path | None = None
    trained: tuple[Trained, ...] = ()
    report: Path | None = None
    save: Path | None = None

    @property
    def folders(self) -> tuple[Path, ...]:
        """All that may be read."""
        own = (self.root, *self.sets, self.real, self.run, self.verdicts and self.verdicts.parent)
        trained = (one.path for one in self.trained)
        return tuple(folder for folder in (*own, *trained) if folder is not None)


def open_folder(
    folder: Path,
    *,
    images: Path | None = None,
    run: Path | None = None,
    judged: Path | None = None,
    save: Path | None = None,
) -> Opened:
    """Return what a folder offers; what the user names goes before what is found.

    images: real images; run: of ``inpaint train``; judged: what ``flawsmith filter`` wrote of these
    candidates; save: the data set for painted pairs. Raises InputError for a folder with nothing to
    paint, review or see.
    """
    for given in (folder, images, run, judged):
        if given is not None and not given.is_dir():
            raise InputError("no such folder", where=given)
    found = _found(folder)
    verdicts = judged / SAMPLES if judged else found.verdicts
    if judged and not (judged / SAMPLES).is_file():
        raise InputError(f"no {SAMPLES} of flawsmith filter here", where=judged)
    trained = found.trained if run is None else (Trained(run), *found.trained)
    run = run or found.run
    opened = Opened(
        folder,
        found.sets,
        verdicts,
        images or found.real,
        run,
        trained,
        found.report,
        save or _save_of(folder, found) if run else None,
    )
    if not (opened.sets or opened.trained or opened.report):
        raise InputError(
            "nothing to paint, review or see: no run, no training run, no candidates",
            where=folder,
            mend="give what run, inpaint train, gen train, augment, inpaint apply or filter wrote",
        )
    return opened


def _found(folder: Path) -> Opened:
    if (folder / MARK).is_file():
        return _of_run(folder)
    if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
        one = Trained(folder, _is_whole(folder))
        return Opened(folder, run=None if one.whole else folder, trained=(one,))
    if (folder / RESULT).is_file():
        sets = tuple(folder / n for n in (ACCEPTED, CANDIDATES) if _is_set(folder / n))
        return Opened(folder, sets, folder / SAMPLES)
    if _is_set(folder):
        return Opened(folder, (folder,))
    return Opened(folder)


def _of_run(folder: Path) -> Opened:
    stages = sorted(folder.glob("stages/candidates-*"))
    sets = tuple(s / "data" for s in stages if not s.suffix and _is_set(s / "data"))
    verdicts, real = folder / SAMPLES, folder / "dataset" / "train"
    report = folder / REPORT
    runs = (Trained(folder / "stages" / n / "run", n == WHOLE) for n in ("inpaint", WHOLE))
    trained = tuple(one for one in runs if (one.path / WEIGHTS).is_file())
    return Opened(
        folder,
        sets,
        verdicts if verdicts.is_file() else None,
        real if _is_set(real) else None,
        next((one.path for one in trained if not one.whole), None),
        trained,
        report if report.is_file() else None,
    )


def _is_whole(run: Path) -> bool:
    config = read_json(run / CONFIG)
    job = config.get("job") if isinstance(config, dict) else None
    return isinstance(job, dict) and job.get("kind") == WHOLE


def _is_set(folder: Path) -> bool:
    return (folder / MANIFEST).is_file() and (folder / SAMPLES).is_file()


def _save_of(folder: Path, found: Opened) -> Path:
    """Return where painted pairs go: into a run's folder, but beside a data set."""
    if folder in found.sets:
        return folder.resolve().with_name(f"{folder.resolve().name}-{PAINTED}")
    return folder / PAINTED
