"""``flawsmith run``: what it leaves, what it never shows a method, what a second start repeats."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner

from flawsmith.cli import cli
from flawsmith.data.build import JOURNAL
from flawsmith.data.formats import read_dataset
from flawsmith.data.images import write_png
from flawsmith.data.visibility import distance_outside
from tests.augment_helpers import part, surface, write_scan
from tests.killing import name_of, run_until
from tests.run_helpers import (
    FLAGS,
    STAGES,
    assert_sound,
    check_sets,
    figures_of,
    kept,
    make_source,
    result_of,
    run,
)
from tests.trees import tree_hash

# pycocotools' compiled module does not know NumPy 2's copy keyword yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_source(tmp_path_factory.mktemp("run") / "parts")


@pytest.fixture(scope="module")
def whole(source):
    """An undisturbed run of one process: its folder."""
    out = source.parent / "whole"
    result_of(source, out, *FLAGS)
    return out


def test_a_run_leaves_sound_data_sets_and_a_report(source, whole):
    sets = assert_sound(whole / "dataset")
    assert len(sets["train"]) + len(sets["test"]) == 19
    assert {sample.meta["method"] for sample in sets["synthetic"]} == {"classical", "paste"}
    real = {sample.id: sample for sample in read_dataset(source)}
    for name in ("train", "test"):
        for sample in sets[name]:
            assert (sample.image == real[sample.id].image).all()
            assert (sample.masks == real[sample.id].masks).all()
    page = (whole / "report.html").read_text("utf-8")
    assert page.count("<img") > 4
    rejected = (whole / "dataset" / "rejected.jsonl").read_text().splitlines()
    assert len(rejected) + len(sets["synthetic"]) == 16
    assert all(json.loads(line)["reason"] for line in rejected)


@pytest.mark.parametrize(("kind", "count"), [("severstal", 14), ("plates", 10)])
def test_demo_data(tmp_path, kind, count):
    words = ["demo", tmp_path / "demo", "--kind", kind, "--count", count, "--seed", 3]
    words += ["--scale", 0.1, "--workers", 1]
    assert CliRunner().invoke(cli, list(map(str, words))).exception is None
    result = result_of(tmp_path / "demo", tmp_path / "out", "--count", 4)
    sets = assert_sound(tmp_path / "out" / "dataset")
    assert len(sets["synthetic"]) == sum(result["parts"]["synthetic"].values()) >= 2
    assert (tmp_path / "out" / "report.html").is_file()
    if kind == "plates":
        assert sets["train"][0].size == (240, 1200)


def test_two_workers_write_the_same(source, whole, tmp_path):
    result_of(source, tmp_path / "out", *FLAGS, workers=2)
    assert figures_of(tmp_path / "out") == figures_of(whole)


def test_a_second_start_keeps_every_stage(source, tmp_path):
    out = tmp_path / "out"
    result_of(source, out, *FLAGS)
    before = figures_of(out)
    assert kept(source, out, *FLAGS) == list(STAGES)
    assert figures_of(out) == before


def test_a_changed_setting_repeats_what_depends_on_it(source, tmp_path):
    out = tmp_path / "out"
    result_of(source, out, *FLAGS)
    assert kept(source, out, "--count", 6, "--seed", 4) == ["read", "split"]
    assert kept(source, out, "--count", 6, "--seed", 5) == ["read"]
    words = ("--count", 6, "--seed", 5, "--to", "coco")
    assert kept(source, out, *words) == list(STAGES[:-1])
    assert kept(source, out, *words, "--test-fraction", 0.4) == ["read"]
    # Only the one method's candidates when its own settings change.
    config = tmp_path / "run.yaml"
    config.write_text("count: 6\nseed: 5\nto: coco\ntest_fraction: 0.4\npaste: {feather: 2}\n")
    assert kept(source, out, "--config", config) == ["read", "split", "candidates-classical"]
    fresh = tmp_path / "fresh"
    result_of(source, fresh, "--config", config)
    assert tree_hash(fresh / "dataset") == tree_hash(out / "dataset")


KILL_AT = [
    ("flawsmith.pipeline.stages", "write_file", "before", 1),  # a folder with nothing but a lock
    ("flawsmith.pipeline.source", "write_lines", "after", 1),
    ("flawsmith.data.folder", "write_picture", "after", 11),
    ("flawsmith.pipeline.candidates", "write_lines", "after", 1),
    ("flawsmith.data.folder", "write_picture", "before", 25),
    ("flawsmith.data.staging", "_publish", "before", 6),
    ("flawsmith.pipeline.run", "report_stage", "before", 1),
]


@pytest.mark.parametrize("point", KILL_AT, ids=name_of)
def test_killed_and_run_again(source, whole, tmp_path, point):
    words = (source, tmp_path / "out", *FLAGS)
    run_until(point, "run", *words, "--workers", 1)
    result_of(*words)
    assert figures_of(tmp_path / "out") == figures_of(whole)


def test_two_workers_killed_at_work(source, whole, tmp_path):
    out = tmp_path / "out"
    journal = out / "stages" / "candidates-paste.partial" / "data" / JOURNAL
    words = ["run", source, out, *FLAGS, "--workers", 2]
    with subprocess.Popen([sys.executable, "-m", "flawsmith", *map(str, words)]) as process:
        for _ in range(60_000):
            if journal.is_file() or process.poll() is not None:
                break
            time.sleep(0.0005)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    result_of(source, out, *FLAGS)
    assert figures_of(out) == figures_of(whole)


@pytest.mark.parametrize(
    ("place", "flags"), [("images/good", ()), ("train/good", ("--format", "mvtec"))]
)
def test_good_images_alone_get_drawn_defects(tmp_path, place, flags):
    root = tmp_path / "photos" / place
    root.mkdir(parents=True)
    for index in range(8):
        write_png(root / f"{index:03d}.png", surface(index))
    done = run(tmp_path / "photos", tmp_path / "out", "--count", 4, *flags)
    assert done.exception is None, done.exception
    assert "note: paste left out: no image with a defect" in done.stderr
    assert "note: classical left out: no defective image" in done.stderr
    sets = assert_sound(tmp_path / "out" / "dataset")
    assert {sample.meta["method"] for sample in sets["synthetic"]} == {"procedural"}
    assert sets["train"].classes == ("blob", "pits", "scratch")


def test_without_clean_images_regions_are_pasted_on(tmp_path):
    samples = [
        part(f"pit-{i}", [(0, (20 + i, 20, 27 + i, 26))], image=surface(i)) for i in range(8)
    ]
    root = write_scan(tmp_path / "parts", samples).dataset.root
    done = run(root, tmp_path / "out", "--count", 6)
    assert "left out" not in done.stderr
    assert "classical: 6 asked" in done.stdout
    assert "paste: 6 asked" in done.stdout
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    sets = assert_sound(tmp_path / "out" / "dataset")
    count = len(sets["train"])
    told = f"no clean image: {count} defect-free regions of {count} defective images are painted on"
    assert f"paste: {told}" in page
    real = {sample.id: sample for sample in sets["train"]}
    pasted = [sample for sample in sets["synthetic"] if sample.meta["method"] == "paste"]
    assert len(pasted) >= 5
    for sample in pasted:
        x, y, w, h = sample.meta["region"]
        view = np.s_[y : y + h, x : x + w]
        whole = real[sample.meta["background"]]
        assert not whole.union[view].any()
        outside = distance_outside(sample.union) > sample.meta["hole_px"]
        assert (sample.image[outside] == whole.image[view][outside]).all()


def test_without_any_surface_paste_is_left_out(tmp_path):
    samples = [part(f"p-{i}", [(0, (20, 16, 44, 31 + i))], image=surface(i)) for i in range(8)]
    root = write_scan(tmp_path / "parts", samples).dataset.root
    done = run(root, tmp_path / "out", "--count", 4)
    told = "paste left out: no clean image, and no defect-free region of another, to put defects"
    assert f"note: {told}" in done.stderr
    assert "classical: 4 asked" in done.stdout
    assert told in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert_sound(tmp_path / "out" / "dataset")


@pytest.mark.parametrize("to", ["severstal", "mvtec", "coco", "yolo-seg"])
def test_every_format(source, tmp_path, to):
    out = tmp_path / "out"
    result = result_of(source, out, "--count", 4, "--to", to)
    sets = check_sets(out / "dataset")
    assert sum(result["parts"]["synthetic"].values()) == len(sets["synthetic"]) > 0
    assert {found.format for found in sets.values()} == {to}


def test_methods_and_seed_from_a_file(source, tmp_path):
    config = tmp_path / "run.yaml"
    config.write_text("seed: 6\nmethods: [procedural, procedural]\ncount: 3\n")
    result = result_of(source, tmp_path / "out", "--config", config)
    assert list(result["methods"]) == ["procedural"]
    sets = check_sets(tmp_path / "out" / "dataset")
    assert {sample.meta["seed"] for sample in sets["synthetic"]} == {6}
    # Drawn classes stand beside the real ones.
    assert sets["train"].classes == ("pit", "streak", "blob", "pits", "scratch")


def test_a_region_redrawn_under_its_name_repeats_the_candidates(source, tmp_path):
    config, roi = tmp_path / "run.yaml", tmp_path / "roi.png"
    config.write_text(f"methods: [paste]\ncount: 4\npaste: {{roi: {json.dumps(str(roi))}}}\n")
    words = (source, tmp_path / "out", "--config", config)
    write_png(roi, np.full((48, 64), 255, np.uint8))
    assert kept(*words) == []
    write_png(roi, np.tri(48, 64, dtype=np.uint8))
    assert kept(*words) == ["read", "split"]
    for sample in read_dataset(tmp_path / "out" / "dataset" / "synthetic"):
        assert not (sample.union & (np.tri(48, 64) == 0)).any()
