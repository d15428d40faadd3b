"""Folders that are broken or malicious, and the command line called on them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result

from flawsmith.cli import cli
from flawsmith.data.images import encode_jpeg
from tests.format_helpers import save_grey, save_mask

ROW = "ImageId,ClassId,EncodedPixels\n"


def call(*words: object) -> Result:
    return CliRunner().invoke(cli, [*map(str, words), *(["--workers", "1"] if words else [])])


def run(*words: object, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """The installed command in a process of its own, on a terminal-less UTF-8 system."""
    return subprocess.run(
        [sys.executable, "-m", "flawsmith", *map(str, words)],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        cwd=cwd,
        env=os.environ | {"PYTHONSAFEPATH": "1", "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"},
        check=False,
    )


def assert_one_line(done: "subprocess.CompletedProcess[str]", *words: str) -> str:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert line.startswith("flawsmith: ")
    for word in words:
        assert word in line
    return line


def two(root: Path) -> Path:
    """Two good pairs to stand beside the bad one."""
    for name in ("ok1", "ok2"):
        save_grey(root / f"images/{name}.png")
        save_mask(root / f"masks/{name}.png")
    return root


def truncated_image(root: Path) -> Path:
    path = save_grey(two(root) / "images/bad.png", 60, 80)
    path.write_bytes(path.read_bytes()[:80])
    return root


def truncated_mask(root: Path) -> Path:
    save_grey(two(root) / "images/bad.png", 60, 80)
    path = save_mask(root / "masks/bad.png", 60, 80)
    path.write_bytes(path.read_bytes()[:80])
    return root


def text_as_image(root: Path) -> Path:
    (two(root) / "images/bad.png").write_text("no picture")
    return root


def mask_of_another_size(root: Path) -> Path:
    save_grey(two(root) / "images/bad.png")
    save_mask(root / "masks/bad.png", 8, 6)
    return root


def unknown_value(root: Path) -> Path:
    save_grey(two(root) / "images/bad.png")
    save_mask(root / "masks/bad.png", value=99)
    (root / "classes.txt").write_text("crack\n")
    return root


def shared_id(root: Path) -> Path:
    save_grey(two(root) / "images/bad.png")
    (root / "images/bad.jpg").write_bytes(encode_jpeg(np.zeros((6, 8), np.uint8)))
    return root


def control_character(root: Path) -> Path:
    save_grey(two(root) / "images/bad\n\x1b[2Jx.png")
    return root


def not_utf8(root: Path) -> Path:
    path = save_grey(two(root) / "images/tmp.png")
    path.rename(path.parent / os.fsdecode(b"bad\xff.png"))
    return root


def severstal(row: str) -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        for name in ("ok1", "ok2", "bad"):
            save_grey(root / f"train_images/{name}.png")
        (root / "train.csv").write_text(ROW + "ok1.png,1,1 2\n" + row + "\n")
        return root

    return make


def coco(**change: Any) -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        names = ("ok1", "ok2", "bad")
        for name in names:
            save_grey(root / f"images/{name}.png")
        images = [{"id": i, "file_name": f"{name}.png"} for i, name in enumerate(names)]
        square = {"category_id": 1, "segmentation": [[1, 1, 4, 1, 4, 4]]}
        marks = [{"id": i, "image_id": i} | square for i in range(3)]
        images[2] |= change.get("image", {})
        marks[2] |= change.get("mark", {})
        content = {
            "images": images,
            "annotations": marks,
            "categories": [{"id": 1, "name": "crack"}],
        }
        (root / "annotations.json").write_text(json.dumps(content))
        return root

    return make


def manifest(**change: Any) -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        save_grey(two(root) / "images/bad.png")
        content = {"flawsmith": 1, "format": "folder", "classes": ["x"]}
        (root / "dataset.json").write_text(json.dumps(content))
        lines = [
            {"id": name, "image": f"images/{name}.png", "label": "unknown", "group": name}
            for name in ("ok1", "ok2", "bad")
        ]
        lines[2] |= change
        (root / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return root

    return make


BROKEN, REPLACE = "broken or cut short", "replace or remove"
OUTSIDE, NAMES = "outside of the data folder", "use names"
ENTRY, MARK = "annotations.json: images[2]", "annotations.json: annotations[2]"
CONTROLS = "images/bad\\n\\x1b[2Jx.png"
# name: (what makes the folder, the file that is to blame, words of the message, of the mend)
CASES: dict[str, tuple[Callable[[Path], Path], str, str, str]] = {
    "truncated image": (truncated_image, "images/bad.png", BROKEN, REPLACE),
    "truncated mask": (truncated_mask, "masks/bad.png", BROKEN, REPLACE),
    "text as image": (text_as_image, "images/bad.png", "not a picture", REPLACE),
    "mask size": (mask_of_another_size, "masks/bad.png", "6x8, its image 8x6", "draw or export"),
    "mask value": (unknown_value, "masks/bad.png", "the value 99", "classes.txt"),
    "shared id": (shared_id, "images/bad.", "two images share the id 'bad'", "rename one"),
    "control character": (control_character, CONTROLS, "file name", "rename it"),
    "not UTF-8": (not_utf8, "images/bad\\udcff.png", "cannot be a file name", "rename it"),
    "csv class": (severstal("bad.png,7,1 2"), "train.csv:3", "unknown ClassId '7'", ""),
    "csv twice": (severstal("bad.png,1,1 2\nbad.png,1,5 1"), "train.csv:4", "second row", ""),
    "csv runs": (severstal("bad.png,1,1 2 3"), "train.csv:3", "3 numbers", ""),
    "csv up": (severstal("../bad.png,1,1 2"), "train.csv:3", OUTSIDE, NAMES),
    "csv absolute": (severstal("/etc/bad.png,1,1 2"), "train.csv:3", OUTSIDE, NAMES),
    "json up": (coco(image={"file_name": "../../bad.png"}), ENTRY, OUTSIDE, NAMES),
    "json absolute": (coco(image={"file_name": "/etc/passwd"}), ENTRY, OUTSIDE, NAMES),
    "json id twice": (coco(image={"id": 1}), ENTRY, "occurs twice", ""),
    "json class": (coco(mark={"category_id": 8}), MARK, "unknown category_id 8", ""),
    "json box": (coco(mark={"segmentation": []}), MARK, "no 'segmentation'", "export"),
    "lines up": (manifest(image="../bad.png"), "samples.jsonl:3", OUTSIDE, NAMES),
    "lines absolute": (manifest(image="/bad.png"), "samples.jsonl:3", OUTSIDE, NAMES),
    "lines id twice": (manifest(id="ok1"), "samples.jsonl:3", "'ok1' is named twice", ""),
    "lines id": (manifest(id="../../x"), "samples.jsonl:3", "cannot be a file name", "rename it"),
}  # fmt: skip
