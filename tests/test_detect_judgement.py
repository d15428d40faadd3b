"""The judgement by detectors: figures of known scores, verdicts, the command on stripes."""

import json
from statistics import NormalDist

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import roc_auc_score

from flawsmith.cli import cli
from flawsmith.commands.evaluate_detect import DETECTORS
from flawsmith.data.formats import read_dataset
from flawsmith.data.scan import scan
from flawsmith.errors import InputError
from flawsmith.evaluate.detect import judge
from flawsmith.evaluate.detect_figures import MADE_MASS, MASS
from flawsmith.evaluate.detect_result import Costs, Counts, Judged
from flawsmith.evaluate.detect_settings import BUILT_IN, WRAPPED, DetectSettings
from flawsmith.evaluate.detectors.figures import Figure, Scores
from flawsmith.evaluate.detectors.frames import Form
from flawsmith.evaluate.detectors.judgement import (
    ALARMED,
    DIFFERENCE,
    FEWEST,
    NAMES,
    alarmed_by_chance,
    share_above,
    tabulate,
    threshold,
)
from flawsmith.evaluate.detectors.registry import NAMES as KNOWN
from flawsmith.seeding import rng
from tests.detector_helpers import stripes
from tests.feature_helpers import one_thread  # noqa: F401
from tests.segmenter_helpers import write_set

PLACES = ("pixel AUROC", "PRO", MASS, MADE_MASS)


def told(clean, flawed, seed=0):
    """Return scores around two means, each image a part of its own."""
    generator = rng(seed, "told")
    scores = np.concatenate([generator.normal(0, 1, clean), generator.normal(flawed, 1, 30)])
    names = tuple(f"{seed}-{i}" for i in range(len(scores)))
    return Scores(scores, np.repeat([False, True], [clean, 30]), names)


def named(values):
    return dict(zip(NAMES, values, strict=True))


def test_the_threshold_passes_95_of_100():
    scores = rng(0, "scores").permutation(100).astype(float)
    limit = threshold(scores, np.ones((1, 100)))
    assert limit.tolist() == [95]  # the 96th of 100: ceil(0.95 * 101)
    assert share_above(scores, np.ones((1, 100)), limit).tolist() == [0.04]
    weights = np.zeros((3, 100))
    weights[0, scores == 7] = FEWEST
    weights[1, scores == 7] = FEWEST - 1
    found = threshold(scores, weights)
    assert found[0] == 7
    assert np.isnan(found[1:]).all()


@pytest.mark.parametrize("clean", [20, 40, 100])
def test_a_threshold_of_few_images_seldom_alarms_more_than_told(clean):
    """New clean images lie above it as often as is told, in 39 of 40 cases."""
    chance, trials = alarmed_by_chance(clean), 400
    shares = []
    for trial in range(trials):
        scores = rng(trial, "few", clean).normal(size=clean)
        limit = threshold(scores, np.ones((1, clean)))[0]
        shares.append(1 - NormalDist().cdf(limit))
    assert np.mean(np.array(shares) > chance) < 0.05
    assert np.mean(shares) <= 0.05 + 0.01


def figure(name, value, low, high):
    return Figure(name, value, low, high, 50, 50, 60, 100)


def judged(*figures, parts=100, clean=100):
    costs, counts = Costs(1.0, 1.0, 1), Counts(clean, parts, 9 * (len(figures) < 3), 9)
    form = Form(64, 64, 1)
    return Judged("knn", form, 20, figures, (0.9,), None, None, costs, counts=counts)


SEES = figure("AUROC", 0.9, 0.8, 0.95)


@pytest.mark.parametrize(
    ("low", "high", "parts", "word"),
    [
        (0.02, 0.12, 100, ": taken for clean ("),
        (0.02, 0.30, 100, ": no evidence that they are taken for clean"),
        (0.12, 0.30, 100, ": taken for defects more often"),
        # A threshold of 20 parts lets 17% of real ones be alarmed by chance.
        (0.12, 0.30, 20, ": no evidence that they are taken for clean"),
        (0.20, 0.30, 20, ": taken for defects more often"),
        (0.50, 0.90, 18, ": no evidence that they are taken for clean"),
    ],
)
def test_what_is_said_of_synthetic_clean_images(low, high, parts, word):
    (said,) = judged(SEES, figure(ALARMED, 0.1, low, high), parts=parts).verdicts
    assert word in said


