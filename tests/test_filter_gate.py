"""``flawsmith filter --test``: both ends of the gate, what it reads when, leaks, interruption."""

import json
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from flawsmith.cli import cli
from flawsmith.data.formats import read_dataset
from flawsmith.errors import DoesNotHelp, InputError, Interrupted
from flawsmith.evaluate.filtering import gate, job
from flawsmith.evaluate.filtering.reasons import REFUSED, SURPLUS
from flawsmith.evaluate.read_once import ReadOnce
from flawsmith.evaluate.segment import judge
from tests.augment_helpers import write_scan
from tests.eye import eye  # noqa: F401
from tests.feature_helpers import one_thread  # noqa: F401
from tests.filter_helpers import CLASSES, drawn, real_parts
from tests.gate_helpers import made_up

HELPS = {"real+filtered": 0.2, "real+random": 0.1}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Real parts, candidates pasted from them, and other parts to test on."""
    root = tmp_path_factory.mktemp("folders")
    real = write_scan(root / "real", real_parts(8), CLASSES).dataset.root
    write_scan(root / "test", [drawn(f"test-{i}", 900 + i, i % 2) for i in range(6)], CLASSES)
    words = ["augment", real, root / "made", "--method", "paste", "--count", 12, "--workers", 1]
    done = CliRunner().invoke(cli, list(map(str, words)))
    assert done.exception is None, done.output
    return root


@pytest.fixture
def asked(monkeypatch):
    """No training: arms find so much more than half as ``gains`` says; return what was asked."""
    asked = SimpleNamespace(gains={}, calls=[])

    def check(real, added, test, settings, folder, *, device, pairs, leak):
        asked.calls.append((added, settings, folder))
        run_arm = made_up(asked.gains)
        arms = {name: SimpleNamespace(arm=SimpleNamespace(name=name)) for name in ("real", *added)}
        counts = {
            name: {seed: run_arm(entry, seed, ReadOnce(test), folder, None) for seed in range(3)}
            for name, entry in arms.items()
        }
        sizes = {name: len(scan.facts) for name, scan in added.items()}
        return judge(counts, settings=settings, real=real, added=sizes, pairs=pairs, leak=leak)

    monkeypatch.setattr(gate, "check", check)
    return asked


def run(folders, out, *words, made="made"):
    words = (folders / made, out, "--real", folders / "real", "--no-segmenter", *words)
    return CliRunner().invoke(cli, ["filter", *map(str, words), "--workers", "1"])


def gated(folders, out, *words):
    return run(folders, out, "--test", folders / "test", *words)


def pictures(root):
    return {path.name: path.read_bytes() for path in (root / "images").iterdir()}


def test_what_helps_is_accepted(folders, tmp_path, asked):
    asked.gains = HELPS
    done = gated(folders, tmp_path / "out", "--seeds", 4, "--gate-steps", 7, "--json")
    assert done.exit_code == 0, done.exception
    result = json.loads(done.stdout)
    added, settings, folder = asked.calls[0]
    assert (settings.seeds, settings.steps, settings.seed) == (4, 7, 0)
    assert folder.parent == tmp_path / "cache" / "segment"
    assert result["helps"] is True
    assert result["verdict"].startswith("real+filtered against real: mIoU +")
    assert result["accepted"] == result["passed"] == len(job.read_accepted(tmp_path / "out"))
    assert not (tmp_path / "out" / "candidates").exists()
    # The control is as large, class by class, and no other pool than the certified ones.
    assert [arm["name"] for arm in result["gate"]["arms"]] == [
        "real", "real+random", "real+filtered",
    ]  # fmt: skip
    shown = [sorted(f.planes for f in scan.facts) for scan in added.values()]
    assert shown[0] == shown[1]
    assert {(f["arm"], f["base"]) for f in result["gate"]["findings"]} == {
        ("real+random", "real"), ("real+filtered", "real"), ("real+filtered", "real+random"),
    }  # fmt: skip


@pytest.mark.parametrize("gain", [0.0, -0.2])
def test_what_does_not_help_is_not_accepted(folders, tmp_path, asked, gain):
    plain, out = tmp_path / "plain", tmp_path / "out"
    assert run(folders, plain).exception is None
    asked.gains = {"real+filtered": gain, "real+random": 0.3}
    done = gated(folders, out)
    assert isinstance(done.exception, DoesNotHelp)
    assert done.exception.exit_code == 4
    word = "hurts" if gain else "no evidence"
    assert f": {word}; candidates in {out / 'candidates'}" in str(done.exception)
    assert "verdict: not accepted: real+filtered against real" in done.stdout.splitlines()[-1]
    assert "nothing is accepted" in done.stdout
    # The very same set, under another name and with another word on each.
    assert not (out / "accepted").exists()
    assert pictures(out / "candidates") == pictures(plain / "accepted")
    metas = [sample.meta for sample in read_dataset(out / "candidates")]
    assert {(meta["decision"], meta["reason"]) for meta in metas} == {("rejected", REFUSED)}
    lines = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    assert not any(line["accepted"] for line in lines)
    assert {line["reason"] for line in lines} >= {REFUSED, SURPLUS}
    result = json.loads((out / "filter.json").read_text())
    assert (result["accepted"], result["passed"]) == (0, len(metas))
    # The thresholds are what they are without any test.
    assert result["thresholds"] == json.loads((plain / "filter.json").read_text())["thresholds"]
    again = gated(folders, out)
    assert "complete already" in again.stderr
    assert isinstance(again.exception, DoesNotHelp)
    assert len(asked.calls) == 1
    # Filtered once more, a candidate bears nothing of the earlier refusal.
    CliRunner().invoke(
        cli, ["filter", str(out / "candidates"), str(tmp_path / "anew"), "--real",
              str(folders / "real"), "--no-segmenter", "--workers", "1"],
    )  # fmt: skip
    kept = job.read_accepted(tmp_path / "anew")
    assert len(kept)
    assert not any("reason" in sample.meta for sample in kept)


def test_the_test_images_are_read_last(folders, tmp_path, asked, monkeypatch):
    """Until every candidate is judged, whatever opens a file of the test set finds garbage."""
    asked.gains, held, seen = HELPS, {}, []
    for name in ("real", "made", "test"):
        for path in (folders / name).rglob("*"):
            if path.is_file():
                copy = tmp_path / path.relative_to(folders)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
    for path in (tmp_path / "test").rglob("*"):
        if path.is_file():
            held[path] = path.read_bytes()
            path.write_bytes(b"\x00marker")
    sift = job.sift

    def reveal(*given, **named):
        sifted = sift(*given, **named)
        seen.append(sifted.thresholds)
        for path, content in held.items():
            path.write_bytes(content)
        return sifted

    monkeypatch.setattr(job, "sift", reveal)
    done = gated(tmp_path, tmp_path / "out")
    assert done.exit_code == 0, done.exception
    assert seen[0]


def test_a_leak_is_refused_or_said_on_top(folders, tmp_path, asked):
    asked.gains, out = HELPS, tmp_path / "out"
    words = ("--test", folders / "real")
    done = run(folders, out, *words)
    assert isinstance(done.exception, InputError)
    assert "not apart" in str(done.exception)
    assert "--allow-leak" in str(done.exception)
    assert not asked.calls
    assert not out.exists()
    assert not (tmp_path / "out.partial").exists()
    done = run(folders, out, *words, "--allow-leak")
    assert done.exit_code == 0, done.exception
    assert "NOT TO BE TRUSTED (the test set is not apart" in done.stdout.splitlines()[-1]


def test_nothing_passed_helps_nobody(folders, tmp_path, asked):
    samples = [drawn(f"c{i}", i, None, method="drawn") for i in range(3)]
    for sample in samples:
        object.__setattr__(sample, "label", "defective")
    write_scan(tmp_path / "empty", samples, CLASSES)
    (tmp_path / "test").mkdir()
    words = (tmp_path / "empty", tmp_path / "out", "--real", folders / "real", "--no-segmenter")
    done = CliRunner().invoke(
        cli, ["filter", *map(str, words), "--test", str(tmp_path / "test"), "--workers", "1"]
    )
    assert isinstance(done.exception, DoesNotHelp)
    assert str(done.exception) == "does not help: no candidate passed the filter"
    assert not asked.calls
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} == set()


def test_refusals(folders, tmp_path, asked):
    out = tmp_path / "out"
    for words in (("--seeds", 2), ("--gate-steps", 5), ("--allow-leak",)):
        done = run(folders, out, *words)
        assert isinstance(done.exception, InputError)
        assert f"{words[0]} without --test" in str(done.exception)
    for folder, why in (
        (tmp_path / "none", "no such folder"),
        (out / "in", "inside of the output"),
    ):
        done = run(folders, out, "--test", folder)
        assert isinstance(done.exception, InputError)
        assert why in str(done.exception)
    assert not out.exists()
    assert not asked.calls


def test_an_interrupted_gate_goes_on(folders, tmp_path, asked, monkeypatch):
    check = gate.check

    def stop(*given, **named):
        raise Interrupted("stopped")

    asked.gains = HELPS
    assert gated(folders, tmp_path / "whole").exit_code == 0
    monkeypatch.setattr(gate, "check", stop)
    done = gated(folders, tmp_path / "out")
    assert isinstance(done.exception, Interrupted)
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(gate, "check", check)
    assert gated(folders, tmp_path / "out").exit_code == 0
    for name in ("filter.json", "samples.jsonl"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.usefixtures("one_thread")
def test_with_segmenters_that_learn(folders, tmp_path):
    config = tmp_path / "config.yaml"
    # A picture is one tile: seconds in all.
    config.write_text("segment: {crop: 64, batch: 2, tile: 256, seeds: 1}\n")
    words = ("--config", config, "--gate-steps", 1, "--device", "cpu")
    done = gated(folders, tmp_path / "out", *words)
    # A step teaches nothing: which end comes out is no matter, that there is one is.
    assert done.exception is None or isinstance(done.exception, DoesNotHelp), done.exception
    result = json.loads((tmp_path / "out" / "filter.json").read_text())
    arms = {arm["name"]: arm for arm in result["gate"]["arms"]}
    assert {len(arm["runs"]) for arm in arms.values()} == {1}
    assert result["gate"]["test"] == 6
    assert arms["real+random"]["added"] == arms["real+filtered"]["added"] == result["passed"] > 0
    place = "accepted" if result["helps"] else "candidates"
    assert len(read_dataset(tmp_path / "out" / place)) == result["passed"]
