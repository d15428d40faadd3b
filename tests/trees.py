"""Whole folders compared by content, and small data sets to run jobs on."""

import hashlib
from pathlib import Path

import numpy as np

from flawsmith.data.images import write_png


def tree_hash(root: Path) -> dict[str, str]:
    """Return relative path -> SHA-256 of every file below ``root``, hidden ones too."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def make_folder(root: Path, count: int = 12, size: int = 24) -> Path:
    """Write a set in the layout ``folder``: classes a and b by turns, every third image clean.

    Two images in a row show the same part (``groups.csv``).
    """
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    (root / "classes.txt").write_text("a\nb\n")
    noise = np.random.default_rng(count * 1000 + size)
    rows = ["file,group"]
    for index in range(count):
        name = f"part_{index:03d}.png"
        write_png(root / "images" / name, noise.integers(0, 256, (size, size), np.uint8))
        mask = np.zeros((size, size), np.uint8)
        if index % 3:
            mask[2:5, 3 : 5 + index % 4] = 1 + index % 2
        write_png(root / "masks" / name, mask)
        rows.append(f"{name},g{index // 2}")
    (root / "groups.csv").write_text("\n".join(rows) + "\n")
    return root
