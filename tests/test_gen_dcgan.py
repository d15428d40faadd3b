"""The thesis' networks: their tables, any size, seeds; BatchNorm over processes, seeded dropout."""

import copy
import math

import pytest
import torch
from torch import nn

from flawsmith.errors import InputError
from flawsmith.gen.dcgan import DcganCritic, DcganGenerator
from flawsmith.gen.networks import build_critic, build_generator
from flawsmith.gen.settings import ARCHS
from flawsmith.gen.shapes import Shape, cropped, sampled, score
from flawsmith.gen.training import setup_of
from flawsmith.train.ema import Ema
from flawsmith.train.norms import BatchNorm, Dropout, seed_dropout

PLATE = Shape(3, 400, 240)
# Layer by layer, as the thesis lists them.
GENERATOR = [768000, 6554112, 3277056, 819328, 204864, 4803]
CRITIC = [1792, 73856, 295168, 1180160, 768001]


def layers(model):
    """Return the parameters of each layer that is no normalisation, in order."""
    kinds = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    found = [m for m in model.modules() if isinstance(m, kinds)]
    return [sum(p.numel() for p in layer.parameters()) for layer in found]


def norm_values(model):
    """Return trained and running values a channel of each BatchNorm, as Keras counts them."""
    found = []
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            tensors = [*module.parameters(), module.running_mean, module.running_var]
            found.append(sum(t.numel() for t in tensors) / module.num_features)
    return found


@pytest.mark.parametrize("arch", ["dcgan", "wgan-gp"])
@pytest.mark.parametrize("preset", ["plates", "plates-thesis"])
def test_the_thesis_table(arch, preset):
    settings = setup_of(preset, None, {"arch": arch}).gen
    assert settings.latent == 100
    with torch.device("meta"):
        generator = DcganGenerator(PLATE, settings.latent, settings.width, settings.strides)
        critic = DcganCritic(PLATE, settings.critic_width)
        made = generator(torch.zeros(2, 100))
        assert generator.dense.bias is None
        assert generator.dense(torch.zeros(2, 100)).shape == (2, 7680)
        assert generator.grid == (5, 3)
        assert made.shape == (2, 3, 400, 240)
        assert critic(made).shape == (2, 1)
    assert layers(generator) == GENERATOR
    assert layers(critic) == CRITIC
    assert norm_values(generator) == [4] * 5
    assert norm_values(critic) == [4] * 3


