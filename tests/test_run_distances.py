"""Distances in ``flawsmith run``: against the test part, kept, switched off, refused."""

import numpy as np
import pytest

from flawsmith.evaluate.features import Extractor
from tests.augment_helpers import part, surface, write_scan
from tests.eye import Eye
from tests.report_helpers import Page
from tests.run_helpers import kept, refusal_of, result_of, run
from tests.trees import tree_hash

FLAGS = ("--count", 24, "--seed", 4, "--test-fraction", 0.5)


@pytest.fixture(autouse=True)
def eye(monkeypatch):
    monkeypatch.setattr(Extractor, "network", lambda self, device="auto": Eye())
    for name in ("HALVINGS", "DRAWS"):
        monkeypatch.setattr(f"flawsmith.evaluate.figures.{name}", 10)
    Eye.seen = 0


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    rng = np.random.default_rng(0)
    samples = [part(f"clean-{i}", image=surface(i)) for i in range(8)]
    for i in range(48):
        x, y = int(rng.integers(4, 40)), int(rng.integers(4, 26))
        pit = (0, (x, y, x + 8, y + 7))
        samples.append(part(f"pit-{i}", [pit], image=surface(100 + i)))
    return write_scan(tmp_path_factory.mktemp("run") / "pits", samples).dataset.root


def test_each_method_is_compared_with_the_test_part(source, tmp_path):
    result = result_of(source, tmp_path / "out", *FLAGS)
    assert set(result["distances"]) == {"classical", "paste"}
    test = result["parts"]["test"]["defective"]
    for method, found in result["distances"].items():
        assert found["features"] == "lite0"
        crops = next(c for c in found["comparisons"] if c["view"] == "crop")
        assert crops["scope"] == "(all)"
        assert crops["n_real"] == crops["groups"] == test
        assert crops["n_made"] >= result["methods"][method]["accepted"]
        assert {f["name"] for f in crops["figures"]} >= {"KID", "FD (lite0)", "near copies"}
        # Made from the training part: that is where the closest real ones are.
        assert any(pair["trained"] for pair in crops["closest"])
    page = Page((tmp_path / "out" / "report.html").read_text("utf-8"))
    for method in ("classical", "paste"):
        assert f"How close to real: {method}" in page.text
    assert len(page.all("svg")) == 4


def test_kept_and_switched_off(source, tmp_path):
    out = tmp_path / "out"
    result = result_of(source, out, *FLAGS, "--features", "none")
    assert result["distances"] == {}
    assert "How close to real" not in (out / "report.html").read_text("utf-8")
    before = tree_hash(out / "dataset")
    # Switched on later, only they are computed; then they are kept.
    assert "dataset" in kept(source, out, *FLAGS)
    assert tree_hash(out / "dataset") == before
    Eye.seen = 0
    done = run(source, out, *FLAGS)
    assert "distances-paste: kept from the last run" in done.stderr
    assert Eye.seen == 0


def test_weights_that_are_missing_cost_no_work(source, tmp_path, monkeypatch):
    monkeypatch.setenv("FLAWSMITH_INCEPTION", str(tmp_path / "none.pth"))
    text = refusal_of(source, tmp_path / "out", *FLAGS, "--features", "inception")
    assert str(tmp_path / "none.pth") in text
    assert not (tmp_path / "out").exists()
