"""The generators' benchmark: its two sides improve the same networks alike, and are timed."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

import flawsmith
from flawsmith.data.formats import read_dataset
from flawsmith.data.scan import scan
from flawsmith.gen.task import _uniform
from flawsmith.gen.training import setup_of
from tests.feature_helpers import one_thread  # noqa: F401
from tests.gen_run_helpers import context_of, make_source, setup, squares_task


@pytest.fixture(scope="module")
def bench():
    """The benchmark as a module: it is no part of the package."""
    path = Path(flawsmith.__file__).parent / "benchmarks" / "gan.py"
    spec = importlib.util.spec_from_file_location("gan_benchmark", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_source(tmp_path_factory.mktemp("squares") / "source", sizes=((32, 40),))


@pytest.mark.parametrize(
    ("arch", "critic"),
    [("dcgan", "own"), ("wgan-gp", "own"), ("stylegan2", "own"), ("fastgan", "projected")],
)
def test_both_sides_improve_alike(bench, source, arch, critic):
    """Given the same pictures and latents, without what only ours has."""
    flags = {"arch": arch, "critic": critic, "augment": 0.0, "dropout": 0.0}
    ours, theirs = squares_task(source, **flags), squares_task(source, **flags)
    context = context_of(ours)
    given = []
    for number in range(ours.settings.critic_steps):
        draw = ours._draw(context, number)
        given.append((draw.real, draw.z, _uniform(context.generators(f"mixed {number}"))))
    before = [p.detach().clone() for p in ours.generator.parameters()]
    ours.step(context)
    bench.plain_step(theirs.models, theirs.optimizers, theirs.settings, 0, given)
    for name, model in ours.models.items():
        pairs = zip(model.parameters(), theirs.models[name].parameters(), strict=True)
        apart = sum(float((a - b).detach().abs().sum()) for a, b in pairs)
        count = sum(p.numel() for p in model.parameters())
        assert apart / count < 0.01 * ours.rates[name], name
    moved = [bool((a != b).any()) for a, b in zip(before, ours.generator.parameters(), strict=True)]
    assert sum(moved) > 0.9 * len(moved)


def test_they_are_timed(bench, source, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "WARM_UP", 1)
    monkeypatch.setattr(bench, "SAMPLES", 2)
    monkeypatch.setattr(bench, "matrix_rate", lambda device: 1e12)
    given = setup(arch="stylegan2", steps=3, images="all")
    line = bench.compare(scan(read_dataset(source)), tmp_path, "stylegan2 tiny", given, 1)
    for name in ("plain images/s", "ours images/s", "ratio", "GFLOP a step", "samples/s"):
        assert line[name] > 0, name
    assert (line["goal"], line["size"], line["batch"]) == (1.0, "40x32", 8)
    assert 0 < line["share of matrix rate"] < 1
    assert not list(tmp_path.iterdir())


def test_the_pictures_differ(bench, tmp_path):
    bench.write_pictures(tmp_path, 3)
    found = scan(read_dataset(tmp_path))
    assert [found.dataset[i].image.shape for i in range(3)] == [(*bench.SIZE, 3)] * 3
    task = bench.task_of(found, setup(arch="dcgan", longest=32))
    batch = task.pictures.batch(range(3))
    assert batch.std() > 0.3
    assert not torch.equal(batch[0], batch[1])


def test_each_arm_of_the_table_is_another_training():
    path = Path(flawsmith.__file__).parent / "benchmarks" / "gan_quality.py"
    spec = importlib.util.spec_from_file_location("gan_quality", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["gan_quality"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    settled = {name: setup_of("small", None, flags).gen for name, flags in module.ARMS.items()}
    assert len({gen.model_dump_json() for gen in settled.values()}) == len(settled)
    assert all(
        ("projected" in name) == (gen.critic == "projected") for name, gen in settled.items()
    )
