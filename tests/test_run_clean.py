"""``flawsmith run --clean gan``: clean images are generated, selected, painted on, never tested."""

import json
import shutil
from collections import Counter

import pytest
import torch

from flawsmith.data.formats import read_dataset
from flawsmith.data.leak import made_leaks
from flawsmith.data.scan import scan
from flawsmith.data.visibility import distance_outside
from flawsmith.evaluate.certificate import Verdict
from flawsmith.evaluate.filtering.filtering import Sifted
from flawsmith.gen.sampler import load_sampler
from flawsmith.pipeline.surfaces import joined
from tests.augment_helpers import part, surface, write_scan
from tests.run_helpers import (
    assert_blind,
    figures_of,
    kept_in,
    make_source,
    refusal_of,
    result_of,
    run,
)

FLAGS = ("--count", 8, "--seed", 4, "--features", "none", "--clean", "gan", "--gen-arch", "dcgan")
NETWORKS = {"width": 4, "critic_width": 4, "batch": 4, "device": "cpu", "dropout": 0.0}
INPAINT = {"preset": "tiny", "train": {"steps": 2, "device": "cpu"}}
SEEN = ("stages/gen/", "stages/gen-samples/", "stages/gen-selected/")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_source(tmp_path_factory.mktemp("run") / "parts")


def config(folder, **gen):
    path = folder / "run.yaml"
    chosen = {"preset": "tiny", "train": NETWORKS, "count": 6, **gen}
    path.write_text(json.dumps({"inpaint": INPAINT, "gen": chosen}))
    return ("--config", path)


@pytest.fixture(scope="module")
def lenient():
    """Let all pictures pass but two: these generators have learned nothing."""

    def select(made, real, settings, extractor, compute):
        assert {fact.label for fact in real.facts} == {"good"}
        reasons = ["unlike any real picture", "", "", "near copy", "", ""]
        verdicts = [
            Verdict(fact.id, (), fact.digest, reason, {"quality": 0.5})
            for fact, reason in zip(made.facts, reasons, strict=True)
        ]
        return Sifted(tuple(verdicts), (), (), ())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flawsmith.pipeline.clean.select_whole", select)
        yield


@pytest.fixture(scope="module")
def words(source):
    more = ("--gen-steps", 2, "--methods", "classical,paste,inpaint")
    return (*FLAGS, *more, *config(source.parent))


@pytest.fixture(scope="module")
def whole(source, words, lenient):
    """An undisturbed run: its folder, and what it said."""
    torch.set_num_threads(1)
    out = source.parent / "whole"
    return out, result_of(source, out, *words)


def test_defects_are_painted_on_both_kinds(whole):
    out, told = whole
    reasons = {"unlike any real picture": 1, "near copy": 1}
    assert told["clean"] == {"made": 6, "accepted": 4, "rejected": reasons}
    train = {sample.id: sample for sample in read_dataset(out / "dataset" / "train")}
    clean = {sample.id: sample for sample in read_dataset(out / "stages/gen-selected/accepted")}
    assert len(clean) == 4
    digest = (out / "stages/gen/weights.sha256").read_text()
    sampler = load_sampler(out / "stages/gen/run", "cpu")
    assert sampler.digest == digest
    used = Counter()
    for method in ("paste", "inpaint"):
        for sample in read_dataset(out / "stages" / f"candidates-{method}" / "data"):
            name = sample.meta["background"]
            assert (name in clean) != (name in train)
            used[method, name in clean] += 1
            before = {**clean, **train}[name]
            outside = distance_outside(sample.union) > sample.meta["hole_px"]
            assert (sample.image[outside] == before.image[outside]).all()
            assert sample.group == before.group
            origin = sample.meta.get("generated")
            assert (origin is not None) == (name in clean)
            if origin:
                wanted = {"arch": "dcgan", "run": "run", "weights": digest, "seed": 4}
                assert origin == {**wanted, "index": origin["index"]}
                (drawn,) = sampler.sample(1, 4, start=origin["index"])
                assert (drawn.image == before.image).all()
    assert len(used) == 4
    for sample in read_dataset(out / "stages" / "candidates-classical" / "data"):
        assert sample.meta["source"] in train


def test_what_is_generated_is_traced_and_certified(whole):
    out, told = whole
    sets = {n: scan(read_dataset(out / "dataset" / n)) for n in ("train", "test", "synthetic")}
    made = [record.meta for record in sets["synthetic"].dataset.records]
    assert any("generated" in meta for meta in made)
    assert not made_leaks(sets["synthetic"], sets["train"], sets["test"])
    for name in ("train", "test"):
        assert not any("gen_" in sample.id for sample in sets[name].dataset)
    for counts in told["methods"].values():
        assert "background not on record" not in counts["rejected"]
    page = (out / "report.html").read_text("utf-8")
    assert "How the generator learned: clean images" in page
    assert "Generated clean images" in page
    assert "4 of 6" in page
    assert page.count("Some of the clean surfaces are generated, too.") == 2
    assert (out / "stages/gen/weights.sha256").read_text()[:16] in page
    assert {"gen", "gen-samples", "gen-selected"} <= told["costs"].keys()
    lines = (out / "stages/gen-selected/samples.jsonl").read_text().splitlines()
    assert [json.loads(line)["accepted"] for line in lines].count(False) == 2


