"""``flawsmith merge``: the shards of a divided job become the data set that one job writes.

Samples' files are linked (a second name for the same bytes, no space) or copied; what describes the
whole folder is written as the undivided job would, from the joined lines. The state in between is
that of the undivided job, stopped: both go on in it.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from flawsmith.data import journal
from flawsmith.data.build import JOURNAL, Built, complete, finished
from flawsmith.data.jobs import check_apart
from flawsmith.data.kept import ODD, of_disk
from flawsmith.data.manifest import MANIFEST
from flawsmith.data.shard_checks import Opened, check_contents, open_shards
from flawsmith.data.staging import JOB, LOCK, staged
from flawsmith.data.writing import make_folder, writing_in
from flawsmith.errors import InputError
from flawsmith.progress import say, track


@dataclass(frozen=True)
class Merged:
    """What a merge wrote: as the undivided job counts it, and how files came here this time."""

    built: Built
    linked: int = 0
    copied: int = 0


def merge(
    folders: Sequence[Path],
    out: Path,
    *,
    copy: bool = False,
    overwrite: bool = False,
    workers: int = 1,
) -> Merged:
    """Join all shards of a job as the data set ``out``; the same call resumes.

    copy: copy files even where they can be linked. Raises InputError, with nothing under the name
    ``out``, unless the folders are all shards of one job, unchanged; OutputError if writing fails.
    """
    shards = open_shards(folders)
    for folder in folders:
        check_apart(folder, out)
    facts = shards[0].facts

    def check() -> None:
        check_contents(shards, workers)

    with staged(out, facts.job, overwrite=overwrite, check=check) as stage:
        if stage.done:
            say(f"{out} is complete already")
            return Merged(finished(out))
        if (stage.path / MANIFEST).is_file():
            return Merged(finished(stage.path))
        linked, copied = _join(shards, stage.path, copy=copy)
        try:
            built = complete(stage.path, facts.format, facts.spec, facts.job)
        except (InputError, *ODD) as error:
            if isinstance(error, InputError) and of_disk(error):
                raise
            _clear(stage.path)
            # Its mend is of the folder in between, which is gone.
            why = error.what if isinstance(error, InputError) else repr(error)
            raise InputError(
                f"the lines of these shards are not flawsmith's: {why}", where=folders[0]
            ) from error
    return Merged(built, linked, copied)


def _join(shards: Sequence[Opened], root: Path, *, copy: bool) -> tuple[int, int]:
    """Bring all files and lines, shard by shard; return how many files were linked and copied."""
    linked = copied = 0
    lines = root / JOURNAL
    done = journal.resume(lines)
    for one in shards:
        span = one.facts.span
        if done >= span.stop:
            continue
        entries = track(one.files(), f"shard {one.facts.part}", one.facts.file_count)
        for entry in entries:
            is_link = _place(one.folder / entry["path"], root / entry["path"], copy=copy)
            linked, copied = linked + is_link, copied + (not is_link)
        journal.append(lines, islice(one.lines(), max(0, done - span.start), None))
    return linked, copied


def _place(source: Path, target: Path, *, copy: bool) -> bool:
    """Give a file its place; return whether it is a link."""
    make_folder(target.parent)
    with writing_in(target):
        # Never written in place: it may be a link to a shard's file.
        target.unlink(missing_ok=True)
        if not copy:
            try:
                os.link(source, target, follow_symlinks=False)
            except OSError:
                pass  # another file system, or one without links
            else:
                return True
        shutil.copyfile(source, target, follow_symlinks=False)
    return False


def _clear(partial: Path) -> None:
    """Remove what was joined: nobody may go on with lines that are not ours."""
    for path in partial.iterdir():
        if path.name not in (JOB, LOCK):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
