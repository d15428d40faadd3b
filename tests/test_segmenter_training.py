"""The segmenter trained on squares and discs: it marks those of pictures that it has not seen."""

import numpy as np

from flawsmith.evaluate.segmenter.predict import load_predictor
from tests.feature_helpers import one_thread  # noqa: F401
from tests.inpaint_run_helpers import CLASSES
from tests.segmenter_helpers import shapes_of, train_shapes
from tests.train_helpers import metrics


def pooled_iou(predictor, dataset):
    told, true = [], []
    for sample in dataset:
        told.append(predictor.masks(sample.image).reshape(len(CLASSES), -1))
        true.append(sample.masks.reshape(len(CLASSES), -1))
    told, true = np.concatenate(told, axis=1), np.concatenate(true, axis=1)
    return (told & true).sum(axis=1) / (told | true).sum(axis=1)


def test_it_learns(tmp_path):
    learned, unseen = shapes_of(tmp_path / "source")
    train_shapes(learned, tmp_path / "run", changes={"steps": 45}, log_every=10)
    predictor = load_predictor(tmp_path / "run", "cpu")
    assert predictor.classes == CLASSES
    found = pooled_iou(predictor, unseen.dataset)
    assert (found > 0.6).all(), found
    lines = [line["losses"] for line in metrics(tmp_path / "run")]
    assert lines[0].keys() == {"cross_entropy", "dice", "iou", "synthetic", "rate"}
    assert lines[-1]["dice"] < 0.8 * lines[0]["dice"]
    assert lines[-1]["rate"] < 0.1 * lines[0]["rate"]
