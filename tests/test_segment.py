"""The downstream check says what is so, never looks at the test set, and goes on where it was."""

import json
import signal
from collections import Counter
from dataclasses import replace

import pytest

from flawsmith.data.dataset import DataSet
from flawsmith.data.scan import Scan
from flawsmith.errors import InputError, Interrupted
from flawsmith.evaluate import segment_curve, segment_runs
from flawsmith.evaluate.paired import compare
from flawsmith.evaluate.read_once import ReadOnce, content_digest
from flawsmith.evaluate.segment import SegmentCheck, check, check_sets, judge
from flawsmith.evaluate.segment_curve import curve
from flawsmith.evaluate.segment_runs import Progress, RunPlan, entry_of, run_arm
from flawsmith.evaluate.segmenter.task import SegmentTask
from tests.feature_helpers import one_thread  # noqa: F401
from tests.paired_helpers import arms, counts
from tests.segment_helpers import BRIGHT, DARK, marks, noise, quick
from tests.segmenter_helpers import settings

TINY = {"steps": 3, "seeds": 1}
GROUND = {"settings": quick(), "added": {}}


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    real = marks(root, "train", *[BRIGHT] * 8, None, None)
    added = {
        "real+noise": noise(root, "noise", 12),
        "real+copies": real,
        "real+more": marks(root, "more", *[BRIGHT, DARK] * 8),
    }
    return real, added, marks(root, "test", *[BRIGHT, BRIGHT, DARK] * 8, *[None] * 2)


@pytest.fixture(scope="module")
def checked(sets, tmp_path_factory):
    """The check of the three sets, and its folder."""
    folder = tmp_path_factory.mktemp("runs")
    pairs = [("real+more", "real+copies")]
    return check(*sets, quick(), folder, device="cpu", pairs=pairs), folder


@pytest.mark.parametrize(
    ("arm", "word"),
    [("real+noise", "hurts"), ("real+copies", "no evidence"), ("real+more", "helps")],
)
def test_it_says_what_is_so(checked, arm, word):
    finding = checked[0].finding(arm)
    assert finding.word == word, finding.sentence
    assert "24 groups, 3 seeds" in finding.sentence


def test_what_it_tells(checked, sets):
    done, _ = checked
    assert [arm.name for arm in done.arms] == ["real", *sets[1]]
    assert [arm.added for arm in done.arms] == [0, 12, 10, 16]
    assert (done.real, done.real_groups, done.test, done.test_groups) == (10, 10, 26, 26)
    assert (done.seeds, done.steps, done.crop, done.batch) == ((0, 1, 2), 14, 64, 4)
    assert done.finding("real+more", "real+copies").word == "helps"
    assert {found.difference.name for found in done.findings} == {"mIoU"}
    told = {"IoU mark", "mDice", "false alarms"}
    assert {found.difference.name for found in done.details} == told
    assert SegmentCheck.from_json(json.loads(json.dumps(done.to_json()))) == done


def test_the_same_again_trains_and_predicts_nothing(checked, sets, monkeypatch):
    done, folder = checked
    for name in ("train_arm", "predict"):
        monkeypatch.setattr(segment_runs, name, None)
    pairs = [("real+more", "real+copies")]
    assert check(*sets, quick(), folder, device="cpu", pairs=pairs) == done
    for run in (folder / "real" / "0", folder / "real+more" / "2"):
        assert (run / "model.safetensors").is_file()
        assert not (run / "state").exists()


def test_other_images_are_predicted_by_the_kept_weights(checked, sets, monkeypatch):
    done, folder = checked
    real, _, test = sets
    monkeypatch.setattr(segment_runs, "train_arm", None)
    half = test.select(range(18))
    path = folder / "real" / "0" / "counts.json"
    before = path.read_bytes()
    other = check(real, {}, half, quick(seeds=1), folder, device="cpu")
    assert other.test == 18
    assert other.findings == ()
    assert check(real, {}, test, quick(seeds=1), folder).arms[0].runs == done.arms[0].runs[:1]
    assert path.read_bytes() == before


def test_counts_without_their_hash_are_predicted_again(checked, sets, monkeypatch):
    """By the kept weights: what is changed is not believed, and nothing is trained for it."""
    done, folder = checked
    real, _, test = sets
    monkeypatch.setattr(segment_runs, "train_arm", None)
    path = folder / "real" / "0" / "counts.json"
    before = path.read_bytes()
    content = json.loads(before)
    content.pop("sha256")
    content["counts"]["fp"][0][0] += 5
    path.write_text(json.dumps(content))
    again = check(real, {}, test, quick(seeds=1), folder, device="cpu")
    assert again.arms[0].runs == done.arms[0].runs[:1]
    assert path.read_bytes() == before


