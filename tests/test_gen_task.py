"""The training task: steps counted, killed and resumed, two processes, schedules, masks."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from flawsmith.errors import InputError
from flawsmith.gen.settings import ARCHS
from flawsmith.gen.watching import diversity
from flawsmith.train.batches import Batches
from flawsmith.train.loop import train
from flawsmith.train.runs import read_weights_facts
from flawsmith.train.weights import read_tensors
from tests.feature_helpers import one_thread  # noqa: F401
from tests.gen_run_helpers import (
    context_of,
    in_processes,
    loop_settings,
    make_source,
    squares_task,
    train_squares,
)
from tests.train_helpers import KILL_AT, metrics


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_source(tmp_path_factory.mktemp("squares") / "source")


@pytest.fixture(scope="module")
def elsewhere(source, tmp_path_factory):
    """A folder of runs made by other processes, and what they said."""
    folder = tmp_path_factory.mktemp("elsewhere")
    return folder, in_processes(source, folder, *KILL_AT)


def test_killed_and_run_again(source, tmp_path, elsewhere):
    whole = tmp_path / "whole"
    train_squares(source, whole, arch="dcgan", steps=4, checkpoint_every=2, with_masks=True)
    for i, point in enumerate(KILL_AT):
        out = elsewhere[0] / str(i)
        weights = [(folder / "model.safetensors").read_bytes() for folder in (out, whole)]
        assert weights[0] == weights[1], point
        assert metrics(out) == metrics(whole), point
        assert (out / "losses.png").read_bytes() == (whole / "losses.png").read_bytes()
    facts = read_weights_facts(whole / "model.safetensors")
    assert (facts["kind"], facts["step"]) == ("gen", 4)
    assert facts["config"]["classes"] == ["square", "stripe"]


@pytest.mark.parametrize("arch", ARCHS)
def test_two_processes_follow_one(source, tmp_path, elsewhere, arch):
    """BatchNorm, dropout, the penalty's double backward pass, R1, reconstruction: all of them."""
    folder = elsewhere[0]
    first = all_weights(squares_task(source, arch=arch).models)
    train_squares(source, tmp_path / "one", arch=arch, steps=3)
    both, one = metrics(folder / arch), metrics(tmp_path / "one")
    assert [line["step"] for line in both] == [1, 2, 3]
    for left, right in zip(both, one, strict=True):
        # Adam takes rounding errors for gradients where there is none, so they grow.
        near = 1e-4 if left["step"] == 1 else 5e-3
        assert left["losses"] == pytest.approx(right["losses"], abs=near, rel=near)
    two, alone = (
        read_tensors(run / "state" / "00000003" / "tensors.safetensors", {})
        for run in (folder / arch, tmp_path / "one")
    )
    apart = sum(float((two[name] - alone[name]).abs().sum()) for name in first)
    moved = sum(float((alone[name] - first[name]).abs().sum()) for name in first)
    assert apart < 0.02 * moved


def all_weights(models):
    """Return the trained tensors of both networks by their names in a checkpoint."""
    return {
        f"models/{name}/{key}": value.detach().clone()
        for name, model in models.items()
        for key, value in model.named_parameters()
    }


