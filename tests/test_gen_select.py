"""Selection of generated clean pictures: what real ones pass, what is found of each fault."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from flawsmith.commands.gen import command as GEN
from flawsmith.data.formats import read_dataset
from flawsmith.errors import InputError
from flawsmith.evaluate.filtering.artefacts import Usual, own_oddness, traits
from flawsmith.evaluate.filtering.reasons import PERSON, TWIN
from flawsmith.evaluate.filtering.whole import COPY, SMUDGED, SURPLUS, UNREAL
from flawsmith.gen.fitting import fit_of, scaled_to, window_of
from flawsmith.seeding import rng
from flawsmith.studio.decisions import Decisions
from flawsmith.studio.paths import Roots
from tests.augment_helpers import write_scan
from tests.feature_helpers import one_thread  # noqa: F401
from tests.select_helpers import HELD, REAL, candidates, clean_part, real_parts, sample


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with ``real`` pictures and ``made`` ones; features are computed once."""
    root = tmp_path_factory.mktemp("select")
    real_parts(root / "real")
    write_scan(root / "made", [sample(name, image) for name, image in candidates().items()], ())
    return root


def run(home, out, *words, made="made", real="real"):
    told = (home / made, out, "--real", home / real, "--cache", home / "cache", "--workers", 1)
    return CliRunner().invoke(GEN, ["select", *map(str, (*told, "--device", "cpu", *words))])


def lines_of(out):
    lines = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    return {line["id"]: line for line in lines}


@pytest.fixture(scope="module")
def chosen(home):
    done = run(home, home / "out", "--json")
    assert done.exception is None, done.exception
    return json.loads(done.stdout), lines_of(home / "out")


def test_held_out_real_pictures_pass_as_often_as_stated(chosen):
    _, lines = chosen
    held = [line for name, line in lines.items() if name.startswith("held")]
    assert len(held) == HELD
    # 95% of them should; of 24 fewer than 20 would be one time in two hundred.
    assert sum(line["accepted"] for line in held) >= 20
    for line in held:
        assert line["scores"].keys() == {"artefacts", "quality", "novelty"}
        passed = line["scores"]["artefacts"] <= 1 and line["scores"]["quality"] <= 1
        assert line["accepted"] == passed


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("noise", SMUDGED),
        ("blurred", SMUDGED),
        ("pale", SMUDGED),
        ("other", UNREAL),
        ("near", COPY),
        ("exact", "copy of a real image"),
        ("twice", "copy of another candidate"),
        ("twin", TWIN),
    ],
)
def test_each_fault_has_its_reason(chosen, name, reason):
    line = chosen[1][name]
    assert (line["accepted"], line["reason"]) == (False, reason), line["scores"]