def test_the_presets_build_what_the_table_says():
    """By name as a training does, on the CPU's cheap side: no forward pass."""
    gen = setup_of("plates", None, {"arch": "wgan-gp"}).gen
    with torch.device("meta"):
        critic = DcganCritic(PLATE, gen.critic_width, "layer")
    norms = [m for m in critic.modules() if isinstance(m, nn.GroupNorm)]
    assert [(m.num_groups, m.num_channels) for m in norms] == [(1, 128), (1, 256), (1, 512)]
    assert not any(isinstance(m, nn.BatchNorm2d) for m in critic.modules())
    assert (gen.critic_steps, gen.penalty, gen.betas) == (5, 10.0, (0.0, 0.9))
    assert (gen.generator_rate, gen.critic_rate) == (1e-4, 1e-4)
    thesis = setup_of("plates-thesis", None, {"arch": "dcgan"})
    assert (thesis.gen.generator_rate, thesis.gen.betas[0], thesis.epochs) == (0.002, 0.5, 200)
    assert setup_of("plates", None, {"arch": "dcgan"}).gen.generator_rate == 2e-4


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("shape", [Shape(1, 37, 53, 2), Shape(3, 20, 12)])
def test_any_size(arch, shape):
    settings = setup_of("tiny", None, {"arch": arch, "width": 4, "critic_width": 4}).gen
    generator = build_generator(arch, shape, settings, 1).eval()
    critic = build_critic(arch, shape, settings, 1)
    z = torch.randn(2, generator.latent, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        made = generator(z)
        assert made.shape == (2, shape.total, *shape.size)
        assert made.abs().max() <= 1
        assert torch.equal(made, generator(z))
        assert not torch.equal(made[0], made[1])
        seed_dropout(critic, [torch.Generator().manual_seed(i) for i in range(2)], z.device)
        assert score(critic(made)).shape == (2,)
        pulled = sampled(generator, z, 0.0)
    # At 0 all latents are one; StyleGAN2's noise stays each picture's own.
    assert (pulled[0] - pulled[1]).abs().mean() < (made[0] - made[1]).abs().mean()


@pytest.mark.parametrize("size", [(400, 240), (240, 400)])
@pytest.mark.parametrize("strides", [(), (5, 2, 2, 2, 2), (3, 4)])
def test_the_size_is_exact_without_stretching(size, strides):
    shape = Shape(1, *size)
    with torch.device("meta"):
        generator = DcganGenerator(shape, 4, 2, strides)
        made = generator(torch.zeros(1, 4))
    assert made.shape[-2:] == size
    covered = [g * math.prod(strides or (2,) * shape.doublings()) for g in generator.grid]
    assert all(c >= s for c, s in zip(covered, size, strict=True))


def test_cropping_takes_the_middle():
    x = torch.arange(10 * 12).reshape(1, 1, 10, 12)
    assert torch.equal(cropped(x, Shape(1, 8, 8)), x[..., 1:9, 2:10])


def test_first_weights_come_from_the_seed():
    settings = setup_of("tiny", None, {"arch": "dcgan"}).gen
    before = torch.random.get_rng_state()
    one, same, other = (
        build_generator("dcgan", Shape(1, 16, 16), settings, seed).dense.weight
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.std().item() == pytest.approx(0.02, rel=0.1)
    with pytest.raises(InputError, match="no architecture 'pix2pix'"):
        build_critic("pix2pix", Shape(1, 16, 16), settings, 1)


def test_spectral_norm_bounds_every_layer():
    critic = DcganCritic(Shape(1, 16, 16), 4, spectral=True)
    with torch.no_grad():
        for _ in range(20):
            critic(torch.randn(2, 1, 16, 16))
    for layer in (*critic.convs, critic.dense):
        largest = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)
        assert largest.item() == pytest.approx(1, abs=0.05)
    assert not any(isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)) for m in critic.modules())


def test_dropout_is_each_sample_s_own():
    dropout, x = Dropout(0.25).train(), torch.ones(3, 4000)
    seeds = [torch.Generator().manual_seed(i) for i in (5, 6, 7)]
    dropout.seed(seeds, x.device)
    whole, again = dropout(x), dropout(x)
    dropout.seed(seeds[1:], x.device)
    assert torch.equal(dropout(x[1:]), whole[1:])
    assert not torch.equal(whole, again)
    assert whole.mean().item() == pytest.approx(1, abs=0.02)
    assert (whole == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert torch.equal(dropout.eval()(x), x)
    with pytest.raises(ValueError, match="2 generators for 3 samples"):
        dropout.train()(x)


def test_shapes_are_checked():
    for wrong in ((2, 16, 16), (3, 4, 16), (3, 16, 5000), (1, 16, 16, -1)):
        with pytest.raises(InputError):
            Shape(*wrong)


def test_batch_norm_alone_is_torch_s():
    x = torch.randn(4, 3, 5, 5)
    ours, theirs = BatchNorm(3), nn.BatchNorm2d(3)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.running_var, theirs.running_var)


def test_averaged_weights_go_with_averaged_statistics():
    """While weights drift, samples of their average look as normalising by a batch makes them."""
    settings = setup_of("tiny", None, {"arch": "dcgan", "width": 4}).gen
    shape = Shape(1, 16, 16)
    generator, end = (build_generator("dcgan", shape, settings, seed) for seed in (1, 2))
    pairs = zip(generator.parameters(), end.parameters(), strict=True)
    drift = [(b - a).detach() / 1000 for a, b in pairs]
    ema, draws = Ema(generator, 0.99), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for step in range(450):
            if step >= 150:  # before, the average forgets what statistics start from
                torch._foreach_add_(list(generator.parameters()), drift)
            generator(torch.randn(16, generator.latent, generator=draws))
            ema.update(generator, step if step < 150 else 1000)
        z = torch.randn(256, generator.latent, generator=draws)
        drawn, batch = ema.model(z), copy.deepcopy(ema.model).train()(z)
        ema.model.load_state_dict(dict(generator.named_buffers()), strict=False)
        copied = ema.model(z)
    apart, before = (float((x - batch).square().mean().sqrt()) for x in (drawn, copied))
    assert apart < 0.05 * batch.std().item()
    assert apart < before / 3
