"""The learned detectors, trained for seconds on stripes: they find planted blobs, and resume."""

import copy
import os
import signal

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from flawsmith.errors import InputError, Interrupted
from flawsmith.evaluate.detectors import learned
from flawsmith.evaluate.detectors.base import floats
from flawsmith.evaluate.detectors.frames import Form
from flawsmith.evaluate.detectors.registry import TRAINED, load_detector, open_detector
from flawsmith.train.ema import Ema
from flawsmith.train.loop import train
from flawsmith.train.reduce import Processes
from flawsmith.train.runs import read_weights_facts
from flawsmith.train.settings import TrainSettings
from flawsmith.train.task import Context
from tests.detector_helpers import judged, stripes
from tests.feature_helpers import one_thread  # noqa: F401

TINY = {
    "ganomaly": {"width": 8, "latent": 16, "epochs": 32, "batch": 8, "rate": 1e-3, "ema": 0.9},
    "cvae": {"width": 4, "latent": 8, "epochs": 8, "batch": 8, "rate": 3e-3, "ema": 0.9},
    "advae": {"width": 4, "latent": 8, "epochs": 5, "batch": 8, "rate": 3e-3, "ema": 0.9},
    "alad": {"width": 8, "latent": 8, "epochs": 15, "batch": 8, "rate": 1e-3, "ema": 0.9},
    "cpc": {"tile": 20, "patch": 8, "values": 24, "epochs": 9, "batch": 8, "negatives": 64,
            "rate": 2e-3, "ema": 0.9},
}  # fmt: skip
OWN = tuple(name for name in TRAINED if name in TINY)
CLEAN = 32


@pytest.fixture(scope="module", params=OWN)
def trained(request):
    detector = open_detector(request.param, TINY[request.param], "cpu")
    detector.fit(stripes(CLEAN, phase=0)[0])
    return detector


def test_it_finds_planted_blobs(trained):
    told, defective = judged(trained, phase=0)
    assert roc_auc_score(defective, told.scores) > 0.9
    if trained.maps:
        masks = np.stack(stripes(24, 32, 101, blob=True)[1])
        assert roc_auc_score(masks.ravel(), told.maps[24:].ravel()) > 0.8
    else:
        assert told.maps is None
    if trained.name in ("cvae", "alad"):
        # By chance an untrained one may tell blobs from stripes, too.
        untrained = trained.build(trained.form).eval()
        assert rebuilding_error(trained.network) < rebuilding_error(untrained) / 2


@torch.no_grad()
def rebuilding_error(network):
    x = floats(torch.from_numpy(np.stack(stripes(8, seed=50, phase=0)[0])))[:, None]
    return float((network(x) - x).square().mean())


def test_a_saved_one_scores_alike_and_pictures_do_not_matter_to_each_other(trained, tmp_path):
    path = tmp_path / "detector.safetensors"
    trained.save(path)
    again = load_detector(path, "cpu")
    pictures = [*stripes(2, 32, 7)[0], *stripes(2, 32, 8, blob=True)[0]]
    first, second = trained.score(pictures), again.score(pictures)
    np.testing.assert_array_equal(first.scores, second.scores)
    alone = np.concatenate([again.score([one]).scores for one in pictures])
    np.testing.assert_allclose(alone, first.scores, rtol=1e-3)
    with pytest.raises(InputError, match="trained on 32x32, grey"):
        again.score(stripes(1, 40)[0])


def task_of(name, seed=0):
    """Return a detector's task on a few pictures."""
    detector = open_detector(name, TINY[name] | {"seed": seed}, "cpu")
    clean = torch.from_numpy(np.stack(stripes(8)[0]))[:, None]
    return detector._task(detector.build(Form(32, 32, 1)), clean)


def stepped(name, seed=0):
    """Return a small task of a detector and what its second step told."""
    task = task_of(name, seed)
    for model in task.models.values():  # in the loop's order
        model.train()
    task.prepare(torch.device("cpu"))
    where = Processes(torch.device("cpu"))
    for step in range(2):
        context = Context(step, None, seed, (0, 1, 2, 3), range(4), where, task.optimizers)
        told = task.step(context)
    return task, told


@pytest.mark.parametrize("name", OWN)
def test_a_step_trains_every_weight_and_depends_on_the_seed_alone(name):
    task, told = stepped(name)
    _, again = stepped(name)
    assert {key: value.item() for key, value in told.items()} == {
        key: value.item() for key, value in again.items()
    }
    assert all(value.isfinite() for value in told.values())
    owned = {id(p) for o in task.optimizers.values() for g in o.param_groups for p in g["params"]}
    assert owned == {id(p) for p in task.network.parameters()}
    still = [n for n, p in task.network.named_parameters() if p not in _moved(task)]
    assert not still, still


def _moved(task):
    """Return the parameters that an optimiser has stepped."""

    class Members(list):
        def __contains__(self, item):
            return any(item is one for one in self)

    return Members(p for o in task.optimizers.values() for p in o.state)


