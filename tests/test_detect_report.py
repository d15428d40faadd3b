"""What is drawn of a judgement by detectors: curves, maps, the report's section, files."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as Pillow
from sklearn.metrics import precision_recall_curve, roc_curve

from flawsmith.cli import cli
from flawsmith.data.formats import read_dataset
from flawsmith.data.images import read_image
from flawsmith.data.scan import scan
from flawsmith.evaluate.detect import judge
from flawsmith.evaluate.detect_files import write_plots
from flawsmith.evaluate.detect_plot import NO_MAP, points
from flawsmith.evaluate.detect_result import Judged, write_maps
from flawsmith.evaluate.detect_section import detect_section
from flawsmith.evaluate.detect_seen import KINDS, PANEL, RANKS
from flawsmith.evaluate.detect_settings import DetectSettings
from tests.detector_helpers import stripes
from tests.feature_helpers import one_thread  # noqa: F401
from tests.report_helpers import render
from tests.segmenter_helpers import write_set
from tests.trees import tree_hash


def write(root, clean, flawed, seed):
    good, none = stripes(clean, 64, seed)
    bad, masks = stripes(flawed, 64, seed + 1, blob=True)
    return write_set(root, [*good, *bad], [m[None] for m in (*none, *masks)], ("blob",))


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    write(root / "clean", 8, 0, 0)
    write(root / "real", 20, 6, 10)
    write(root / "made", 5, 4, 20)
    return root


@pytest.fixture(scope="module")
def judged(sets):
    """knn, which has maps, and pixels, which has none."""
    settings = DetectSettings(
        detectors=("knn", "pixels"),
        baselines=False,
        side=64,
        draws=100,
        options={"knn": {"most": 100}},
    )
    found = [scan(read_dataset(sets / name)) for name in ("clean", "real", "made")]
    return judge(*found, settings, device="cpu")


def test_curves_are_scikit_learns(judged):
    seen = judged[1].seen
    for kind in ("real defects", "synthetic defects"):
        scores = np.array([*seen.scores["real clean"], *seen.scores[kind]])
        marks = np.repeat([False, True], [20, len(seen.scores[kind])])
        false, recall, precision = points(seen, kind)
        wanted = roc_curve(marks, scores, drop_intermediate=False)
        np.testing.assert_allclose(false, wanted[0][1:])
        np.testing.assert_allclose(recall, wanted[1][1:])
        right, _, _ = precision_recall_curve(marks, scores)
        np.testing.assert_allclose(precision, right[:-1][::-1])


def test_what_is_seen_is_chosen_by_scores_alone(judged):
    for one in judged:
        seen = one.seen
        assert tuple(seen.scores) == KINDS
        assert [len(seen.scores[kind]) for kind in KINDS] == [20, 6, 5, 4]
        assert seen.above("real clean") == 0
        clean = sorted(seen.scores["real clean"])
        assert seen.limit == clean[-1]
        for kind in KINDS:
            own = [heat for heat in seen.heats if heat.kind == kind]
            assert [heat.rank for heat in own] == list(RANKS)
            falling = sorted(seen.scores[kind], reverse=True)
            wanted = (falling[0], falling[len(falling) // 2], falling[-1])
            assert tuple(heat.score for heat in own) == wanted
            assert all(heat.masked == ("defects" in kind) for heat in own)
            assert all(heat.mapped == (one.name == "knn") for heat in own)
            panels = 1 + own[0].masked + own[0].mapped
            wide = panels * PANEL + (panels - 1) * 4
            assert all(heat.strip.shape == (PANEL, wide, 3) for heat in own)


def test_the_map_is_light_where_the_defect_is(judged):
    heat = next(heat for heat in judged[0].seen.heats if heat.kind == "real defects")
    # The blob is dark in the picture and light in the map; the outline is no part of either.
    picture, heated = heat.strip[:, :PANEL].mean(axis=2), heat.strip[:, -PANEL:].mean(axis=2)
    blob = picture < 60
    assert blob.any()
    assert heated[blob].mean() > 2 * heated[~blob].mean()


def test_a_judgement_is_read_as_it_was_written(judged, tmp_path):
    write_maps(judged, tmp_path)
    for one in judged:
        told = json.loads(json.dumps(one.to_json()))
        again = Judged.read(told, tmp_path)
        assert json.dumps(again.to_json()) == json.dumps(one.to_json())
        for heat, kept in zip(one.seen.heats, again.seen.heats, strict=True):
            np.testing.assert_array_equal(heat.strip, kept.strip)


def test_plots_are_small_and_tell_what_they_show(judged, tmp_path):
    paths = write_plots(judged, tmp_path / "plots")
    names = [path.stem for path in paths]
    assert names == ["scores-knn", "maps-knn", "scores-pixels", "maps-pixels"]
    for path in paths:
        assert read_image(path).std() > 5
        assert path.stat().st_size < 600_000
        with Pillow.open(path) as picture:
            said = picture.text["Description"]
        assert path.stem.split("-")[1] in said
        assert "threshold" in said
        if path.stem == "maps-pixels":
            assert NO_MAP in said
    before = tree_hash(tmp_path)
    write_plots(judged[1:], tmp_path / "plots")
    assert tree_hash(tmp_path) == before  # and nothing half-written is left


def test_the_section_tells_figures_verdicts_and_what_there_is_no_map_of(judged):
    text, page = render([detect_section(judged, leak="parts are shared")])
    assert "What detectors say" in page.text
    assert "parts are shared" in page.text
    for one in judged:
        for figure in one.figures:
            assert f"{figure.value:.3f}" in page.text
        for verdict in one.verdicts:
            assert verdict[1:] in page.text
    charts = page.all("svg")
    assert len(charts) == 2
    assert all("AUROC" in chart["aria-label"] for chart in charts)
    pictures = page.all("img")
    assert len(pictures) == 24
    assert all(picture["alt"] for picture in pictures)
    assert sum("the map" in picture["alt"] for picture in pictures) == 12
    assert NO_MAP in page.text
    ids = [tag["id"] for _, tag in page.tags if "id" in tag]
    assert len(ids) == len(set(ids))
    assert len(text) < 1_000_000


def test_without_candidates_the_section_says_so(sets):
    settings = DetectSettings(detectors=("brightness",), side=64, draws=100)
    found = [scan(read_dataset(sets / name)) for name in ("clean", "real")]
    done = judge(*found, None, settings, device="cpu")
    _, page = render([detect_section(done)])
    assert "There is no synthetic image to say anything of." in page.text
    assert [*done[0].seen.scores] == ["real clean", "real defects"]


def test_the_command_writes_plots_and_a_report(sets, tmp_path):
    words = ["evaluate", "detect", "--clean", sets / "clean", "--real", sets / "real",
             "--candidates", sets / "made", "--detector", "brightness", "--side", "64",
             "--plots", tmp_path / "plots", "--report", tmp_path / "r.html",
             "--device", "cpu", "--workers", "1", "--json"]  # fmt: skip
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["plots"] == [
        str(tmp_path / "plots" / f"{kind}-{name}.png")
        for name in ("brightness", "pixels")
        for kind in ("scores", "maps")
    ]
    assert told["report"] == str(tmp_path / "r.html")
    assert "What detectors say" in (tmp_path / "r.html").read_text("utf-8")
    inside = [*words[:-1], "--report", sets / "real" / "r.html"]
    done = CliRunner().invoke(cli, [str(word) for word in inside])
    assert "in the data folder" in str(done.exception)
