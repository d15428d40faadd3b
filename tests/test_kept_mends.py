"""What a refusal says to remove is removed, and the same command ends as if nothing had been."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from flawsmith.cli import cli
from flawsmith.data import jobs
from flawsmith.data.manifest import MANIFEST
from flawsmith.errors import InputError
from flawsmith.gen.training import warnings_of
from flawsmith.train.checkpoint import FACTS, OWN
from tests.gen_run_helpers import make_source as make_squares
from tests.gen_run_helpers import train_squares
from tests.run_helpers import FLAGS, figures_of, refusal_of, result_of
from tests.run_helpers import make_source as make_parts
from tests.trees import make_folder, tree_hash

# The whole line's end: what it says to remove, and nothing else of it.
MEND = re.compile(r"\(mend: remove (/\S+), and the same command makes it again\)$")


def called(*words: object) -> None:
    done = CliRunner().invoke(cli, [*map(str, words), "--workers", "1"])
    if done.exception:
        raise done.exception


def told(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


def named(said: str, path: Path) -> Path:
    """Return what is to be removed, as a person reads it."""
    assert said.startswith(f"{path}: "), said
    found = MEND.search(said)
    assert found, said
    return Path(found[1])


def damaged(path: Path) -> Path:
    content = json.loads(path.read_text())
    content["made_by"]["refused"] = 7
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("name", ["train", "test"])
def test_parts_of_a_split(tmp_path: Path, name: str) -> None:
    words = ("data", "split", make_folder(tmp_path / "in"), tmp_path / "out")
    called(*words)
    before = tree_hash(tmp_path / "out")
    path = damaged(tmp_path / "out" / name / MANIFEST)
    removed = named(told(lambda: called(*words)), path)
    assert removed == tmp_path / "out"
    shutil.rmtree(removed)
    called(*words)
    assert tree_hash(tmp_path / "out") == before


def test_parts_of_plates(tmp_path: Path) -> None:
    jobs.write_demo(tmp_path / "in", kind="plates", count=2, scale=0.1, seed=3, workers=1)
    words = ("data", "plates", tmp_path / "in", tmp_path / "out")
    called(*words)
    before = tree_hash(tmp_path / "out")
    for name in ("anode", "glass"):
        path = damaged(tmp_path / "out" / name / MANIFEST)
        removed = named(told(lambda: called(*words)), path)
        assert removed == tmp_path / "out"
        shutil.rmtree(removed)
        called(*words)
        assert tree_hash(tmp_path / "out") == before


def test_data_sets_of_a_run(tmp_path: Path) -> None:
    """A stage's candidates, and the data set that the run is for."""
    out = tmp_path / "out"
    words = (make_parts(tmp_path / "in"), out, "--features", "none", *FLAGS)
    result_of(*words)
    before = figures_of(out)
    for inner, folder in (
        ("stages/candidates-paste/data", "stages/candidates-paste"),
        ("dataset/train", "dataset"),
        ("dataset/synthetic", "dataset"),
    ):
        path = damaged(out / inner / MANIFEST)
        removed = named(refusal_of(*words), path)
        assert removed == out / folder
        shutil.rmtree(removed)
        result_of(*words)
        assert figures_of(out) == before


def change_state(checkpoint: Path, **changes: Any) -> None:
    path = checkpoint / FACTS
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("changes", [{"extra": {"health": 3}, OWN: None}, {"step": 7}, {"sums": 1}])
def test_a_checkpoint_of_a_finished_training(tmp_path: Path, changes: dict[str, Any]) -> None:
    source, run = make_squares(tmp_path / "in"), tmp_path / "run"
    given = {"arch": "dcgan", "steps": 2, "batch": 4, "checkpoint_every": 1}
    train_squares(source, run, **given)
    before = (run / "model.safetensors").read_bytes()
    newest = run / "state" / "00000002"
    change_state(newest, **changes)
    found = re.search(
        r"\(mend: remove (/\S+): the checkpoint before it, if there is one, counts then, and gen "
        r"train goes on from there\)$",
        told(lambda: warnings_of(run)),
    )
    assert found
    shutil.rmtree(found[1])
    # Of a stage of ``run`` that is all: it trains no more.
    assert not newest.exists()
    assert warnings_of(run) == []
    assert train_squares(source, run, **given).made == 1
    assert newest.is_dir()
    assert warnings_of(run) == []
    assert (run / "model.safetensors").read_bytes() == before
