"""``flawsmith run --clean gan`` on plates: three generators, and plates joined of what passes."""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from flawsmith.data.formats import read_dataset
from flawsmith.data.jobs import write_demo
from flawsmith.data.leak import made_leaks
from flawsmith.data.plates import PARTS, divide
from flawsmith.data.scan import scan
from flawsmith.data.surfaces import origin_of
from flawsmith.data.visibility import distance_outside
from flawsmith.evaluate.certificate import Verdict
from flawsmith.evaluate.filtering.filtering import Sifted
from flawsmith.gen.sampler import load_sampler
from flawsmith.pipeline.settings import RunSettings
from flawsmith.pipeline.surfaces import Lot, Surfaces
from tests.augment_helpers import part, write_scan
from tests.run_helpers import assert_blind, figures_of, kept_in, refusal_of, result_of, run

WIDTH, HEIGHT = 24, 32  # of a part
LEVELS = (150, 90, 120)
FLAGS = ("--count", 8, "--seed", 4, "--features", "none", "--clean", "gan", "--gen-arch", "dcgan")
NETWORKS = {"width": 4, "critic_width": 4, "batch": 4, "device": "cpu", "dropout": 0.0}
STAGES = [f"gen{step}-parts/{name}" for step in ("", "-samples", "-selected") for name in PARTS]


def plate(key, marks=(), seed=0, *, height=HEIGHT, shape=()):
    """Return a plate of three grey levels with a little noise."""
    size = (height * 3, WIDTH, *shape)
    noise = np.random.default_rng(seed).normal(0, 2, size)
    rows = np.repeat(LEVELS, height).reshape(-1, *[1] * (len(size) - 1))
    return part(key, marks, image=np.clip(np.rint(noise + rows), 0, 255).astype(np.uint8))


def make_plates(root, **other):
    samples = [plate(f"clean-{i}", seed=i, **other) for i in range(10)]
    for i in range(6):
        marks = [(i % 2, (6, 20 + 9 * i, 14, 27 + 9 * i))]
        samples.append(plate(f"bad-{i}", marks, seed=20 + i, **other))
    return write_scan(root, samples).dataset.root


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    torch.set_num_threads(1)
    return make_plates(tmp_path_factory.mktemp("run") / "plates")


def config(folder, **gen):
    path = folder / "run.yaml"
    path.write_text(json.dumps({"gen": {"preset": "tiny", "train": NETWORKS, "count": 6, **gen}}))
    return ("--config", path)


@pytest.fixture
def lenient(monkeypatch):
    """Let so many of each part pass, 4 if not said; return what was judged."""
    wanted, seen = {}, []

    def select(made, real, settings, extractor, compute):
        own = real.dataset.root.name
        seen.append((own, {fact.id for fact in real.facts}))
        assert {(fact.label, fact.height) for fact in real.facts} == {("good", HEIGHT)}
        left = wanted.get(own, 4)
        verdicts = [
            Verdict(fact.id, (), fact.digest, "" if n < left else "unlike", {"quality": 0.5})
            for n, fact in enumerate(made.facts)
        ]
        return Sifted(tuple(verdicts), (), (), ())

    monkeypatch.setattr("flawsmith.pipeline.clean.select_whole", select)
    return wanted, seen


@pytest.fixture(scope="module")
def words(source):
    more = ("--gen-parts", "three", "--gen-steps", 2, "--methods", "classical,paste")
    return (*FLAGS, *more, *config(source.parent))


@pytest.fixture(scope="module")
def whole(source, words):
    """An undisturbed run: its folder, and what it said."""
    out = source.parent / "whole"
    with pytest.MonkeyPatch.context() as patch:
        lenient.__wrapped__(patch)
        return out, result_of(source, out, *words)


def test_three_generators_learn_the_clean_training_plates_thirds(whole):
    out, told = whole
    train = {s.id: s for s in read_dataset(out / "dataset" / "train") if s.label == "good"}
    for name in PARTS:
        cut = read_dataset(out / "stages" / "gen-cut" / name)
        assert {*cut.ids} == {*train}
        for sample in cut:
            assert np.array_equal(sample.image, divide(train[sample.id].image)[name])
    lot = {"made": 6, "accepted": 4, "rejected": {"unlike": 2}}
    assert told["clean"]["parts"] == dict.fromkeys(PARTS, lot)
    assert told["clean"]["accepted"] == 6
    # The test part's plates are not among them.
    why = {f"{len(train)} real plates measured, 20 needed"}
    assert {seam["why"] for seam in told["clean"]["seams"]} == why
    assert {*STAGES, "gen-cut", "gen-plates"} <= told["costs"].keys()


