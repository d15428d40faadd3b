"""Weights and checkpoints with bytes changed, and with settings that ask for too much.

None runs code, none takes more memory than its bytes account for, and all else is InputError.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load, save

from flawsmith.errors import CONTROL, InputError
from flawsmith.evaluate.detectors.registry import load_detector, open_detector
from flawsmith.evaluate.segmenter.predict import load_predictor
from flawsmith.gen.sampler import load_sampler
from flawsmith.inpaint.painter import load_painter
from flawsmith.train.checkpoint import load_checkpoint
from flawsmith.train.runs import read_job
from flawsmith.train.weights import file_sha256
from tests import gen_run_helpers, inpaint_run_helpers, segmenter_helpers
from tests.feature_helpers import one_thread  # noqa: F401
from tests.fuzzing import BRIEFLY, MIB, changed, edits, only_inside
from tests.train_helpers import Toy, run_toy

LOADERS: dict[str, Callable[[Path], object]] = {
    "gen": lambda run: load_sampler(run, "cpu"),
    "inpaint": lambda run: load_painter(run, "cpu"),
    "segment": lambda run: load_predictor(run, "cpu"),
    "knn": lambda run: load_detector(run / "model.safetensors", "cpu"),
    "cvae": lambda run: load_detector(run / "model.safetensors", "cpu"),
}


# A segmenter takes ten times as long to build as the others.
OFTEN = st.sampled_from(["gen", "inpaint", "knn", "cvae"] * 3 + ["segment"])


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The weights of a run of each kind."""
    root = tmp_path_factory.mktemp("weights")
    squares, shapes = root / "squares", root / "shapes"
    gen_run_helpers.train_squares(
        gen_run_helpers.make_source(squares), root / "gen", arch="dcgan", steps=1
    )
    inpaint_run_helpers.train_shapes(
        inpaint_run_helpers.make_source(shapes, 3, 2), root / "inpaint", steps=1
    )
    learned, _ = segmenter_helpers.shapes_of(root / "marks")
    segmenter_helpers.train_shapes(learned, root / "segment", changes={"steps": 1})
    tiny = {"width": 1, "latent": 2, "epochs": 1, "batch": 4}
    for name, options in (("knn", {"most": 50}), ("cvae", tiny)):
        (root / name).mkdir()
        detector = open_detector(name, options, "cpu")
        detector.fit([np.full((32, 32), 90 + i, np.uint8) for i in range(12)])
        detector.save(root / name / "model.safetensors")
    for name, open_one in LOADERS.items():
        open_one(root / name)
    return {name: (root / name / "model.safetensors").read_bytes() for name in LOADERS}


def attempt(content: bytes, name: str, bound: int = 256 * MIB) -> str:
    """Load weights from a folder of their own; return the refusal, or nothing."""
    with TemporaryDirectory() as folder:
        run = Path(folder).resolve()
        (run / "model.safetensors").write_bytes(content)
        try:
            with only_inside(run, name=f"weights {name}", bound=bound):
                LOADERS[name](run)
        except InputError as error:
            return plain(error)
    return ""


def plain(error: InputError) -> str:
    """Return what an error says; it must be fit for a terminal."""
    said = str(error)
    assert not CONTROL.search(said), said
    return said


@BRIEFLY
@given(OFTEN, edits, st.booleans())
def test_weights(weights, name, changes, in_header) -> None:
    content = weights[name]
    head = int.from_bytes(content[:8], "little") + 8
    attempt(changed(content, changes, head if in_header else 0), name)


numbers = st.sampled_from([0, -1, 1, 3, 10**5, 10**9, 2**63, 10**30, 0.5, 1e300, "x", None, []])


@BRIEFLY
@given(OFTEN, st.data())
def test_settings_in_weights(weights, name, data) -> None:
    """The header is well-formed, and one of its facts is another."""
    content = weights[name]
    facts = _facts(content)
    places = list(_places(facts))
    where = data.draw(st.sampled_from(places))
    attempt(_with(content, _put(facts, where, data.draw(numbers))), name)