def test_another_run_s_folder_is_refused(checked, sets):
    _, folder = checked
    real, added, test = sets
    with pytest.raises(InputError, match=r"trained with other settings: .*rate"):
        check(real, {}, test, quick(seeds=1, rate=1e-3), folder)
    with pytest.raises(InputError, match=r"trained with other settings: .*source\.added"):
        check(real, {"real+noise": added["real+more"]}, test, quick(seeds=1), folder)


def test_the_test_set_is_not_there_until_a_run_is_trained(sets, tmp_path, monkeypatch):
    real, added, _ = sets
    test = marks(tmp_path, "test", BRIGHT, DARK, None)
    here, away = tmp_path / "test", tmp_path / "away"
    inner, made = segment_runs.train_arm, []

    def train(arm, *args, **kwargs):
        if here.exists():
            here.rename(away)
        made.append((inner(arm, *args, **kwargs), arm.name))
        away.rename(here)

    monkeypatch.setattr(segment_runs, "train_arm", train)
    here.rename(away)
    done = check(real, {"a": added["real+more"]}, test, quick(**TINY), tmp_path / "runs")
    assert [name for _, name in made] == ["real", "a"]
    assert done.test == 3


def test_a_stopped_check_goes_on_within_the_run(sets, tmp_path, monkeypatch):
    real, added, test = sets
    words = (real, {"a": added["real+more"]}, test.select(range(6)), quick(**TINY))
    whole = check(*words, tmp_path / "whole", device="cpu")
    inner, steps = SegmentTask.step, []

    def step(task, context):
        steps.append((task.arm.name, context.step))
        if len(steps) == 5:  # the second step of the second run
            signal.raise_signal(signal.SIGINT)
        return inner(task, context)

    monkeypatch.setattr(SegmentTask, "step", step)
    with pytest.raises(Interrupted, match="stopped at step 2"):
        check(*words, tmp_path / "cut", device="cpu")
    assert check(*words, tmp_path / "cut", device="cpu") == whole
    assert steps == [*(("real", i) for i in range(3)), *(("a", i) for i in range(3))]
    for run in ("real/0", "a/0"):
        both = [(tmp_path / name / run / "counts.json").read_bytes() for name in ("whole", "cut")]
        assert both[0] == both[1]


def test_images_of_unknown_label_are_not_tested(sets, tmp_path):
    real, _, test = sets
    some = test.select([0, 2, 24])
    records = (*some.dataset.records[:2], replace(some.dataset.records[2], declared="unlabelled"))
    facts = (*some.facts[:2], replace(some.facts[2], label="unknown"))
    unsure = Scan(replace(some.dataset, records=records), facts)
    plan = RunPlan(quick(**TINY), "cpu")
    entry = entry_of("real", ReadOnce(real), None, plan.settings)
    found = run_arm(entry, 0, ReadOnce(unsure), tmp_path / "run", plan)
    assert found.unknown == (facts[2].id,)
    assert found.ids == (facts[0].id, facts[1].id)


def test_real_and_test_images_are_decoded_once(sets, tmp_path, monkeypatch):
    """However many arms and seeds there are; real ones once more for the flips that they allow."""
    real, added, test = sets
    read, decoded = DataSet.__getitem__, Counter()

    def count(dataset, index):
        decoded[dataset.root.name, dataset.ids[index]] += 1
        return read(dataset, index)

    monkeypatch.setattr(DataSet, "__getitem__", count)
    some = test.select(range(6))
    more = {"a": added["real+more"]}
    own = quick(**TINY | {"seeds": 2, "steps": 2})
    check(real, more, some, own, tmp_path / "runs", device="cpu")
    tested = [decoded[some.dataset.root.name, name] for name in some.dataset.ids]
    assert tested == [1] * 6
    learned = [decoded[real.dataset.root.name, name] for name in real.dataset.ids]
    assert max(learned) <= 2
    assert sum(learned) > len(learned) / 2


def test_the_digest_is_of_masks_and_labels_not_of_places(sets, tmp_path):
    real = sets[0]
    again = marks(tmp_path / "elsewhere", "train", *[BRIGHT] * 8, None, None)
    assert content_digest(again) == content_digest(real)
    turned = [replace(record, masks=Turned(record.masks)) for record in real.dataset.records]
    other = Scan(replace(real.dataset, records=tuple(turned)), real.facts)
    assert content_digest(other) != content_digest(real)
    assert content_digest(real.select(range(9))) != content_digest(real)


class Turned:
    def __init__(self, masks):
        self.masks = masks

    def read(self, shape):
        return self.masks.read(shape)[:, ::-1]