def test_a_candidate_names_the_three_networks_and_numbers_behind_its_plate(whole):
    out, _ = whole
    plates = {s.id: s for s in read_dataset(out / "stages" / "gen-plates")}
    assert len({tuple(p["id"] for p in s.meta["parts"].values()) for s in plates.values()}) == 6
    runs = {name: load_sampler(out / "stages/gen-parts" / name / "run", "cpu") for name in PARTS}
    assert len({run.digest for run in runs.values()}) == 3
    used = Counter()
    for sample in read_dataset(out / "stages" / "candidates-paste" / "data"):
        name = sample.meta["background"]
        used[name in plates] += 1
        if name not in plates:
            assert "generated" not in sample.meta
            continue
        before = plates[name].image
        outside = distance_outside(sample.union) > sample.meta["hole_px"]
        assert (sample.image[outside] == before[outside]).all()
        assert [*sample.meta["generated"]] == [*PARTS]
        for own, third in divide(before).items():
            origin = sample.meta["generated"][own]
            known = {"arch": "dcgan", "run": "run", "weights": runs[own].digest, "seed": 4}
            assert origin == {**known, "index": origin["index"]}
            (drawn,) = runs[own].sample(1, 4, start=origin["index"])
            assert np.array_equal(drawn.image[4:-4], third[4:-4])
    assert used[True]
    assert used[False]


def test_the_report_tells_of_each_part(whole):
    out, _ = whole
    page = (out / "report.html").read_text("utf-8")
    for name in PARTS:
        assert f"How the generator learned: {name} parts" in page
        assert f"Generated {name} parts" in page
        assert (out / "stages/gen-parts" / name / "weights.sha256").read_text()[:16] in page
    assert page.count("4 of 6") == 3
    assert "joined of these, painted on too" in page
    assert "Seam anode-glass" in page
    assert page.count("Some of the clean surfaces are generated, too.") == 1
    sets = {n: scan(read_dataset(out / "dataset" / n)) for n in ("train", "test", "synthetic")}
    assert not made_leaks(sets["synthetic"], sets["train"], sets["test"])
    for name in ("train", "test"):
        assert not any("assembled_" in i for i in sets[name].dataset.ids)


def test_no_stage_of_it_sees_the_test_part(source, words, whole, lenient, tmp_path, monkeypatch):
    copy = shutil.copytree(source, tmp_path / "plates")
    seen = [f"stages/{name}/" for name in (*STAGES, "gen-cut", "gen-plates", "candidates-paste")]
    assert_blind(copy, tmp_path / "out", words, whole[0], seen, monkeypatch)


def test_stopped_it_goes_on_and_redoes_only_what_changed(source, words, whole, lenient, tmp_path):
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flawsmith.pipeline.clean_plates.write_plates", None)
        assert run(source, out, *words).exception is not None
    done = run(source, out, *words)
    assert {*STAGES, "gen-cut"} <= kept_in(done.stderr.splitlines())
    assert "clean plates: 6 joined of generated parts, painted on" in done.stdout
    assert "  glass: 4 of 6 passed" in done.stdout
    # The report says how quick the training was.
    assert figures_of(out) | {"report.html": ""} == figures_of(whole[0]) | {"report.html": ""}
    again = run(source, out, *words[:-2], *config(tmp_path, blend=2))
    kept = kept_in(again.stderr.splitlines())
    assert {*STAGES, "gen-cut", "candidates-classical"} <= kept
    assert not {"gen-plates", "candidates-paste"} & kept


def test_few_parts_give_few_plates_and_none_of_one_kind_gives_none(
    source, words, whole, lenient, tmp_path
):
    # Selected otherwise: what was trained and drawn is kept.
    out = shutil.copytree(whole[0], tmp_path / "out")
    wanted, seen = lenient
    wanted |= {"anode": 1, "glass": 2, "cathode": 1}
    told = result_of(source, out, *words[:-2], *config(tmp_path, select={"keep": 0.9}))
    assert [name for name, _ in seen] == [*PARTS]
    assert len({frozenset(ids) for _, ids in seen}) == 1
    assert told["clean"]["accepted"] == 2
    wanted |= {"glass": 0}
    told = result_of(source, out, *words[:-2], *config(tmp_path, select={"keep": 0.8}))
    assert (told["clean"]["accepted"], told["clean"]["seams"]) == (0, [])
    assert told["clean"]["parts"]["glass"]["rejected"] == {"unlike": 6}
    said = "none of 6 generated glass parts passed the selection: the real plates alone are painted"
    assert any(said in notice for notice in told["notices"])
    page = (out / "report.html").read_text("utf-8")
    assert "some part is lacking, so the real ones alone are painted on" in page
    assert "painted on too" not in page
    assert "used for plates" not in page
    made = read_dataset(out / "stages" / "candidates-paste" / "data")
    assert len(made)
    assert not any("generated" in sample.meta for sample in made)