BIG = {
    "cvae": ({"config.settings.width": 512}, "detector"),
    "gen": ({"config.shape.height": 4096, "config.shape.width": 4096}, "generator"),
    "inpaint": ({"config.settings.width": 512}, "painter"),
    "segment": ({"config.classes": [str(i) for i in range(20_000)]}, "segmenter"),
}


@pytest.mark.parametrize("name", BIG)
def test_a_small_file_cannot_ask_for_a_large_network(weights, name: str) -> None:
    facts, (asked, what) = _facts(weights[name]), BIG[name]
    for place, value in asked.items():
        facts = _put(facts, tuple(place.split(".")), value)
    told = attempt(_with(weights[name], facts), name, bound=128 * MIB)
    assert f"no {what} of flawsmith" in told or "not this flawsmith's" in told


def _facts(content: bytes) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        path.write_bytes(content)
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["flawsmith"])
    return facts


def _with(content: bytes, facts: dict[str, Any]) -> bytes:
    return bytes(save(load(content), {"flawsmith": json.dumps(facts)}))


def _places(value: Any, at: tuple[Any, ...] = ()) -> Any:
    """Yield the place of every fact."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from _places(value[key], (*at, key))
    if at:
        yield at


def _put(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    """Return a copy with another value at a place."""
    if not at:
        return new
    if isinstance(value, dict):
        return {**value, at[0]: _put(value.get(at[0]), at[1:], new)}
    return [_put(one, at[1:], new) if i == at[0] else one for i, one in enumerate(value)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "run"
    run_toy(folder, steps=4)
    return folder


FILES = ("state.json", "tensors.safetensors")


@BRIEFLY
@given(st.sampled_from(FILES), edits, st.booleans())
def test_checkpoints(run, name, changes, matching) -> None:
    """matching: the tensors' hash is put right, as somebody would who means ill."""
    with TemporaryDirectory() as folder:
        place = Path(folder).resolve() / "00000004"
        shutil.copytree(run / "state" / "00000004", place)
        path = place / name
        path.write_bytes(changed(path.read_bytes(), changes, 400))
        state = json.loads((run / "state" / "00000004" / "state.json").read_text())
        if matching and name == FILES[1]:
            state["sha256"] = file_sha256(path)
            state.pop("own_sha256")
            (place / FILES[0]).write_text(json.dumps(state))
        toy = Toy()
        models = {**toy.models, "(ema)": Toy().models["generator"]}
        try:
            with only_inside(place, name="checkpoint"):
                load_checkpoint(place, models, toy.optimizers)
        except InputError as error:
            plain(error)


@BRIEFLY
@given(edits)
def test_config_json_of_a_run(run, changes) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        (root / "config.json").write_bytes(changed((run / "config.json").read_bytes(), changes))
        try:
            with only_inside(root, name="config.json"):
                assert isinstance(read_job(root), dict)
        except InputError as error:
            plain(error)


@pytest.mark.parametrize("key", ["lr", "betas", "step"])
def test_a_checkpoint_whose_facts_changed_is_refused(tmp_path: Path, run: Path, key: str) -> None:
    """Once a wrong digit in an optimiser's rate was taken for what had been written."""
    place = shutil.copytree(run / "state" / "00000004", tmp_path / "00000004")
    text = (place / "state.json").read_text()
    at = text.index(f'"{key}"') if f'"{key}"' in text else text.index("step")
    digit = next(i for i in range(at, len(text)) if text[i].isdigit())
    other = text[:digit] + str((int(text[digit]) + 1) % 10) + text[digit + 1 :]
    (place / "state.json").write_text(other)
    toy = Toy()
    models = {**toy.models, "(ema)": Toy().models["generator"]}
    with pytest.raises(InputError):
        load_checkpoint(place, models, toy.optimizers)
