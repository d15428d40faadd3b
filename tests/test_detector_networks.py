"""The networks of the learned detectors: the source works' sizes, losses in closed form, signs."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence
from torch.nn import functional as F

from flawsmith.errors import InputError
from flawsmith.evaluate.detectors import advae, alad, cpc, cvae, vae
from flawsmith.evaluate.detectors.alad_networks import AladNetwork
from flawsmith.evaluate.detectors.cpc_networks import Context, Direction, info_nce, patches_of
from flawsmith.evaluate.detectors.frames import Form
from flawsmith.evaluate.detectors.learned import halvings
from flawsmith.evaluate.detectors.registry import open_detector
from tests.detector_helpers import parameter_count
from tests.feature_helpers import one_thread  # noqa: F401

PLATE = Form(256, 256, 3)
SMALL = Form(32, 32, 1)


def thesis(name, form=PLATE, **settings):
    """Return a preset's network without memory for its weights."""
    detector = open_detector(name, settings, "cpu", preset="thesis")
    with torch.device("meta"):
        return detector._build(form)


def test_ganomaly_has_the_sizes_of_the_thesis():
    network = thesis("ganomaly")
    counts = [
        parameter_count(part)
        for part in (network.inner, network.decoder, network.outer, network.critic)
    ]
    assert counts == [53_103_360, 53_103_360, 53_103_360, 44_747_265]
    assert parameter_count(network) == 204_057_345


def test_cvae_has_the_sizes_of_the_thesis():
    network = thesis("cvae")
    assert parameter_count(network.encoder) == 273_252_672
    assert parameter_count(network.decoder) == 276_070_467


def test_advae_has_the_sizes_of_the_thesis():
    network = thesis("advae")
    assert parameter_count(network.encoder) == 135_521_824
    assert parameter_count(network.transformer) == 33_024
    generating = parameter_count(network.generator) + parameter_count(network.transformer)
    assert generating == 136_341_027


@pytest.mark.parametrize(("side", "latent"), [(32, 100), (64, 800)])
def test_alad_takes_the_sizes_of_the_study(side, latent):
    network = thesis("alad", Form(side, side, 3), latent=latent)
    x, z = (torch.zeros(shape, device="meta") for shape in ((2, 3, side, side), (2, latent)))
    network.eval()
    assert network.encoder(x).shape == z.shape
    assert network.generator(z).shape == x.shape
    assert network.xz(x, z).shape == network.xx(x, x).shape == network.zz(z, z).shape == (2,)


@pytest.mark.parametrize("encoder", ["resnet18v2", "resnet50v2", "densenet"])
@pytest.mark.parametrize("context", [True, False])
def test_cpc_has_four_directions_and_seven_rows_of_1024_values(encoder, context):
    models = thesis("cpc", encoder=encoder, context=context)
    assert len(models) == 4
    patches = torch.zeros(2, 7, 7, 3, 64, 64, device="meta")
    model = models[0].eval()
    z = model.embed(patches)
    assert z.shape == (2, 1024, 7, 7)
    pairs = model.pairs(z)
    assert [said.shape[1] for said, _ in pairs] == [5, 4, 3, 2, 1]
    assert all(said.shape == there.shape == (2, rows, 7, 1024)
               for (said, there), rows in zip(pairs, (5, 4, 3, 2, 1), strict=True))  # fmt: skip


def test_sides_that_do_not_halve_are_refused():
    assert halvings(Form(256, 256, 3)) == 6
    assert halvings(Form(40, 24, 1)) == 2
    with pytest.raises(InputError, match="multiples of 8"):
        halvings(Form(36, 44, 1))
    with pytest.raises(InputError, match="multiples of 8"):
        vae.grid_of(Form(36, 40, 1))
    with pytest.raises(InputError, match="smaller than a tile of 64"):
        open_detector("cpc", {}, "cpu").build(SMALL)
    with pytest.raises(InputError, match="half overlapping patches"):
        open_detector("cpc", {"tile": 16, "patch": 16}, "cpu")


