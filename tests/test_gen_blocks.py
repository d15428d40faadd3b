"""Levels of sizes, equalised layers, the doubling convolution, and noise from a latent."""

import math
import struct

import pytest
import torch
from torch.nn import functional as F

from flawsmith.gen.blocks import (
    DoublingConv,
    EqualConv,
    EqualLinear,
    cut,
    noise_maps,
    sizes_of,
    widths_of,
)
from flawsmith.gen.shapes import Shape


def latents(count, size=16, seed=0):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("height", "width", "sizes"),
    [
        (64, 64, [(4, 4), (8, 8), (16, 16), (32, 32), (64, 64)]),
        (37, 61, [(5, 8), (10, 16), (19, 31), (37, 61)]),
        (400, 240, [(7, 4), (13, 8), (25, 15), (50, 30), (100, 60), (200, 120), (400, 240)]),
        (8, 9, [(4, 5), (8, 9)]),
    ],
)
def test_levels_by_hand(height, width, sizes):
    assert sizes_of(Shape(1, height, width)) == sizes


def test_widths_by_hand():
    assert widths_of(6, 16) == [128, 128, 128, 64, 32, 16]
    assert widths_of(2, 3) == [6, 3]


def test_doubling_is_repeating_then_convolving():
    torch.manual_seed(0)
    layer = DoublingConv(3, 5).double()
    x = torch.randn(2, 3, 4, 7, dtype=torch.float64)
    wanted = F.conv2d(F.interpolate(x, scale_factor=2.0), layer.weight, padding=1)
    torch.testing.assert_close(layer(x, (8, 14)), wanted)
    torch.testing.assert_close(layer(x, (7, 13)), cut(wanted, (7, 13)))


def test_equalised_layers_scale_as_they_are_used():
    torch.manual_seed(0)
    dense = EqualLinear(400, 300, gain=2.0, bias=0.5, pace=0.01)
    assert dense.weight.detach().std() == pytest.approx(100, rel=0.02)  # 1 / pace
    assert (dense.bias * dense.pace).unique().tolist() == pytest.approx([0.5])
    x = torch.randn(200, 400)
    torch.testing.assert_close(dense(x), x @ dense.weight.T * 2.0 * 0.01 / 20 + 0.5)
    assert (dense(x) - 0.5).detach().std() == pytest.approx(2, rel=0.02)
    layer = EqualConv(16, 64, gain=3.0)
    assert layer.weight.detach().std() == pytest.approx(1, rel=0.03)
    x = torch.randn(8, 16, 9, 9)
    wanted = F.conv2d(x, layer.weight * 3.0 / 12)  # 16 inputs of 3x3: the root of 144
    torch.testing.assert_close(layer(x)[..., 1:-1, 1:-1], wanted)
    assert wanted.detach().std() == pytest.approx(3, rel=0.05)


def test_adam_moves_equalised_layers_by_the_same_share():
    """Whatever a layer's inputs: that is what equalising is for."""
    shares = []
    for inputs in (4, 400):
        torch.manual_seed(0)
        layer = EqualLinear(inputs, 50)
        before = layer.weight.detach() * layer.scale
        optimiser = torch.optim.Adam(layer.parameters(), 0.1)
        layer(torch.randn(8, inputs)).square().sum().backward()
        optimiser.step()
        moved = layer.weight.detach() * layer.scale - before
        shares.append(float(moved.std() / before.std()))
    assert shares == pytest.approx([0.1, 0.1], rel=0.1)


def test_noise_is_standard_normal_and_white():
    maps = noise_maps(latents(6), [(40, 60), (90, 70)])
    assert [tuple(m.shape) for m in maps] == [(6, 1, 40, 60), (6, 1, 90, 70)]
    for noise in maps:
        assert noise.dtype == torch.float32
        assert noise.mean().abs() < 0.02
        assert noise.std() == pytest.approx(1, abs=0.02)
        fourth = noise.double().pow(4).mean()
        assert fourth == pytest.approx(3, abs=0.2)
        for one, other in (
            (noise[..., 1:], noise[..., :-1]),
            (noise[..., 1:, :], noise[..., :-1, :]),
            (noise[1:], noise[:-1]),
            (noise, noise.roll(noise.numel() // 12)),  # the two halves of each pair
        ):
            assert (one * other).mean().abs() < 0.03
    flat = maps[0].flatten(1)
    assert (flat[:, :2400] * maps[1].flatten(1)[:, :2400]).mean().abs() < 0.03


def test_noise_is_a_latents_own():
    z, sizes = latents(5), [(9, 7)]
    (noise,) = noise_maps(z, sizes)
    assert torch.equal(noise_maps(z[3:4], sizes)[0], noise[3:4])
    assert torch.equal(noise_maps(z.flip(0), sizes)[0], noise.flip(0))
    nearly = z.clone()
    nearly[:, 0] = torch.nextafter(nearly[:, 0], torch.tensor(9.0))
    other = noise_maps(nearly, sizes)[0]
    assert abs(torch.corrcoef(torch.stack([noise.flatten(), other.flatten()]))[0, 1]) < 0.2
    swapped = noise_maps(z.flip(1), sizes)[0]  # the same values elsewhere
    assert not torch.isclose(swapped, noise).any()


def test_noise_by_hand():
    """In whole numbers of Python; it must never change, since pictures of a run's latents would."""

    def mixed(x):
        for _ in range(2):
            x = ((x >> 16) ^ x) * 0x45D9F3B % 2**32
        return (x >> 16) ^ x

    z = [0.0, -1.5]
    bits = [struct.unpack("<I", struct.pack("<f", value))[0] for value in z]
    counted = [i * 0x1E3779B1 % 2**32 for i in range(2)]
    own = sum(mixed((mixed(b) + c) % 2**32) for b, c in zip(bits, counted, strict=True)) % 2**32
    words = [mixed(mixed(c) ^ own) for c in counted]
    radii = [math.sqrt(-2 * math.log(((word >> 16) + 0.5) / 65536)) for word in words]
    angles = [(word & 0xFFFF) * math.tau / 65536 for word in words]
    cosines = [r * math.cos(a) for r, a in zip(radii, angles, strict=True)]
    sines = [r * math.sin(a) for r, a in zip(radii, angles, strict=True)]
    first, last = noise_maps(torch.tensor([z]), [(1, 1), (1, 3)])
    assert [*first.flatten().tolist(), *last.flatten().tolist()] == pytest.approx(
        cosines + sines, abs=1e-5
    )
