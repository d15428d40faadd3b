"""knn and what all detectors share: forms, files, the coreset against brute force."""

import itertools
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score

from flawsmith.errors import InputError
from flawsmith.evaluate.detectors.coreset import greedy_k_center
from flawsmith.evaluate.detectors.frames import Form, fitted, fitted_mask
from flawsmith.evaluate.detectors.knn import blurred, nearest
from flawsmith.evaluate.detectors.places import pixel_figures
from flawsmith.evaluate.detectors.registry import load_detector, open_detector
from tests.detector_helpers import judged, stripes
from tests.feature_helpers import one_thread  # noqa: F401

SMALL = {"most": 200, "blur": 1.0}


@pytest.fixture(scope="module")
def fitted_knn():
    detector = open_detector("knn", SMALL, "cpu")
    detector.fit(stripes(12, 64)[0])
    return detector


def radius(points, chosen):
    return torch.cdist(points, points[torch.as_tensor(chosen)]).min(dim=1).values.max()


def brute_greedy(points, count, first):
    chosen = [first]
    while len(chosen) < count:
        away = torch.cdist(points, points[torch.as_tensor(chosen)]).min(dim=1).values
        chosen.append(int(away.argmax()))
    return chosen


def test_the_coreset_is_the_brute_force_one():
    points = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    assert greedy_k_center(points, 20, 7).tolist() == brute_greedy(points, 20, 7)


def test_the_coreset_is_at_most_twice_as_far_as_the_best():
    points = torch.randn(12, 2, generator=torch.Generator().manual_seed(1))
    best = min(radius(points, some) for some in itertools.combinations(range(12), 3))
    for first in range(12):
        assert radius(points, greedy_k_center(points, 3, first)) <= 2 * best


def test_the_coreset_takes_no_point_twice_even_of_equal_ones():
    assert sorted(greedy_k_center(torch.zeros(6, 3), 6, 2).tolist()) == list(range(6))
    with pytest.raises(ValueError, match="7 of points"):
        greedy_k_center(torch.zeros(6, 3), 7)


def test_nearest_is_brute_force_and_exact_for_equal_points():
    generator = torch.Generator().manual_seed(2)
    points, bank = (torch.randn(n, 40, generator=generator) + 30 for n in (50, 20))
    wanted = torch.stack([(bank - one).square().sum(1).sqrt().min() for one in points])
    torch.testing.assert_close(nearest(points, bank), wanted)
    assert nearest(bank, bank).max() == 0


def test_a_blur_keeps_a_constant_and_the_mean():
    maps = torch.zeros(1, 1, 21, 21)
    maps[0, 0, 10, 10] = 1
    assert blurred(maps, 2.0).sum() == pytest.approx(1)
    torch.testing.assert_close(blurred(torch.ones(1, 1, 9, 9), 2.0), torch.ones(1, 1, 9, 9))
    assert blurred(maps, 0) is maps


def test_a_planted_blob_is_found_and_its_place_too(fitted_knn):
    told, defective = judged(fitted_knn, 64, 12)
    assert roc_auc_score(defective, told.scores) > 0.95
    _, masks = stripes(12, 64, 101, blob=True)
    auroc, pro = pixel_figures(masks, told.maps[12:], [str(i) for i in range(12)], draws=20)
    assert auroc.value > 0.9
    assert pro.value > 0.7


def test_scores_do_not_depend_on_the_portion(fitted_knn):
    pictures, _ = stripes(5, 64, 3)
    whole = fitted_knn.score(pictures)
    single = np.concatenate([fitted_knn.score([one]).scores for one in pictures])
    np.testing.assert_allclose(whole.scores, single, rtol=1e-4)
    assert whole.maps.shape == (5, 64, 64)
    assert fitted_knn.score([]).scores.shape == (0,)


def test_the_bank_does_not_depend_on_the_portion(fitted_knn):
    detector = open_detector("knn", SMALL | {"pool": 300, "portion": 16}, "cpu")
    other = open_detector("knn", SMALL | {"pool": 300, "portion": 5}, "cpu")
    for one in (detector, other):
        one.fit(stripes(12, 64)[0])
    torch.testing.assert_close(detector.network.patches, other.network.patches)


def test_features_are_exact_while_fitting_and_scoring(fitted_knn, monkeypatch):
    seen = []
    features = fitted_knn.features

    def watched(x):
        flags = torch.backends.cudnn
        seen.append((flags.allow_tf32, flags.deterministic))
        return features(x)

    detector = open_detector("knn", SMALL, "cpu")
    monkeypatch.setattr(detector, "features", watched)
    assert torch.backends.cudnn.allow_tf32  # torch's default
    detector.fit(stripes(2, 64)[0])
    detector.score(stripes(1, 64)[0])
    assert seen == [(False, True)] * 2
    assert torch.backends.cudnn.allow_tf32


def test_the_score_is_the_distance_to_a_bank_of_all_patches():
    clean, _ = stripes(3, 64)
    detector = open_detector("knn", {"share": 1.0, "most": 10_000, "blur": 0}, "cpu")
    detector.fit(clean)
    assert detector.score(clean).scores.max() < 1e-3
    other = stripes(1, 64, 9, blob=True)[0]

    def patches(pictures):
        x = torch.tensor(np.stack(pictures))[:, None].float() / 127.5 - 1
        return detector.features(x).permute(0, 2, 3, 1).reshape(-1, 152)

    wanted = torch.cdist(patches(other), patches(clean)).min(dim=1).values.max()
    assert detector.score(other).scores[0] == pytest.approx(float(wanted), rel=1e-3)


