"""``flawsmith augment``: the same tree for any workers and after any kill; flags; errors."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from flawsmith.cli import cli
from flawsmith.data.formats import read_dataset
from flawsmith.data.images import read_image, write_png
from flawsmith.errors import InputError
from tests.augment_helpers import CLASSES, make_parts, part, surface, write_scan
from tests.killing import name_of, run_until
from tests.trees import tree_hash

# pycocotools' compiled module does not know NumPy 2's copy keyword yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

METHODS = ("classical", "paste", "procedural")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_scan(tmp_path_factory.mktemp("source") / "parts", make_parts()).dataset.root


@pytest.fixture(scope="module")
def undisturbed(source):
    """The tree of each method's twelve samples, made by one process."""
    trees = {}
    for method in METHODS:
        out = source.parent / f"whole-{method}"
        result_of(source, out, "--method", method, "--count", 12, "--seed", 5)
        trees[method] = tree_hash(out)
    return trees


def run(*words, workers=1):
    return CliRunner().invoke(cli, ["augment", *map(str, words), "--workers", str(workers)])


def result_of(*words, workers=1):
    done = run(*words, "--json", workers=workers)
    assert done.exception is None, (done.exception, done.stderr)
    return json.loads(done.stdout)


def refusal_of(*words):
    """Return the one line of an error that the user can mend."""
    done = run(*words)
    assert isinstance(done.exception, InputError), (done.exception, done.output)
    assert done.exception.exit_code == 2
    assert "\n" not in str(done.exception)
    return str(done.exception)


@pytest.mark.parametrize("method", METHODS)
def test_four_workers_write_the_same(source, undisturbed, tmp_path, method):
    words = (source, tmp_path / "out", "--method", method, "--count", 12, "--seed", 5)
    result = result_of(*words, workers=4)
    assert tree_hash(tmp_path / "out") == undisturbed[method]
    assert sum(result["labels"].values()) + sum(result["refused"].values()) == 12
    found = read_dataset(tmp_path / "out")
    assert all(sample.masks.any() for sample in found)
    assert {sample.meta["method"] for sample in found} == {method}


@pytest.mark.parametrize("method", ["paste", "procedural"])
def test_regions_for_any_number_of_workers(tmp_path, method):
    write_scan(tmp_path / "worn", make_parts(clean=0))
    words = (tmp_path / "worn", "--method", method, "--count", 8)
    told = "note: no clean image: 6 defect-free regions of 6 defective images are painted on"
    for workers in (1, 3):
        done = run(words[0], tmp_path / str(workers), *words[1:], workers=workers)
        assert done.exception is None, done.exception
        assert told in done.stderr
    assert tree_hash(tmp_path / "1") == tree_hash(tmp_path / "3")
    found = read_dataset(tmp_path / "1")
    assert len(found) == 8
    assert all(sample.size == tuple(sample.meta["region"][2:]) for sample in found)


KILL_AT = [
    ("flawsmith.data.staging", "_prepare", "before", 1),
    ("flawsmith.data.journal", "append", "before", 1),
    ("flawsmith.data.folder", "write_picture", "after", 5),
    ("flawsmith.data.build", "write_manifest", "before", 1),
    ("flawsmith.data.staging", "_publish", "before", 1),
]


