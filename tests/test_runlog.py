"""The log of a run: metrics.jsonl after a stop, TensorBoard, pictures, lines for people."""

import json

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from flawsmith.data.images import read_image
from flawsmith.errors import OutputError
from flawsmith.train.runlog import RunLog, append_line, cut_metrics


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_and_scalars(tmp_path, capsys):
    with RunLog(tmp_path, 0, 20) as log:
        log.advance()
        log.metrics(10, {"d": 1.5, "g": 0.25}, {"strength": 0.125, "signs": [1.0], "seen": 3})
        log.flush()
    (line,) = lines(tmp_path / "metrics.jsonl")
    assert line.pop("steps_per_second") > 0
    assert line == {
        "step": 10,
        "losses": {"d": 1.5, "g": 0.25},
        "state": {"strength": 0.125, "seen": 3},  # numbers only
    }
    assert "step 10 of 20: d 1.5, g 0.25 (" in capsys.readouterr().err
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"loss/d", "loss/g", "state/strength", "speed/steps"} <= set(board.Tags()["scalars"])
    assert [(e.step, e.value) for e in board.Scalars("loss/d")] == [(10, 1.5)]


def test_what_came_after_the_checkpoint_is_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with RunLog(tmp_path, 0, 40) as log:
        for step in (10, 20, 30):
            log.metrics(step, {"d": float(step)}, {})
    with path.open("a") as file:
        file.write('{"step": 4')  # cut by a kill
    with RunLog(tmp_path, 20, 40) as log:
        assert [line["step"] for line in lines(path)] == [10, 20]
        log.metrics(30, {"d": 31.0}, {})
    assert [line["losses"]["d"] for line in lines(path)] == [10.0, 20.0, 31.0]
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [e.value for e in board.Scalars("loss/d")] == [10.0, 20.0, 31.0]


def test_nothing_is_kept_of_a_run_that_starts_again(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 10}\nnonsense\n[1]\n{"stop": 3}\n')
    cut_metrics(tmp_path / "metrics.jsonl", 0)
    assert (tmp_path / "metrics.jsonl").read_text() == ""
    cut_metrics(tmp_path / "none.jsonl", 0)
    assert not (tmp_path / "none.jsonl").exists()


def test_pictures(tmp_path):
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    with RunLog(tmp_path, 0, 20) as log:
        log.preview(1200, picture)
    assert np.array_equal(read_image(tmp_path / "previews" / "001200.png"), picture)


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        append_line(tmp_path / "none" / "metrics.jsonl", "{}")
