"""The inpainting benchmarks: their two sides do the same work, and are timed."""

import importlib.util
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

import flawsmith
from flawsmith.data.formats import read_dataset
from flawsmith.data.images import read_image
from flawsmith.data.jobs import write_demo
from flawsmith.data.scan import pixel_digest, scan
from flawsmith.inpaint.apply import apply
from flawsmith.inpaint.apply_settings import ApplySettings
from flawsmith.train.loop import train
from tests.inpaint_run_helpers import make_source, setup, shapes_task

CPU = torch.device("cpu")


def load(name):
    """Return a benchmark as a module: they are no part of the package."""
    path = Path(flawsmith.__file__).parent / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_benchmark", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.set_num_threads(1)
    return module


@pytest.fixture(scope="module")
def bench():
    return load("inpaint")


@pytest.fixture(scope="module")
def bench_apply():
    return load("inpaint_apply")


@pytest.fixture(scope="module")
def strips(tmp_path_factory):
    root = tmp_path_factory.mktemp("strips") / "strips"
    write_demo(root, kind="severstal", count=6, scale=1.0, seed=1, workers=1)
    return scan(read_dataset(root))


def test_the_plain_loop_ends_in_the_weights_of_ours(bench, tmp_path):
    source = make_source(tmp_path / "source", count=2, clean=2)
    ours, theirs = shapes_task(source), shapes_task(source)
    before = ours.generator.leave.weight.clone()
    train(ours, setup(steps=2).loop, tmp_path / "run", {})
    bench.plain(theirs, setup(steps=2))
    assert not torch.equal(before, ours.generator.leave.weight)
    fresh = shapes_task(source)
    assert not torch.equal(fresh.encoder.second.weight, ours.encoder.second.weight)
    for name, model in ours.models.items():
        for key, value in model.state_dict().items():
            assert torch.equal(value, theirs.models[name].state_dict()[key]), (name, key)


def test_both_sides_are_timed(bench, strips, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "WARM_UP", 1)
    monkeypatch.setattr(bench, "PAINTINGS", 2)
    trained = bench.compare_training(strips, tmp_path, "tiny", CPU, steps=1, rounds=1)
    painted = bench.compare_painting(strips, "tiny", CPU, rounds=1)
    assert trained["plain crops/s"] > 0
    assert trained["ours crops/s"] > 0
    assert trained["plain ms a step"] > 0
    assert trained["ours ms a step"] > 0
    assert 0 < trained["share of time making crops"] < 1
    assert trained["GFLOP a step"] > 0
    assert 0 < trained["share of matrix rate"] < 1
    assert painted["ratio"] > 0
    assert not list(tmp_path.iterdir())


def test_backgrounds_differ(bench_apply, strips, tmp_path):
    bench_apply.write_backgrounds(strips, tmp_path / "images", 15)
    digests = {pixel_digest(read_image(path)) for path in (tmp_path / "images").iterdir()}
    assert len(digests) == 15


def test_applying_is_timed_and_its_stages_are_found(bench_apply, strips, tmp_path, monkeypatch):
    written = []

    def paint(run, backgrounds, out, count, workers):
        start = time.perf_counter()
        built = apply(run, backgrounds, out, ApplySettings(count=count), device="cpu")
        written.append(sorted(path.name for path in (out / "images").rglob("*.png")))
        made, again = sum(built.labels.values()), sum(built.redrawn.values())
        return [time.perf_counter() - start, made, again]

    # In this process, with the smallest networks: other processes would take most of the time.
    monkeypatch.setattr(bench_apply, "paint", paint)
    monkeypatch.setattr(bench_apply, "processes", lambda workers: ThreadPoolExecutor(1))
    monkeypatch.setattr(bench_apply, "PRESET", "tiny")
    monkeypatch.setattr(bench_apply, "FEW", 2)
    whole, stages = bench_apply.compare_apply(strips, tmp_path, pairs=3, rounds=1)
    assert [len(names) for names in written] == [2, whole["pairs made"]] == [2, 3]
    assert whole["ratio"] == whole["highest ratio"] > 0
    name, *times, last = stages
    assert name == "name"
    assert all(stages[stage] > 0 for stage in times)
    assert stages[last] == pytest.approx(sum(stages[stage] for stage in times), abs=0.1)
