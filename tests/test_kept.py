"""Files of our own that are not as they were written: which line is told, with which mend."""

import errno
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flawsmith.data.kept import SEAL, as_written, check_seal, fits, read_kept, seal
from flawsmith.data.manifest import MANIFEST, SAMPLES
from flawsmith.data.staging import JOB, job_digest
from flawsmith.data.writing import write_file
from flawsmith.errors import InputError
from flawsmith.gen.plots import PLOT, write_losses
from flawsmith.pipeline.stages import Stages
from flawsmith.train.runs import METRICS, WEIGHTS
from tests.trees import tree_hash

AGAIN = "and the same command makes it again"


def refusal(call: Callable[..., object], *args: object) -> str:
    with pytest.raises(InputError) as caught:
        call(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def sealed(folder: Path) -> Path:
    (folder / "plan.json").write_text("{}")
    seal(folder, ())
    check_seal(folder)
    return folder / SEAL


def write_seal(path: Path, files: Any) -> None:
    path.write_text(json.dumps({"files": files, "sha256": job_digest(files)}))


@pytest.mark.parametrize(
    "name",
    ["/home/user/thesis.txt", "../thesis.txt", "a/b", "./plan.json", "a\\b", "", ".", "..", "a\0b"],
)
def test_a_seal_names_files_of_its_folder_alone(tmp_path: Path, name: str) -> None:
    """The mend is of that folder: nobody is told to remove another one."""
    path = sealed(tmp_path)
    write_seal(path, {name: "0" * 64})
    wanted = f"{path}: names no file of this folder (mend: remove {tmp_path}, {AGAIN})"
    assert refusal(check_seal, tmp_path) == wanted


def test_a_seal_holds_its_own_digest(tmp_path: Path) -> None:
    path = sealed(tmp_path)
    content = json.loads(path.read_text())
    mend = f"(mend: remove {tmp_path}, {AGAIN})"
    path.write_text(json.dumps(content | {"files": {}}))
    assert refusal(check_seal, tmp_path) == f"{path}: its digest is another one {mend}"
    for other in ({}, content["files"], {"files": content["files"]}, []):
        path.write_text(json.dumps(other))
        said = refusal(check_seal, tmp_path)
        assert said.startswith(f"{path}: not as it was written: ")
        assert said.endswith(mend)


def make_stage(out: Path, made: list[str], **files: str) -> Path:
    """Make a stage of a run with these files at its top, anew if it is not there."""

    def work(folder: Path) -> None:
        made.append(folder.name)
        for name, text in files.items():
            write_file(folder / name, text)

    return Stages(out).make("plan", {"seed": 1}, (), work)


def test_a_lost_seal_is_told_and_its_mend_works(tmp_path: Path) -> None:
    made: list[str] = []
    files = {"plan.json": "{}"}
    folder = make_stage(tmp_path, made, **files)
    before = tree_hash(folder)
    (folder / SEAL).unlink()
    said = refusal(lambda: make_stage(tmp_path, made, **files))
    assert said == f"{folder / SEAL}: it is missing (mend: remove {folder}, {AGAIN})"
    assert len(made) == 1
    shutil.rmtree(folder)
    make_stage(tmp_path, made, **files)
    assert len(made) == 2
    assert tree_hash(folder) == before
    # A stage of an earlier version: no note in its job.json, and no seal.
    job = json.loads((folder / JOB).read_text())
    assert job.pop("sealed") is True
    (folder / JOB).write_text(json.dumps(job))
    (folder / SEAL).unlink()
    make_stage(tmp_path, made, **files)
    assert len(made) == 2


def test_lines_that_no_review_writes_are_sealed(tmp_path: Path) -> None:
    """samples.jsonl is a person's in a data set alone."""
    files = {SAMPLES: '{"accepted": true}\n', "filter.json": "{}"}
    selection = make_stage(tmp_path / "selection", [], **files)
    data = make_stage(tmp_path / "data", [], **files, **{MANIFEST: "{}"})
    for folder in (selection, data):
        (folder / SAMPLES).write_text('{"accepted": false}\n')
    make_stage(tmp_path / "data", [], **files, **{MANIFEST: "{}"})
    said = refusal(lambda: make_stage(tmp_path / "selection", [], **files))
    assert said.startswith(f"{selection / SAMPLES}: changed since it was written (mend: remove")


@pytest.mark.parametrize("shape", [float, float | None, dict[str, float], list[float], int])
def test_no_number_is_too_large_for_a_float(shape: Any) -> None:
    def held(number: int) -> Any:
        return {dict[str, float]: {"a": number}, list[float]: [number]}.get(shape, number)

    fits(held(2**1023), shape)
    with pytest.raises(ValueError, match=r"valid (number|integer)"):
        fits(held(10**400), shape)
    # What is not asked for may hold anything, a user's seed, say; and digits are no number.
    fits({"seed": 10**400, "name": "9" * 400}, dict[str, Any])


@pytest.mark.parametrize("cause", [PermissionError(errno.EACCES, "no"), OSError(errno.EIO, "I/O")])
def test_what_a_disk_refuses_is_not_to_be_removed(tmp_path: Path, cause: OSError) -> None:
    with pytest.raises(InputError) as caught, as_written(tmp_path / "a.json"):
        raise InputError("cannot be read", where="there", mend="mount it") from cause
    assert str(caught.value) == "there: cannot be read (mend: mount it)"


def test_what_is_not_there_or_a_folder_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("missing", "folder"):
        said = refusal(read_kept, tmp_path / name, Any)
        assert "cannot be read" in said
        assert said.endswith(f"(mend: remove {tmp_path}, {AGAIN})")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "mend" not in refusal(read_kept, tmp_path / "loop", Any)


def metrics(run: Path, *lines: str) -> Path:
    (run / WEIGHTS).write_bytes(b"of hours")
    (run / METRICS).write_text("".join(line + "\n" for line in lines))
    return run / METRICS


GOOD = '{"step": 1, "losses": {"g_loss": 0.5}}'
DIGITS = "9" * 400
WRONG = {
    "half a line": '{"step": 2, "los',
    "no object": "[]",
    "a text": '{"step": "2", "losses": {}}',
    "a step of 400 digits": f'{{"step": {DIGITS}, "losses": {{"g_loss": 0.5}}}}',
    "a step below nothing": '{"step": -1, "losses": {"g_loss": 0.5}}',
    "a loss of 400 digits": f'{{"step": 2, "losses": {{"g_loss": {DIGITS}}}}}',
    "an infinite loss": '{"step": 2, "losses": {"g_loss": 1e999}}',
    "a loss that is none": '{"step": 2, "losses": {"g_loss": NaN}}',
    "a loss of 308 digits": '{"step": 2, "losses": {"g_loss": -1e308}}',
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_line_of_metrics_is_removed_not_the_run(tmp_path: Path, fault: str) -> None:
    path = metrics(tmp_path, GOOD, WRONG[fault])
    said = refusal(write_losses, tmp_path)
    assert said.startswith(f"{path}:2: ")
    assert said.endswith("(mend: remove the line)")
    assert not (tmp_path / PLOT).exists()
    path.write_text(path.read_text().split("\n")[0] + "\n")
    assert write_losses(tmp_path).is_file()


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_metrics_that_are_no_text_cost_no_weights(tmp_path: Path, content: bytes | None) -> None:
    path = metrics(tmp_path)
    path.unlink()
    if content:
        path.write_bytes(content)
    said = refusal(write_losses, tmp_path)
    assert said.startswith(f"{path}: ")
    assert re.search(r"\(mend: put an empty file there: .*not drawn\)$", said)
    path.write_bytes(b"")
    assert write_losses(tmp_path).is_file()


def test_the_largest_losses_are_drawn(tmp_path: Path) -> None:
    """Those that float32 holds, over the most steps."""
    large = f'{{"step": {1 << 53}, "losses": {{"g_loss": -3.4e38, "d_loss": 3.4e38}}}}'
    metrics(tmp_path, GOOD, large)
    assert write_losses(tmp_path).is_file()


def test_what_a_desktop_leaves_is_not_sealed(tmp_path: Path) -> None:
    """It changes and goes by itself, and what it lies beside is as good as before."""
    (tmp_path / "plan.json").write_text("{}")
    (tmp_path / ".DS_Store").write_bytes(b"icons")
    seal(tmp_path, ())
    assert set(json.loads((tmp_path / SEAL).read_text())["files"]) == {"plan.json"}
    (tmp_path / ".DS_Store").unlink()
    check_seal(tmp_path)
