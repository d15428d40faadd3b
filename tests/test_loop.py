"""The training loop on a toy: it learns, stops, resumes to the same bytes, refuses."""

import json
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from filelock import FileLock

from flawsmith.data.images import read_image
from flawsmith.errors import InputError, Interrupted, OutputError
from flawsmith.train import loop
from flawsmith.train.runs import read_weights_facts
from flawsmith.train.weights import read_tensors
from tests import train_helpers
from tests.train_helpers import CENTRE, Toy, metrics, mlp, run_toy

KILL_AT = [
    ("flawsmith.train.runs", "replace_file", "before", 1),  # a lock and nothing else
    ("flawsmith.train.runs", "replace_file", "after", 1),
    ("flawsmith.train.loop", "_finite", "before", 2),  # steps done, none kept
    ("flawsmith.train.loop", "save_weights", "after", 1),  # weights without a checkpoint
    ("flawsmith.train.checkpoint", "write_synced", "after", 1),  # tensors without facts
    ("flawsmith.train.checkpoint", "sync_folder", "before", 1),  # complete, not yet renamed
    ("flawsmith.train.checkpoint", "sync_folder", "before", 2),  # renamed
    ("flawsmith.train.runlog", "append_line", "after", 2),  # metrics after the last checkpoint
    ("shutil", "rmtree", "before", 1),  # three checkpoints
    ("flawsmith.train.loop", "_finite", "before", 11),
    ("flawsmith.train.loop", "save_weights", "after", 4),  # the last checkpoint is missing
    ("flawsmith.train.checkpoint", "sync_folder", "after", 8),
]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    run_toy(out)
    return out


def weights(out):
    return (out / "model.safetensors").read_bytes()


