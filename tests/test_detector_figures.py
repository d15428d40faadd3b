"""Figures of detectors: against scikit-learn, brute force, closed forms and properties."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from flawsmith.errors import InputError
from flawsmith.evaluate.detectors import places
from flawsmith.evaluate.detectors.curves import Ranking
from flawsmith.evaluate.detectors.curves import figures as curve_figures
from flawsmith.evaluate.detectors.figures import Scores, interval
from flawsmith.evaluate.detectors.judgement import tabulate
from flawsmith.evaluate.detectors.places import mass_figure, mass_inside, pixel_figures
from flawsmith.seeding import rng


def drawn(n=60, seed=0, ties=False):
    generator = rng(seed, "drawn")
    anomalous = generator.random(n) < 0.4
    scores = generator.normal(anomalous * 0.8, 1)
    return anomalous, np.round(scores, 1) if ties else scores


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_curves_are_scikit_learns_under_any_weights(ties, seed):
    anomalous, scores = drawn(seed=seed, ties=ties)
    weights = rng(seed, "weights").integers(0, 4, (3, len(scores))).astype(float)
    found = curve_figures(Ranking.of(anomalous, scores), weights)
    for row, told in zip(weights, found, strict=True):
        precision, recall, _ = precision_recall_curve(anomalous, scores, sample_weight=row)
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        wanted = [
            roc_auc_score(anomalous, scores, sample_weight=row),
            average_precision_score(anomalous, scores, sample_weight=row),
            f1.max(),
        ]
        np.testing.assert_allclose(told, wanted, atol=1e-12)


def test_no_figure_without_either_kind():
    anomalous, scores = drawn()
    weights = np.stack([anomalous, ~anomalous]).astype(float)
    assert np.isnan(curve_figures(Ranking.of(anomalous, scores), weights)).all()


def figures(told, seed=0, draws=100):
    """Return AUROC, AP and F1 with their intervals."""
    whole, drawn = tabulate(told, (), seed, draws)
    return [interval(str(i), whole[i : i + 1], drawn[:, i], told) for i in range(3)]


def test_the_interval_holds_the_value_and_is_wider_for_fewer_groups():
    anomalous, scores = drawn(200)
    apart = Scores(scores, anomalous, tuple(map(str, range(200))))
    # Photos of one part are alike, so that there is less to learn from them.
    joined = Scores(np.repeat(scores[::8], 8), np.repeat(anomalous[::8], 8),
                    tuple(str(i // 8) for i in range(200)))  # fmt: skip
    wide = {}
    for name, told in (("apart", apart), ("joined", joined)):
        for figure in figures(told, seed=1, draws=500):
            assert figure.low <= figure.value <= figure.high
            assert (figure.anomalous + figure.clean, figure.draws) == (200, 500)
        auroc = figures(told, seed=1, draws=500)[0]
        wide[name] = auroc.high - auroc.low
    assert wide["joined"] > 2 * wide["apart"]


def test_few_groups_are_said():
    scores = np.arange(8.0)
    told = Scores(scores, scores > 3, ("a", "a", "b", "b", "c", "c", "d", "d"))
    found = figures(told, draws=100)
    assert found[0].value == 1
    assert found[0].warning == (
        "fewer than 10 groups show defective (2), clean (2); "
        f"{found[0].draws} of 100 draws of groups have this figure"
    )
    assert found[0].draws < 100  # a draw of clean parts alone has no figure


def test_what_cannot_be_judged_is_refused():
    scores = np.arange(4.0)
    with pytest.raises(InputError, match="4 images with and 0 without a defect"):
        Scores(scores, np.ones(4, bool), ("a", "b", "c", "d")).check()
    with pytest.raises(InputError, match="of one group"):
        Scores(scores, scores > 1, ("a",) * 4).check()
    with pytest.raises(ValueError, match="3 groups"):
        Scores(scores, scores > 1, ("a", "b", "c"))


def test_scores_join_the_defective_of_one_with_the_clean_of_another():
    told = Scores(np.arange(4.0), np.array([1, 0, 1, 0], bool), ("a", "b", "c", "d"))
    other = Scores(np.arange(4.0) + 10, np.array([1, 0, 1, 0], bool), ("e", "f", "g", "h"))
    joined = Scores.join(told, other)
    assert joined.scores.tolist() == [0, 2, 11, 13]
    assert joined.groups == ("a", "c", "f", "h")


def maps_of(n=12, side=24, seed=0):
    generator = rng(seed, "maps")
    masks = []
    for i in range(n):
        mask = np.zeros((side, side), bool)
        if i % 3:
            row, column = generator.integers(0, side - 6, 2)
            mask[row : row + 4, column : column + 6] = True
        if i % 3 == 2:
            mask[0, 0:2] = True
        masks.append(mask)
    maps = np.stack([generator.normal(0.9 * mask, 1) for mask in masks]).astype(np.float32)
    return masks, maps


def brute_pro(masks, maps):
    """PRO from its definition: every value is a threshold."""
    import cv2

    flat, outside = maps.ravel(), ~np.stack(masks).ravel()
    parts = []
    for i, mask in enumerate(masks):
        count, labels = cv2.connectedComponents(mask.astype(np.uint8))
        parts += [maps[i][labels == k] for k in range(1, count)]
    points = [(0.0, 0.0)]
    for threshold in np.sort(flat)[::-1]:
        rate = (flat[outside] >= threshold).mean()
        points.append((rate, np.mean([(part >= threshold).mean() for part in parts])))
    rate, overlap = np.array(points).T
    grid = np.linspace(0, 0.3, 3001)
    return float(np.interp(grid, rate, overlap).mean())


def test_pixel_figures_are_those_of_their_definitions():
    masks, maps = maps_of()
    groups = [str(i // 2) for i in range(len(masks))]
    auroc, pro = pixel_figures(masks, maps, groups, draws=200)
    wanted = roc_auc_score(np.stack(masks).ravel(), maps.ravel())
    assert auroc.value == pytest.approx(wanted, abs=1e-3)
    assert pro.value == pytest.approx(brute_pro(masks, maps), abs=3e-3)
    for figure in (auroc, pro):
        assert figure.low < figure.value < figure.high
        assert figure.groups == 6


def test_bins_come_from_all_columns_where_not_all_pixels_are_looked_at(monkeypatch):
    # Each 24th pixel is one column; here it alone is brighter.
    _, maps = maps_of()
    maps[:, :, 0] += 100
    monkeypatch.setattr(places, "LOOKED_AT", maps.size // 24)
    edges = places._edges(maps)
    assert (edges < 50).mean() == pytest.approx(23 / 24, abs=0.05)
    assert np.array_equal(edges, places._edges(maps))


def test_a_map_that_is_the_mask_is_perfect_and_its_negative_is_worst():
    masks, _ = maps_of()
    right = np.stack(masks).astype(np.float32)
    groups = [str(i) for i in range(len(masks))]
    for maps, value in ((right, 1.0), (-right, 0.0)):
        auroc, pro = pixel_figures(masks, maps, groups, draws=20)
        assert auroc.value == pytest.approx(value)
        assert pro.value == pytest.approx(1.0 if value else 0.0, abs=1e-9)


def test_without_marks_there_is_no_pixel_figure():
    masks, maps = maps_of(3)
    empty = [np.zeros_like(mask) for mask in masks]
    assert pixel_figures(empty, maps, ["a", "b", "c"]) == ()


def test_mass_inside_a_mask():
    mask = np.zeros((4, 4), bool)
    mask[0, 0] = True
    values = np.full((4, 4), 5.0, np.float32)
    assert np.isnan(mass_inside(mask, values))
    values[0, 0], values[3, 3] = 8.0, 6.0
    assert mass_inside(mask, values) == pytest.approx(0.75)


def test_the_mean_mass_is_drawn_by_groups():
    half = np.zeros((4, 4), bool)
    half[0, :2] = True
    inside, outside, flat = (np.zeros((4, 4), np.float32) for _ in range(3))
    inside[0, 0], outside[3, 3] = 1.0, 1.0
    # Two photos of one part inside, one of another outside; no defect and no mass say nothing.
    masks = [half, half, half, np.zeros_like(half), half]
    maps = np.stack([inside, inside, outside, inside, flat])
    found = mass_figure("mass", masks, maps, ["a", "a", "b", "c", "d"], draws=4000)
    assert found.value == pytest.approx(2 / 3)
    assert (found.anomalous, found.clean, found.groups) == (3, 0, 2)
    # A quarter of the draws has part b alone, a quarter part a alone.
    assert (found.low, found.high) == (0.0, 1.0)
    assert mass_figure("mass", masks[3:], maps[3:], ["c", "d"]) is None