def test_the_result_says_how_many_and_why(home, chosen):
    result, lines = chosen
    assert result["candidates"] == len(lines) == HELD + 8
    accepted = [name for name, line in lines.items() if line["accepted"]]
    assert result["accepted"] == len(accepted)
    assert sum(result["rejected"].values()) == len(lines) - len(accepted)
    limits = {entry["step"]: entry for entry in result["thresholds"]}
    assert limits.keys() == {"quality", "copies", "artefacts"}
    assert {(entry["real"], entry["groups"]) for entry in limits.values()} == {(REAL, REAL // 2)}
    kept = read_dataset(home / "out" / "accepted")
    assert set(kept.ids) == set(accepted)
    for one in kept:
        assert (one.meta["method"], one.meta["decision"]) == ("gen", "accepted")
        assert one.meta["scores"] == lines[one.id]["scores"]
    again = run(home, home / "out")
    assert "is complete already" in again.stderr
    share = f"{len(accepted)} of {len(lines)} pictures accepted ({len(accepted) / len(lines):.0%})"
    assert share in again.stdout
    for reason, count in result["rejected"].items():
        assert f"  {count} rejected: {reason}\n" in again.stdout


def test_of_those_that_pass_the_most_real_are_kept(home, chosen, tmp_path):
    done = run(home, tmp_path / "few", "--count", 4)
    assert done.exception is None, done.exception
    lines = lines_of(tmp_path / "few")
    passed = [line for line in chosen[1].values() if line["accepted"]]
    best = sorted(passed, key=lambda line: line["scores"]["quality"])[:4]
    assert {line["id"] for line in best} == {n for n, v in lines.items() if v["accepted"]}
    assert sum(line["reason"] == SURPLUS for line in lines.values()) == len(passed) - 4


def test_a_person_goes_before_all_but_the_copies(home, chosen, tmp_path):
    shutil.copytree(home / "made", tmp_path / "made")
    passed = [line for line in chosen[1].values() if line["accepted"]]
    worst = max(passed, key=lambda line: line["scores"]["quality"])["id"]
    best = min(passed, key=lambda line: line["scores"]["quality"])["id"]
    roots = Roots([tmp_path / "made"])
    own = Decisions(tmp_path / "made" / "samples.jsonl", roots)
    for name in (worst, "blurred", "exact"):
        own.decide(name, "accepted", None)
    own.decide(best, "rejected", None)
    done = run(home, tmp_path / "out", "--count", 3, made=tmp_path / "made")
    assert done.exception is None, done.exception
    lines = lines_of(tmp_path / "out")
    kept = {name for name, line in lines.items() if line["accepted"]}
    assert len(kept) == 3
    assert {worst, "blurred"} < kept
    assert lines[best]["reason"] == PERSON
    assert lines["exact"]["reason"] == "copy of a real image"


def test_what_cannot_be_judged_is_one_line(home, tmp_path):
    def told_of(name, samples, **more):
        write_scan(tmp_path / name, samples, ())
        done = run(tmp_path, tmp_path / "out", made=name, real=home / "real", **more)
        assert isinstance(done.exception, InputError), done.output
        assert not (tmp_path / "out").exists()
        return str(done.exception)

    image = clean_part(1)
    unknown = sample("a", image, label="unknown")
    assert "the sample a is unknown; clean pictures are selected" in told_of("b", [unknown])
    nameless = sample("a", image, method="")
    assert "does not say how it was made" in told_of("c", [nameless])
    sizes = [sample("a", image), sample("b", image[:40])]
    assert "samples of 2 sizes" in told_of("d", sizes)
    real_parts(tmp_path / "few", 4)
    done = run(home, tmp_path / "out", real=tmp_path / "few")
    assert "4 real samples of 2 parts; 5 of 2 are needed" in str(done.exception)


def test_real_pictures_are_seen_as_the_generator_saw_them(tmp_path):
    image = clean_part(3)
    assert np.array_equal(scaled_to(image, (64, 48)), image)
    assert scaled_to(image, (20, 20)).shape == (20, 20)
    assert np.array_equal(window_of(image, (20, 10)), image[19:29, 22:42])
    assert window_of(image, (80, 10)).shape == (10, 64)
    assert fit_of(tmp_path) is scaled_to
    for crop, how in ((None, scaled_to), ([20, 10], window_of)):
        made_by = {"run": {"gen": {"crop": crop}}}
        (tmp_path / "dataset.json").write_text(json.dumps({"made_by": made_by}))
        assert fit_of(tmp_path) is how


def test_traits_are_detail_contrast_and_tone():
    flat = traits(np.full((20, 30), 90, np.uint8))
    assert flat == pytest.approx([np.log(0.1)] * 5 + [90, 0, 0], abs=1e-3)
    image = clean_part(5)
    colour = np.repeat(image[..., None], 3, axis=2)
    assert traits(colour) == pytest.approx(traits(image))
    tinted = np.clip(colour.astype(int) + np.array([12, 0, -3]), 0, 255).astype(np.uint8)
    assert (traits(tinted) - traits(image))[-2:] == pytest.approx([12, -3], abs=0.6)
    # Twice the contrast about the mean: twice each deviation.
    fine = np.clip(rng(0, "fine").normal(100, 10, (64, 64)), 0, 200)
    loud = traits(np.rint(100 + 1.5 * (fine - 100)).astype(np.uint8))
    quiet = traits(np.rint(fine).astype(np.uint8))
    assert loud[:4] - quiet[:4] == pytest.approx([np.log(1.5)] * 4, abs=0.05)


def test_oddness_is_in_robust_deviations():
    known = np.zeros((9, 8))
    known[:, 5] = range(9)
    known[8, 5] = 1000  # one odd picture moves neither the middle nor the spread
    usual = Usual.of(known)
    assert usual.centre[5] == 4
    assert usual.spread == pytest.approx([0.02] * 5 + [1.4826 * 2, 0.5, 0.5])
    asked = np.zeros((2, 8))
    asked[:, 5] = 4
    asked[1, 0] = -0.1
    assert usual.oddness(asked) == pytest.approx([0, 5])
    # Each half is held against the other.
    halves = np.zeros((6, 8))
    halves[:, 5] = [1, 2, 3, 11, 12, 13]
    found = own_oddness(halves, [[0, 1, 2], [3, 4, 5]])
    assert found == pytest.approx(np.array([11, 10, 9, 9, 10, 11]) / 1.4826)