def test_two_processes_share_a_step(source, elsewhere):
    """Each draws latents of its own, both end in the same weights, one of them writes."""
    ranks = [json.loads((elsewhere[0] / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    # Steps of all runs: 3 of each, the one of ``moved``, and the second of ``back``.
    assert len(ranks[0]["weights"]) == 3 * len(ARCHS) + 2
    assert ranks[0]["weights"] == ranks[1]["weights"]
    assert [rank["checkpoints"] for rank in ranks] == [len(ARCHS) + 2, 0]
    for name in (*ARCHS, "moved"):
        assert len(list((elsewhere[0] / name / "state").iterdir())) == 1
    for first, second in zip(*(rank["latents"] for rank in ranks), strict=True):
        assert len({*first, *second}) == 8
    whole = squares_task(source, arch=ARCHS[0])
    alone = whole._draw(context_of(whole), 0).z[:, 0].tolist()
    assert alone == [*ranks[0]["latents"][0], *ranks[1]["latents"][0]]


def test_from_two_processes_to_one_and_back(source, tmp_path, elsewhere, capsys):
    folder, said = elsewhere
    told = (
        "trained with {} before, now with {}: the batch and the rates stay, each process takes {}"
    )
    one, two = "1 process", "2 processes"
    assert said.count(told.format(one, two, 4)) == 1
    capsys.readouterr()
    train_squares(source, folder / "moved", arch="wgan-gp", steps=2)
    assert capsys.readouterr().err.count(told.format(two, one, 8)) == 1
    train_squares(source, folder / "back", arch="dcgan", steps=3)
    assert capsys.readouterr().err.count(told.format(two, one, 8)) == 1
    for name, arch, steps in (("moved", "wgan-gp", 2), ("back", "dcgan", 3)):
        train_squares(source, tmp_path / name, arch=arch, steps=steps)
        both, alone = metrics(folder / name), metrics(tmp_path / name)
        assert [line["step"] for line in both] == list(range(1, steps + 1))
        for left, right in zip(both, alone, strict=True):
            assert left["losses"] == pytest.approx(right["losses"], abs=5e-3, rel=5e-3)


def test_five_critic_steps_are_one_step(source, monkeypatch):
    task = squares_task(source, arch="wgan-gp")
    shown, stepped = [], []
    batch = task.pictures.batch
    monkeypatch.setattr(
        task.pictures,
        "batch",
        lambda indices, given: (shown.append(indices), batch(indices, given))[1],
    )
    for name, optimizer in task.optimizers.items():
        step = optimizer.step
        monkeypatch.setattr(
            optimizer, "step", lambda name=name, step=step: (stepped.append(name), step())[1]
        )
    for step in range(2):
        told = task.step(context_of(task, step))
    assert stepped == ([*["critic"] * 5, "generator"]) * 2
    # Fresh batches, in the order in which a loop of ten single steps would show them.
    batches = Batches(len(task.pictures), 8, 3)
    assert shown == [batches.indices(i) for i in range(10)]
    assert told.keys() == {
        "d_real", "d_fake", "d_loss", "real_score", "fake_score", "distance", "d_penalty",
        "g_loss", "diversity",
    }  # fmt: skip
    gap = told["real_score"] - told["fake_score"]
    assert told["distance"].item() == pytest.approx(gap.item(), abs=1e-6)
    assert told["d_loss"].item() == pytest.approx(-gap.item(), abs=1e-6)


def test_one_average_and_one_line_a_step(source, tmp_path):
    train_squares(source, tmp_path / "run", arch="wgan-gp", steps=2)
    assert [line["step"] for line in metrics(tmp_path / "run")] == [1, 2]
    assert read_weights_facts(tmp_path / "run" / "model.safetensors")["step"] == 2


def test_a_critic_step_is_what_the_next_step_s_would_be(source):
    """With one critic step a step, the indices are the loop's own."""
    task = squares_task(source, arch="dcgan")
    draw = task._draw(context_of(task, 4), 0)
    own = Batches(len(task.pictures), 8, 3).indices(4)
    assert torch.equal(draw.real, task.pictures.batch(own))


def test_a_slice_of_the_batch_draws_its_own(source):
    task = squares_task(source, arch="dcgan")
    whole = task._draw(context_of(task), 0)
    half = task._draw(context_of(task, places=range(4, 8), world=2), 0)
    assert torch.equal(whole.z[4:], half.z)
    assert torch.equal(whole.real[4:], half.real)
    assert not torch.equal(whole.z[:4], half.z)
    again = task._draw(context_of(task), 1)
    assert not torch.equal(whole.z, again.z)


def test_the_critic_keeps_nothing_of_the_generator_s_step(source):
    task = squares_task(source, arch="stylegan2")
    task.step(context_of(task))
    assert all(p.requires_grad for p in task.critic.parameters())
    before = [p.grad.clone() for p in task.critic.parameters()]
    context = context_of(task, 1)
    fake = task.generator(context.noise(task.settings.latent))
    task._improve(context, task.judge.see(fake))
    assert all(
        torch.equal(a, p.grad) for a, p in zip(before, task.critic.parameters(), strict=True)
    )


def test_rates_fall_to_nothing(source):
    task = squares_task(source, arch="wgan-gp", decay_from=0.5)
    assert task.fixed_length
    rates = []
    for step in (0, 5, 6, 8, 9):
        task._begin(context_of(task, step, total=10))
        rates.append(task.optimizers["critic"].param_groups[0]["lr"] / 1e-4)
    assert rates == pytest.approx([1.0, 1.0, 0.8, 0.4, 0.2])
    assert not squares_task(source, arch="wgan-gp").fixed_length


def test_masks_follow_the_geometry_alone(source):
    """Planes keep their values under augmentation; real and generated ones are changed alike."""
    task = squares_task(source, arch="fastgan", with_masks=True, augment=1.0, cutout=0.5)
    assert task.shape.total == 3
    now = task._draw(context_of(task), 0)
    shown = task._shown(now.real, now.change)
    assert {*shown[:, 1:].unique().tolist()} <= {*now.real[:, 1:].unique().tolist()}
    assert not torch.equal(shown, now.real)
    moved = now.change.geometry(now.real[:, 1:])
    assert torch.equal(shown[:, 1:], moved)
    told = task.step(context_of(task))
    assert all(value.isfinite() for value in told.values())


@pytest.mark.parametrize("arch", ARCHS)
def test_a_step_in_half_precision_by_pixels(source, arch):
    """As on a GPU: bfloat16 and channels-last; the losses stay near those in float32."""
    told = []
    for half in (False, True):
        task = squares_task(source, arch=arch)
        context = replace(context_of(task), precision="bf16" if half else "no", channels_last=half)
        told.append({k: float(v) for k, v in task.step(context).items()})
        assert all(p.dtype == torch.float32 for m in task.models.values() for p in m.parameters())
        assert all(p.isfinite().all() for m in task.models.values() for p in m.parameters())
    assert told[1] == pytest.approx(told[0], abs=0.1, rel=0.1)


def test_the_projected_critic(tmp_path):
    source = make_source(tmp_path / "source", count=8, sizes=((32, 40),))
    task = squares_task(source, arch="dcgan", critic="projected", with_masks=True)
    passes = []
    inner = task.critic.features
    task.critic.features = lambda x: (passes.append(len(x)), inner(x))[1]
    told = task.step(context_of(task))
    assert passes == [8, 8]  # the generated pictures' features serve both halves
    assert told["d_loss"].item() == pytest.approx(2, abs=0.8)  # the hinge without an opinion
    assert "d_penalty" not in told
    assert "d_r1" not in told


def test_adaptive_augmentation_survives_a_stop(source):
    flags = {"arch": "stylegan2", "adaptive": True, "adaptive_images": 80, "augment": 0.3}
    task = squares_task(source, **flags)
    for step in range(4):
        task.step(context_of(task, step))
    state = json.loads(json.dumps(task.extra_state()))
    assert state["strength"] != 0.3
    other = squares_task(source, **flags)
    other.load_extra_state(state)
    assert other.extra_state() | {"run": 0} == task.extra_state() | {"run": 0}


def test_the_diversity_is_the_ratio_of_deviations(source):
    task = squares_task(source, arch="dcgan")
    real = torch.randn(8, 1, 24, 16, generator=torch.Generator().manual_seed(0))
    context = context_of(task)
    for share in (0.0, 0.5, 1.0):
        made = real.mean(0, keepdim=True) + share * (real - real.mean(0, keepdim=True))
        found = diversity(context, real, made, task.shape)
        assert found.item() == pytest.approx(share, abs=1e-3)


def test_a_loss_that_is_not_finite_keeps_the_last_checkpoint(source, tmp_path):
    out, task = tmp_path / "run", squares_task(source, arch="dcgan")
    inner = task.step

    def step(context):
        if context.step == 2:
            task.rates = dict.fromkeys(task.rates, 1e30)
        return inner(context)

    task.step = step
    with pytest.raises(InputError, match="not finite at step") as caught:
        train(task, loop_settings(arch="dcgan", steps=20, checkpoint_every=2), out, {})
    assert "the last checkpoint is untouched" in str(caught.value)
    assert read_weights_facts(out / "model.safetensors")["step"] == 2


@pytest.mark.parametrize("with_masks", [False, True])
def test_the_preview(source, with_masks):
    task = squares_task(source, arch="fastgan", with_masks=with_masks)
    with torch.no_grad():
        shown = task.preview(task.generator.eval(), 1)
        assert np.array_equal(shown, task.preview(task.generator, 9))
    assert shown.shape == ((8 if with_masks else 4) * 24, 8 * 16)
    if with_masks:
        assert set(np.unique(shown[24:48])) == {0, 255}
