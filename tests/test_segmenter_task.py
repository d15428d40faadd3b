"""The segmenter's training task: resumed, arms in pairs, augmentation, optimiser."""

import json
from dataclasses import replace

import pytest
import torch

from flawsmith.errors import InputError
from flawsmith.evaluate.segmenter import training
from flawsmith.evaluate.segmenter.sources import arm_of
from flawsmith.evaluate.segmenter.task import SegmentTask
from tests.feature_helpers import one_thread  # noqa: F401
from tests.segmenter_helpers import context_of, settings, shapes_of, train_shapes
from tests.train_helpers import metrics


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return shapes_of(tmp_path_factory.mktemp("shapes") / "source")


def content(folder):
    names = ("model.safetensors", "state/00000004/tensors.safetensors")
    return [(folder / name).read_bytes() for name in names]


def test_resumed_it_gives_the_same_bytes(shapes, tmp_path, monkeypatch):
    learned, unseen = shapes
    changes = {"steps": 4, "batch": 2, "mixing": "constant", "share": 0.5}
    train_shapes(learned, tmp_path / "whole", unseen, changes=changes)

    class Broken(SegmentTask):
        def step(self, context):
            if context.step == 3:
                raise InputError("the power went off")
            return super().step(context)

    with monkeypatch.context() as patch:
        patch.setattr(training, "SegmentTask", Broken)
        with pytest.raises(InputError, match="power"):
            train_shapes(learned, tmp_path / "cut", unseen, changes=changes, checkpoint_every=2)
    done = train_shapes(learned, tmp_path / "cut", unseen, changes=changes, checkpoint_every=2)
    assert (done.steps, done.made) == (4, 2)
    assert content(tmp_path / "cut") == content(tmp_path / "whole")
    assert metrics(tmp_path / "cut") == metrics(tmp_path / "whole")
    with pytest.raises(InputError, match=r"other settings: .*share"):
        train_shapes(learned, tmp_path / "cut", unseen, changes=changes | {"share": 0.6})


def test_a_real_only_run_serves_any_mixing(shapes, tmp_path):
    changes = {"steps": 1, "batch": 2}
    train_shapes(shapes[0], tmp_path, changes=changes)
    again = train_shapes(shapes[0], tmp_path, changes=changes | {"share": 0.3, "rim": 1})
    assert again.made == 0
    job = json.loads((tmp_path / "config.json").read_text())["job"]
    assert job["kind"] == "segment"
    assert job["task"]["arm"] == "shapes"
    assert job["training"]["steps"] == 1


def test_arms_are_augmented_alike(shapes):
    learned, unseen = shapes
    own = settings(mixing="constant", share=0.5)
    plain = SegmentTask(arm_of("real", learned, None, own), own, (True, True), 3)
    mixed = SegmentTask(arm_of("all", learned, unseen, own), own, (True, True), 3)
    kept = added = 0
    for step in range(3):
        context = context_of(plain, step)
        (real, _), (all_, share) = plain._batch(context, 10), mixed._batch(context, 10)
        for place in context.places:
            alike = torch.equal(real.image[place], all_.image[place])
            assert alike != mixed.arm.is_synthetic(3, step, 10, place)
            kept, added = kept + alike, added + (not alike)
        assert share == sum(mixed.arm.is_synthetic(3, step, 10, p) for p in range(4)) / 4
    assert kept
    assert added
    # A slice of the batch sees what the whole batch has there.
    halves = [plain._batch(context_of(plain, 0, p), 10)[0].image for p in (range(2), range(2, 4))]
    assert torch.equal(torch.cat(halves), plain._batch(context_of(plain, 0), 10)[0].image)


def test_masks_follow_the_flips_and_only_allowed_ones_occur(shapes):
    own = settings(brightness=0, contrast=0)
    arm = arm_of("real", shapes[0], None, own)
    seen = {flips: set() for flips in ((True, False), (False, True), (False, False))}
    for flips, found in seen.items():
        task = SegmentTask(arm, own, flips, 3)
        for step in range(4):
            crops = [arm.crop(3, step, 10, place)[0] for place in range(4)]
            batch, _ = task._batch(context_of(task, step), 10)
            for crop, image, masks in zip(crops, batch.image, batch.masks, strict=True):
                picture = torch.from_numpy(crop.image) / 127.5 - 1
                marked = torch.from_numpy(crop.masks).float()
                ways = [axes for axes in ((), (0,), (1,), (0, 1))
                        if torch.equal(picture.flip(axes), image[0])]  # fmt: skip
                assert len(ways) == 1
                assert torch.equal(marked.flip([axis + 1 for axis in ways[0]]), masks)
                found.update(ways)
    assert seen == {(True, False): {(), (1,)}, (False, True): {(), (0,)}, (False, False): {()}}


def test_the_rate_and_the_optimiser_are_those_asked_for(shapes):
    own = settings(optimizer="adam", rate=0.01, warm_up=0.5, encoder="lite0")
    task = SegmentTask(arm_of("real", shapes[0], None, own), own, (False, False), 3)
    told = task.step(context_of(task, step=2, places=range(2)))
    assert task.optimizers["segmenter"].param_groups[0]["lr"] == pytest.approx(0.005)
    assert told["rate"].item() == pytest.approx(0.005)
    assert told["synthetic"].item() == 0
    assert not isinstance(task.optimizers["segmenter"], torch.optim.AdamW)
    assert task.preview(task.network, 1) is None


@pytest.mark.parametrize(
    ("given", "fixed"), [({}, True), ({"frozen": 0}, False), ({"weights": "none"}, False)]
)
def test_early_features_stay_as_pretrained(shapes, given, fixed):
    own = settings(**given)
    task = SegmentTask(arm_of("real", shapes[0], None, own), own, (False, False), 3)
    stem = task.network.unet.encoder.model.conv_stem.weight
    before = stem.detach().clone()
    task.step(context_of(task, step=2, places=range(2)))
    assert torch.equal(stem, before) == fixed
    assert all(
        p.requires_grad for g in task.optimizers["segmenter"].param_groups for p in g["params"]
    )


def test_half_precision(shapes):
    own = settings()
    task = SegmentTask(arm_of("real", shapes[0], None, own), own, (False, False), 3)
    told = task.step(replace(context_of(task, places=range(2)), precision="bf16"))
    assert all(value.dtype == torch.float32 for value in told.values())
    assert all(value.isfinite() for value in told.values())
