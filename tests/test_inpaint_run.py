"""Runs of the training task: killed and resumed, in two processes, diverging."""

import pytest
import torch
from safetensors import safe_open

from flawsmith.data.images import read_image
from flawsmith.errors import InputError
from flawsmith.train.runs import read_weights_facts
from tests.inpaint_run_helpers import (
    CLASSES,
    LOSSES,
    context_of,
    frozen_digest,
    in_a_process,
    make_source,
    shapes_task,
    train_shapes,
    train_task,
)
from tests.train_helpers import KILL_AT, metrics


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_source(tmp_path_factory.mktemp("shapes") / "source", count=4)


@pytest.fixture(scope="module")
def elsewhere(source, tmp_path_factory):
    """A folder of runs made by other processes, and the frozen network's digest there."""
    folder = tmp_path_factory.mktemp("elsewhere")
    return folder, in_a_process(source, folder, *KILL_AT)


def test_killed_and_run_again(source, tmp_path, elsewhere):
    whole = tmp_path / "whole"
    train_shapes(source, whole, steps=4, checkpoint_every=2)
    for i, point in enumerate(KILL_AT):
        out = elsewhere[0] / str(i)
        weights = [(folder / "model.safetensors").read_bytes() for folder in (out, whole)]
        assert weights[0] == weights[1], point
        assert metrics(out) == metrics(whole), point
    facts = read_weights_facts(whole / "model.safetensors")
    assert (facts["kind"], facts["step"]) == ("inpaint", 4)
    assert facts["config"]["classes"] == list(CLASSES)


def test_two_processes_follow_one_and_leave_the_frozen_network_alone(source, tmp_path, elsewhere):
    task = shapes_task(source)
    folder, frozen = elsewhere
    assert frozen_digest(task) == frozen
    train_task(task, tmp_path / "one", steps=4)
    assert frozen_digest(task) == frozen
    both, one = metrics(folder / "two"), metrics(tmp_path / "one")
    assert [line["step"] for line in both] == [1, 2, 3, 4]
    for left, right in zip(both, one, strict=True):
        assert left["losses"].keys() == LOSSES
        # Adam without momentum takes rounding errors for gradients, so they grow with the steps.
        near = 1e-5 if left["step"] == 1 else 1e-3
        assert left["losses"] == pytest.approx(right["losses"], abs=near)


def test_the_frozen_network_is_in_no_checkpoint(source, tmp_path):
    task = shapes_task(source)
    outside = task.discriminator._outside[0].state_dict()
    places = {tensor.data_ptr() for tensor in outside.values() if tensor.numel()}
    for model in task.models.values():
        assert not places & {tensor.data_ptr() for tensor in model.state_dict().values()}
    trained = [p for o in task.optimizers.values() for g in o.param_groups for p in g["params"]]
    assert not places & {p.data_ptr() for p in trained}
    train_task(task, tmp_path / "run", steps=1)
    names = set()
    for path in (tmp_path / "run" / "state").rglob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            names |= set(file.keys())
    kept = sum(t.numel() for m in task.models.values() for t in m.state_dict().values())
    assert names
    assert len(names) < 6 * sum(len(m.state_dict()) for m in task.models.values())
    assert not any(name.endswith(tuple(outside)) for name in names), names
    assert kept < sum(t.numel() for t in outside.values())


def test_too_little_memory_is_one_line(source, tmp_path, monkeypatch):
    task = shapes_task(source)

    def step(context):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr(task, "step", step)
    with pytest.raises(InputError, match="memory is too small at step 0 for a batch of 4"):
        train_task(task, tmp_path / "run", steps=1)


def test_without_defects_on_clean_surface(source, tmp_path):
    task = shapes_task(source, {"moved": 0})
    assert len(task.steps.draw(context_of(task), 0.3).parts) == 1
    train_task(task, tmp_path / "run", steps=2)
    assert metrics(tmp_path / "run")[-1]["losses"].keys() == LOSSES - {"g_latent"}


def test_a_loss_that_is_not_finite_keeps_the_last_checkpoint(source, tmp_path):
    out, task = tmp_path / "run", shapes_task(source)
    train = task.step

    def step(context):
        if context.step == 2:
            for optimizer in task.optimizers.values():
                optimizer.param_groups[0]["lr"] = 1e30
        return train(context)

    task.step = step
    with pytest.raises(InputError) as caught:
        train_task(task, out, steps=40, checkpoint_every=2)
    assert "not finite at step" in str(caught.value)
    assert "the last checkpoint is untouched (mend: a lower learning rate" in str(caught.value)
    assert "\n" not in str(caught.value)
    facts = read_weights_facts(out / "model.safetensors")
    assert facts["step"] == 2
    assert [path.name for path in (out / "state").iterdir()] == ["00000002"]


def test_adaptive_augmentation_follows_the_discriminator(source, tmp_path):
    given = {"adaptive": True, "adaptive_images": 40, "augment": 0.3}
    task = shapes_task(source, given)
    for step in range(4):
        task.step(context_of(task, step=step))
    state = task.extra_state()
    # 16 of 40 crops were seen since the last decision: up or down by 0.4, and not below 0.
    assert state["strength"] == pytest.approx(0.7 if state["measure"] > 0.6 else 0.0)
    other = shapes_task(source, given)
    other.load_extra_state(state)
    assert other.extra_state() == state
    assert shapes_task(source).extra_state() == {}


def test_a_run_s_previews_are_written(source, tmp_path):
    train_task(shapes_task(source), tmp_path / "run", steps=2, preview_every=2)
    assert read_image(tmp_path / "run" / "previews" / "000002.png").shape == (160, 256)
