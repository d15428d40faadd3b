"""Generators: shapes, noise, independence, live gradients, composition, and that they learn."""

import pytest
import torch

from flawsmith.errors import InputError
from flawsmith.inpaint import losses
from flawsmith.inpaint.discriminators import build_discriminator
from flawsmith.inpaint.generators import GENERATORS, build_generator, compose
from flawsmith.inpaint.noise import LATENT, STRIDES, Noise, draw_noise, noise_length
from flawsmith.seeding import rng
from tests.feature_helpers import one_thread  # noqa: F401
from tests.inpaint_helpers import WIDTH, inputs, noise_of, pairs

kinds = pytest.mark.parametrize("kind", GENERATORS)


def part(noise, where):
    return Noise(noise.z[where], tuple(m[where] for m in noise.maps))


@kinds
@pytest.mark.parametrize(
    ("size", "channels", "classes"),
    [((64, 64), 1, 1), ((96, 160), 3, 4), ((50, 70), 1, 4), ((33, 47), 3, 1)],
)
def test_generators_keep_the_size(kind, size, channels, classes):
    image, hole, masks, _ = inputs(2, channels, classes, size)
    painted = build_generator(kind, channels, classes, WIDTH, 0)(
        image, hole, masks, noise_of(2, size)
    )
    assert painted.shape == image.shape
    assert painted.abs().max() <= 1
    assert painted.std() > 0.05


@kinds
def test_a_tiny_picture(kind):
    network = build_generator(kind, 1, 1, WIDTH, 0)
    one = torch.ones(1, 1, 5, 3)
    assert network(one, one, one, noise_of(1, (5, 3))).shape == one.shape


def test_noise_of_another_size_is_refused():
    image, hole, masks, _ = inputs()
    with pytest.raises(ValueError, match="noise is for"):
        build_generator("unet", 1, 3, WIDTH, 0)(image, hole, masks, noise_of(2, (96, 64)))


@kinds
def test_outside_of_the_hole_every_bit_is_kept(kind):
    image, hole, masks, soft = inputs()
    painted = build_generator(kind, 1, 3, WIDTH, 0)(image, hole, masks, noise_of())
    made = compose(image, painted, soft)
    assert torch.equal(made[soft == 0], image[soft == 0])
    assert made.abs().max() <= 1
    assert (made != image)[masks.amax(dim=1, keepdim=True) > 0].float().mean() > 0.9


def test_compose_by_hand():
    image, painted = torch.full((1, 1, 1, 3), 0.5), torch.full((1, 1, 1, 3), -0.5)
    soft = torch.tensor([0.0, 0.25, 1.0]).reshape(1, 1, 1, 3)
    assert compose(image, painted, soft).flatten().tolist() == [0.5, 0.25, -0.5]


@kinds
def test_noise_changes_the_defect(kind):
    image, hole, masks, _ = inputs()
    network = build_generator(kind, 1, 3, WIDTH, 0)
    first, again = (network(image, hole, masks, noise_of()) for _ in range(2))
    assert torch.equal(first, again)
    one, other = noise_of(), noise_of(seed=1)
    for noise in (other, Noise(other.z, one.maps), Noise(one.z, other.maps)):
        change = (network(image, hole, masks, noise) - first).abs()
        assert losses.cell_mean(change, hole).min() > 0.005


@kinds
def test_the_mask_and_the_surface_matter_and_the_hole_hides(kind):
    image, hole, masks, _ = inputs()
    network = build_generator(kind, 1, 3, WIDTH, 0)
    first = network(image, hole, masks, noise_of())
    assert (network(image, hole, masks.roll(1, dims=1), noise_of()) - first).abs().max() > 0.01
    assert (network(-image, hole, masks, noise_of()) - first).abs().max() > 0.01
    hidden = torch.where(hole > 0, -image, image)
    assert torch.equal(network(hidden, hole, masks, noise_of()), first)


@kinds
def test_a_sample_is_its_own(kind):
    image, hole, masks, _ = inputs(3)
    noise, network = noise_of(3), build_generator(kind, 1, 3, WIDTH, 0)
    both = network(image, hole, masks, noise)
    for index in range(3):
        i = slice(index, index + 1)
        alone = network(image[i], hole[i], masks[i], part(noise, i))
        torch.testing.assert_close(alone, both[i], rtol=0, atol=1e-5)


