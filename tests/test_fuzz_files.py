"""Valid files of every kind with bytes changed: they are read, or refused in one line.

Each kind has its valid file as a start; NAMED holds changes that once were a fault.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.data.images import encode_bmp, encode_jpeg, encode_png
from flawsmith.data.jobs import convert
from flawsmith.data.scan import scan
from flawsmith.data.staging import staged
from flawsmith.errors import CONTROL, InputError
from flawsmith.evaluate.detect_settings import DetectSettings
from flawsmith.evaluate.feature_store import KEY, FeatureStore
from flawsmith.pipeline.costs import Costs
from flawsmith.pipeline.settings import RunSettings
from flawsmith.settings import load_settings
from flawsmith.studio.decisions import Decisions
from flawsmith.studio.paths import Roots
from tests.fuzzing import BOMB, BRIEFLY, MERGES, changed, edits, only_inside
from tests.trees import make_folder

JOB = {"command": "x", "settings": {"count": 3, "names": ["a", "b"]}, "flawsmith": "0"}


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """A small set in each format: its files by their path."""
    root = tmp_path_factory.mktemp("sets")
    source = make_folder(root / "folder", count=3, size=12)
    for name in ("severstal", "coco", "yolo-seg", "mvtec"):
        convert(source, root / name, to=name)
    convert(source, root / "own", to="folder")
    return {
        path.name: {
            file.relative_to(path).as_posix(): file.read_bytes()
            for file in sorted(path.rglob("*"))
            if file.is_file()
        }
        for path in root.iterdir()
    }


def plain(error: InputError) -> None:
    """What an error says must be fit for a terminal."""
    assert not CONTROL.search(str(error)), str(error)


def read(root: Path) -> None:
    for on_error in ("stop", "skip"):
        with suppress(InputError):
            found = scan(read_dataset(root, ReadOptions(on_error=on_error)), on_error=on_error)
            for sample in found.dataset:
                assert sample.masks.shape[0] == len(found.dataset.classes)


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def attempt(files: dict[str, bytes], look: Callable[[Path], object], name: str) -> None:
    """Write the files and look at them; InputError of one line may come out, nothing else."""
    with TemporaryDirectory() as folder:
        root = write(Path(folder).resolve(), files)
        try:
            with only_inside(root, name=name):
                look(root)
        except InputError as error:
            plain(error)


TABLES = (
    ("folder", "groups.csv"), ("folder", "classes.txt"), ("severstal", "train.csv"),
    ("coco", "annotations.json"), ("coco", "dataset.json"), ("yolo-seg", "data.yaml"),
    ("yolo-seg", "labels"), ("own", "dataset.json"), ("own", "samples.jsonl"),
    ("folder", "masks"), ("folder", "images"), ("mvtec", "ground_truth"),
)  # fmt: skip


@BRIEFLY
@given(st.sampled_from(TABLES), edits, st.booleans())
def test_data_sets(sets, table, changes, alone) -> None:
    name, part = table
    files = dict(sets[name])
    if alone:  # without what flawsmith wrote beside it
        files = {k: v for k, v in files.items() if k not in ("dataset.json", "samples.jsonl")}
    place = next((k for k in files if k.startswith(part)), None)
    if place is not None:
        files[place] = changed(files[place], changes, 120 if place.endswith("png") else 0)
        attempt(files, read, f"{name} {part}")


NOISE = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
PICTURES = {
    "a.png": encode_png(NOISE),
    "a.jpg": encode_jpeg(NOISE),
    "a.bmp": encode_bmp(NOISE),
}


@BRIEFLY
@given(st.sampled_from(sorted(PICTURES)), edits)
def test_pictures(name, changes) -> None:
    content = changed(PICTURES[name], changes, 60)
    attempt({f"images/{name}": content, "images/b.png": PICTURES["a.png"]}, read, name)


@BRIEFLY
@given(edits, st.booleans())
def test_job_json(changes, partial) -> None:
    text = changed(json.dumps(JOB, indent=2).encode(), changes)

    def look(root: Path) -> None:
        with staged(root / "out", JOB):
            pass

    attempt({f"out{'.partial' * partial}/job.json": text}, look, "job.json")


SETTINGS = {
    "run": (RunSettings, {"count": 5, "seed": 1, "methods": ["paste"], "paste": {"feather": 2}}),
    "detect": (DetectSettings, {"seeds": 2, "options": {"knn": {"most": 100}}}),
}


def settings_from(which: str) -> Callable[[Path], object]:
    model = SETTINGS[which][0]
    return lambda root: load_settings(model, root / "c.yaml", {}).model_dump(mode="json")


@BRIEFLY
@given(st.sampled_from(sorted(SETTINGS)), edits, st.booleans())
def test_config_files(which, changes, as_json) -> None:
    content = SETTINGS[which][1]
    text = json.dumps(content) if as_json else yaml.safe_dump(content)
    attempt({"c.yaml": changed(text.encode(), changes)}, settings_from(which), "config")


NAMED = {
    "a date that is none": "seed: 2020-99-99",
    "nested beyond the parser": "[" * 1100,
    "a tag with a wrong value": "seed: !!int x",
    "a tag without a value": "!!timestamp x: 3",
    "aliases that grow ninefold": BOMB + "options: {knn: {x: *a9}}",
    "merges that grow ninefold": MERGES,
    "a list that holds itself": "count: &c [*c]",
    "a number of many digits": "seed: " + "9" * 5000,
    "a number of many hex digits": "seed: 0x" + "f" * 9000,
}


@pytest.mark.parametrize("text", NAMED.values(), ids=NAMED)
@pytest.mark.parametrize("which", SETTINGS)
def test_config_files_that_once_were_faults(tmp_path: Path, which: str, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with only_inside(tmp_path), pytest.raises(InputError) as caught:
        settings_from(which)(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/c.yaml: ")
    assert len(str(caught.value)) < 500


LINES = [
    {"id": f"s{i}", "image": f"images/s{i}.png", "label": "defective", "group": "g",
     "meta": {"method": "paste", "review": {"decision": choice, "at": "2026-01-01T00:00:00"}}}
    for i, choice in enumerate(("accepted", "rejected", None))
]  # fmt: skip


@BRIEFLY
@given(edits)
def test_review_decisions(changes) -> None:
    text = "".join(json.dumps(line) + "\n" for line in LINES).encode()

    def look(root: Path) -> None:
        decisions = Decisions(root / "samples.jsonl", Roots([root]))
        for line in LINES:
            with suppress(InputError):
                was = decisions.choice(line["id"])
                decisions.decide(line["id"], "accepted", was)
                assert decisions.choice(line["id"]) == "accepted"

    attempt({"samples.jsonl": changed(text, changes)}, look, "review")


@BRIEFLY
@given(edits)
def test_costs(changes) -> None:
    content = {"read": {"inputs": "ab", "seconds": 1.5}, "split": {"inputs": "cd", "seconds": 2}}

    def look(root: Path) -> None:
        assert Costs(root / "costs.json").total(("read", "split")) is not None

    attempt({"costs.json": changed(json.dumps(content).encode(), changes)}, look, "costs")


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    root = tmp_path_factory.mktemp("store")
    store = FeatureStore(root, "v")
    store.put(["ab" * (KEY // 2), "cd" * (KEY // 2)], np.ones((2, 5), np.float32))
    (path,) = (root / "v").iterdir()
    return path.name, path.read_bytes()


@BRIEFLY
@given(edits, st.booleans())
def test_feature_stores(shard, changes, renamed) -> None:
    from hashlib import sha256

    content = changed(shard[1], changes, 200)
    # A stranger's shard may well have the right name.
    name = f"{sha256(content).hexdigest()}.safetensors" if renamed else shard[0]

    def look(root: Path) -> None:
        for key in ("ab" * (KEY // 2), "00" * (KEY // 2)):
            found: Any = FeatureStore(root, "v").get(key, 5)
            assert found is None or (found.shape == (5,) and np.isfinite(found).all())

    attempt({f"v/{name}": content}, look, "features")


def test_what_was_wrong_with_a_setting_is_told_as_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("count: 2020-01-02")
    with pytest.raises(InputError, match="found '2020-01-02'"):
        settings_from("run")(tmp_path)


def test_a_config_file_that_never_ends() -> None:
    """A device has no size; it is read no further than a config file may reach."""
    with only_inside(Path("/dev")), pytest.raises(InputError, match="over 1 MiB"):
        load_settings(RunSettings, Path("/dev/zero"), {})