def test_no_stage_of_it_sees_the_test_part(source, words, whole, tmp_path, monkeypatch):
    copy = shutil.copytree(source, tmp_path / "parts")
    seen = (*SEEN, "stages/candidates-paste/", "stages/candidates-inpaint/")
    assert_blind(copy, tmp_path / "out", words, whole[0], seen, monkeypatch)


def test_stopped_it_goes_on_and_again_keeps_all(source, words, whole, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("flawsmith.pipeline.clean.select_whole", None)
        assert run(source, out, *words).exception is not None
    done = run(source, out, *words)
    assert {"gen", "gen-samples"} <= kept_in(done.stderr.splitlines())
    assert "clean images: 6 generated, 4 painted on" in done.stdout
    # The report says how quick the training was.
    assert figures_of(out) | {"report.html": ""} == figures_of(whole[0]) | {"report.html": ""}
    # Judged otherwise: what is painted is made anew, what was trained and drawn is not.
    again = run(source, out, *words[:-2], *config(tmp_path, select={"keep": 0.9}))
    kept = kept_in(again.stderr.splitlines())
    assert {"gen", "gen-samples", "inpaint", "candidates-classical"} <= kept
    assert not {"gen-selected", "candidates-paste", "candidates-inpaint"} & kept


def test_what_has_learned_nothing_is_not_painted_on(source, tmp_path):
    """No stand-in here: the selection itself looks at noise, and the training is timed."""
    with pytest.MonkeyPatch.context() as patch:
        from flawsmith.evaluate.filtering.whole import select_whole

        patch.setattr("flawsmith.pipeline.clean.select_whole", select_whole)
        more = ("--gen-steps", 1, "--methods", "paste", *config(tmp_path, count=3))
        planned = ("--budget", "minutes", "--no-filter", "--no-gate")
        told = result_of(source, tmp_path / "out", *FLAGS, *more, *planned, plain=False)
    plan = told["plan"]
    assert plan["rates"]["gen"] > 0
    assert (plan["gen"], plan["rates"]["segment"], plan["rates"]["inpaint"]) == (1, 0, 0)
    # The step, and three images that are made and looked at.
    looked = 3 * (0.08 + 0.25 * 48 * 64 / 1e6 + 0.15)
    assert plan["minutes"]["gen"] == pytest.approx((plan["rates"]["gen"] + looked) / 60, abs=0.006)
    assert (told["clean"]["made"], told["clean"]["accepted"]) == (3, 0)
    said = "none of 3 generated clean images passed the selection: the real ones alone are painted"
    assert any(said in notice for notice in told["notices"])
    made = read_dataset(tmp_path / "out" / "stages" / "candidates-paste" / "data")
    assert len(made)
    assert not any("generated" in sample.meta for sample in made)


def test_ids_that_real_images_have_are_not_used_twice(tmp_path):
    real = write_scan(tmp_path / "real", [part("gen_000000", image=surface(0))])
    made = write_scan(tmp_path / "made", [part("gen_000000", image=surface(1))], ())
    found = joined(real, made, ("gen_000000", "made_gen_000000"))
    assert found.dataset.ids == ("gen_000000", "made_made_gen_000000")
    assert found.dataset.groups[1] == "made_made_gen_000000"
    assert found.where("good") == [0, 1]
    assert found.dataset[1].masks.shape == (2, 48, 64)
    assert (found.dataset[1].image == surface(1)).all()


def test_what_no_generator_can_learn_is_one_line(source, tmp_path):
    out = tmp_path / "out"
    assert "gen, gen_arch, gen_steps and gen_parts are settings of clean: gan" in refusal_of(
        source, out, "--gen-steps", 3
    )
    assert "with_masks is no setting here" in refusal_of(
        source, out, *FLAGS, *config(tmp_path, train={"with_masks": True})
    )
    assert "no such setting: glue" in refusal_of(
        source, out, *FLAGS, *config(tmp_path, select={"glue": 1})
    )
    assert not out.exists()
    told = refusal_of(source, out, *FLAGS, "--methods", "classical")
    assert "no method paints on clean images: classical" in told
    told = refusal_of(source, out, *FLAGS, *config(tmp_path, train={"batch": 50}))
    assert "fewer than the generator's batch of 50" in told
    told = refusal_of(source, out, *FLAGS, *config(tmp_path, train={"longest": 32, "batch": 4}))
    assert "generated images would be 32x24, unlike the real ones" in told
    samples = [part(f"c-{i}", image=surface(i)[: 40 + i % 2]) for i in range(8)]
    samples += [part(f"p-{i}", [(0, (9, 9, 15, 15))], image=surface(i)) for i in range(4)]
    mixed = write_scan(tmp_path / "mixed", samples).dataset.root
    told = refusal_of(mixed, out, *FLAGS, *config(tmp_path))
    assert "needs clean images of one size, found 2 sizes" in told
    assert "(mend: leave out --clean gan)" in told