def complaint(*args, **kwargs):
    with pytest.raises(InputError) as caught:
        run_toy(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_run_s_folder(undisturbed):
    names = {path.name for path in undisturbed.iterdir()} - {".lock"}
    assert names == {
        "config.json", "model.safetensors", "metrics.jsonl", "previews", "state", "tensorboard",
    }  # fmt: skip
    assert sorted(path.name for path in (undisturbed / "state").iterdir()) == [
        "00000009",
        "00000012",
    ]
    assert [line["step"] for line in metrics(undisturbed)] == [4, 8, 12]
    assert metrics(undisturbed)[0]["losses"].keys() == {"judge", "generator"}
    assert "strength" in metrics(undisturbed)[0]["state"]
    assert sorted(path.name for path in (undisturbed / "previews").iterdir()) == [
        "000006.png",
        "000012.png",
    ]
    assert (read_image(undisturbed / "previews" / "000012.png") == 12).all()
    facts = read_weights_facts(undisturbed / "model.safetensors")
    assert (facts["kind"], facts["step"], facts["config"]) == ("toy", 12, {})
    config = json.loads((undisturbed / "config.json").read_text())
    assert config["job"]["training"]["batch"] == 8
    assert config["settings"]["steps"] == 12


def test_it_learns(tmp_path):
    done = run_toy(tmp_path / "run", steps=250, checkpoint_every=0, preview_every=0, ema=0.95)
    assert (done.steps, done.made) == (250, 250)
    assert done.steps_per_second > 0
    made, before = mlp(1, 2, 8, 2), mlp(1, 2, 8, 2)
    made.load_state_dict(read_tensors(done.weights, {}))
    noise = torch.randn(500, 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        off = (made(noise).mean(0) - torch.tensor(CENTRE)).norm()
        assert (before(noise).mean(0) - torch.tensor(CENTRE)).norm() > 1.5
    assert off < 0.5


def test_killed_anywhere_and_run_again(tmp_path, undisturbed):
    script = [sys.executable, train_helpers.__file__, "points", tmp_path, json.dumps(KILL_AT)]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for i, point in enumerate(KILL_AT):
        out = tmp_path / str(i)
        assert weights(out) == weights(undisturbed), point
        assert metrics(out) == metrics(undisturbed), point
        kept = {path.name for path in (out / "state").iterdir()}
        # Killed before the oldest one went, a finished run has no reason to write again.
        assert kept - {"00000006"} == {"00000009", "00000012"}, point


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_step_and_keeps_it(tmp_path, undisturbed, number):
    out, before = tmp_path / "run", signal.getsignal(number)
    toy = Toy(at={4: lambda _: signal.raise_signal(number)})
    with pytest.raises(Interrupted, match="stopped at step 5; the same command") as caught:
        run_toy(out, toy)
    assert caught.value.exit_code == 3
    assert signal.getsignal(number) == before
    assert (out / "state" / "00000005").is_dir()
    assert run_toy(out).made == 7
    assert weights(out) == weights(undisturbed)
    assert metrics(out) == metrics(undisturbed)  # sums of a half-done line survive too


def test_a_second_signal_does_what_it_did_before(tmp_path, monkeypatch):
    monkeypatch.setattr("flawsmith.train.signals.ECHO_SECONDS", -1.0)

    def twice(_):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    # A shell's background job starts with SIGINT ignored: what it did before is then nothing.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_toy(tmp_path / "run", Toy(at={4: twice}))
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_echo_of_a_signal_counts_once(tmp_path):
    def twice(_):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted, match="step 5"):
        run_toy(tmp_path / "run", Toy(at={4: twice}))


def test_outside_of_the_main_thread(tmp_path):
    thread = threading.Thread(target=run_toy, args=(tmp_path / "run",))
    thread.start()
    thread.join()
    assert (tmp_path / "run" / "state" / "00000012").is_dir()


def test_a_finished_run_returns_at_once_and_can_go_on(tmp_path, undisturbed):
    out = tmp_path / "run"
    assert run_toy(out, steps=6).made == 6
    assert run_toy(out, steps=6).made == 0
    longer = run_toy(out, steps=12, log_every=5)
    assert (longer.steps, longer.made) == (12, 6)
    assert weights(out) == weights(undisturbed)
    assert "12 steps already, more than the 6 asked" in complaint(out, steps=6)
    (out / "model.safetensors").unlink()
    assert run_toy(out).made == 0
    assert weights(out) == weights(undisturbed)


def test_steps_decide_where_a_schedule_depends_on_them(tmp_path):
    toy = Toy(fixed_length=True)
    run_toy(tmp_path / "run", toy, steps=4)
    assert toy.totals == [4] * 4
    assert "training.steps 4 there, 6 now" in complaint(
        tmp_path / "run", Toy(fixed_length=True), steps=6
    )
    free = Toy()
    run_toy(tmp_path / "other", free, steps=2)
    assert free.totals == [None, None]


def test_other_settings_are_named(tmp_path):
    run_toy(tmp_path / "run", config={"width": 8, "loss": {"l1": 5}}, steps=3)
    told = complaint(tmp_path / "run", config={"width": 9, "loss": {"l1": 4}}, batch=4)
    assert "task.loss.l1 5 there, 4 now; task.width 8 there, 9 now" in told
    assert "training.batch 8 there, 4 now" in told


def test_folders_that_are_no_run(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    assert "holds files that are no training run" in complaint(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"mine.txt"}
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("[]")
    assert "no training run of flawsmith" in complaint(broken)
    (broken / "config.json").write_text('{"format": 7, "job": {}}')
    assert "a run of format 7; this flawsmith reads 1" in complaint(broken)
    with pytest.raises(OutputError, match=r"mine\.txt"):
        run_toy(tmp_path / "mine.txt" / "run")


def test_two_runs_into_one_folder(tmp_path):
    (tmp_path / "run").mkdir()
    with FileLock(tmp_path / "run" / ".lock"):
        assert "another process is training in it" in complaint(tmp_path / "run")


def poison(name, value):
    """Return what spoils a network's weights before a step."""

    def spoil(toy):
        with torch.no_grad():
            toy.models[name][0].weight.fill_(value)

    return spoil


def test_a_loss_that_is_not_finite_keeps_the_last_checkpoint(tmp_path):
    out, toy = tmp_path / "run", Toy()
    toy.at = {7: lambda _: poison("judge", float("nan"))(toy)}
    told = complaint(out, toy)
    assert "the loss 'generator' is not finite at step 8" in told
    assert "a lower learning rate" in told
    assert [path.name for path in sorted((out / "state").iterdir())] == ["00000003", "00000006"]
    assert read_weights_facts(out / "model.safetensors")["step"] == 6


def test_without_asking_each_step_a_nan_is_seen_before_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_finite", lambda losses: True)  # as on a GPU
    out, toy = tmp_path / "run", Toy()
    toy.at = {6: lambda _: poison("judge", float("nan"))(toy)}
    assert "the loss 'generator' is not finite at step 8" in complaint(out, toy)  # the log's step
    assert read_weights_facts(out / "model.safetensors")["step"] == 6


def test_weights_that_are_not_finite_are_not_kept(tmp_path):
    out, toy = tmp_path / "run", Toy()
    # Only the last update spoils them: the losses of the step are still good.
    step = toy.optimizers["generator"].step
    calls = []

    def spoiling():
        step()
        calls.append(1)
        if len(calls) == 6:
            poison("generator", float("inf"))(toy)

    toy.optimizers["generator"].step = spoiling
    assert "the weights are not finite at step 6" in complaint(out, toy)
    assert read_weights_facts(out / "model.safetensors")["step"] == 3


def test_checkpoints_by_the_clock(tmp_path, monkeypatch):
    now = iter(range(0, 10_000, 10))
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(now)))
    seen = []
    keep = loop.Loop._keep
    monkeypatch.setattr(loop.Loop, "_keep", lambda s, log: (seen.append(s.step), keep(s, log)))
    run_toy(tmp_path / "run", checkpoint_every=0, checkpoint_seconds=40.0, log_every=100)
    assert seen[-1] == 12
    assert 2 <= len(seen) <= 4  # the clock is asked about once a step


def test_bf16_runs_forward_passes_only(tmp_path):
    seen = []

    def look(context):
        with context.autocast():
            seen.append((torch.ones(2, 2) @ torch.ones(2, 2)).dtype)

    toy = Toy(at={0: look})
    run_toy(tmp_path / "run", toy, steps=1, precision="bf16")
    assert seen == [torch.bfloat16]
    assert toy.models["generator"][0].weight.dtype == torch.float32
    plain = Toy(at={0: look})
    run_toy(tmp_path / "plain", plain, steps=1)
    assert seen[1] == torch.float32


def test_channels_last(tmp_path):
    toy = Toy()
    toy.models["judge"].add_module("extra", torch.nn.Conv2d(3, 4, 3))
    toy.models["judge"].forward = lambda x: torch.nn.Sequential(*list(toy.models["judge"])[:3])(x)
    shapes = []
    toy.at = {0: lambda c: shapes.append(c.to_device(torch.ones(2, 3, 8, 8)).stride())}
    out = tmp_path / "run"
    run_toy(out, toy, steps=4, channels_last=True)
    assert shapes == [(192, 1, 24, 3)]
    assert toy.models["judge"].extra.weight.stride() == (27, 1, 9, 3)


def test_no_global_randomness(tmp_path):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    state, numbers = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    toy = Toy()
    torch.set_rng_state(state)  # nn.Linear's own initialisation draws
    run_toy(tmp_path / "run", toy, steps=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.random.get_state()[1].tolist() == numbers  # noqa: NPY002
