"""anomalib's detectors behind the interface: their own predictions, and what they refuse.

Without the extra ``detect`` only the refusals are tested.
"""

import random
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from flawsmith.errors import InputError
from flawsmith.evaluate.detectors import wrapped
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


@needed
def test_scores_are_anomalibs_own():
    from anomalib.models.image.padim.torch_model import PadimModel

    detector = open_detector("padim", FITTED["padim"], "cpu")
    clean, _ = stripes(24, 64)
    detector.fit(clean)
    network = detector.network
    assert isinstance(network, PadimModel)
    pictures = stripes(3, 64, 9, blob=True)[0]
    x = torch.from_numpy(np.stack(pictures))[:, None].float() / 127.5 - 1
    with torch.no_grad():
        own = network(x.expand(-1, 3, -1, -1))
    told = detector.score(pictures)
    np.testing.assert_allclose(told.scores, own.pred_score.flatten(), rtol=1e-5)
    np.testing.assert_allclose(told.maps, own.anomaly_map[:, 0], rtol=1e-4)


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
    known = wrapped.lite0_tensors()
    assert all(torch.equal(own[name], known[name]) for name in own if "batches" not in name)


def test_a_missing_extra_names_its_line(monkeypatch):
    monkeypatch.setattr(wrapped, "find_spec", lambda name: None)
    detector = open_detector("patchcore", {}, "cpu")
    with pytest.raises(InputError, match=r"anomalib, .* \(mend: pip install 'anomalib>=2.7'\)"):
        detector.fit(stripes(3, 64)[0])


def test_backbones_that_a_method_does_not_take_are_refused():
    with pytest.raises(InputError, match="fastflow does not take the backbone 'lite0'"):
        open_detector("fastflow", {"backbone": "lite0", "weights": "offline"})
    with pytest.raises(InputError, match="no offline weights of resnet18"):
        open_detector("padim", {"backbone": "resnet18"})


def test_pictures_are_shown_as_their_backbone_was_trained():
    x = torch.linspace(-1, 1, 2 * 12).view(2, 1, 3, 4)
    assert torch.equal(wrapped.shown(x, "lite0"), x.expand(-1, 3, -1, -1))
    # Of one of timm's with mean and deviation 0.5, and of a usual one.
    torch.testing.assert_close(wrapped.shown(x, "resnetv2_50"), x.expand(-1, 3, -1, -1))
    usual = wrapped.shown(torch.zeros(1, 3, 1, 1), "resnet18").flatten()
    wanted = torch.tensor([(0.5 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0.5 - 0.406) / 0.225])
    torch.testing.assert_close(usual, wanted)


def test_weights_of_another_network_are_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="no weights of lite0: 2 are missing"):
        wrapped.fill(torch.nn.Linear(1, 1), "lite0", str(tmp_path / "other.safetensors"))
