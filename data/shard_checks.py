"""Whether folders are all the shards of one job, whole and unchanged; every fault by its folder.

Nothing in them is trusted: numbers, names and digests may be anybody's.
"""

import heapq
import json
import stat
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import Any

from flawsmith.data.build import JOURNAL
from flawsmith.data.formats import CONVERTIBLE
from flawsmith.data.manifest import MANIFEST, META_DEPTH, SAMPLES, checked_line, nests
from flawsmith.data.parallel import ordered_map
from flawsmith.data.reading import Reading, file_sha256, own_file
from flawsmith.data.shard_manifest import FILES, LINES, OWN, ShardFile, read_shard
from flawsmith.data.staging import differences, job_digest
from flawsmith.data.tables import stream_jsonl
from flawsmith.errors import InputError
from flawsmith.progress import track

# What a shard may not bring: files that the merged folder has by itself.
RESERVED = OWN | {MANIFEST, SAMPLES, JOURNAL, MANIFEST + ".new"}
# What differs between shards of one job.
OWN_FACTS = {"shard", "first", "end", "built", "lines", "files", "file_count"}
NAMED = 6


@dataclass(frozen=True)
class Opened:
    """A shard's folder and its manifest."""

    folder: Path
    facts: ShardFile

    def files(self) -> Iterator[dict[str, Any]]:
        return (entry for _, entry in stream_jsonl(self.folder / FILES))

    def paths(self) -> Iterator[tuple[str, Path]]:
        return ((entry["path"], self.folder) for entry in self.files())

    def lines(self) -> Iterator[dict[str, Any]]:
        return (line for _, line in stream_jsonl(self.folder / LINES))


def open_shards(folders: Sequence[Path]) -> list[Opened]:
    """Return all shards of one job in order, by their manifests alone.

    Raises InputError that names each folder that is unfinished, foreign or no shard, and each shard
    that is missing or there twice.
    """
    found, faults = [], []
    for folder in folders:
        try:
            found.append(Opened(folder, read_shard(folder)))
        except InputError as error:
            faults.append(str(error))
    if found:
        wanted, foreign = _reference(found)
        faults += foreign
        mine = [one for one in found if _shared(one.facts) == wanted]
        faults += _gaps(mine)
        if wanted["format"] not in CONVERTIBLE:
            faults.append(f"{mine[0].folder}: no format {str(wanted['format'])[:80]!r}")
    refuse(faults)
    return sorted(found, key=lambda one: one.facts.shard)


def refuse(faults: Sequence[str]) -> None:
    """Raise InputError with these faults in one line, if there are any."""
    if faults:
        more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
        raise InputError(
            f"cannot be merged: {'; '.join(faults[:NAMED])}{more}",
            mend="give every shard of one job once, each finished",
        )


def _shared(facts: ShardFile) -> dict[str, Any]:
    return facts.model_dump(mode="json", exclude=OWN_FACTS)


def _reference(found: Sequence[Opened]) -> tuple[dict[str, Any], list[str]]:
    """Return what most of the shards are shards of, and how the others differ."""
    shared = [_shared(one.facts) for one in found]
    digests = [job_digest(facts) for facts in shared]
    most = Counter(digests).most_common(1)[0][0]
    wanted = shared[digests.index(most)]
    foreign = []
    for one, facts in zip(found, shared, strict=True):
        for name, other, ours in differences(facts, wanted):
            told = f"{name.removeprefix('job.')} {_short(other)}, wanted {_short(ours)}"
            foreign.append(f"{one.folder}: a shard of another job: {told}")
            break
    return wanted, foreign


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:80]


def _gaps(found: Sequence[Opened]) -> list[str]:
    """Return which shards are there twice, and which are missing."""
    folders: dict[str, list[str]] = defaultdict(list)
    for one in found:
        folders[str(one.facts.part)].append(str(one.folder))
    faults = [
        f"{' and '.join(same)}: both are shard {part}"
        for part, same in folders.items()
        if len(same) > 1
    ]
    of = found[0].facts.of
    missing = [f"{n}/{of}" for n in range(1, of + 1) if f"{n}/{of}" not in folders]
    if missing:
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        faults.append(f"shard {', '.join(missing[:NAMED])}{more} missing")
    return faults


def check_contents(found: Sequence[Opened], workers: int = 1) -> None:
    """Raise InputError that names each shard whose lines or files are not what it wrote.

    Reads every file once. workers: processes, of which each reads a shard at a time.
    """
    results = ordered_map(_Look(tuple(found)), range(len(found)), workers, chunk=1)
    refuse([fault for fault in track(results, "checking", len(found)) if fault])
    streams = [one.paths() for one in found]
    last: tuple[str, Path] = ("", Path())
    # Each stream is sorted, so that equal paths come one after the other.
    for path, folder in heapq.merge(*streams, key=itemgetter(0)):
        if path == last[0]:
            refuse([f"{last[1]} and {folder}: both hold {path}"])
        last = path, folder


@dataclass(frozen=True)
class _Look:
    shards: tuple[Opened, ...]

    def __call__(self, number: int) -> str | None:
        """Return the first fault of a shard's contents, or None."""
        one = self.shards[number]
        try:
            for name, digest in ((LINES, one.facts.lines), (FILES, one.facts.files)):
                path = own_file(one.folder, name)
                if path is None or file_sha256(path) != digest:
                    raise InputError("missing or changed since", where=one.folder / name)
            lines = sum(1 for line in one.lines() if _is_line(line, one.folder))
            reading = Reading(one.folder)
            files, last = 0, ""
            for entry in one.files():
                files, last = files + 1, _check_file(reading, entry, last)
            if (lines, files) != (len(one.facts.span), one.facts.file_count):
                raise InputError("another number of samples or files", where=one.folder)
        except InputError as error:
            return str(error)
        return None


def _is_line(line: dict[str, Any], folder: Path) -> bool:
    """Return True; raises InputError for a line that no build writes."""
    where = f"{folder / LINES}"
    if not nests(line, META_DEPTH + 1):
        raise InputError("a line nests too deep", where=where)
    if "refused" in line:
        if not isinstance(line["refused"], str):
            raise InputError("a refusal must be a text", where=where)
    elif not isinstance(checked_line(line, where).get("part"), dict):
        raise InputError("a line without its part", where=where)
    return True


def _check_file(reading: Reading, entry: dict[str, Any], last: str) -> str:
    """Return a listed file's path; raises InputError unless it is there as listed, after ``last``.

    Links are refused: the listed bytes shall be the shard's own.
    """
    name, where = entry.get("path"), reading.root / FILES
    if (
        not isinstance(name, str)
        or name <= last
        or str(PurePosixPath(name)) != name  # ./job.json is job.json, too
        or name.split("/")[0] in RESERVED
    ):
        raise InputError(f"the file name {str(name)[:80]!r} cannot be listed here", where=where)
    path = reading.inside(name, where)
    try:
        facts = path.lstat()
    except OSError as error:
        raise InputError("missing, or it cannot be read", where=path) from error
    same = stat.S_ISREG(facts.st_mode) and facts.st_size == entry.get("size")
    if not same or file_sha256(path) != entry.get("sha256"):
        raise InputError("changed since it was written", where=path)
    return name
