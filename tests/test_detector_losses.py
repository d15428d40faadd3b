"""What the learned detectors minimise: each loss from its formula, and what a phase trains."""

import copy
import math
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence
from torch.nn import functional as F

from flawsmith.evaluate.detectors.frames import Form
from flawsmith.evaluate.detectors.registry import open_detector
from flawsmith.train.reduce import Processes
from flawsmith.train.task import Context
from tests.feature_helpers import one_thread  # noqa: F401

FORM = Form(32, 32, 1)
CPU = torch.device("cpu")


class Recorded:
    """A context that keeps the losses and steps nothing; its noise depends on the stream alone."""

    device = CPU
    step = 0
    autocast = nullcontext

    def __init__(self):
        self.losses = {}

    def noise(self, *shape, stream="noise"):
        generator = torch.Generator().manual_seed(len(stream))
        return torch.randn(4, *shape, generator=generator)

    def backward_and_step(self, name, loss):
        self.losses[name] = loss.item()


def pictures():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (4, 1, 32, 32), generator=generator, dtype=torch.uint8)


def task_of(name, **settings):
    """Return a detector's task and its pictures; the network normalises as when it scores."""
    detector = open_detector(name, settings, "cpu")
    task = detector._task(detector.build(FORM), pictures())
    task.network.eval()
    return task, pictures().float() / 127.5 - 1


def test_ganomalys_generator_minimises_the_weighted_sum():
    task, x = task_of("ganomaly", width=4, latent=8)
    context = Recorded()
    task.batch = lambda _: x
    with torch.no_grad():
        task.step(context)
        net = task.network
        z = net.inner(x)
        made = net.decoder(z)
        features = [net.critic.body(one) for one in (x, made)]
        wanted = (
            (features[0] - features[1]).square().mean()
            + 50 * (x - made).abs().mean()
            + (z - net.outer(made)).square().mean()
        )
        real, fake = net.critic(x), net.critic(made)
    assert context.losses["generator"] == pytest.approx(wanted.item(), rel=1e-5)
    judged = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    judged = judged + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    assert context.losses["critic"] == pytest.approx(judged.item() / 2, rel=1e-5)


def normal(known):
    return Independent(Normal(known[0], (known[1] / 2).exp()), 1)


@pytest.mark.parametrize("margins", [(0.0, 0.0), (0.5, 40.0)])
def test_advaes_losses_are_those_of_their_equations(margins):
    task, x = task_of("advae", width=2, latent=4, prior=0.7, margin_x=margins[0],
                      margin_z=margins[1], adversarial=0.3)  # fmt: skip
    context, net = Recorded(), task.network
    with torch.no_grad():
        task._generate(context, x)
        task._encode(context, x)
        known = net.encoder(x)
        standard = Normal(torch.zeros(4, 4), torch.ones(4, 4))

        def anew(stream):
            """Return G(z), G(z of T), T's normal and the KL terms of what E makes of both."""
            z = known[0] + (known[1] / 2).exp() * context.noise(4, stream=stream)
            near = net.transformer(z)
            odd = near[0] + (near[1] / 2).exp() * context.noise(4, stream="transformed")
            made, strange = net.generator(z), net.generator(odd)
            codes = [normal(net.encoder(one)) for one in (made, strange)]
            return made, strange, near, [kl_divergence(c, Independent(standard, 1)) for c in codes]

        made, strange, near, (seen, doubted) = anew("z")
        apart = (margins[0] * 32 * 32 - (made - strange).square().sum((1, 2, 3))).clamp(min=0)
        pushed = (margins[1] - doubted).clamp(min=0)
        error = (x - made).square().sum((1, 2, 3))
        generating = kl_divergence(normal(known), normal(near))
        generating = generating + 0.7 * (error + apart + 0.3 * (seen + pushed))
        made, strange, near, (seen, doubted) = anew("z again")
        error = (x - made).square().sum((1, 2, 3))
        hinges = (margins[1] - seen).clamp(min=0) + (margins[1] - doubted).clamp(min=0)
        prior = kl_divergence(normal(known), Independent(standard, 1))
        encoding = error + 0.7 * prior + 0.3 * hinges
    assert (apart > 0).all() == (margins[0] > 0)
    assert context.losses["generator"] == pytest.approx(generating.mean().item(), rel=1e-4)
    assert context.losses["encoder"] == pytest.approx(encoding.mean().item(), rel=1e-4)


def moved(before, network):
    """Return which parts of a network hold other weights than before."""
    return {
        name.split(".")[0]
        for name, value in network.state_dict().items()
        if not torch.equal(value, before[name])
    }


def test_advaes_phases_leave_the_others_networks_alone():
    task, x = task_of("advae", width=2, latent=4)
    context = Context(0, None, 0, (0, 1, 2, 3), range(4), Processes(CPU), task.optimizers)
    before = copy.deepcopy(task.network.state_dict())
    task._generate(context, x)
    assert moved(before, task.network) == {"generator", "transformer"}
    before = copy.deepcopy(task.network.state_dict())
    task._encode(context, x)
    assert moved(before, task.network) == {"encoder"}


def judge(real, fake):
    """Return a critic that gives one logit to the first pair that it sees, then another."""
    logits = iter((real, fake))
    return lambda *_: torch.full((4,), next(logits))


def sure(logit):
    """Return -log of a logit's probability."""
    return math.log(1 + math.exp(-logit))


def test_alads_losses_of_known_logits():
    task, x = task_of("alad", width=4, latent=8)
    z, context = torch.zeros(4, 8), Recorded()

    def with_judges(**logits):
        judges = {name: judge(*pair) for name, pair in logits.items()}
        return SimpleNamespace(
            encoder=lambda _: torch.zeros(4, 8), generator=lambda _: torch.zeros_like(x), **judges
        )

    # Called: real by each critic's first pair, made by its second.
    task.parts = with_judges(xz=(2.0, -1.0), xx=(0.5, 1.0), zz=(-3.0, 0.25))
    task._judge(context, x, z)
    wanted = sure(2) + sure(1) + sure(0.5) + sure(-1) + sure(-3) + sure(-0.25)
    assert context.losses["critics"] == pytest.approx(wanted, rel=1e-5)
    # The makers want each pair taken for the other; of the cycles only the made pair is theirs.
    task.parts = with_judges(xz=(2.0, -1.0), xx=(1.0, None), zz=(0.25, None))
    told = task._make(context, x, z)
    wanted = sure(-2) + sure(-1) + sure(1) + sure(0.25)
    assert context.losses["makers"] == pytest.approx(wanted, rel=1e-5)
    assert told["error"].item() == pytest.approx(x.square().mean().item())
