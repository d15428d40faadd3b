"""``flawsmith run`` with filter and gate: accepted or not, stopped and resumed, the test unseen."""

import json
import shutil
import signal

import pytest
import torch

from flawsmith.errors import EXIT_GATE, EXIT_INTERRUPTED, DoesNotHelp, InputError, Interrupted
from flawsmith.evaluate.segment import SegmentCheck
from flawsmith.evaluate.segmenter.task import SegmentTask
from tests.gate_helpers import GATE, config_of, gated, lines_of
from tests.killing import run_until
from tests.report_helpers import Page
from tests.run_helpers import check_sets, figures_of, make_source, spoil_tests


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_source(tmp_path_factory.mktemp("run") / "parts", each=10)


@pytest.fixture(scope="module")
def whole(source):
    """A run of all stages, trained in earnest but for hardly any step: nothing can help."""
    torch.set_num_threads(1)
    out = source.parent / "whole"
    done = gated(source, out, *config_of(source.parent), "--json")
    return out, done


def test_not_accepted(source, whole):
    out, done = whole
    assert isinstance(done.exception, DoesNotHelp), (done.exception, done.stderr)
    assert done.exception.exit_code == EXIT_GATE
    told = str(done.exception)
    assert told.startswith("does not help: real+filtered against real: mIoU ")
    assert told.endswith(f"; candidates in {out / 'candidates'}, report {out / 'report.html'}")
    result = json.loads(done.stdout)
    assert (result["state"], result["accepted"]) == ("not accepted", False)
    check = SegmentCheck.from_json(result["gate"])
    assert tuple(arm.name for arm in check.arms) == GATE
    assert check.seeds == (4, 5)
    filtered = check.arm("real+filtered").added
    assert filtered > 1
    # Nothing is called accepted, anywhere.
    assert not (out / "dataset" / "synthetic").exists()
    sets = check_sets(out / "dataset", ("train", "test"))
    assert set(result["parts"]) == {"train", "test", "candidates"}
    (aside,) = check_sets(out, ("candidates",)).values()
    assert len(aside) == filtered
    assert aside.classes == sets["train"].classes
    for sample in aside:
        assert sample.meta["decision"] == "rejected"
        assert "not shown to help" in sample.meta["reason"]
    samples = lines_of(out / "samples.jsonl")
    assert len(samples) == sum(
        row["accepted"] + sum(row["rejected"].values()) for row in result["methods"].values()
    )
    assert not any(line["accepted"] for line in samples)
    assert {line["id"] for line in samples if "not shown to help" in line["reason"]} == {*aside.ids}
    passed = next(line for line in samples if line["id"] in aside.ids)
    assert {"quality", "novelty", "agreement", "hardness"} <= passed["scores"].keys()
    assert len(lines_of(out / "dataset" / "rejected.jsonl")) == len(samples)


def test_the_report_says_so(whole):
    out, _ = whole
    page = Page((out / "report.html").read_text("utf-8"))
    assert "Not accepted: no evidence that it helps." in page.text or "hurts" in page.text
    assert "Nothing is accepted." in page.text
    for title in ("The segmentation check", "Accepted and rejected", "Cost", "Versions"):
        assert title in page.text
    assert "gate-runs" in page.text
    assert "No candidate was accepted" in page.text


def test_again_keeps_all_and_says_the_same(source, whole):
    out, before = whole
    figures, costs = figures_of(out), (out / "costs.json").read_text()
    done = gated(source, out, *config_of(source.parent), "--json")
    assert json.loads(done.stdout) == json.loads(before.stdout)
    assert str(done.exception) == str(before.exception)
    assert figures_of(out) == figures
    assert (out / "costs.json").read_text() == costs


def test_killed_in_a_run_of_the_gate_and_run_again(source, whole, tmp_path):
    flags = config_of(source.parent)
    out = without(whole[0], tmp_path, "gate", "gate-runs/real+filtered/5")
    point = ("flawsmith.evaluate.segment_runs", "replace_file", "before", 1)
    run_until(point, "run", source, out, *flags, "--workers", 1)
    assert (out / "stages" / "gate-runs" / "real+filtered" / "5.partial" / "run").is_dir()
    assert isinstance(gated(source, out, *flags).exception, DoesNotHelp)
    assert figures_of(out) == figures_of(whole[0])


def without(whole, folder, *stages):
    """Return a copy of a run that has not come to these stages."""
    out = shutil.copytree(whole, folder / "out")
    for name in stages:
        shutil.rmtree(out / "stages" / name)
    return out


def test_interrupted_while_a_segmenter_is_trained(source, whole, tmp_path, monkeypatch):
    flags = config_of(source.parent)
    out = without(whole[0], tmp_path, "gate", "gate-runs/real+filtered/5")
    inner = SegmentTask.step

    def step(self, context):
        if context.step == 1:
            signal.raise_signal(signal.SIGINT)
        return inner(self, context)

    with monkeypatch.context() as patch:
        patch.setattr(SegmentTask, "step", step)
        done = gated(source, out, *flags)
    assert isinstance(done.exception, Interrupted), done.exception
    assert done.exception.exit_code == EXIT_INTERRUPTED
    costs = json.loads((out / "costs.json").read_text())
    before = costs["gate-runs/real+filtered/5"]["seconds"]
    assert before > 0
    assert isinstance(gated(source, out, *flags).exception, DoesNotHelp)
    assert figures_of(out) == figures_of(whole[0])
    costs = json.loads((out / "costs.json").read_text())
    assert costs["gate-runs/real+filtered/5"]["seconds"] > before


def test_interrupted_in_the_filter(source, whole, tmp_path, monkeypatch):
    flags = config_of(source.parent)
    out = without(whole[0], tmp_path, "filter", "features")

    def stopped(*args, **kwargs):
        raise KeyboardInterrupt

    for name in ("Sieve.by_agreement", "Sieve.select"):
        with monkeypatch.context() as patch:
            patch.setattr(f"flawsmith.evaluate.filtering.sieve.{name}", stopped)
            assert gated(source, out, *flags).exit_code
    assert (out / "stages" / "filter.partial").is_dir()
    assert isinstance(gated(source, out, *flags).exception, DoesNotHelp)
    assert figures_of(out) == figures_of(whole[0])


def test_the_test_part_is_unseen_until_the_gate(source, whole, tmp_path, monkeypatch):
    copy = shutil.copytree(source, tmp_path / "parts")
    spoil_tests(monkeypatch)
    out = tmp_path / "out"
    done = gated(copy, out, *config_of(tmp_path))
    assert isinstance(done.exception, InputError), done.exception
    # The first segmenter was trained, and what came before it is as it was with the test intact.
    for name in ("certificate", "segmenters", "filter"):
        told, wanted = (figures_of(root, f"stages/{name}") for root in (out, whole[0]))
        assert told == wanted
    run = out / "stages" / "gate-runs" / "real" / "4.partial" / "run"
    assert (run / "model.safetensors").is_file()
    assert not (run / "counts.json").exists()
