"""anomalib's detectors behind the interface: their own predictions, and what they refuse.

Without the extra ``detect`` only the refusals are tested.
"""

import random
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from flawsmith.errors import InputError
from flawsmith.evaluate.detectors import backbones
from flawsmith.evaluate.detectors.frames import Form
from flawsmith.evaluate.detectors.registry import load_detector, open_detector
from tests.detector_helpers import judged, stripes
from tests.feature_helpers import one_thread  # noqa: F401

needed = pytest.mark.skipif(find_spec("anomalib") is None, reason="the extra detect is missing")
# anomalib and what it loads warn of their own affairs.
pytestmark = pytest.mark.filterwarnings("ignore")
FITTED = {
    "patchcore": {"share": 0.5},
    "padim": {"features": 12},
    "dfm": {"layer": 2, "pooling": 2},
}
LEARNED = {
    "stfpm": {"epochs": 10, "batch": 8, "ema": 0.5, "rate": 0.1},
    "fastflow": {"weights": "random", "flows": 2, "epochs": 6, "batch": 8, "ema": 0.5},
    "reverse_distillation": {"weights": "random", "epochs": 6, "batch": 8, "ema": 0.5},
}


@needed
@pytest.mark.parametrize("name", [*FITTED, *LEARNED])
def test_it_finds_planted_blobs_and_a_saved_one_scores_alike(name, tmp_path):
    detector = open_detector(name, FITTED.get(name) or LEARNED[name], "cpu")
    detector.fit(stripes(24, 64)[0])
    told, defective = judged(detector, 64, 8)
    assert told.maps.shape == (16, 64, 64)
    auroc = roc_auc_score(defective, told.scores)
    # Random features see a blob, but need not see it well.
    assert auroc > (0.6 if detector.given.model_dump()["weights"] == "random" else 0.9)
    detector.save(tmp_path / "saved.safetensors")
    again = load_detector(tmp_path / "saved.safetensors", "cpu")
    pictures = stripes(2, 64, 9, blob=True)[0]
    np.testing.assert_allclose(again.score(pictures).scores, detector.score(pictures).scores)


@needed
@pytest.mark.parametrize("name", [*FITTED, *LEARNED])
def test_scores_depend_on_the_seed_alone(name):
    """Whatever the global state of NumPy, torch and Python's random is."""
    short = {"epochs": 1} if name in LEARNED else {}
    told = []
    for state in range(2):
        np.random.seed(state)  # noqa: NPY002
        random.seed(state)
        torch.manual_seed(state)
        detector = open_detector(name, (FITTED.get(name) or LEARNED[name]) | short, "cpu")
        detector.fit(stripes(16, 64)[0])
        told.append(detector.score(stripes(3, 64, 9, blob=True)[0]).scores)
    np.testing.assert_array_equal(*told)


def as_lite0_sees(pictures):
    x = torch.from_numpy(np.stack(pictures))[:, None].float() / 127.5 - 1
    return x.expand(-1, 3, -1, -1)


@needed
@pytest.mark.parametrize("name", ["padim", "patchcore"])
def test_scores_are_those_of_a_model_that_anomalib_fits_itself(name):
    from anomalib.models.image.padim.torch_model import PadimModel
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel

    # All patches are kept: of fewer, which ones is another draw.
    settings = {"padim": {"features": 12}, "patchcore": {"share": 1.0}}[name]
    clean, pictures = stripes(16, 64)[0], stripes(3, 64, 9, blob=True)[0]
    detector = open_detector(name, settings, "cpu")
    detector.fit(clean)
    backbone = "tf_efficientnet_lite0"
    if name == "padim":
        own = PadimModel(backbone, [1, 2, 3], False, 12)
        own.idx = detector.network.idx.clone()  # the channels, a draw, too
    else:
        own = PatchcoreModel([2, 3], backbone, False, 9)
    lite0 = backbones.lite0_tensors()
    features = own.feature_extractor.feature_extractor
    features.load_state_dict({k: lite0.get(k, v) for k, v in features.state_dict().items()})
    with torch.no_grad():
        own.train()(as_lite0_sees(clean))
        own.fit() if name == "padim" else own.subsample_embedding(1.0)
        found = own.eval()(as_lite0_sees(pictures))
    told = detector.score(pictures)
    np.testing.assert_allclose(told.scores, found.pred_score.flatten(), rtol=1e-4)
    np.testing.assert_allclose(told.maps, found.anomaly_map[:, 0], rtol=1e-3, atol=1e-4)


@needed
def test_stfpm_is_put_together_as_anomalib_does(monkeypatch):
    from anomalib.models.image.stfpm import torch_model

    extractor = torch_model.TimmFeatureExtractor

    def untrained(*args, **how):  # anomalib's constructor downloads the teacher's weights
        return extractor(*args, **how | {"pre_trained": False})

    monkeypatch.setattr(torch_model, "TimmFeatureExtractor", untrained)
    own = torch_model.STFPMModel([1, 2, 3], "tf_efficientnet_lite0").eval()
    detector = open_detector("stfpm", {}, "cpu")
    network = detector.build(Form(64, 64, 1)).eval()
    own.load_state_dict(network.state_dict())  # each name and shape
    pictures = stripes(3, 64, 9, blob=True)[0]
    detector.form, detector.network = Form(64, 64, 1), network
    with torch.no_grad():
        found = own(as_lite0_sees(pictures))
    told = detector.score(pictures)
    np.testing.assert_allclose(told.scores, found.pred_score.flatten(), rtol=1e-5)
    np.testing.assert_allclose(told.maps, found.anomaly_map[:, 0], rtol=1e-4, atol=1e-7)
    assert {n for n, p in own.named_parameters() if p.requires_grad} == {
        n for n, p in network.named_parameters() if p.requires_grad
    }


