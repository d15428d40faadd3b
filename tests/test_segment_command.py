"""``flawsmith evaluate segment``: what it prints, what it passes on, kills, and its refusals."""

import json
from typing import get_args

import pytest
from click.testing import CliRunner

from flawsmith.cli import cli
from flawsmith.commands.evaluate_segment import MIXINGS, arm_names
from flawsmith.errors import InputError
from flawsmith.evaluate import segment, segment_curve, segment_runs
from flawsmith.evaluate.segment import judge
from flawsmith.evaluate.segment_curve import Curve
from flawsmith.evaluate.segmenter.schedule import Mixing
from tests.feature_helpers import one_thread  # noqa: F401
from tests.killing import name_of, run_until
from tests.paired_helpers import arms
from tests.segment_helpers import BRIGHT, DARK, marks

TINY = ("--steps", 2, "--seeds", 1, "--crop", 64, "--batch", 4, "--workers", 1, "--device", "cpu")
KILLS = (
    # Trained but not tested; and tested, the checkpoint still there.
    ("flawsmith.train.loop", "save_checkpoint", "after", 1),
    ("flawsmith.evaluate.segment_runs", "replace_file", "after", 1),
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    for stream, levels in {
        "real": [BRIGHT] * 6 + [None],
        "made": [DARK] * 4,
        "test": [BRIGHT, DARK] * 2 + [None],
    }.items():
        marks(root, stream, *levels)
    return root


def run(*words):
    return CliRunner().invoke(cli, ["evaluate", "segment", *map(str, words)])


def sets(folders, *added):
    words = ["--train", folders / "real", "--test", folders / "test"]
    return [*words, *(word for name in added for word in ("--add", folders / name))]


def refusal_of(*words):
    done = run(*words)
    assert isinstance(done.exception, InputError), (done.exception, done.output)
    assert done.exception.exit_code == 2
    assert "\n" not in str(done.exception)
    return str(done.exception)


@pytest.fixture
def told(monkeypatch):
    """No training: the check is put together from made-up counts; return what it was asked."""
    asked = {}

    def check(real, added, test, settings, folder, **more):
        asked.update(settings=settings, folder=folder, **more)
        better, base = arms(gain=0.4, groups=40, k=1, seeds=5)
        counts = {"real": base, **dict.fromkeys(added, better), "real+same": base}
        return judge(counts, settings=settings, real=real, added={}, leak=more["leak"])

    monkeypatch.setattr(segment, "check", check)
    return asked


def test_the_table_and_the_verdict(folders, told, tmp_path):
    done = run(*sets(folders, "made"), "--runs", tmp_path, *TINY)
    assert done.exit_code == 0, done.exception
    lines = done.stdout.splitlines()
    head = "arm added mIoU lowest to highest a false alarms"
    assert " ".join(lines[0].split()) == head
    assert [line.split()[0] for line in lines[1:4]] == ["real", "real+made", "real+same"]
    assert lines[1].split()[-1] == "40"
    assert lines[4].startswith("real+made against real: mIoU +")
    assert lines[4].endswith("; 20 groups, 5 seeds): helps")
    assert lines[-1] == "verdict: real+made helps; no evidence that real+same helps or hurts"


def test_flags_go_before_the_file(folders, told, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("rate: 0.004\nsteps: 50\nmixing: falling\nseed: 9\n")
    words = ("--config", config, "--steps", 7, "--mixing", "constant", "--precision", "bf16")
    done = run(*sets(folders, "made"), "--runs", tmp_path / "runs", *words)
    assert done.exit_code == 0, done.exception
    settings = told["settings"]
    assert (settings.rate, settings.steps, settings.mixing) == (0.004, 7, "constant")
    assert (settings.seed, settings.seeds, settings.crop) == (9, 3, 128)
    assert (told["folder"], told["precision"]) == (tmp_path / "runs", "bf16")


def test_runs_are_kept_in_the_cache_by_what_they_learn_from(folders, told, tmp_path, monkeypatch):
    monkeypatch.setenv("FLAWSMITH_CACHE", str(tmp_path))
    kept = []
    for words in ((), ("--steps", 9), ("--seeds", 2)):
        done = run(*sets(folders, "made"), *words)
        assert f"runs are kept in {told['folder']}" in done.stderr
        kept.append(told["folder"])
    run(*sets(folders), "--steps", 9)
    kept.append(told["folder"])
    assert {folder.parent for folder in kept} == {tmp_path / "segment"}
    assert kept[0] == kept[2]
    assert len(set(kept)) == 3


def test_a_leak_is_on_top_or_refused(folders, told, tmp_path):
    words = ("--train", folders / "real", "--test", folders / "real", "--runs", tmp_path)
    text = refusal_of(*words)
    assert text.startswith(f"{folders / 'real'}: the test set is not apart: it shares 7 pictures")
    assert text.endswith("(mend: split again by groups, or --allow-leak)")
    assert not told
    done = run(*words, "--allow-leak")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("NOT TO BE TRUSTED: the test set is not apart: it shares 7 pictures")
    assert lines[-1].endswith("(not to be trusted, see above)")
    assert json.loads(run(*words, "--allow-leak", "--json").stdout)["leak"] == told["leak"]


def test_names_of_arms(tmp_path):
    folders = [tmp_path / name for name in ("paste", "a/paste", "b/paste", "paste-2")]
    assert arm_names(folders) == ["real+paste", "real+paste-2", "real+paste-3", "real+paste-2-2"]
    assert arm_names([]) == []


def test_choices_are_the_settings_own():
    assert get_args(Mixing) == MIXINGS


def test_mistakes_are_one_line(folders, tmp_path):
    assert "--test is missing" in refusal_of("--train", folders / "real")
    assert "no such folder" in refusal_of("--train", tmp_path / "no", "--test", folders / "test")
    words = sets(folders)
    assert "crop: " in refusal_of(*words, "--crop", 70)
    assert "encoder" in refusal_of(*words, "--encoder", "nonesuch", "--runs", tmp_path / "r", *TINY)
    config = tmp_path / "c.yaml"
    config.write_text("stepps: 3\n")
    assert "no such setting: stepps" in refusal_of(*words, "--config", config)
    assert "--curve looks at --train alone" in refusal_of(*words, "--curve")
    alone = ("--train", folders / "real", "--curve", "--allow-leak")
    assert "leave --add, --test and --allow-leak out" in refusal_of(*alone)
    other = tmp_path / "other"
    other.mkdir()
    (marks(other, "made", BRIGHT).dataset.root / "classes.txt").write_text("pit\n")
    text = refusal_of(*words, "--add", other / "made")
    assert text.startswith(f"{other / 'made'}: its classes are pit; those of the real samples mark")
    assert "no such device" in refusal_of(*words, *TINY, "--runs", tmp_path / "q", "--device", "x")
    assert run(*words, "--seeds", 0).exit_code == 2


def test_the_curve(folders, monkeypatch, tmp_path):
    asked = []

    def curve(real, settings, folder, **more):
        asked.append((settings.steps, folder, more))
        return Curve((50, 100, 200), ((0.5, 0.3), (0.6, 0.4), (0.6, 0.404)), (0, 1), 8, 8, 4, 4)

    monkeypatch.setattr(segment_curve, "curve", curve)
    words = ("--train", folders / "real", "--curve", "--steps", 100, "--runs", tmp_path)
    lines = run(*words).stdout.splitlines()
    assert lines[2].split() == ["100", "0.500", "0.600,", "0.400"]
    assert lines[-1] == (
        "doubling 100 steps moves mIoU by +0.2 points (4 held-out groups, 2 seeds): enough"
    )
    result = json.loads(run(*words, "--json").stdout)
    assert result["means"] == pytest.approx([0.4, 0.5, 0.502])
    assert result["skipped"] == []
    assert asked[0] == (100, tmp_path, {"device": "auto", "precision": "auto"})
    # Another seed holds out other parts: its runs must not meet those of the first in the cache.
    monkeypatch.setenv("FLAWSMITH_CACHE", str(tmp_path))
    for seed in (0, 1, 0):
        run(*words[:-2], "--seed", seed)
    kept = [folder for _, folder, _ in asked[-3:]]
    assert kept[0] == kept[2] != kept[1]


def test_what_was_skipped_is_in_the_json(folders, told, tmp_path):
    made = marks(tmp_path, "made", DARK, DARK).dataset.root
    (made / "images" / "000.png").write_bytes(b"no picture")
    words = (*sets(folders), "--add", made, "--runs", tmp_path / "runs", "--on-error", "skip")
    done = run(*words, "--json")
    assert done.exit_code == 0, done.exception
    assert [entry.partition(":")[0] for entry in json.loads(done.stdout)["skipped"]] == [
        "images/000.png"
    ]


@pytest.fixture(scope="module")
def whole(folders, tmp_path_factory):
    """A real check of two steps a run, from the command line."""
    out = tmp_path_factory.mktemp("whole")
    done = run(*sets(folders, "made"), *TINY, "--runs", out, "--json")
    assert done.exit_code == 0, done.exception
    return out, json.loads(done.stdout)


def test_the_result_as_json(whole, folders):
    out, result = whole
    assert result["train"] == str(folders / "real")
    assert result["add"] == {"real+made": str(folders / "made")}
    assert result["runs"] == str(out)
    assert [arm["name"] for arm in result["arms"]] == ["real", "real+made"]
    assert result["findings"][0]["verdict"] in ("helps", "no evidence", "hurts")
    assert result["settings"]["steps"] == result["steps"] == 2
    assert (out / "real+made" / "0" / "counts.json").is_file()


def test_with_another_set_only_that_arm_is_trained(whole, folders, monkeypatch):
    out, _ = whole
    inner, trained = segment_runs.train_arm, []

    def train_arm(arm, *args, **kwargs):
        trained.append(arm.name)
        return inner(arm, *args, **kwargs)

    monkeypatch.setattr(segment_runs, "train_arm", train_arm)
    done = run(*sets(folders, "made", "made"), *TINY, "--runs", out)
    assert done.exit_code == 0, done.exception
    assert trained == ["real+made-2"]
    assert "real, seed 0" in done.stderr


@pytest.mark.parametrize("point", KILLS, ids=name_of)
def test_killed_it_goes_on(whole, folders, tmp_path, point, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    words = (*sets(folders, "made"), *TINY, "--runs", tmp_path, "--json")
    run_until(point, "evaluate", "segment", *words)
    assert (tmp_path / "real" / "0" / "state").exists()
    done = run(*words)
    assert json.loads(done.stdout) == {**whole[1], "runs": str(tmp_path)}
    assert not (tmp_path / "real" / "0" / "state").exists()
