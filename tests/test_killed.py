"""Jobs killed with SIGKILL anywhere and run again end as if nothing had happened."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flawsmith.data.build import JOURNAL
from flawsmith.data.jobs import convert
from tests.killing import run_until
from tests.trees import make_folder, tree_hash

KILL_AT = [
    ("flawsmith.data.staging", "write_file", "before", 1),  # a bare partial folder
    ("flawsmith.data.staging", "write_file", "after", 1),  # job.json not yet in place
    ("flawsmith.data.folder", "write_picture", "before", 1),
    ("flawsmith.data.folder", "write_picture", "after", 9),  # an image without its mask
    ("flawsmith.data.folder", "finish", "before", 1),
    ("flawsmith.data.manifest", "write_file", "before", 1),  # samples.jsonl, no dataset.json
    ("flawsmith.data.build", "write_manifest", "after", 1),  # the journal is still there
    ("flawsmith.data.staging", "_sync", "after", 1),  # just before the renaming
    ("flawsmith.data.staging", "_remove_replaced", "before", 1),  # just after it
]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A source folder, and the tree that its conversion writes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    source = make_folder(folder / "source")
    convert(source, folder / "out", to="folder")
    return source, tree_hash(folder / "out")


@pytest.mark.parametrize("point", KILL_AT, ids=lambda p: f"{p[0].split('.')[-1]}.{p[1]}-{p[2]}")
def test_killed_and_run_again(tmp_path, undisturbed, point):
    source, wanted = undisturbed
    out = tmp_path / "out"
    run_until(point, "data", "convert", source, out, "--to", "folder", "--workers", 1)
    convert(source, out, to="folder")
    assert tree_hash(out) == wanted
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_killed_between_the_two_renamings(tmp_path, undisturbed):
    source, wanted = undisturbed
    out = tmp_path / "out"
    convert(source, out, to="severstal")
    out.rename(tmp_path / "out.replaced")
    convert(source, out, to="folder", overwrite=True)
    assert tree_hash(out) == wanted
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_one_and_three_workers_write_the_same(tmp_path, undisturbed):
    source, wanted = undisturbed
    built = convert(source, tmp_path / "out", to="folder", workers=3)
    assert tree_hash(tmp_path / "out") == wanted
    assert built.labels == {"good": 4, "defective": 8, "unknown": 0}


def test_two_workers_killed_at_work(tmp_path):
    source = make_folder(tmp_path / "source", count=24, size=500)
    out, journal = tmp_path / "out", tmp_path / "out.partial" / JOURNAL
    command = [sys.executable, "-m", "flawsmith", "data", "convert", source, out, "--to", "coco"]
    with subprocess.Popen([*map(str, command), "--workers", "2"]) as process:
        for _ in range(20_000):
            if journal.is_file() and journal.stat().st_size:
                break
            time.sleep(0.001)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not out.exists()
    done = journal.read_bytes().count(b"\n")
    assert 0 < done < 24
    convert(source, out, to="coco")
    convert(source, tmp_path / "other", to="coco")
    assert tree_hash(out) == tree_hash(tmp_path / "other")