def test_the_verdict_is_a_function_of_counts(sets):
    arm, base = arms(gain=0.3, seeds=3)
    given = {"real+x": arm, "real": base, "real+y": base}
    done = judge(
        given, settings=quick(seed=4), real=sets[0], added={"real+x": 7},
        pairs=[("real+x", "real+y"), ("real+x", "real")], leak="shared",
    )  # fmt: skip
    assert [one.name for one in done.arms] == ["real", "real+x", "real+y"]
    assert [one.added for one in done.arms] == [0, 7, 0]
    told = [(f.arm, f.base) for f in done.findings]
    assert told == [("real+x", "real"), ("real+y", "real"), ("real+x", "real+y")]
    assert done.finding("real+x").difference == compare(arm, base, seed=4)[0]
    assert done.finding("real+y").difference.value == 0
    assert len(done.details) == 3 * (2 + 1 + 1)
    assert done.seeds == (0, 1, 2)
    assert done.leak == "shared"
    assert SegmentCheck.from_json(json.loads(json.dumps(done.to_json()))) == done


def test_samples_of_unknown_label_are_not_counted_as_learned_from(sets):
    arm, base = arms(seeds=2)
    real = sets[0]
    facts = (replace(real.facts[0], label="unknown"), *real.facts[1:])
    given = {"real": base, "real+x": arm}
    done = judge(given, settings=quick(), real=Scan(real.dataset, facts), added={})
    assert (done.real, done.real_groups) == (9, 9)


def test_sets_that_cannot_be_compared(sets, tmp_path):
    real, _, test = sets
    other = replace(real, dataset=replace(real.dataset, classes=("pit",)))
    with pytest.raises(InputError, match="its classes are pit; those of the real samples mark"):
        check_sets(real, {"a": other}, test)
    with pytest.raises(InputError, match="its classes are pit"):
        check_sets(real, {}, other)
    with pytest.raises(InputError, match="no defect is marked on the test images"):
        check_sets(real, {}, test.select([24, 25]))
    with pytest.raises(InputError, match="all 1 test images are of one group"):
        check_sets(real, {}, test.select([0]))
    with pytest.raises(InputError, match="cannot be called real"):
        check_sets(real, {"real": real}, test)
    with pytest.raises(InputError, match="no such arms to compare: b"):
        check_sets(real, {"a": real}, test, [("a", "b")])
    with pytest.raises(InputError, match="nothing to learn from"):
        check(real.select([8, 9]), {}, test, quick(**TINY), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_leak_is_refused_before_anything_is_trained(sets, tmp_path):
    real, _, test = sets
    facts = (*test.facts[:-1], replace(test.facts[-1], digest=real.facts[0].digest))
    both = Scan(test.dataset, facts)
    with pytest.raises(InputError, match="1 picture with the same pixels"):
        check(real, {}, both, quick(), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_progress_tells_how_long_it_takes(capsys):
    told = Progress(total=12, left=11)
    some = counts([[1]], [[0]], [[1]], ["g"])
    told.tell("real, seed 0", some)
    told.add(90.0)
    told.tell("real, seed 1", some)
    for _ in range(10):
        told.add(3.0)
    told.tell("real+x, seed 3", some)
    assert capsys.readouterr().err.splitlines() == [
        "real, seed 0: mIoU 0.500 (1 of 12 runs)",
        "real, seed 1: mIoU 0.500 (2 of 12 runs, about 15 minutes left)",
        "real+x, seed 3: mIoU 0.500 (3 of 12 runs)",
    ]


def test_the_curve_holds_training_groups_out(sets, tmp_path, monkeypatch):
    real = sets[0]
    seen = []

    def run_all(arms, learned, tested, folder, plan):
        groups = [{fact.group for fact in scan.facts} for scan in (learned, tested)]
        assert not groups[0] & groups[1]
        assert arms == {"real": None}
        seen.append((folder, len(learned.facts) + len(tested.facts)))
        hit = {7: 40, 14: 60, 28: 61}[plan.settings.steps]
        one = counts([[hit], [hit]], [[0], [0]], [[100 - hit]] * 2, "gh")
        return {"real": dict.fromkeys(range(3), one)}

    monkeypatch.setattr(segment_runs, "run_all", run_all)
    found = curve(real, quick(), tmp_path)
    assert seen == [(tmp_path / f"{n} steps", 10) for n in found.steps]
    assert found.steps == (7, 14, 28)
    assert found.means == pytest.approx((0.4, 0.6, 0.61))
    assert found.sentence == (
        "doubling 14 steps moves mIoU by +1.0 points (2 held-out groups, 3 seeds): not settled"
    )
    settled = replace(found, miou=(*found.miou[:2], (0.6, 0.61, 0.605)))
    assert settled.doubling == pytest.approx(0.005)
    assert settled.sentence.endswith(": enough")
    assert found.to_json()["doubling"] == found.doubling
    assert segment_curve.ENOUGH == 0.01


def test_a_curve_s_runs_are_kept(sets, tmp_path, monkeypatch):
    real = marks(tmp_path, "parts", *[BRIGHT] * 9)
    words = (real, settings(steps=2, seeds=1), tmp_path / "runs")
    found = curve(*words, device="cpu")
    assert (found.steps, found.learned, found.tested) == ((1, 2, 4), 6, 3)
    monkeypatch.setattr(segment_runs, "train_arm", None)
    assert curve(*words, device="cpu") == found