@kinds
@pytest.mark.parametrize("channels", [1, 3])
def test_every_parameter_of_a_generator_lives(kind, channels):
    image, hole, masks, soft = inputs(2, channels)
    network = build_generator(kind, channels, 3, WIDTH, 0)
    made = compose(image, network(image, hole, masks, noise_of()), soft)
    losses.coarse_l1(image, made, hole).backward()
    dead = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not dead


@kinds
def test_half_precision(kind):
    image, hole, masks, _ = inputs()
    network = build_generator(kind, 1, 3, WIDTH, 0)
    exact = network(image, hole, masks, noise_of())
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(image, hole, masks, noise_of())
    assert (rough.float() - exact).abs().mean() < 0.03


def test_first_weights_depend_on_the_seed_alone():
    before = torch.get_rng_state()
    builds = [build_generator("unet", 1, 1, WIDTH, seed).state_dict() for seed in (5, 5, 6)]
    heads = [build_discriminator("patch", 1, 1, WIDTH, seed).state_dict() for seed in (5, 5, 6)]
    assert torch.equal(before, torch.get_rng_state())
    for one, same, other in (builds, heads):
        assert all(torch.equal(one[name], same[name]) for name in one)
        assert any(not torch.equal(one[name], other[name]) for name in one)


def test_unknown_kinds():
    with pytest.raises(InputError, match=r"no generator 'gan' \(mend: one of unet, spade, lama\)"):
        build_generator("gan", 1, 1, WIDTH, 0)
    with pytest.raises(InputError, match=r"is 10 wide \(mend: a multiple of 4\)"):
        build_generator("unet", 1, 1, 10, 0)
    with pytest.raises(InputError, match="no discriminator 'lpips'"):
        build_discriminator("lpips", 1, 1, WIDTH, 0)


def test_noise_depends_on_its_own_generator_alone():
    many, one = noise_of(3, (50, 70)), draw_noise([rng(0, "noise", 2)], (50, 70))
    assert many.z.shape == (3, LATENT)
    assert [tuple(m.shape) for m in many.maps] == [
        (3, 1, 64 // s, 80 // s) for s in (1, 2, 4, 8, 16)
    ]
    assert torch.equal(many.z[2:], one.z)
    assert all(torch.equal(a[2:], b) for a, b in zip(many.maps, one.maps, strict=True))
    numbers = torch.cat([noise_of(3).z.flatten(), noise_of(3).at(1).flatten()])
    assert numbers.mean().abs() < 0.03
    assert numbers.std() == pytest.approx(1, abs=0.03)


def test_a_flat_bundle_of_another_length_is_refused():
    with pytest.raises(ValueError, match="wanted"):
        Noise.of(torch.zeros(2, noise_length((64, 64)) + 1), (64, 64))


@kinds
def test_a_generator_repaints_a_pair(kind):
    _, base, masks, hole = pairs(0, count=2)
    rows = torch.arange(32.0)
    base = base * 0.2 + 0.3 * torch.sin(rows / 3)  # a surface of upright stripes
    real = torch.where(hole > 0, 0.5 * torch.sin(rows[:, None]) - 0.3, base)  # level ones in it
    network = build_generator(kind, 1, 2, WIDTH, 0)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3, (0.0, 0.99))
    noise = noise_of(2, (32, 32))
    for _ in range(80):
        loss = losses.coarse_l1(real, compose(base, network(base, hole, masks, noise), hole), hole)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.1  # a flat patch would leave 0.3


def test_another_grain_keeps_look_and_shapes():
    one, other = noise_of(2, (64, 64)), draw_noise([rng(9, i) for i in range(2)], (64, 64))
    mixed = one.with_grain(other)
    assert torch.equal(mixed.z, one.z)
    for stride in STRIDES:
        assert torch.equal(mixed.at(stride), (other if stride <= 4 else one).at(stride))
    assert torch.equal(one.part(slice(1, 2)).at(8), one.at(8)[1:])