@pytest.mark.parametrize(
    ("own", "difference", "word"),
    [
        ((0.4, 0.58), (-0.5, -0.2), "hardly told from clean images"),
        ((0.4, 0.99), (-0.5, 0.2), "no evidence that they are easier or harder"),
        ((0.8, 0.99), (-0.3, 0.3), "no evidence that they are easier or harder"),
        ((0.8, 0.99), (-0.08, 0.09), "about as findable as real ones"),
        ((0.9, 0.99), (0.02, 0.09), "easier to find"),
        ((0.7, 0.8), (-0.2, -0.02), "harder to find"),
    ],
)
def test_what_is_said_of_synthetic_defects(own, difference, word):
    found = figure("synthetic AUROC", sum(own) / 2, *own)
    (said,) = judged(SEES, found, figure(DIFFERENCE, 0.0, *difference)).verdicts
    assert word in said


def test_a_blind_detector_is_no_judge():
    blind = figure("AUROC", 0.53, 0.49, 0.57)
    made = (figure(ALARMED, 0.01, 0.0, 0.02), figure("synthetic AUROC", 0.9, 0.8, 0.95))
    (said,) = judged(blind, *made, figure(DIFFERENCE, 0.3, 0.2, 0.4)).verdicts
    assert "not told from clean images (AUROC 0.530, 0.490 to 0.570)" in said
    assert "no judge" in said


def test_figures_of_known_scores():
    real, made = told(100, 3.0), told(40, 3.0, seed=1)
    whole, drawn = tabulate(real, [(real, made)], 0, 300)
    found = named(whole)
    assert found["AUROC"] == pytest.approx(roc_auc_score(real.anomalous, real.scores))
    joined = Scores.join(made, real)
    wanted = roc_auc_score(joined.anomalous, joined.scores)
    assert found["synthetic AUROC"] == pytest.approx(wanted)
    assert found["synthetic less real AUROC"] == pytest.approx(wanted - found["AUROC"])
    limit = np.sort(real.only(False).scores)[94]
    clean = made.only(False).scores
    assert found["synthetic clean alarmed"] == pytest.approx((clean > limit).mean())
    assert found["found"] == pytest.approx((real.only(True).scores > limit).mean())
    spread = named(drawn.std(axis=0))
    assert drawn.shape == (300, len(NAMES))
    assert 0 < spread["AUROC"] < 0.05
    # Both kinds of clean images are drawn from the same: the difference is a matter of chance.
    low, high = np.quantile(drawn[:, NAMES.index("synthetic less real AUROC")], [0.025, 0.975])
    assert low < 0 < high


def test_without_candidates_their_figures_are_missing():
    whole, drawn = tabulate(told(50, 2.0), (), 0, 50)
    assert np.isnan(whole[4:]).all()
    assert np.isnan(drawn[:, 4:]).all()
    assert not np.isnan(whole[:4]).any()


def test_too_few_clean_images_are_said():
    (said,) = judged(SEES, parts=18, clean=18).verdicts
    assert said == "synthetic clean images: not judged: 18 clean test images, 19 needed"


def test_shares_are_averaged_by_their_images():
    real = told(60, 3.0)
    first, second = told(30, 3.0, seed=1), told(10, 1.0, seed=2)
    values, drawn = tabulate(real, [(real, first), (real, second)], 0, 50)
    found = named(values)
    own = [named(tabulate(real, [(real, made)], 0, 50)[0]) for made in (first, second)]
    assert np.array_equal(values[:4], tabulate(real, (), 0, 50)[0][:4])
    # 30 defects each; 30 and 10 clean ones.
    mean = (own[0]["synthetic AUROC"] + own[1]["synthetic AUROC"]) / 2
    assert found["synthetic AUROC"] == pytest.approx(mean)
    mean = (3 * own[0][ALARMED] + own[1][ALARMED]) / 4
    assert found[ALARMED] == pytest.approx(mean)
    assert drawn.shape == (50, len(NAMES))


def test_groups_of_all_shares_are_drawn_together():
    """Two shares, one falling where the other rises, vary as one set of as many groups does."""
    real = told(100, 3.0)
    scores = np.repeat([-9.0, 9.0], 20)
    made = [
        Scores(order, np.zeros(40, bool), tuple(f"{n}-{i}" for i in range(40)))
        for n, order in enumerate((scores, scores[::-1].copy()))
    ]
    _, drawn = tabulate(real, [(real, one) for one in made], 0, 400)
    spread = drawn[:, NAMES.index(ALARMED)].std()
    assert spread == pytest.approx((0.25 / 80) ** 0.5, rel=0.15)


