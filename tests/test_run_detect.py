"""Detectors in ``flawsmith run``: when they judge, of what, kept and resumed, left out and said."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from flawsmith.data.formats import read_dataset
from flawsmith.data.scan import Scan, scan
from flawsmith.errors import InputError
from flawsmith.evaluate.certificate import Verdict
from flawsmith.evaluate.detect_settings import DetectSettings
from flawsmith.pipeline.detecting import (
    RESULT,
    STAGE,
    TIMES,
    candidates_of,
    clean_of,
    detect_fault,
)
from flawsmith.pipeline.pool import Pool
from flawsmith.pipeline.settings import RunSettings
from flawsmith.pipeline.surfaces import Surfaces, joined
from tests.augment_helpers import part, surface, write_scan
from tests.feature_helpers import one_thread  # noqa: F401
from tests.report_helpers import Page
from tests.run_helpers import figures_of, kept_in, refusal_of, result_of, run

FLAGS = ("--count", 6, "--seed", 4, "--methods", "paste", "--test-fraction", 0.4,
         "--features", "none", "--device", "cpu")  # fmt: skip


def make(root, clean, flawed):
    samples = [part(f"clean-{i}", image=surface(i)) for i in range(clean)]
    for i in range(flawed):
        pit = (0, (12 + i, 9, 19 + i, 15))
        samples.append(part(f"pit-{i}", [pit], image=surface(60 + i)))
    return write_scan(root, samples).dataset.root


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make(tmp_path_factory.mktemp("run") / "parts", 24, 8)


def config(folder, **settings):
    own = {"detect": {"side": 32, "draws": 100, "options": {"knn": {"most": 50}}}, **settings}
    path = folder / "run.yaml"
    path.write_text(json.dumps(own))
    return ("--config", path)


@pytest.fixture(scope="module")
def whole(source):
    """A run that asks two detectors: one with maps, one without."""
    out = source.parent / "whole"
    words = (*FLAGS, *config(source.parent), "--detectors", "knn,pixels")
    return out, words, result_of(source, out, *words)


def test_detectors_judge_what_is_kept_by_the_test_part(source, whole):
    out, _, result = whole
    told = result["detect"]
    assert told["missing"] == ""
    assert [one["name"] for one in told["detectors"]] == ["knn", "pixels"]
    parts = result["parts"]
    for one in told["detectors"]:
        assert one["learned"] == parts["train"]["good"]
        scores = {kind: len(own) for kind, own in one["seen"]["scores"].items()}
        shown = scores.pop("synthetic defects")
        assert scores == {
            "real clean": parts["test"]["good"],
            "real defects": parts["test"]["defective"],
        }
        # Pasted on training photos: each half's detector judges those on the other half.
        assert one["halves"]
        made = one["counts"]["made_defects"]
        assert made + one["left_out"] == parts["synthetic"]["defective"]
        assert 0 < shown < made
        assert one["verdicts"][-1].startswith(("synthetic defects: ", "real defects: "))
    shown = {heat["id"] for one in told["detectors"] for heat in one["seen"]["heats"]}
    known = {entry.name for entry in (out / "dataset" / "test" / "images").iterdir()}
    assert sum(f"{name}.png" in known for name in shown) >= 6
    assert "detectors left out" not in str(result["notices"])
    settings = json.loads((out / "run.json").read_text())["settings"]
    assert settings["detectors"] == ["knn", "pixels"]
    page = Page((out / "report.html").read_text("utf-8"))
    assert "What detectors say" in page.text
    assert page.text.count("Each is judged by a detector of the other half") == 2
    assert any("the map" in (picture["alt"] or "") for picture in page.all("img"))
    # What the stages took stands beside the others.
    assert {"detect/knn", "detect/pixels"} <= result["costs"].keys()


def test_the_same_again_keeps_all_and_says_the_same(source, whole, tmp_path):
    first, words, result = whole
    out = shutil.copytree(first, tmp_path / "again")
    before = figures_of(out)
    done = run(source, out, *words, "--json")
    assert {"detect/knn", "detect/pixels", "dataset"} <= kept_in(done.stderr.splitlines())
    assert json.loads(done.stdout)["detect"] == result["detect"]
    assert figures_of(out) == before
    # Another detector, or another setting of one, leaves all else as it is.
    changed = config(tmp_path, detect={"side": 32, "draws": 100, "options": {"knn": {"most": 40}}})
    done = run(source, out, *FLAGS, *changed, "--detectors", "brightness,knn,pixels")
    kept = kept_in(done.stderr.splitlines())
    assert {"plan", "candidates-paste", "certificate", "dataset", "detect/pixels"} <= kept
    assert not {"detect/knn", "detect/brightness"} & kept


def test_a_changed_result_is_refused_not_left_out(source, whole, tmp_path):
    """That a detector cannot judge these images is a notice; a file that lies is none."""
    first, words, _ = whole
    out = shutil.copytree(first, tmp_path / "changed")
    path = out / "stages" / STAGE / "knn" / RESULT
    path.write_text(path.read_text() + "\n")
    said = refusal_of(source, out, *words)
    assert said.startswith(f"{path}: changed since it was written (mend: remove {path.parent}")


def test_stopped_it_goes_on_and_gives_the_same(source, whole, tmp_path, monkeypatch):
    out, (first, words, result) = tmp_path / "stopped", whole
    shutil.copytree(first, out)
    shutil.rmtree(out / "stages" / STAGE)
    (out / "report.html").unlink()

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("flawsmith.evaluate.detect_result.write_maps", stop)
        run(source, out, *words)
    assert not (out / "stages" / STAGE / "knn").exists()
    assert not (out / "report.html").exists()
    again = result_of(source, out, *words)
    for one, wanted in zip(
        again["detect"]["detectors"], result["detect"]["detectors"], strict=True
    ):
        assert {**one, "costs": 0} == {**wanted, "costs": 0}
    for name in ("knn", "pixels"):
        own, other = (root / "stages" / STAGE / name for root in (out, first))
        assert (own / RESULT).read_bytes() == (other / RESULT).read_bytes()
        assert json.loads((own / TIMES).read_text())["fit_seconds"] > 0


def test_by_default_they_wait_for_the_hour(source, tmp_path):
    assert RunSettings().judges == RunSettings(budget="none").judges == ()
    assert RunSettings(budget="hour").judges == RunSettings(budget="day").judges == ("knn",)
    assert RunSettings(budget="hour", detectors=("none",)).judges == ()
    assert RunSettings(detectors=("cvae", "knn", "cvae")).judges == ("cvae", "knn")
    told = result_of(source, tmp_path / "out", *FLAGS)
    said = "detectors left out: they judge from the budget hour on, or where --detectors names them"
    assert said in told["notices"]
    assert told["detect"] == {
        "missing": said.removeprefix("detectors left out: "), "detectors": []
    }  # fmt: skip
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert said in page
    assert "What detectors say" not in page
    # Switched off by the user, it is no news.
    told = result_of(source, tmp_path / "out", *FLAGS, "--detectors", "none")
    assert told["detect"]["missing"] == "switched off"
    assert not any("detectors" in notice for notice in told["notices"])


def test_the_hour_plans_them_and_others_later_plan_nothing_anew(source, tmp_path):
    out, own = tmp_path / "out", (*FLAGS, *config(tmp_path))
    hour = ("--budget", "hour", "--no-filter", "--no-gate")
    told = result_of(source, out, *own, *hour, plain=False)
    plan = told["plan"]
    assert plan["detectors"] == ["knn"]
    assert plan["rates"]["judge"] > 0
    assert plan["minutes"]["detect"] > 0.25
    assert [one["name"] for one in told["detect"]["detectors"]] == ["knn"]
    done = run(source, out, *own, *hour, "--detectors", "brightness", plain=False)
    assert "plan" in kept_in(done.stderr.splitlines())
    assert "the plan was made without brightness: that time comes on top" in done.stderr
    assert "detect by knn" in done.stderr


def test_what_is_timed_is_told_for_all_epochs_and_pictures(source, monkeypatch):
    from flawsmith.pipeline import measuring

    found = scan(read_dataset(source))
    clean = clean_of(found, 0)
    asked = {
        "baselines": False,
        "side": 32,
        "epochs": 5,
        "seeds": 2,
        "options": {"cvae": {"width": 4, "batch": 8}},
    }
    # Once all clean images and once each half; each learns for 2 s and scores 8 pictures in 0.8 s.
    clock = iter([0.0, 2.0, 2.8, 0.0, 2.0, 2.8])
    monkeypatch.setattr(measuring, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    settings = DetectSettings(detectors=("cvae",), **asked)
    assert measuring.detect_seconds(clean, settings, "cpu") == pytest.approx(
        (3 * 2 * 5 * 2, 3 * 2 * 0.1)
    )
    settings = DetectSettings(detectors=("pixels",), **asked)
    whole = 2 * len(clean.facts) / measuring.LOOKED + measuring.CHOOSE
    assert measuring.detect_seconds(clean, settings, "cpu") == pytest.approx(
        (3 * 2 * whole, 3 * 2 * 0.1)
    )


def test_too_few_clean_images_are_said(tmp_path):
    more = ("--count", 1, "--detectors", "knn")
    told = result_of(make(tmp_path / "in", 6, 8), tmp_path / "out", *FLAGS, *more)
    train = told["parts"]["train"]["good"]
    said = f"{train} clean training images, and 10 are needed"
    assert told["detect"] == {"missing": said, "detectors": []}
    assert f"detectors left out: {said}" in told["notices"]


def test_a_test_part_of_one_kind_is_said(source):
    found = scan(read_dataset(source))
    asked = RunSettings(detectors=("knn",))
    good, bad = (found.select(found.where(kind)) for kind in ("good", "defective"))
    assert detect_fault(found, found, asked) == ""
    assert detect_fault(found, good, asked) == "the test part has no defective image"
    assert detect_fault(found, bad, asked) == "the test part has no clean image"
    pair = found.select([found.where("good")[0], found.where("defective")[0]])
    same = tuple(replace(fact, group="one") for fact in pair.facts)
    told = detect_fault(found, Scan(pair.dataset, same), asked)
    assert told == "all test images are of one group"
    assert clean_of(found, 0).facts == tuple(found.facts[i] for i in found.where("good"))


def test_generated_clean_images_are_judged_with_the_candidates(source):
    found = scan(read_dataset(source))
    good, bad = (found.select(found.where(kind)) for kind in ("good", "defective"))
    # The generated ones have the candidates' names: each is still there, under its own.
    generated = Scan(
        good.dataset.select(range(3)),
        tuple(replace(fact, group=f"g{i}") for i, fact in enumerate(good.facts[:3])),
    )
    on = Surfaces(joined(found, generated, found.dataset.ids), added=3)
    verdicts = tuple(
        Verdict(f.id, ("pit",), "", "" if i else "bad") for i, f in enumerate(bad.facts)
    )
    made = candidates_of(Pool(bad, ("paste",) * len(verdicts), verdicts, 0), on, found)
    assert len(made.where("good")) == 3
    assert len(made.where("defective")) == len(bad.facts) - 1
    assert len(set(made.dataset.ids)) == len(made.facts)
    nothing = tuple(replace(verdict, reason="bad") for verdict in verdicts)
    empty = Pool(bad, ("paste",) * len(verdicts), nothing, 0)
    assert candidates_of(empty, Surfaces(found), found) is None


def test_wrong_names_and_settings_cost_no_work(source, tmp_path):
    out = tmp_path / "out"
    assert "no detector 'nose'" in refusal_of(source, out, *FLAGS, "--detectors", "nose")
    wrong = config(tmp_path, detect={"seed": 3}, detectors=["knn"])
    told = refusal_of(source, out, *FLAGS, *wrong)
    assert "settings of detect: seed is no setting here (mend: set seed of the run)" in told
    wrong = config(tmp_path, detect={"options": {"knn": {"mots": 3}}}, detectors=["knn"])
    assert "mots" in refusal_of(source, out, *FLAGS, *wrong)
    assert not out.exists()
    with pytest.raises(InputError, match="settings of detect"):
        RunSettings(detect={"side": 33}).of_detect()
