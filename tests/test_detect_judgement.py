"""The judgement by detectors: figures of known scores, verdicts, the command on stripes."""

import json

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
from flawsmith.evaluate.detect_settings import BUILT_IN, WRAPPED, DetectSettings
from flawsmith.evaluate.detectors.figures import Scores
from flawsmith.evaluate.detectors.judgement import NAMES, share_above, tabulate, threshold
from flawsmith.evaluate.detectors.registry import NAMES as KNOWN
from flawsmith.seeding import rng
from tests.detector_helpers import stripes
from tests.feature_helpers import one_thread  # noqa: F401
from tests.segmenter_helpers import write_set


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
    assert limit.tolist() == [94]
    assert share_above(scores, np.ones((1, 100)), limit).tolist() == [0.05]
    weights = np.zeros((2, 100))
    weights[0, scores == 7] = 3
    found = threshold(scores, weights)
    assert found[0] == 7
    assert np.isnan(found[1])


def test_figures_of_known_scores():
    real, made = told(100, 3.0), told(40, 3.0, seed=1)
    whole, drawn = tabulate(real, made, 0, 300)
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
    whole, drawn = tabulate(told(50, 2.0), None, 0, 50)
    assert np.isnan(whole[4:]).all()
    assert np.isnan(drawn[:, 4:]).all()
    assert not np.isnan(whole[:4]).any()


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
    write(root / "real", 12, 12, 10)
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
    # A blob is a fiftieth of its picture.
    assert good.mass_real > 0.06
    assert good.mass_made > 0.06
    assert "easier" not in good.verdicts[-1]
    assert "harder" not in good.verdicts[-1]
    alone = settings.model_copy(update={"baselines": False})
    (bad,) = judge(clean, real, read(sets / "turned"), alone, device="cpu")
    assert bad.figure("synthetic clean alarmed").value == 1
    assert "taken for defects more often" in bad.verdicts[0]
    assert len(bad.verdicts) == 1  # it has no defects
    assert bad.mass_made is None


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
    assert {figure["name"] for figure in one["figures"]} == {*NAMES, "pixel AUROC", "PRO", *less}
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
    assert set(DETECTORS) <= set(KNOWN)