def test_photos_of_plates_are_taken_in_three_parts(tmp_path):
    """No stand-in here: photos are cropped, the training timed, and noise looked at."""
    write_demo(tmp_path / "photos", kind="plates", count=10, seed=1, scale=0.08, workers=1)
    more = ("--gen-steps", 1, "--methods", "procedural", "--count", 2)
    train = {**NETWORKS, "preview_every": 0}
    more = (*more, *config(tmp_path, count=1, train=train))
    planned = ("--budget", "minutes", "--no-filter", "--no-gate", "--look-alikes", "leave")
    words = (tmp_path / "photos", tmp_path / "out", *FLAGS, *more, *planned)
    told = result_of(*words, plain=False)
    plan, stages = told["plan"], tmp_path / "out" / "stages"
    assert (plan["gen"], plan["generators"]) == (1, 3)
    # A step of each, three parts that are made and looked at, and one plate.
    looked = 3 * (0.08 + 0.15) + 0.08 + 2 * 0.25 * 240 * 1200 / 1e6
    wanted = (3 * plan["rates"]["gen"] + looked) / 60
    assert plan["minutes"]["gen"] == pytest.approx(wanted, abs=0.006)
    assert plan["rates"]["gen"] > 0
    for name in PARTS:
        (drawn,) = read_dataset(stages / "gen-samples-parts" / name / "data")
        assert drawn.image.shape == (400, 240, 3)
    assert set(told["clean"]["parts"]) == {*PARTS}
    assert json.loads((tmp_path / "out/run.json").read_text())["settings"]["gen_parts"] == "three"


def test_auto_is_three_for_photos_of_plates_alone(source, tmp_path):
    told = result_of(source, tmp_path / "out", "--clean", "gan", "--dry-run")
    assert told["settings"]["gen_parts"] == "whole"
    chosen = RunSettings(clean="gan")
    assert chosen.settled("plates").gen_parts == "three"
    assert chosen.settled("folder").gen_parts == "whole"
    asked = RunSettings(clean="gan", gen_parts="whole")
    assert asked.settled("plates").gen_parts == "whole"
    assert asked.generators == 1


def test_what_a_plate_says_of_its_parts():
    def told(**meta):
        sample = plate("a")
        return origin_of(type(sample)("a", sample.image, sample.masks, "good", "a", meta))

    made = {"method": "gen", "arch": "dcgan", "index": 3, "truncation": 1.0, "seed": None}
    parts = {"anode": {"id": "x", "meta": made}, "glass": {"meta": {"method": "demo"}}}
    assert told(method="assemble", parts=parts) == {
        "generated": {"anode": {"arch": "dcgan", "index": 3}}
    }
    assert told(method="assemble", parts={"anode": {"meta": 3}, "glass": None}) == {}
    assert told(method="assemble", parts=[1]) == {}
    assert told(method="paste", parts=parts) == {}


def test_what_cannot_be_plates_in_three_parts_is_one_line(source, tmp_path):
    out, three = tmp_path / "out", ("--gen-parts", "three", "--methods", "paste")
    told = refusal_of(source, out, "--gen-parts", "three")
    assert "gen, gen_arch, gen_steps and gen_parts are settings of clean: gan" in told
    assert not out.exists()
    told = refusal_of(source, out, *FLAGS, *three, *config(tmp_path, blend=17))
    assert "parts 32 px high are too low to blend 17 px at both ends" in told
    assert "gen: {blend: 16}" in told
    told = refusal_of(source, out, *FLAGS, "--methods", "paste", *config(tmp_path, blend=2))
    assert "blend is of seams, and whole images have none" in told
    samples = [plate(f"c-{i}", seed=i) for i in range(6)]
    odd = [plate(f"d-{i}", seed=9 + i, shape=(3,)) for i in range(6)]
    marked = [plate(f"p-{i}", [(0, (9, 9, 15, 15))], seed=30 + i) for i in range(4)]
    mixed = write_scan(tmp_path / "mixed", [*samples, *odd, *marked]).dataset.root
    told = refusal_of(mixed, out, *FLAGS, *three, *config(tmp_path))
    assert "some clean training plates are grey, others in colour" in told
    lying = [
        part(s.id, [(0, (9, 9, 15, 15))] if s.label == "defective" else (), image=s.image.T.copy())
        for s in (*samples, *marked)
    ]
    root = write_scan(tmp_path / "lying", lying).dataset.root
    told = refusal_of(root, out, *FLAGS, *three, *config(tmp_path))
    assert "images 96x24 lie on their side" in told
    uneven = [
        part(s.id, [(0, (9, 9, 15, 15))] if s.label == "defective" else (), image=s.image[:-1])
        for s in (*samples, *marked)
    ]
    root = write_scan(tmp_path / "uneven", uneven).dataset.root
    told = refusal_of(root, out, *FLAGS, *three, *config(tmp_path))
    assert "images 24x95 cannot be cut into three parts of one height" in told
    assert "(mend: --gen-parts whole, or leave out --clean gan)" in told
    assert not (out / "stages" / "gen-cut").exists()


def test_a_part_that_is_on_many_plates_is_told():
    def lots(*accepted):
        pairs = zip(PARTS, accepted, strict=True)
        return tuple(Lot(part, 60, n, {}, (), Path(part)) for part, n in pairs)

    assert Surfaces(None, lots(23, 58, 1), added=60).notices == (
        "only 1 generated cathode parts passed: each is on some 60 of 60 plates",
    )
    assert Surfaces(None, lots(23, 58, 13), added=60).notices == ()
    assert Surfaces(None, (replace(lots(1, 1, 1)[0], part=""),), added=60).notices == ()
