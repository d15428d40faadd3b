"""Differentiable augmentation: alignment, identity, gradients, and how often what happens."""

import pytest
import torch

from flawsmith.train.batches import sample_generators
from flawsmith.train.diffaugment import Augmentation, Policy, draw

CPU = torch.device("cpu")
NONE = {"translation": 0.0, "cutout": 0.0, "brightness": 0.0, "contrast": 0.0}
SIZE = (12, 16)


def drawn(strength=1.0, n=8, size=SIZE, step=0, **policy):
    generators = sample_generators(0, "augment", step, range(n))
    return draw(generators, size, Policy(**policy), strength, CPU)


def pictures(n=8, channels=3, size=SIZE, seed=0):
    return torch.rand(n, channels, *size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_no_strength_is_the_identity():
    augmentation = drawn(0.0, flips=(True, True))
    assert augmentation == Augmentation()
    images = pictures()
    assert augmentation.image(images) is images
    assert augmentation.geometry(images) is images


def test_no_transformation_is_the_identity():
    assert drawn(1.0, **NONE) == Augmentation()


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_masks_move_as_pictures_do(channels):
    augmentation = drawn(flips=(True, True), **NONE | {"translation": 0.25})
    images = pictures(channels=channels)
    moved = augmentation.image(images)
    assert not torch.equal(moved, images)
    masks = (images > 0.3).float()
    assert torch.equal(augmentation.geometry(masks), (moved > 0.3).float())
    assert set(augmentation.geometry(masks).unique().tolist()) == {0.0, 1.0}


def test_masks_keep_what_is_cut_out_and_know_no_colours():
    augmentation = drawn(translation=0.0)
    ones = torch.ones(8, 2, *SIZE)
    assert torch.equal(augmentation.geometry(ones), ones)
    assert (augmentation.image(ones) == 0).any()


def test_a_shift_reflects_at_the_border():
    rows = torch.tensor([[2, 1, 0, 1]])  # two up, of four
    columns = torch.tensor([[1, 2, 1]])  # one left, of three
    grid = torch.arange(12.0).reshape(1, 1, 4, 3)
    moved = Augmentation(rows=rows, columns=columns).geometry(grid)
    assert moved[0, 0].tolist() == [[7, 8, 7], [4, 5, 4], [1, 2, 1], [4, 5, 4]]
    found = drawn(n=200, **NONE | {"translation": 0.25}).rows
    for row in found.tolist():
        first = row[0] if row[1] > row[0] else -row[0]
        places = [abs(first + i) for i in range(12)]
        assert row == [p if p < 12 else 22 - p for p in places]
        assert -3 <= first <= 3


def test_each_flip_turns_half_of_the_samples():
    flipped = drawn(n=400, flips=(True, False), **NONE)
    assert flipped.columns is None
    turned = (flipped.rows[:, 0] == 11).float().mean()
    assert turned == pytest.approx(0.5, abs=0.08)
    at_half = drawn(0.5, n=400, flips=(False, True), **NONE)
    assert at_half.rows is None
    assert (at_half.columns[:, 0] == 15).float().mean() == pytest.approx(0.25, abs=0.07)


@pytest.mark.parametrize("strength", [0.3, 0.8])
def test_the_strength_is_each_one_s_probability(strength):
    found = drawn(strength, n=1000)
    cut = (found.kept == 0).flatten(1).any(1).float().mean()
    bright = (found.brightness != 0).float().mean()
    contrast = (found.contrast != 1).float().mean()
    for share in (cut, bright, contrast):
        assert share == pytest.approx(strength, abs=0.05)
    # Independently of one another.
    both = ((found.brightness != 0) & (found.contrast != 1)).float().mean()
    assert both == pytest.approx(strength**2, abs=0.05)
    assert found.brightness.abs().max() <= 0.5
    assert found.contrast.min() >= 0.5
    assert found.contrast.max() <= 1.5


def test_a_square_of_half_the_side_is_cut_out():
    kept = drawn(n=300, **NONE | {"cutout": 0.5}).kept
    sizes = (kept == 0).flatten(1).sum(1)
    assert sizes.max() == 6 * 8
    assert sizes.min() >= 3 * 4  # centred at a corner
    assert (kept == 0).float().mean((0, 1)).min() > 0.05  # anywhere


def test_colours_by_hand():
    image = torch.tensor([0.0, 0.2, 0.4, 0.6]).reshape(1, 1, 2, 2)
    brighter = Augmentation(brightness=torch.full((1, 1, 1, 1), 0.25)).image(image)
    assert brighter.flatten().tolist() == pytest.approx([0.25, 0.45, 0.65, 0.85])
    flat = Augmentation(contrast=torch.full((1, 1, 1, 1), 0.5)).image(image)
    assert flat.flatten().tolist() == pytest.approx([0.15, 0.25, 0.35, 0.45])


def test_a_sample_s_draw_is_its_own():
    whole = drawn(flips=(True, True))
    parts = [
        draw(sample_generators(0, "augment", 0, [i]), SIZE, Policy(flips=(True, True)), 1.0, CPU)
        for i in range(8)
    ]
    images = pictures()
    alone = torch.cat([part.image(images[i : i + 1]) for i, part in enumerate(parts)])
    assert torch.allclose(whole.image(images), alone, atol=1e-6)


def test_gradients_and_their_gradients():
    augmentation = drawn(n=2, size=(4, 6), flips=(True, True), translation=0.3)
    exact = Augmentation(
        **{
            name: value.double() if value.is_floating_point() else value
            for name, value in vars(augmentation).items()
            if value is not None
        }
    )
    images = pictures(n=2, channels=2, size=(4, 6)).double().requires_grad_(True)
    assert torch.autograd.gradcheck(exact.image, images)
    assert torch.autograd.gradgradcheck(lambda x: exact.image(x).square(), images)


def test_a_stronger_draw_changes_no_other_number():
    weak, strong = drawn(0.4), drawn(0.9)
    chosen = weak.brightness != 0
    assert torch.equal(weak.brightness[chosen], strong.brightness[chosen])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3)])
def test_tiny_pictures(size):
    images = pictures(size=size)
    out = drawn(size=size, flips=(True, True), translation=0.5).image(images)
    assert out.shape == images.shape
    assert out.isfinite().all()
