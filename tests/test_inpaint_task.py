"""One step of the training task: what it draws, its losses, its diversity term."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from flawsmith.inpaint.preview import preview_of
from flawsmith.seeding import rng
from tests.inpaint_run_helpers import (
    LOSSES,
    context_of,
    make_source,
    shapes_task,
)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_source(tmp_path_factory.mktemp("shapes") / "source", count=4)


def test_what_a_sample_draws_does_not_depend_on_the_batch(source):
    task = shapes_task(source)
    whole = task.steps.draw(context_of(task), 0.3)
    half = task.steps.draw(context_of(task, count=2), 0.3)
    for name in ("real", "wrong"):
        for one, two in zip(
            vars(getattr(whole, name)).values(), vars(getattr(half, name)).values(), strict=True
        ):
            assert torch.equal(one[:2], two)
    assert torch.equal(whole.noise.z[:2], half.noise.z[:2])
    assert torch.equal(whole.noise.z[4:6], half.noise.z[2:])  # after the real ones, the moved ones
    assert [part.start for part in whole.parts] == [0, 4]
    assert torch.equal(whole.ground_of(whole.parts[0]).image, whole.real.image)


def test_wrong_masks_are_others(source):
    task = shapes_task(source)
    now = task.steps.draw(context_of(task), 0.3)
    for right, wrong in zip(now.real.masks, now.wrong.masks, strict=True):
        assert not torch.equal(right, wrong)
    assert (now.wrong.masks.amax(dim=(1, 2, 3)) == 1).all()


def test_wrong_masks_of_the_only_defect(source):
    """With one site, and no room for another window, nothing is marked: that is wrong, too."""
    task = shapes_task(source)
    crop = task.crops.defect(0, rng(0))[0]
    steps = replace(task.steps, crops=Only(crop))
    wrong = [steps._wrong(crop, rng(seed)) for seed in range(20)]
    assert all(not np.array_equal(one.masks, crop.masks) for one in wrong)
    assert any(not one.masks.any() for one in wrong)
    assert all(one.hole.any() for one in wrong)


def test_wrong_masks_where_two_classes_are_marked_alike(source):
    task = shapes_task(source)
    crop = task.crops.defect(0, rng(0))[0]
    both = replace(crop, masks=np.repeat(crop.masks.any(axis=0, keepdims=True), 2, axis=0))
    for seed in range(20):
        assert not np.array_equal(task.steps._wrong(both, rng(seed)).masks, both.masks)


def test_frozen_features_are_computed_once(source, monkeypatch):
    """The look's, the real crops', two painted parts', and the part painted again: five passes."""
    task = shapes_task(source)
    passes = []
    inner = task.discriminator.features
    monkeypatch.setattr(
        task.discriminator, "features", lambda image: (passes.append(1), inner(image))[1]
    )
    task.step(context_of(task))
    assert len(passes) == 5


def test_the_grain_alone_is_asked_to_differ(source, monkeypatch):
    task = shapes_task(source)
    drawn = []
    inner = task.paint
    monkeypatch.setattr(
        task, "paint", lambda ground, noise: (drawn.append(noise), inner(ground, noise))[1]
    )
    task.step(context_of(task))
    first, again = drawn
    part = first.part(slice(4, 8))
    assert torch.equal(part.z, again.z)
    assert [torch.equal(part.at(s), again.at(s)) for s in (1, 2, 4, 8, 16)] == [
        *(False, False, False),
        *(True, True),
    ]


class Only:
    """Crops of one site that always look the same."""

    def __init__(self, crop):
        self.crop = crop

    def __len__(self):
        return 1

    def defect(self, place, generator):
        return self.crop, None


@pytest.mark.parametrize("discriminator", ["projected", "patch"])
def test_a_step_in_half_precision_by_pixels(source, discriminator):
    """As on a GPU: bfloat16 and channels-last; the losses stay near those in float32."""
    told = []
    for half in (False, True):
        task = shapes_task(source, {"discriminator": discriminator})
        context = replace(context_of(task), precision="bf16" if half else "no", channels_last=half)
        told.append(task.step(context))
        assert all(value.dtype == torch.float32 for value in told[-1].values())
        assert all(p.isfinite().all() for m in task.models.values() for p in m.parameters())
    plain, half_done = ({k: float(v.detach()) for k, v in line.items()} for line in told)
    assert half_done == pytest.approx(plain, abs=0.1, rel=0.1)


def test_painting_keeps_what_is_outside_of_the_hole(source):
    task = shapes_task(source)
    now = task.steps.draw(context_of(task), 0.3)
    with torch.no_grad():
        painted = task.paint(now.ground, now.noise)
    outside = (now.ground.hole == 0).expand_as(painted)
    assert torch.equal(painted[outside], now.ground.image[outside])
    assert (painted - now.ground.image)[~outside].abs().mean() > 0.05


