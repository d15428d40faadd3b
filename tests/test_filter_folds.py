"""The two segmenters: halves by groups, trained once, resumed, and better on their own kind."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from flawsmith.data.dataset import MaskSource
from flawsmith.data.formats import read_dataset
from flawsmith.data.scan import scan
from flawsmith.errors import InputError, Interrupted, OutputError
from flawsmith.evaluate.filtering import folds
from flawsmith.evaluate.filtering.agreement import of_candidates, of_real
from flawsmith.evaluate.filtering.folds import fold_segmenters
from flawsmith.train import loop
from flawsmith.train.runs import STATE
from tests.feature_helpers import one_thread  # noqa: F401
from tests.inpaint_run_helpers import make_source
from tests.segmenter_helpers import settings

QUICK = settings(steps=2)


@dataclass(frozen=True)
class Turned:
    """Masks upside down."""

    masks: MaskSource

    def read(self, shape):
        return self.masks.read(shape)[:, ::-1]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    found = scan(read_dataset(make_source(tmp_path_factory.mktemp("set") / "shapes", 10, 4)))
    # Two pictures a part.
    facts = tuple(replace(f, group=f"part-{i // 4}") for i, f in enumerate(found.facts))
    return replace(found, facts=facts)


def test_halves_share_no_part_and_both_learn(shapes, tmp_path):
    judges = fold_segmenters(shapes, settings(steps=40), tmp_path, "cpu")
    assert judges.size == 64
    of_group = {(fact.group, judges.half(fact.id)) for fact in shapes.facts}
    assert len(of_group) == len({group for group, _ in of_group})
    assert {half for _, half in of_group} == {0, 1}
    entries = of_real(shapes.dataset, judges)
    assert {entry.sample for entry in entries} == set(range(20))
    # Before any training a probability of 0.5 everywhere gives about 0.14.
    assert np.median([entry.overlap for entry in entries]) > 0.25
    both = of_candidates(shapes.dataset, judges)
    assert len(both) == len(entries)
    chances = judges.chances([np.full((64, 64), 110, np.uint8)] * 3, 0)
    assert chances.shape == (3, 2, 64, 64)
    assert 0 <= chances.min() <= chances.max() <= 1


@pytest.fixture(scope="module")
def quick(shapes, tmp_path_factory):
    """Segmenters of two steps, and the folder that they are kept in."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("quick")
    return fold_segmenters(shapes, QUICK, folder, "cpu"), folder


def test_what_is_trained_is_not_trained_again(shapes, quick, monkeypatch):
    first, folder = quick
    runs = list(folder.iterdir())
    assert len(runs) == 2
    assert not any((run / STATE).exists() for run in runs)

    def refuse(*words, **named):
        raise AssertionError("trained again")

    monkeypatch.setattr(folds, "train_arm", refuse)
    again = fold_segmenters(shapes, QUICK, folder, "cpu")
    picture = [np.full((64, 64), 90, np.uint8)]
    assert np.array_equal(first.chances(picture, 1), again.chances(picture, 1))
    # Other samples and settings have runs of their own, and so have other masks of the same size.
    records = tuple(replace(r, masks=Turned(r.masks)) for r in shapes.dataset.records)
    turned = replace(shapes, dataset=replace(shapes.dataset, records=records))
    others = ((shapes.select(range(18)), QUICK), (turned, QUICK), (shapes, settings(steps=3)))
    for found, own in others:
        with pytest.raises(AssertionError, match="trained again"):
            fold_segmenters(found, own, folder, "cpu")


def test_an_interrupted_training_goes_on(shapes, quick, tmp_path, monkeypatch):
    whole, _ = quick
    real, done = folds.train_arm, []

    def stop_at_second(*words, **named):
        if done:
            raise Interrupted("stopped")
        done.append(real(*words, **named))
        return done[0]

    monkeypatch.setattr(folds, "train_arm", stop_at_second)
    with pytest.raises(Interrupted):
        fold_segmenters(shapes, QUICK, tmp_path, "cpu")
    monkeypatch.setattr(folds, "train_arm", real)
    resumed = fold_segmenters(shapes, QUICK, tmp_path, "cpu")
    picture = [np.full((64, 64), 90, np.uint8)]
    for half in (0, 1):
        assert np.array_equal(whole.chances(picture, half), resumed.chances(picture, half))


def test_what_a_full_disk_left_of_the_last_checkpoint_goes(shapes, quick, tmp_path, monkeypatch):
    """The weights are written first: with them the segmenter is done, whatever else is missing."""
    whole, _ = quick

    def fill(folder, step, *rest):
        (folder / f"{step:08d}.new").mkdir(parents=True)
        raise OutputError(f"{folder}: cannot be written: No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(loop, "save_checkpoint", fill)
        with pytest.raises(OutputError, match="No space left"):
            fold_segmenters(shapes, QUICK, tmp_path, "cpu")
    assert len(list(tmp_path.glob(f"*/{STATE}/*.new"))) == 1
    resumed = fold_segmenters(shapes, QUICK, tmp_path, "cpu")
    assert not list(tmp_path.glob(f"*/{STATE}"))
    picture = [np.full((64, 64), 90, np.uint8)]
    for half in (0, 1):
        assert np.array_equal(whole.chances(picture, half), resumed.chances(picture, half))


def test_one_part_cannot_be_halved(shapes, tmp_path):
    one = replace(shapes, facts=tuple(replace(f, group="same") for f in shapes.facts))
    with pytest.raises(InputError, match="cannot be halved") as caught:
        fold_segmenters(one, QUICK, tmp_path, "cpu")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