def normals(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(5, 7, generator=generator), torch.randn(5, 7, generator=generator)


def as_distribution(mean, log_variance):
    return Independent(Normal(mean, (log_variance / 2).exp()), 1)


def test_kl_terms_are_torchs():
    first, second = normals(0), normals(1)
    standard = as_distribution(torch.zeros(5, 7), torch.zeros(5, 7))
    wanted = kl_divergence(as_distribution(*first), standard)
    torch.testing.assert_close(vae.kl_to_normal(*first), wanted)
    wanted = kl_divergence(as_distribution(*first), as_distribution(*second))
    torch.testing.assert_close(vae.kl_between(first, second), wanted)
    assert vae.kl_between(first, first).abs().max() < 1e-5


def test_latents_are_drawn_with_their_mean_and_deviation():
    mean, log_variance = torch.full((4000, 1), 3.0), torch.full((4000, 1), math.log(4.0))
    noise = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    found = vae.drawn((mean, log_variance), noise)
    assert found.mean() == pytest.approx(3, abs=0.1)
    assert found.std() == pytest.approx(2, abs=0.1)


def test_info_nce_in_closed_form():
    said, zero = torch.ones(1, 1, 4), torch.zeros(3, 4)
    # All alike: the share of one among four.
    assert info_nce(said, torch.zeros(1, 1, 4), zero).item() == pytest.approx(math.log(4))
    # The true one scores 4, three others 0.
    wanted = -math.log(math.exp(4) / (math.exp(4) + 3))
    assert info_nce(said, torch.ones(1, 1, 4), zero).item() == pytest.approx(wanted, rel=1e-4)
    # Two patches of a picture: each is the other's negative; those of another picture are not.
    there = torch.stack([torch.stack([torch.zeros(4), torch.ones(4)]), torch.full((2, 4), 9.0)])
    found = info_nce(torch.ones(2, 2, 4), there, zero)
    total = math.log(math.exp(4) + 4)
    assert found[0].tolist() == pytest.approx([total, total - 4], rel=1e-4)
    # Without others: cross entropy over the patches, which is what a batch is trained by.
    p, z = (torch.randn(6, 4, generator=torch.Generator().manual_seed(i)) for i in range(2))
    wanted = F.cross_entropy(p @ z.T, torch.arange(6))
    torch.testing.assert_close(info_nce(p[None], z[None], zero[:0]).mean(), wanted)
    torch.testing.assert_close(cpc._contrast(p.view(6, 1, 1, 4), z.view(6, 1, 1, 4)), wanted)


def test_context_sees_no_row_below():
    context = Context(3)
    z = torch.randn(1, 3, 5, 5, requires_grad=True, generator=torch.Generator().manual_seed(0))
    context(z)[0, :, 2].sum().backward()
    slopes = z.grad[0].abs().sum(dim=(0, 2))
    assert (slopes[:3] > 0).all()
    assert (slopes[3:] == 0).all()


def test_pairs_belong_to_rows_k_apart():
    model = Direction(1, "small", 6, (2, 3), False, 4)
    for matrix in model.ahead:
        nn.init.eye_(matrix.weight)
    z = torch.arange(5.0).view(1, 1, 5, 1).expand(1, 6, 5, 5)
    for k, (said, there) in zip((2, 3), model.pairs(z), strict=True):
        assert (there - said == k).all()


def test_patches_overlap_by_half_and_tiles_cover_large_pictures():
    x = torch.arange(64.0).view(1, 1, 8, 8)
    patches = patches_of(x, 4)
    assert patches.shape == (1, 3, 3, 1, 4, 4)
    assert torch.equal(patches[0, 1, 2, 0], x[0, 0, 2:6, 4:8])
    assert cpc.starts(768, 256) == [0, 128, 256, 384, 512]  # 25 tiles
    assert cpc.starts(256, 256) == [0]
    assert cpc.starts(300, 256) == [0, 44]


def test_alads_scores_have_the_right_sign():
    network = AladNetwork(SMALL, 4, 8, 0.0).eval()
    x = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    far = -x
    with torch.no_grad():
        for how in ("fm", "l1", "l2"):
            score = alad.SCORES[how]
            assert (score(network, x, x) == 0).all(), how
            assert (score(network, x, far) > score(network, x, 0.9 * x)).all(), how

    class Judge(nn.Module):
        """Called the same by the critic: a high logit; told apart: a low one."""

        def forward(self, x, other):
            return 5 - 10 * (x - other).abs().flatten(1).mean(dim=1)

    network.xx = Judge()
    sure, doubted = (alad.doubt_score(network, x, y) for y in (x, far))
    assert (doubted > sure).all()
    assert sure[0].item() == pytest.approx(math.log(1 + math.exp(-5)))


def test_ganomalys_score_is_the_distance_of_latents():
    detector = open_detector("ganomaly", {"width": 4, "latent": 8}, "cpu")
    network = detector.build(SMALL).eval()
    x = torch.zeros(2, 1, 32, 32)
    x[1] += 0.5
    with torch.no_grad():
        z, _, again = network(x)
        score, maps = detector._score(network, x)
    assert maps is None
    torch.testing.assert_close(score, (z - again).abs().sum(dim=1))


def test_reconstruction_errors_are_larger_where_more_is_changed():
    x = torch.zeros(2, 1, 8, 8)
    made = x.clone()
    made[1, 0, 2, 3] = 0.5
    score, maps = vae.error_maps(x, made)
    assert score.tolist() == [0, 0.25 / 64]
    assert maps[1].argmax().item() == 2 * 8 + 3


def test_the_error_picture_is_blue_for_none_and_red_for_most():
    squared = np.zeros((4, 4), np.float32)
    squared[1, 2] = 0.3
    picture = cvae.error_picture(squared)
    assert picture.shape == (4, 4, 3)
    assert picture[0, 0].argmax() == 2
    assert picture[1, 2].argmax() == 0
    assert (cvae.error_picture(np.zeros((4, 4), np.float32)) == picture[0, 0]).all()


def test_advaes_score_takes_the_mean_of_several_draws():
    detector = open_detector("advae", {"width": 2, "latent": 4, "draws": 3}, "cpu")
    network = detector.build(SMALL).eval()
    assert isinstance(network, advae.AdvaeNetwork)
    x = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        both, maps = detector._score(network, x)
        alone, _ = detector._score(network, x[1:])
        known = network.encoder(x)
        noise = vae.fixed_noise(3, 4, 0, x.device)
        made = torch.stack([network.generator(vae.drawn(known, one)) for one in noise]).mean(0)
    torch.testing.assert_close(both[1:], alone)
    torch.testing.assert_close(maps, (x - made).square()[:, 0])