def test_l1_fades_to_nothing(source):
    task = shapes_task(source, {"l1": 4.0, "l1_until": 0.5})
    weights = [task._l1_weight(context_of(task, step=step)) for step in (0, 1, 4, 5, 9)]
    assert weights == pytest.approx([4.0, 3.2, 0.8, 0.0, 0.0])


@pytest.mark.parametrize("moved", [0.0, 1.0])
def test_the_diversity_term(source, moved):
    """Step after step on the same crops, the looks that two noises give drift apart."""
    weights = {"moved": moved, "matching": 0.0, "l1": 0.0, "generator_rate": 2e-3}
    task = shapes_task(source, {"diversity": 100.0} | weights)
    told = [float(task.step(context_of(task))["g_diversity"].detach()) for _ in range(8)]
    assert all(0 <= value <= 1.0 for value in told)
    assert 1 - told[-1] > 1.3 * (1 - told[0])


def test_diversity_changes_nothing_when_off(source, tmp_path):
    """Its noise is a stream of its own: the other losses of a first step stay."""
    plain = shapes_task(source, {"diversity": 0.0})
    diverse = shapes_task(source, {"diversity": 1.0})
    without, with_it = plain.step(context_of(plain)), diverse.step(context_of(diverse))
    assert without.keys() == LOSSES - {"g_diversity"}
    assert with_it.keys() == LOSSES
    for name in without:
        assert torch.equal(without[name], with_it[name])


def test_no_matching_is_computed_for_nothing(source):
    assert "g_matching" not in shapes_task(source, {"matching": 0.0}).step(
        context_of(shapes_task(source))
    )


def test_reading_latents_back_does_not_train_the_encoder(source):
    """Else both could agree on looks that no discriminator ever sees."""
    task = shapes_task(source)
    now = task.steps.draw(context_of(task), 0.3)
    part = now.parts[-1]
    painted = task.paint(
        now.ground_of(part),
        now.noise.part(part),
    )
    task._latent_regression(now, task._maps(painted, now.change)).backward()
    assert all(p.grad is None for p in task.encoder.parameters())
    assert all(p.requires_grad for p in task.encoder.parameters())
    assert any(p.grad is not None and p.grad.any() for p in task.generator.parameters())


def test_the_encoder_learns_from_what_is_painted_over(source):
    task = shapes_task(source, {"kl": 0.0})
    before = [p.clone() for p in task.encoder.parameters()]
    task.step(context_of(task))
    changed = [bool((a != b).any()) for a, b in zip(before, task.encoder.parameters(), strict=True)]
    assert all(changed)


def test_the_penalty_comes_with_the_logistic_loss_and_lazily(source):
    task = shapes_task(source, {"discriminator": "patch", "r1_every": 2})
    told = [task.step(context_of(task, step=step)) for step in range(3)]
    assert ["d_r1" in line for line in told] == [True, False, True]
    assert told[0]["d_r1"] > 0
    # A logistic loss of no opinion is log 2.
    assert told[0]["d_real"].item() == pytest.approx(np.log(2), abs=0.1)
    assert not any("parametrizations" in name for name, _ in task.discriminator.named_parameters())
    hinged = shapes_task(source, {"discriminator": "patch", "loss": "hinge"})
    assert "d_r1" not in hinged.step(context_of(hinged))
    assert any("parametrizations" in name for name, _ in hinged.discriminator.named_parameters())


def test_the_penalty_holds_the_slope_down(source):
    """On the same crops, real ones' slope ends far lower under a heavy penalty."""
    given = {"discriminator": "patch", "r1_every": 1, "augment": 0.0, "discriminator_rate": 2e-3}
    ends = []
    for weight in (1e-9, 1e5):
        task = shapes_task(source, given | {"r1": weight})
        told = [float(task.step(context_of(task))["d_r1"].detach()) for _ in range(10)]
        ends.append(told[-1])
    assert ends[1] < 0.1 * ends[0]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_preview(source, channels):
    task = shapes_task(source)
    generator = task.generator.eval()

    class Repeated(torch.nn.Module):
        """Paints a fixed tone, so that the rows can be told."""

        def __init__(self):
            super().__init__()
            self.tone = torch.nn.Parameter(torch.tensor(1.0))

        def forward(self, image, hole, masks, noise):
            return self.tone.expand_as(image)

    with torch.no_grad():
        picture = preview_of(task.crops, Repeated(), channels)
        assert picture.shape == (5 * 32, 8 * 32, 3)[: 2 + (channels == 3)]
        assert picture.dtype == np.uint8
        grey = picture if channels == 1 else picture[..., 0]
        real, repainted, marked, clean, painted = grey.reshape(5, 32, 8 * 32)
        assert set(np.unique(marked)) == {0, 255}
        assert (painted[marked == 255] == 255).all()
        rim = (painted != clean).mean() - (marked == 255).mean()
        assert 0 < rim < 0.2
        assert (real != repainted).mean() < 0.4
        one, two = (task.preview(generator, step) for step in (1, 2))
    assert (one == two).all()