@needed
def test_padims_distance_is_mahalanobis():
    from sklearn.covariance import EmpiricalCovariance

    detector = open_detector("padim", FITTED["padim"], "cpu")
    detector.fit(stripes(24, 64)[0])
    network = detector.network
    pictures = [*stripes(24, 64)[0], *stripes(1, 64, 9, blob=True)[0]]
    x = torch.from_numpy(np.stack(pictures))[:, None].float() / 127.5 - 1
    with torch.no_grad():
        features = network.feature_extractor(x.expand(-1, 3, -1, -1))
        found = network.generate_embedding(features)
        away = network.anomaly_map_generator.compute_distance(
            found, [network.gaussian.mean, network.gaussian.inv_covariance]
        )
    row, column = 3, 5
    points = found[:, :, row, column].double().numpy()
    spread = EmpiricalCovariance().fit(points[:24])
    # anomalib divides by N - 1 and adds 0.01 to the diagonal.
    spread.precision_ = np.linalg.inv(spread.covariance_ * 24 / 23 + (0.01 + 1e-5) * np.eye(12))
    wanted = np.sqrt(spread.mahalanobis(points))
    np.testing.assert_allclose(away[:, 0, row, column], wanted, rtol=1e-3)


@needed
def test_lite0_has_its_weights():
    detector = open_detector("patchcore", FITTED["patchcore"], "cpu")
    network = detector._made(filled=True)
    own = network.feature_extractor.feature_extractor.state_dict()
    known = backbones.lite0_tensors()
    assert all(torch.equal(own[name], known[name]) for name in own if "batches" not in name)


def test_a_missing_extra_names_its_line(monkeypatch):
    monkeypatch.setattr(backbones, "find_spec", lambda name: None)
    detector = open_detector("patchcore", {}, "cpu")
    with pytest.raises(InputError, match=r"anomalib, .* \(mend: pip install 'anomalib>=2.7'\)"):
        detector.fit(stripes(3, 64)[0])


def test_backbones_that_a_method_does_not_take_are_refused():
    with pytest.raises(InputError, match="fastflow does not take the backbone 'lite0'"):
        open_detector("fastflow", {"backbone": "lite0", "weights": "offline"})
    with pytest.raises(InputError, match="no offline weights of resnet18"):
        open_detector("padim", {"backbone": "resnet18"})
    for name in ("resnt18", "hf-hub:timm/resnet18.a1_in1k", "local-dir:resnet18"):
        with pytest.raises(InputError, match="timm has no network"):
            open_detector("padim", {"backbone": name, "weights": "random"})


@needed
@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("patchcore", {"layers": (2, 9)}, "lite0 has no such layer"),
        ("stfpm", {"layers": (9,)}, "lite0 has no such layer"),
        ("padim", {"features": 177}, "cannot be built on lite0: .* <= 176"),
        ("patchcore", {"backbone": "resnet18.nope", "weights": "random"}, "pretrained tag"),
        ("dfm", {"pooling": 50}, "cannot take pictures of 64x64, grey"),
        ("patchcore", {"weights": "nope.safetensors"}, "nope.safetensors: no such file"),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_any_fit(name, settings, told):
    with pytest.raises(InputError, match=told):
        open_detector(name, settings, "cpu").check(Form(64, 64, 1), 200)


@needed
@pytest.mark.parametrize("name", [*FITTED, *LEARNED])
def test_a_check_takes_what_a_fit_takes(name):
    open_detector(name, FITTED.get(name) or LEARNED[name], "cpu").check(Form(64, 64, 1), 24)


@needed
def test_fastflow_refuses_sides_that_its_norms_do_not_fit():
    with pytest.raises(InputError, match="cannot take pictures of 40x40, RGB"):
        open_detector("fastflow", LEARNED["fastflow"], "cpu").check(Form(40, 40, 3), 9)


def test_a_download_that_fails_is_told_in_one_line():
    failing = backbones.building("padim", "resnet18")
    with pytest.raises(InputError, match=r"on resnet18: no route .* download"), failing:
        raise ConnectionError("no route")


def test_a_coreset_is_never_empty():
    detector = open_detector("patchcore", {"share": 1e-9}, "cpu")
    network = SimpleNamespace(embedding_store=[torch.rand(5, 3), torch.rand(4, 3)])
    detector._conclude(network)
    assert network.memory_bank.shape == (1, 3)
    assert not network.embedding_store


def test_pictures_are_shown_as_their_backbone_was_trained():
    x = torch.linspace(-1, 1, 2 * 12).view(2, 1, 3, 4)
    assert torch.equal(backbones.shown(x, "lite0"), x.expand(-1, 3, -1, -1))
    # Of one of timm's with mean and deviation 0.5, and of a usual one.
    torch.testing.assert_close(backbones.shown(x, "resnetv2_50"), x.expand(-1, 3, -1, -1))
    usual = backbones.shown(torch.zeros(1, 3, 1, 1), "resnet18").flatten()
    wanted = torch.tensor([(0.5 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0.5 - 0.406) / 0.225])
    torch.testing.assert_close(usual, wanted)


def test_weights_of_another_network_are_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="not the weights of Linear: missing: weight, bias"):
        backbones.fill(torch.nn.Linear(1, 1), "lite0", str(tmp_path / "other.safetensors"))
    save_file({"weight": torch.zeros(2, 2), "bias": torch.zeros(1)}, tmp_path / "o.safetensors")
    with pytest.raises(InputError, match=r"another shape: weight \(2, 2\), wanted \(1, 1\)"):
        backbones.fill(torch.nn.Linear(1, 1), "lite0", str(tmp_path / "o.safetensors"))
