"""``flawsmith merge``."""

from pathlib import Path

import click

from flawsmith.commands.common import (
    emit,
    json_flag,
    out_argument,
    overwrite_flag,
    preview_flag,
    workers_flag,
)
from flawsmith.commands.division import made_lines


@click.command("merge")
@click.argument("shards", type=click.Path(path_type=Path, file_okay=False), nargs=-1, required=True)
@out_argument
@click.option("--copy", is_flag=True, help="Copy files; by default they are linked where possible.")
@preview_flag
@workers_flag
@overwrite_flag
@json_flag
def command(
    shards: tuple[Path, ...],
    out: Path,
    copy: bool,
    preview: Path | None,
    workers: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Join the shards of one job (--shard 1/N to N/N) as the data set OUT.

    OUT is, byte for byte, what the undivided job writes. Shards that are missing, there twice,
    unfinished, changed or another job's are named, and nothing is written. A linked file is the
    shard's own under a second name: the shards may be deleted, but do not edit them.

    \b
    Example:
      flawsmith augment photos/ shards/1 --method paste --count 1000000 --shard 1/64
      ... and so on, anywhere, to --shard 64/64 ...
      flawsmith merge shards/* pasted/
    """
    from flawsmith.augment.preview import check_preview, write_preview
    from flawsmith.data.merge import merge
    from flawsmith.data.shard_manifest import is_shard, read_shard
    from flawsmith.errors import InputError

    if is_shard(out):
        raise InputError("a shard, not the output", where=out, mend="name OUT after the shards")
    if preview is not None:
        check_preview(preview, read_shard(shards[0]).format)
    merged = merge(shards, out, copy=copy, overwrite=overwrite, workers=workers)
    if preview is not None:
        write_preview(out, preview)
    built = merged.built
    count = sum(built.labels.values())
    lines = [f"{out}: {count} samples of {len(shards)} shards"]
    lines.append(f"  {merged.linked} files linked, {merged.copied} copied")
    result = {
        "out": str(out),
        **vars(built),
        "shards": len(shards),
        "linked": merged.linked,
        "copied": merged.copied,
        "preview": str(preview) if preview else None,
    }
    emit(result, as_json, [*lines, *made_lines(built)])
