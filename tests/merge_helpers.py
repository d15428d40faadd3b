"""Small divided jobs: shards and the undivided job's folder, and shards made dishonest."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flawsmith.data.build import Built, build
from flawsmith.data.division import Shard, part_of
from flawsmith.data.shard_manifest import FILES, LINES, SHARD
from flawsmith.data.staging import staged
from flawsmith.data.writing import Spec
from tests.test_staging_build import Grey

COUNT = 12
JOB = {"command": "test", "flawsmith": "0", "settings": {"seed": 1, "count": COUNT}}


def write(
    out: Path,
    shard: Shard | None = None,
    *,
    job: dict[str, Any] = JOB,
    to: str = "folder",
    recipe: Any = None,
    count: int = COUNT,
) -> Built:
    """Write a job of grey images, every fifth of them refused, or a shard of it."""
    with staged(out, part_of(job, count, shard)) as stage:
        return build(
            stage.path,
            recipe or Grey(),
            count,
            format_name=to,
            spec=Spec(("a",)),
            made_by=job,
            workers=1,
            label="test",
            shard=shard,
        )


def write_shards(root: Path, of: int = 3, **more: Any) -> list[Path]:
    """Write all shards of a job into ``root/1`` and so on; return the folders."""
    folders = [root / str(number) for number in range(1, of + 1)]
    for number, folder in enumerate(folders, 1):
        write(folder, Shard(number, of), **more)
    return folders


def change_manifest(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / SHARD).read_text())
    (folder / SHARD).write_text(json.dumps(content | changes))


def rewrite(folder: Path, name: str, change: Callable[[list[Any]], Any]) -> None:
    """Change the entries of files.jsonl or lines.jsonl in place, and make its digest fit."""
    entries = [json.loads(line) for line in (folder / name).read_text().splitlines()]
    change(entries)
    content = "".join(json.dumps(entry) + "\n" for entry in entries).encode()
    (folder / name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    if name == FILES:
        change_manifest(folder, files=digest, file_count=len(entries))
    else:
        assert name == LINES
        change_manifest(folder, lines=digest)
