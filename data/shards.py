"""Tar shards for the webdataset library, written only: ``shard-000000.tar`` and so on.

A sample's members share the number before the first dot: ``00000012.png`` the image,
``00000012.mask.0.png`` a 0/255 picture for each class, in order, and ``00000012.json`` with id,
label, group and classes. The same samples give the same bytes.

Members wait in a folder of their shard below ``.members/`` and are packed as soon as it is whole,
so that no folder holds more files than one shard has, however many samples are written.
"""

import io
import json
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from flawsmith.data.images import encode_png, unshare
from flawsmith.data.writing import Lines, Spec, write_file, write_picture, writing_in
from flawsmith.sample import Sample

NAME = "webdataset"
SHARD_SIZE = 1000
MEMBERS = ".members"
SHARD = re.compile(r"shard-[0-9]{6,}")


def write_sample(root: Path, index: int, sample: Sample, spec: Spec) -> dict[str, Any]:
    """Write the members below ``.members/``; ``settle`` and ``finish`` pack them.

    A sample of unknown label has no mask members: empty ones would say that it is clean.
    """
    key, shard = f"{index:08d}", _shard_of(index)
    folder = root / MEMBERS / shard
    image = write_picture(folder, key, sample, spec)
    for number, mask in enumerate(sample.masks if sample.label != "unknown" else ()):
        write_file(folder / f"{key}.mask.{number}.png", encode_png(mask.astype(np.uint8) * 255))
    facts = {
        "id": sample.id,
        "label": sample.label,
        "group": sample.group,
        "classes": list(spec.classes),
    }
    write_file(folder / f"{key}.json", json.dumps(facts, ensure_ascii=False))
    return {"image": f"{shard}.tar#{image}"}


def settle(root: Path, first: int, index: int) -> None:
    """Pack the shard that sample ``index`` completes, if all of it was made here.

    first: where this job begins; of a shard that began before, another job has the rest.
    """
    begin = index - index % SHARD_SIZE
    if index + 1 == begin + SHARD_SIZE and first <= begin:
        _pack(root, root / MEMBERS / _shard_of(index))


def finish(root: Path, spec: Spec, lines: Lines) -> list[str]:
    """Pack what still waits. An interrupted call may be repeated."""
    waiting = root / MEMBERS
    for folder in sorted(waiting.iterdir()) if waiting.is_dir() else ():
        if SHARD.fullmatch(folder.name):
            _pack(root, folder)
    shutil.rmtree(waiting, ignore_errors=True)
    unknown = sum(line["label"] == "unknown" for line in lines())
    return [f"{unknown} samples of unknown label have no mask members"] if unknown else []


def _shard_of(index: int) -> str:
    return f"shard-{index // SHARD_SIZE:06d}"


def _pack(root: Path, folder: Path) -> None:
    """Write one tar under its final name when it is complete, and then remove its members.

    A tar that is there is complete: a kill may have come while its members were removed.
    """
    path, temporary = root / f"{folder.name}.tar", root / MEMBERS / f"{folder.name}.tar"
    with writing_in(path):
        if folder.is_dir() and not path.exists():
            unshare(temporary)
            with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
                for member in sorted(folder.iterdir()):
                    content = member.read_bytes()
                    # A new TarInfo has time 0, owner 0 and no names: nothing of this machine.
                    entry = tarfile.TarInfo(member.name)
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))
            temporary.replace(path)
    shutil.rmtree(folder, ignore_errors=True)
