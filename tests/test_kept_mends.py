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
from tests.run_helpers import FLAGS, figures_of
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
    assert "\n" not in str(caught.value)
    return str(caught.value)


def named(said: str, path: Path) -> Path:
    """Return what is to be removed, as a person reads it."""
    assert said.startswith(f"{path}: "), said
    found = MEND.search(said)
    assert found, said
    return Path(found[1])


def damaged(path: Path) -> None:
    content = json.loads(path.read_text())
    content["made_by"]["refused"] = 7
    path.write_text(json.dumps(content))


def follow(
    path: Path, folder: Path, call: Callable[[], object], figures: Callable[[], object]
) -> None:
    """Damage a manifest, do what the line says, and find all as it was.

    folder: what is to be removed; call: the command; figures: what it leaves.
    """
    before = figures()
    damaged(path)
    removed = named(told(call), path)
    assert removed == folder
    shutil.rmtree(removed)
    call()
    assert figures() == before


@pytest.mark.parametrize("name", ["train", "test"])
def test_parts_of_a_split(tmp_path: Path, name: str) -> None:
    source, out = make_folder(tmp_path / "in"), tmp_path / "out"

    def split() -> None:
        called("data", "split", source, out)

    split()
    follow(out / name / MANIFEST, out, split, lambda: tree_hash(out))


def test_parts_of_plates(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    jobs.write_demo(source, kind="plates", count=2, scale=0.1, seed=3, workers=1)

    def crop() -> None:
        called("data", "plates", source, out)

    crop()
    for name in ("anode", "glass"):
        follow(out / name / MANIFEST, out, crop, lambda: tree_hash(out))


def test_data_sets_of_a_run(tmp_path: Path) -> None:
    """A stage's candidates, and the data set that the run is for."""
    out = tmp_path / "out"
    words = ("run", make_parts(tmp_path / "in"), out, "--features", "none", *FLAGS)
    called(*words)
    for inner, folder in (
        ("stages/candidates-paste/data", "stages/candidates-paste"),
        ("dataset/train", "dataset"),
        ("dataset/synthetic", "dataset"),
    ):
        follow(
            out / inner / MANIFEST, out / folder, lambda: called(*words), lambda: figures_of(out)
        )


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