@pytest.mark.parametrize("point", KILL_AT, ids=name_of)
def test_killed_and_run_again(source, undisturbed, tmp_path, point):
    out = tmp_path / "out"
    words = (source, out, "--method", "paste", "--count", 12, "--seed", 5, "--workers", 1)
    run_until(point, "augment", *words)
    assert not out.exists()
    result_of(*words[:-2])
    assert tree_hash(out) == undisturbed["paste"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_second_start_keeps_what_is_there(source, tmp_path):
    words = (source, tmp_path / "out", "--method", "classical", "--count", 4)
    first = run(*words)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    again = run(*words)
    assert "is complete already" in again.stderr
    assert again.stdout == first.stdout
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == before
    assert "not made by this command" in refusal_of(*words, "--seed", 1)
    result_of(*words, "--seed", 1, "--overwrite")


def test_flags_and_file_fill_the_same_settings(source, tmp_path):
    config = tmp_path / "settings.yaml"
    config.write_text("seed: 9\nclasses: [pit]\nper_image: [2, 2]\nfeather: 1\ncount: 3\n")
    words = (source, tmp_path / "out", "--method", "paste", "--config", config)
    result_of(*words, "--count", 5)
    made_by = json.loads((tmp_path / "out" / "dataset.json").read_text())["made_by"]
    chosen = made_by["settings"]
    assert (chosen["seed"], chosen["count"], chosen["feather"]) == (9, 5, 1)
    assert (chosen["classes"], chosen["per_image"]) == (["pit"], [2, 2])
    found = read_dataset(tmp_path / "out")
    assert all(sample.meta["hole_px"] == 1 for sample in found)
    assert not any(sample.masks[CLASSES.index("streak")].any() for sample in found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed: 1", "no such setting: sed (mend: one of method, count, seed"),
        ("count: many", "count: input should be a valid integer"),
        ("per_image: [3, 1]", "per_image: needs 1 <= low <= high <= 100, found [3, 1]"),
        ("scale: [0.5, .inf]", "scale: needs 0.05 <= low <= high <= 10"),
        ("masks: folder", "masks=folder and mask_folder belong together"),
        ("[1, 2]", "must hold settings as 'name: value' lines"),
        ("a: [", "no valid YAML"),
    ],
)
def test_a_wrong_setting_is_one_line(source, tmp_path, text, message):
    config = tmp_path / "settings.yaml"
    config.write_text(text + "\n")
    words = (source, tmp_path / "out", "--method", "paste", "--config", config)
    told = refusal_of(*words)
    assert told.startswith(f"{config}: ")
    assert message in told.replace("'[3, 1]'", "[3, 1]")
    assert len(told) < 400
    assert not (tmp_path / "out").exists()


def test_an_error_is_one_line_and_exit_code_2(source, tmp_path):
    words = [source, tmp_path / "out", "--method", "paste", "--classes", "dent"]
    command = [sys.executable, "-m", "flawsmith", "augment", *map(str, words), "--workers", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last == f"flawsmith: {source}: no class dent (mend: one of pit, streak)"
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("out*"))


def test_places_that_are_refused(source, tmp_path):
    method = ("--method", "paste")
    assert "inside of the source folder" in refusal_of(source, source / "out", *method)
    assert not (source / "out").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    assert "choose another folder" in refusal_of(source, tmp_path / "mine", *method, "--overwrite")
    assert "no such folder" in refusal_of(tmp_path / "none", tmp_path / "out", *method)
    assert "cannot be written" in refusal_of(source, tmp_path / "out", *method, "--to", "zip")
    assert not (tmp_path / "out").exists()


def test_a_region_redrawn_under_its_name_is_another_job(source, tmp_path):
    roi = tmp_path / "roi.png"
    words = (source, tmp_path / "out", "--method", "procedural", "--count", 4, "--roi", roi)
    write_png(roi, np.full((48, 64), 255, np.uint8))
    result_of(*words)
    write_png(roi, np.tri(48, 64, dtype=np.uint8))
    assert "not made by this command" in refusal_of(*words)
    result_of(*words, "--overwrite")
    for sample in read_dataset(tmp_path / "out"):
        assert not (sample.union & (np.tri(48, 64) == 0)).any()


def test_bad_entries_are_listed(tmp_path):
    root = write_scan(tmp_path / "parts", make_parts()).dataset.root
    (root / "images" / "clean-1.png").write_bytes(b"no picture")
    words = (root, tmp_path / "out", "--method", "paste", "--count", 3)
    assert "clean-1.png" in refusal_of(*words)
    done = run(*words, "--on-error", "skip")
    assert done.exception is None
    assert "skipped: images/clean-1.png" in done.stderr


def test_flips_left_out_are_said(tmp_path):
    ramp = np.linspace(0, 90, 48).astype(np.uint8)[:, None]
    samples = [part(f"c{i}", image=surface(i, level=80) + ramp) for i in range(8)]
    samples.append(part("pit", [(0, (20, 20, 26, 26))], image=surface(9, level=80) + ramp))
    root = write_scan(tmp_path / "parts", samples).dataset.root
    done = run(root, tmp_path / "out", "--method", "classical", "--count", 8)
    assert "note: top-bottom flips left out" in done.stderr
    for sample in read_dataset(tmp_path / "out"):
        assert sample.image[:10].mean() < sample.image[-10:].mean()


@pytest.mark.parametrize("to", ["severstal", "mvtec", "coco", "yolo-seg", "webdataset"])
def test_every_format(source, tmp_path, to):
    if to == "webdataset":
        pytest.importorskip("webdataset")
    out = tmp_path / "out"
    result = result_of(source, out, "--method", "paste", "--count", 4, "--to", to)
    assert sum(result["labels"].values()) == 4
    if to != "webdataset":
        done = CliRunner().invoke(cli, ["data", "check", str(out), "--workers", "1"])
        assert done.exit_code == 0, done.output


def test_preview(source, tmp_path):
    words = (source, tmp_path / "out", "--method", "paste", "--count", 5)
    result_of(*words, "--preview", tmp_path / "grid.png")
    grid = read_image(tmp_path / "grid.png")
    assert grid.ndim == 3
    assert min(grid.shape[:2]) > 200
    assert len(np.unique(grid.reshape(-1, 3), axis=0)) > 20
    # Also for a job that was done before.
    Path(tmp_path / "grid.png").unlink()
    result_of(*words, "--preview", tmp_path / "new" / "grid.png")
    assert np.array_equal(read_image(tmp_path / "new" / "grid.png"), grid)