def test_a_saved_detector_scores_alike(fitted_knn, tmp_path):
    fitted_knn.save(tmp_path / "knn.safetensors")
    again = load_detector(tmp_path / "knn.safetensors", "cpu")
    pictures, _ = stripes(3, 64, 5, blob=True)
    first, second = fitted_knn.score(pictures), again.score(pictures)
    np.testing.assert_array_equal(first.scores, second.scores)
    np.testing.assert_array_equal(first.maps, second.maps)
    assert again.form == fitted_knn.form
    assert again.size == fitted_knn.size > 0


def test_pictures_of_another_form_are_refused(fitted_knn):
    with pytest.raises(InputError, match=r"picture of 32x32, grey; .* trained on 64x64, grey"):
        fitted_knn.score(stripes(1, 32)[0])
    with pytest.raises(InputError, match="64x64, RGB"):
        fitted_knn.score(stripes(1, 64, colour=True)[0])


def test_what_cannot_be_learned_from_is_refused(tmp_path):
    detector = open_detector("knn", SMALL, "cpu")
    with pytest.raises(InputError, match="no clean picture yet"):
        detector.score([])
    with pytest.raises(InputError, match="1 clean pictures; knn needs at least 2"):
        detector.fit(stripes(1)[0])
    with pytest.raises(InputError, match="trained on 32x32"):
        detector.fit([*stripes(2, 32)[0], *stripes(1, 64)[0]])
    with pytest.raises(InputError, match="no detector 'nope'"):
        open_detector("nope")
    with pytest.raises(InputError, match="no such setting: speed"):
        open_detector("knn", {"speed": 1})


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"flawsmith": '{"kind": "gen"}'})
    with pytest.raises(InputError, match="no detector of flawsmith"):
        load_detector(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="not flawsmith's"):
        load_detector(path)


def stranger(path, name, form=(64, 64, 1), layout=None, **settings):
    """Write a file that says it is a saved detector and holds two numbers."""
    config = {"name": name, "form": dict(zip(("height", "width", "channels"), form, strict=True)),
              "settings": settings, "layout": layout or {}}  # fmt: skip
    facts = {"kind": "detector", "config": config}
    save_file({"patches": torch.zeros(1, 2)}, path, {"flawsmith": json.dumps(facts)})
    return path


def test_a_strangers_file_takes_no_more_memory_than_it_holds(tmp_path):
    path = tmp_path / "stranger.safetensors"
    huge = {"rows": 10**9, "columns": 10**6}
    with pytest.raises(InputError, match=r"patches is \[1, 2\], its settings want \[1000000000, "):
        load_detector(stranger(path, "knn", layout=huge), "cpu")
    for name in ("ganomaly", "advae", "cvae", "alad"):
        file = stranger(path, name, (4096, 4096, 3), width=512, latent=4096)
        with pytest.raises(InputError, match="its settings want"):
            load_detector(file, "cpu")
        with pytest.raises(InputError, match="width"):
            load_detector(stranger(path, name, width=10**9), "cpu")
    for rows in (10**30, -1, "many", None):
        with pytest.raises(InputError, match="no detector of flawsmith"):
            load_detector(stranger(path, "knn", layout={"rows": rows, "columns": 2}), "cpu")
    with pytest.raises(InputError, match="timm has no network 'hf-hub:a/b'"):
        load_detector(stranger(path, "padim", backbone="hf-hub:a/b", weights="random"), "cpu")


def test_what_cannot_be_learned_is_refused_before_any_fit():
    detector = open_detector("knn", SMALL, "cpu")
    detector.check(Form(64, 64, 1), 2)
    assert detector.form is None
    for name, form, count, told in (
        ("knn", (64, 64, 1), 1, "1 clean pictures; knn needs at least 2"),
        ("alad", (32, 32, 1), 2, "2 clean pictures; alad needs at least 3"),
        ("alad", (36, 44, 1), 9, "cannot take pictures of 44x36, grey"),
        ("cvae", (36, 40, 3), 9, "multiples of 8"),
        ("cpc", (32, 32, 1), 9, "smaller than a tile"),
        ("padim", (64, 64, 1), 100, "100 clean pictures; padim needs at least 101"),
    ):
        with pytest.raises(InputError, match=told):
            open_detector(name, {}, "cpu").check(Form(*form), count)


def test_pictures_are_brought_to_a_form():
    image = np.arange(24, dtype=np.uint8).reshape(4, 6)
    small = fitted(np.kron(image, np.ones((4, 4), np.uint8)), Form(16, 24, 3))
    assert small.shape == (16, 24, 3)
    colour = np.stack([image, image + 2, image + 4], axis=2)
    assert (fitted(np.kron(colour, np.ones((2, 2, 1), np.uint8)), Form(8, 12, 1))[::2, ::2]
            == image + 2).all()  # fmt: skip
    with pytest.raises(InputError, match="sides of 8 to 4096"):
        Form(4, 16, 1)


def test_a_thin_mark_does_not_vanish():
    mask = np.zeros((64, 64), bool)
    mask[13, 5] = True
    assert fitted_mask(mask, Form(8, 8, 1)).sum() == 1
    assert fitted_mask(mask, Form(64, 64, 1)).tolist() == mask.tolist()
    assert not fitted_mask(np.zeros((64, 64), bool), Form(8, 8, 1)).any()