def test_a_run_that_was_stopped_ends_in_the_same_bytes(tmp_path):
    clean, _ = stripes(12)
    tiny = TINY["alad"] | {"epochs": 4, "width": 4}
    short = open_detector("alad", tiny | {"epochs": 2}, "cpu", folder=tmp_path / "a")
    short.fit(clean)
    longer = open_detector("alad", tiny, "cpu", folder=tmp_path / "a")
    longer.fit(clean)
    whole = open_detector("alad", tiny, "cpu", folder=tmp_path / "b")
    whole.fit(clean)
    first, second = ((tmp_path / n / "model.safetensors").read_bytes() for n in "ab")
    assert first == second
    with pytest.raises(InputError, match=r"trained with other settings: task\.pictures"):
        open_detector("alad", tiny, "cpu", folder=tmp_path / "a").fit(stripes(12, seed=5)[0])


@pytest.mark.parametrize("name", ["alad", "cvae"])
def test_one_that_was_stopped_within_an_epoch_ends_in_the_same_bytes(name, tmp_path, monkeypatch):
    tiny = TINY[name] | {"epochs": 3, "batch": 4, "width": 2}
    batch = learned.DetectorTask.batch

    def stopping(task, context):
        if context.step == 3:  # 12 pictures: one step into the second epoch
            os.kill(os.getpid(), signal.SIGINT)
        return batch(task, context)

    clean, _ = stripes(12)
    monkeypatch.setattr(learned.DetectorTask, "batch", stopping)
    with pytest.raises(Interrupted, match="at step 4;"):
        open_detector(name, tiny, "cpu", folder=tmp_path / "a").fit(clean)
    monkeypatch.setattr(learned.DetectorTask, "batch", batch)
    told = []
    for place in "ab":
        detector = open_detector(name, tiny, "cpu", folder=tmp_path / place)
        detector.fit(clean)
        told.append(detector.score(stripes(2, seed=9)[0]).scores)
    first, second = ((tmp_path / n / "model.safetensors").read_bytes() for n in "ab")
    assert first == second
    np.testing.assert_array_equal(*told)


def test_alad_keeps_the_model_that_rebuilds_held_pictures_best(tmp_path):
    task = task_of("alad")
    task.every = 1
    errors = []
    loop = TrainSettings(steps=6, batch=4, device="cpu", ema=0.0)

    choose = task._choose

    def watched():
        choose()
        x = floats(task.held)
        errors.append(float((task.average.model(x) - x).square().mean()))

    task._choose = watched
    train(task, loop, tmp_path, {})
    with torch.no_grad():
        x = floats(task.held)
        best = float((task.best(x) - x).square().mean())
    assert best == pytest.approx(min(errors), rel=1e-4)
    assert task.extra_state()["error"] == pytest.approx(best, rel=1e-4)
    assert len(task.held) + task.size == 8


def test_running_statistics_are_averaged_with_the_weights():
    settings = {"tile": 32, "patch": 16, "skip": 0, "encoder": "resnet18v2", "values": 8}
    network = open_detector("cpc", settings, "cpu").build(Form(32, 32, 1))
    newest = copy.deepcopy(network)
    with torch.no_grad():
        for tensor in newest.state_dict().values():
            tensor.add_(1)
    average = Ema(network, 0.9)
    average.update(newest, 1000)
    before, after = network.state_dict(), average.model.state_dict()
    statistics = [name for name in before if name.endswith(("running_mean", "running_var"))]
    assert statistics
    for name in statistics:
        torch.testing.assert_close(after[name], before[name] + 0.1)


def test_stopped_without_a_folder_nothing_is_promised(monkeypatch, tmp_path):
    def stopped(*_):
        raise Interrupted("stopped at step 1; the same command goes on")

    monkeypatch.setattr(learned, "train", stopped)
    clean, _ = stripes(2)
    with pytest.raises(Interrupted, match=r"cvae: stopped, and nothing .* --runs DIR keeps it"):
        open_detector("cvae", TINY["cvae"], "cpu").fit(clean)
    with pytest.raises(Interrupted, match="at step 1; the same command goes on"):
        open_detector("cvae", TINY["cvae"], "cpu", folder=tmp_path / "run").fit(clean)


def test_too_few_clean_pictures_are_refused():
    with pytest.raises(InputError, match="2 clean pictures; alad needs at least 3"):
        open_detector("alad", TINY["alad"], "cpu").fit(stripes(2)[0])


def test_more_pictures_are_learned_in_as_many_steps_if_told(tmp_path):
    steps = []
    for count, counted in ((12, None), (20, 12), (20, None)):
        out = tmp_path / f"{count}-{counted}"
        tiny = TINY["cvae"] | {"epochs": 2, "width": 1}
        open_detector("cvae", tiny, "cpu", folder=out).fit(stripes(count)[0], counted=counted)
        steps.append(read_weights_facts(out / "model.safetensors")["step"])
    assert steps == [3, 3, 5]
    with pytest.raises(ValueError, match="0 pictures counted"):
        open_detector("cvae", TINY["cvae"], "cpu").fit(stripes(2)[0], counted=0)
