"""What a training left is read as far as it can be, thinned fairly, and shown with words."""

import json
from pathlib import Path

import numpy as np
import pytest

from flawsmith.evaluate.curves_plot import Curve, plot, spoken
from flawsmith.evaluate.curves_section import (
    POINTS,
    PREVIEW_WIDTH,
    Training,
    curves_section,
    read_metrics,
    read_training,
    thinned,
)
from tests.report_helpers import EVIL, Page, render
from tests.run_report_helpers import training_run


def line(step: int, **losses: float) -> str:
    return json.dumps({"step": step, "losses": losses, "state": {}, "steps_per_second": 2.0})


def shown(run: Training, method: str = "inpaint") -> tuple[str, Page]:
    return render([curves_section(method, run)])


def test_lines_that_a_kill_cut_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [
        line(1, a=1.0),
        "\x00\x00",
        line(3, a=3.0),
        "[1]",
        '{"step": "x", "losses": {}}',
        '{"step": 9, "losses": 4}',
        "[" * 100_000,
        # Trained again after a kill: the later line counts.
        line(2, a=9.0),
        line(2, a=2.0),
        line(4, a=4.0)[:20],
    ]
    path.write_bytes("\n".join(lines).encode() + b"\xff\xfe")
    found = read_metrics(path)
    assert {step: entry["losses"] for step, entry in found.items()} == {
        1: {"a": 1.0}, 2: {"a": 2.0}, 3: {"a": 3.0}
    }  # fmt: skip
    assert list(found) == [1, 2, 3]
    assert read_metrics(tmp_path / "none") == {}


def test_what_is_no_number_is_no_point(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(
        '{"step": 1, "losses": {"a": NaN, "b": 1, "c": "x", "d": true}}\n'
        '{"step": 2, "losses": {"a": Infinity, "b": 2, "e": ' + "9" * 400 + "}}\n"
    )
    run = read_training(tmp_path)
    (curve,) = run.curves
    assert (curve.name, curve.values.tolist()) == ("b", [1, 2])
    assert run.rate == 0


def test_a_long_curve_becomes_means_of_neighbours() -> None:
    steps = np.arange(10, dtype=np.float64)
    few, values = thinned(steps, steps**2, limit=4)
    # By hand: parts of 3, 3, 2 and 2 points.
    assert few.tolist() == [1, 4, 6.5, 8.5]
    assert values.tolist() == pytest.approx([5 / 3, 50 / 3, 42.5, 72.5])
    same, _ = thinned(steps, steps, limit=10)
    assert same is steps
    many = np.linspace(0, 1, 7919)
    kept, _ = thinned(many, many)
    assert len(kept) == POINTS
    assert (np.diff(kept) > 0).all()


def test_a_whole_run_is_shown(tmp_path: Path) -> None:
    run = read_training(training_run(tmp_path / "run"))
    assert run.steps == 1200
    assert run.rate == pytest.approx(1.4)
    assert not run.faults
    assert [len(curve.steps) for curve in run.curves] == [POINTS] * 5
    text, page = shown(run)
    assert "Trained for 1,200 steps, at 1.4 steps a second." in page.text
    (chart,) = page.all("svg")
    assert "Losses over 1,200 steps. d_real from 1.15 to 0.958;" in (chart["aria-label"] or "")
    assert [image["alt"][:35] for image in page.all("img") if image["alt"]] == [
        "Preview after step 100 of the train",
        "Preview after step 1,200 of the tra",
    ]
    assert "1 0.500 0.210 0.400 8 20 150" in page.text
    assert len(text) < 600_000
    assert page.open == []
    assert shown(run)[0] == text


def test_large_previews_are_scaled_down(tmp_path: Path) -> None:
    import cv2

    (tmp_path / "previews").mkdir()
    for step in (7, 20, 300):
        picture = np.random.default_rng(step).integers(0, 256, (500, 2048, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "previews" / f"{step:06d}.png"), picture)
    cv2.imwrite(str(tmp_path / "previews" / "other.png"), picture)
    run = read_training(tmp_path)
    assert [(step, image.shape) for step, image in run.previews] == [
        (7, (250, PREVIEW_WIDTH, 3)), (300, (250, PREVIEW_WIDTH, 3))
    ]  # fmt: skip
    text, _ = shown(run)
    # Noise is the worst there is to compress.
    assert len(text) < 1_000_000


def test_what_is_broken_is_said_and_costs_no_report(tmp_path: Path) -> None:
    (tmp_path / "previews").mkdir()
    (tmp_path / "previews" / "000100.png").write_bytes(b"\x89PNG\r\n")
    (tmp_path / "variety.json").write_text('{"classes": [{"name": "x"}]}')
    _, page = shown(read_training(tmp_path))
    assert "metrics.jsonl holds no step" in page.text
    assert "the preview 000100.png cannot be read" in page.text
    assert "variety.json cannot be read" in page.text
    assert "left nothing to show" in page.text


def test_variety_without_pairs_has_dashes() -> None:
    row = {"name": EVIL, "painted": 0.2, "masks": 8, "real": None, "defects": 1, "pairs": 0}
    text, page = shown(Training((), variety=({**row, "share": None},)), method=EVIL)
    assert "<script" not in text
    assert "– 0.200 – 8 1 0" in page.text


def test_one_point_and_a_flat_loss_have_an_axis() -> None:
    flat = Curve("a", np.array([5.0]), np.array([0.0]))
    level = Curve("b", np.array([1.0, 2.0]), np.array([-3.0, -3.0]))
    drawn = plot([flat, level], 5, "p")
    assert "nan" not in drawn
    assert spoken([flat, level], 5) == "Losses over 5 steps. a from 0 to 0; b from -3 to -3"
    assert plot([], 0, "p") == ""
