"""Tar shards for the webdataset library, written only: ``shard-000000.tar`` and so on.

A sample's members share the number before the first dot: ``00000012.png`` the image,
``00000012.mask.0.png`` a 0/255 picture for each class, in order, and ``00000012.json`` with id,
label, group and classes. The same samples give the same bytes.
"""

import io
import json
import shutil
import tarfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from flawsmith.data.images import encode_png
from flawsmith.data.writing import Lines, Spec, write_file, write_picture, writing_in
from flawsmith.sample import Sample

NAME = "webdataset"
SHARD_SIZE = 1000
MEMBERS = ".members"


def write_sample(root: Path, index: int, sample: Sample, spec: Spec) -> dict[str, Any]:
    """Write the members below ``.members/``; ``finish`` packs them.

    A sample of unknown label has no mask members: empty ones would say that it is clean.
    """
    key = f"{index:08d}"
    names = [write_picture(root / MEMBERS, key, sample, spec)]
    for number, mask in enumerate(sample.masks if sample.label != "unknown" else ()):
        names.append(f"{key}.mask.{number}.png")
        write_file(root / MEMBERS / names[-1], encode_png(mask.astype(np.uint8) * 255))
    facts = {
        "id": sample.id,
        "label": sample.label,
        "group": sample.group,
        "classes": list(spec.classes),
    }
    names.append(f"{key}.json")
    write_file(root / MEMBERS / names[-1], json.dumps(facts, ensure_ascii=False))
    shard = f"shard-{index // SHARD_SIZE:06d}.tar"
    return {"image": f"{shard}#{names[0]}", "shard": shard, "members": names}


def finish(root: Path, spec: Spec, lines: Lines) -> list[str]:
    """Pack the shards. A shard that is there is complete: an interrupted call may be repeated."""
    unknown = 0
    for shard, group in groupby(lines(), key=lambda line: str(line["part"]["shard"])):
        names: list[str] = []
        for line in group:
            names += line["part"]["members"]
            unknown += line["label"] == "unknown"
        with writing_in(root / shard):
            _pack(root, shard, names)
    shutil.rmtree(root / MEMBERS, ignore_errors=True)
    return [f"{unknown} samples of unknown label have no mask members"] if unknown else []


def _pack(root: Path, shard: str, names: Sequence[str]) -> None:
    """Write one tar under its final name when it is complete, and then remove its members."""
    path, temporary = root / shard, root / MEMBERS / shard
    if not path.exists():
        with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            for name in sorted(names):
                content = (root / MEMBERS / name).read_bytes()
                # A new TarInfo has time 0, owner 0 and no names: nothing of this machine.
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        temporary.replace(path)
    for name in names:
        (root / MEMBERS / name).unlink(missing_ok=True)