def write(root, clean, flawed, seed, changed=0):
    """Write stripes as a folder data set; changed: clean pictures of another period."""
    good, none = stripes(clean, 64, seed)
    bad, masks = stripes(flawed, 64, seed + 1, blob=True)
    if changed:
        good = [np.ascontiguousarray(picture.T) for picture in good]
    planes = [mask[None] for mask in (*none, *masks)]
    return write_set(root, [*good, *bad], planes, ("blob",))


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    write(root / "clean", 16, 0, 0)
    write(root / "real", 24, 12, 10)
    write(root / "same", 12, 12, 20)
    write(root / "turned", 12, 0, 30, changed=1)
    return root


def read(path):
    return scan(read_dataset(path))


def test_good_candidates_pass_and_bad_ones_do_not(sets):
    settings = DetectSettings(side=64, draws=200, options={"knn": {"most": 200}})
    clean, real = read(sets / "clean"), read(sets / "real")
    *bases, good = judge(clean, real, read(sets / "same"), settings, device="cpu")
    assert [base.name for base in bases] == ["brightness", "pixels"]
    for base in bases:  # the difference is that of the two figures, and told in words
        less = good.figure(f"AUROC less that of {base.name}")
        assert less.value == pytest.approx(good.figure("AUROC").value - base.figure("AUROC").value)
        assert less.low <= less.value <= less.high
        assert (less.low > 0) == any(
            line.startswith(f"real defects: found better than by {base.name} (")
            for line in good.verdicts
        )
        assert not any(figure.name.startswith("AUROC less") for figure in base.figures)
    assert good.figure("AUROC").value > 0.95
    assert good.figure("pixel AUROC").value > 0.9
    # The synthetic ones stand against the real clean images.
    counted = good.figure("synthetic AUROC")
    assert (counted.anomalous, counted.clean) == (12, 24)
    assert (good.figure(ALARMED).anomalous, good.figure(ALARMED).clean) == (0, 12)
    # A blob is a fiftieth of its picture.
    for name, images, parts in ((MASS, 12, 12), (MADE_MASS, 12, 12)):
        mass = good.figure(name)
        assert 0.06 < mass.low <= mass.value <= mass.high < 1
        assert (mass.anomalous, mass.clean, mass.groups) == (images, 0, parts)
    assert "easier" not in good.verdicts[-1]
    assert "harder" not in good.verdicts[-1]
    alone = settings.model_copy(update={"baselines": False})
    (bad,) = judge(clean, real, read(sets / "turned"), alone, device="cpu")
    assert bad.figure("synthetic clean alarmed").value == 1
    assert "taken for defects more often" in bad.verdicts[0]
    assert len(bad.verdicts) == 1  # it has no defects
    assert bad.figure(MADE_MASS) is None


def test_the_command_prints_json_and_what_was_added(sets):
    words = ["evaluate", "detect", "--clean", sets / "clean", "--real", sets / "real",
             "--candidates", sets / "same", "--add", sets / "turned", "--seeds", "2",
             "--side", "64", "--device", "cpu", "--workers", "1", "--json"]  # fmt: skip
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    one = result["detectors"][-1]
    assert [found["name"] for found in result["detectors"]] == ["brightness", "pixels", "knn"]
    assert one["learned"] == 16
    assert len(one["by_seed"]) == 2
    less = {"AUROC less that of brightness", "AUROC less that of pixels"}
    assert {figure["name"] for figure in one["figures"]} == {*NAMES, *PLACES, *less}
    assert one["added"]["verdict"] in ("helps", "no evidence", "hurts")
    assert one["costs"]["bytes"] > 0
    assert len(one["verdicts"]) == 4


def test_a_leak_and_missing_images_are_refused(sets):
    base = ["evaluate", "detect", "--device", "cpu", "--workers", "1"]
    leaking = [*base, "--clean", str(sets / "real"), "--real", str(sets / "real")]
    done = CliRunner().invoke(cli, leaking)
    assert done.exit_code != 0
    assert "the test set is not apart" in str(done.exception)
    clean, real = read(sets / "clean"), read(sets / "real")
    with pytest.raises(InputError, match="0 images with and 12 without a defect"):
        judge(clean, read(sets / "turned"), None, DetectSettings())
    flawed = real.select(real.where("defective"))
    with pytest.raises(InputError, match="no clean image to learn from"):
        judge(flawed, real, None, DetectSettings())


def test_the_names_are_the_registrys():
    assert (*BUILT_IN, *WRAPPED) == KNOWN
    assert sorted(DETECTORS) == sorted(KNOWN)
