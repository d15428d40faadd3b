"""Builds and staged folders: resumed, taken, finished, replaced; never half there."""

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flawsmith.data import staging
from flawsmith.data.build import JOURNAL, Built, Refused, build
from flawsmith.data.staging import staged
from flawsmith.data.writing import Spec
from flawsmith.errors import InputError
from flawsmith.sample import Sample
from tests.trees import tree_hash

JOB = {"command": "test", "seed": 1}


@dataclass(frozen=True)
class Grey:
    """Sample i is an image of grey i with a mask of one pixel; every fifth is refused."""

    def make(self, index: int) -> Sample | Refused:
        if index % 5 == 4:
            return Refused("a fifth one")
        masks = np.zeros((1, 4, 6), bool)
        masks[0, index % 4, 0] = index % 2
        label = "defective" if index % 2 else "good"
        name = f"s{index}"
        return Sample(name, np.full((4, 6), index, np.uint8), masks, label, name, {"i": index})


@dataclass(frozen=True)
class Broken:
    """As ``Grey``, until sample 7 raises."""

    def make(self, index: int) -> Sample | Refused:
        if index == 7:
            raise InputError("sample 7 is broken")
        return Grey().make(index)


def write(root: Path, recipe: Any = None, count: int = 12) -> Built:
    return build(
        root,
        recipe or Grey(),
        count,
        format_name="folder",
        spec=Spec(("a",)),
        made_by=JOB,
        workers=1,
        label="test",
    )


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, str]:
    """The tree that an undisturbed build writes."""
    built = write(tmp_path / "whole")
    assert built == Built({"good": 5, "defective": 5, "unknown": 0}, {"a fifth one": 2}, [])
    return tree_hash(tmp_path / "whole")


def test_content_of_a_build(tmp_path, whole):
    root = tmp_path / "whole"
    lines = [json.loads(line) for line in (root / "samples.jsonl").read_text().splitlines()]
    assert [line["meta"]["i"] for line in lines] == [0, 1, 2, 3, 5, 6, 7, 8, 10, 11]
    assert all("part" not in line for line in lines)
    manifest = json.loads((root / "dataset.json").read_text())
    assert manifest["samples"] == 10
    made_by = manifest["made_by"]
    assert (made_by["command"], made_by["seed"]) == ("test", 1)
    assert (made_by["refused"], made_by["notices"]) == ({"a fifth one": 2}, [])


@pytest.mark.parametrize("left", ["", "\n", '{"id": "s7", "ima'])
def test_journal_cut_and_partial_last_line(tmp_path, whole, left):
    root = tmp_path / "cut"
    with pytest.raises(InputError, match="sample 7"):
        write(root, Broken())
    journal = root / JOURNAL
    assert journal.read_text().count("\n") == 7
    lines = journal.read_bytes().splitlines(keepends=True)
    # The last line lost its end, or a later one was begun.
    journal.write_bytes(b"".join(lines[:6]) + lines[6].rstrip(b"\n") + left.encode())
    before = (root / "images/s0.png").stat().st_mtime_ns
    write(root)
    assert tree_hash(root) == whole
    assert (root / "images/s0.png").stat().st_mtime_ns == before


def test_a_finished_build_is_left_alone(tmp_path, whole):
    root = tmp_path / "whole"
    (root / JOURNAL).write_text("left by a kill just before its removal")
    assert write(root, Broken()).labels == {"good": 5, "defective": 5, "unknown": 0}
    assert tree_hash(root) == whole


def fail(out: Path, name: str) -> None:
    """Run a staged job that writes one file and fails."""
    with suppress(RuntimeError), staged(out, JOB) as stage:
        (stage.path / name).parent.mkdir(exist_ok=True)
        (stage.path / name).write_text("a")
        raise RuntimeError


def test_staged_appears_only_when_complete(tmp_path):
    out = tmp_path / "out"
    fail(out, "a")
    assert not out.exists()
    with staged(out, JOB) as stage:
        assert not stage.done
        assert (stage.path / "a").exists()
    assert sorted(tree_hash(out)) == ["a", "job.json"]
    assert not (tmp_path / "out.partial").exists()
    with staged(out, JOB) as stage:
        assert stage.done
        assert stage.path == out


def test_another_job_starts_afresh(tmp_path, capsys):
    out = tmp_path / "out"
    fail(out, "sub/a")
    with staged(out, {**JOB, "seed": 2}) as stage:
        assert sorted(tree_hash(stage.path)) == [".lock", "job.json"]
    assert "starting afresh" in capsys.readouterr().err


def test_what_is_there_is_not_overwritten(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    for overwrite in (False, True):  # flawsmith did not make it
        with pytest.raises(InputError, match="it exists"), staged(out, JOB, overwrite=overwrite):
            pass
    assert (out / "mine.txt").read_text() == "mine"
    partial = tmp_path / "new.partial"
    partial.mkdir()
    (partial / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="flawsmith did not write"), staged(tmp_path / "new", JOB):
        pass
    assert (partial / "mine.txt").read_text() == "mine"


def test_overwrite_replaces_our_own_only(tmp_path):
    out, old = tmp_path / "out", tmp_path / "out.replaced"
    with staged(out, JOB) as stage:
        (stage.path / "first").write_text("1")
    with pytest.raises(InputError, match="--overwrite"), staged(out, {**JOB, "seed": 2}):
        pass
    old.mkdir()
    with staged(out, {**JOB, "seed": 2}, overwrite=True) as stage:
        (stage.path / "second").write_text("2")
    assert sorted(tree_hash(out)) == ["job.json", "second"]
    assert not old.exists()


def test_an_empty_folder_and_a_relative_name_serve(tmp_path, monkeypatch):
    (tmp_path / "out/sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "out/sub")
    with staged(Path(), JOB) as stage:
        assert stage.path == tmp_path / "out/sub.partial"
    monkeypatch.chdir(tmp_path)
    assert (tmp_path / "out/sub/job.json").is_file()


HOLD = """
import sys
from pathlib import Path
from flawsmith.data.staging import staged
with staged(Path(sys.argv[1]), {"command": "test", "seed": 1}):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_at_work(tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-c", HOLD, str(out)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as other:  # type: ignore[call-overload]
        assert other.stdout.readline() == b"held\n"
        for job in (JOB, {**JOB, "seed": 2}):
            with pytest.raises(InputError, match="another process is writing"), staged(out, job):
                pass
        other.stdin.close()
        assert other.wait(20) == 0
    with staged(out, JOB) as stage:
        assert stage.done


def test_finished_by_another_between_look_and_lock(tmp_path, monkeypatch):
    out = tmp_path / "out"
    make, raced = staging.make_folder, []

    def race(path: Path) -> None:
        if not raced:
            raced.append(path)
            with staged(out, JOB) as stage:
                (stage.path / "a").write_text("a")
        make(path)

    monkeypatch.setattr(staging, "make_folder", race)
    with staged(out, JOB) as stage:
        assert stage.done
    assert (out / "a").read_text() == "a"
    assert not (tmp_path / "out.partial").exists()
