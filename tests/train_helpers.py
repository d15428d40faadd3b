"""A toy to train, a GAN on points of the plane, in this process or as a script of its own.

As a script: ``train_helpers.py MODE FOLDER [JSON]`` with MODE ``points`` (forks a run for each kill
point, then resumes it) or ``launch`` (a run in two processes).
"""

import json
import os
import signal
import sys
import time
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from flawsmith.errors import FlawsmithError, InputError
from flawsmith.seeding import rng
from flawsmith.train.adaptive import AdaptiveStrength
from flawsmith.train.launch import launch
from flawsmith.train.loop import train
from flawsmith.train.reduce import Processes
from flawsmith.train.settings import TrainSettings

CENTRE = (2.0, -1.0)
SETTINGS = {
    "steps": 12, "batch": 8, "seed": 3, "device": "cpu", "log_every": 4, "ema": 0.9,
    "checkpoint_every": 3, "preview_every": 6,
}  # fmt: skip

# Where a training of four steps is killed that keeps a checkpoint every second one.
KILL_AT = [
    ("flawsmith.train.loop", "_finite", "before", 2),  # nothing kept yet
    ("flawsmith.train.loop", "_finite", "before", 4),  # one checkpoint, and a step after it
]


def mlp(seed: int, *widths: int) -> nn.Sequential:
    """A small network whose weights come from the seed alone."""
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise(widths)):
        linear = nn.Linear(fan_in, fan_out)
        values = rng(seed, "weights", i).normal(0, fan_in**-0.5, (fan_out, fan_in))
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(values))
            linear.bias.zero_()
        layers += [linear, nn.Tanh()]
    return nn.Sequential(*layers[:-1])


class Toy:
    """A GAN in the plane with a gradient penalty (a double backward pass) and adaptive noise."""

    kind = "toy"

    def __init__(self, *, fixed_length=False, at=None, lr=0.02):
        self.fixed_length = fixed_length
        self.at = at or {}  # step -> what happens before it
        self.points = torch.from_numpy(
            rng(0, "points").normal(CENTRE, 0.3, (37, 2)).astype(np.float32)
        )
        self.size = len(self.points)
        generator, judge = mlp(1, 2, 8, 2), mlp(2, 2, 8, 1)
        judge.register_buffer("seen", torch.zeros(2))  # a running statistic
        self.models = {"generator": generator, "judge": judge}
        self.optimizers = {
            "generator": torch.optim.Adam(generator.parameters(), lr, betas=(0.0, 0.99)),
            "judge": torch.optim.Adam(judge.parameters(), lr, betas=(0.0, 0.99)),
        }
        self.ema_of = "generator"
        self.adaptive = AdaptiveStrength(images=200, interval=3)
        self.totals = []

    def prepare(self, device):
        self.points = self.points.to(device)

    def step(self, context):
        self.at.get(context.step, lambda _: None)(context)
        self.totals.append(context.total)
        generator, judge = self.models["generator"], self.models["judge"]
        noisy = self.adaptive.strength * 0.1 * context.noise(2, stream="jitter")
        real = (self.points[list(context.indices)] + noisy).requires_grad_(True)
        judge.seen.lerp_(real.detach().mean(0), 0.1)
        fake = generator(context.noise(2, stream="fake"))
        scores = judge(real)
        (slope,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
        loss = nn.functional.softplus(-scores).mean()
        loss = loss + nn.functional.softplus(judge(fake.detach())).mean()
        context.backward_and_step("judge", loss + 0.05 * slope.square().sum(1).mean())
        self.adaptive.add(context.mean(scores.sign().mean()), 8)
        fooled = nn.functional.softplus(-judge(generator(context.noise(2)))).mean()
        context.backward_and_step("generator", fooled)
        return {"judge": loss, "generator": fooled}

    def preview(self, model, step):
        assert not model.training
        assert not torch.is_grad_enabled()
        return np.full((4, 4), step, np.uint8)

    def extra_state(self):
        return self.adaptive.state()

    def load_extra_state(self, state):
        self.adaptive.load(state)


def run_toy(out, toy=None, config=None, **changes):
    """Train the toy with one thread, as its bytes are compared."""
    torch.set_num_threads(1)
    return train(toy or Toy(), TrainSettings(**SETTINGS | changes), Path(out), config or {})


def metrics(out):
    """The lines of metrics.jsonl without what the clock decides."""
    lines = [json.loads(line) for line in (Path(out) / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "steps_per_second"} for line in lines]


def kill_at(module, name, moment, number):
    """Make a function kill this process just before or after one of its calls."""
    place = import_module(module)
    inner, calls = getattr(place, name), 0

    def wrapped(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == number and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = inner(*args, **kwargs)
        if calls == number and moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(place, name, wrapped)


def forked(work):
    """Run work in a fork, made before torch has any threads; return how it ended."""
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def points(folder, kill_points):
    """For each point: a run that is killed there, then the same run to its end."""
    Toy().optimizers["judge"].step()  # torch loads a good part of itself only now: once, not a fork
    for i, point in enumerate(kill_points):
        out = folder / str(i)
        killed = forked(lambda p=point, o=out: (kill_at(*p), run_toy(o)))
        assert killed == -signal.SIGKILL, (point, killed)
        assert forked(lambda o=out: run_toy(o)) == 0, point


def refuse(context):
    if context.rank == 1:
        raise InputError("picture 7 is broken", where="pictures", mend="remove it")


def averaged_gradients(processes):
    """What becomes of gradients on both processes, on the first one only, and on none."""
    both, one, none = (nn.Parameter(torch.zeros(2)) for _ in range(3))
    both.grad = torch.tensor([1.0, 2.0]) * (processes.rank + 1)
    if processes.first:
        one.grad = torch.tensor([3.0, 4.0])
    processes.average_gradients([both, one, none])
    return [None if p.grad is None else p.grad.tolist() for p in (both, one, none)]


def toy_in_processes(out, name):
    """One process's part of the run called ``name``; returns what only this process can tell."""
    at = {"fail": {4: refuse}, "slow": dict.fromkeys(range(1000), lambda _: time.sleep(0.05))}
    toy = Toy(at=at.get(name, {}))
    if os.environ["RANK"] == "1":  # must not matter: the first one's weights count
        with torch.no_grad():
            toy.models["generator"][0].weight.zero_()
    changes = {"steps": 1000, "checkpoint_every": 0} if name == "slow" else {}
    done = run_toy(out / name, toy, **changes)
    weights = torch.cat([v.flatten() for m in toy.models.values() for v in m.state_dict().values()])
    told = {"weights": weights.tolist(), "gradients": averaged_gradients(Processes.join("cpu"))}
    (out / f"{name}.rank{os.environ['RANK']}.json").write_text(json.dumps(told))
    return done.steps


def main(mode, folder, arguments="[]"):
    if mode == "points":
        points(Path(folder), json.loads(arguments))
    else:
        for name in json.loads(arguments):
            print(name, launch(toy_in_processes, (Path(folder), name), 2, "cpu"), flush=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except FlawsmithError as error:
        print(f"flawsmith: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
