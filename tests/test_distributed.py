"""Two processes on the CPU compute what one does, fail with one line, and stop together."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from flawsmith.errors import EXIT_INTERRUPTED, EXIT_USER, InputError
from flawsmith.train.launch import launch
from flawsmith.train.weights import read_tensors
from tests import train_helpers
from tests.train_helpers import metrics, run_toy


def start(folder, *names):
    words = [sys.executable, train_helpers.__file__, "launch", folder, json.dumps(names)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """A folder with a finished run of two processes, one that failed, and what was said."""
    folder = tmp_path_factory.mktemp("launched")
    process = start(folder, "whole", "fail")
    told, complaints = process.communicate(timeout=300)
    return folder, process.returncode, told, complaints


def test_two_processes_follow_one(launched, tmp_path):
    folder, _, told, complaints = launched
    assert told == "whole 12\n", complaints
    run_toy(tmp_path / "one")
    both, one = metrics(folder / "whole"), metrics(tmp_path / "one")
    assert [line["step"] for line in both] == [4, 8, 12]
    for left, right in zip(both, one, strict=True):
        assert left["losses"] == pytest.approx(right["losses"], abs=1e-5)
        assert left["state"] == pytest.approx(right["state"], abs=1e-6)
    left = read_tensors(folder / "whole" / "model.safetensors", {})
    right = read_tensors(tmp_path / "one" / "model.safetensors", {})
    for name in right:
        np.testing.assert_allclose(left[name], right[name], atol=1e-5)


def test_the_processes_weights_and_gradients_agree(launched):
    folder = launched[0]
    first, second = (json.loads((folder / f"whole.rank{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    # On both, on the first one only (the other counts as zero), on none.
    assert first["gradients"] == [[1.5, 3.0], [1.5, 2.0], None]


def test_one_process_s_error_is_everybody_s_one_line(launched):
    folder, code, _, complaints = launched
    assert code == EXIT_USER
    lines = [line for line in complaints.splitlines() if line.startswith("flawsmith: ")]
    assert lines == ["flawsmith: pictures: picture 7 is broken (mend: remove it)"]
    # What was kept before is whole.
    assert (folder / "fail" / "state" / "00000003" / "state.json").is_file()


def test_a_signal_to_the_parent_stops_all_after_a_checkpoint(tmp_path):
    process = start(tmp_path, "slow")
    lines = tmp_path / "slow" / "metrics.jsonl"
    end = time.monotonic() + 200
    while not lines.is_file() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, complaints = process.communicate(timeout=300)
    assert process.returncode == EXIT_INTERRUPTED, complaints
    (state,) = (tmp_path / "slow" / "state").iterdir()
    stopped = f"flawsmith: stopped at step {int(state.name)}; the same command goes on"
    assert stopped in complaints
    assert int(state.name) >= 4


def test_refusals(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="started by a launcher already"):
        launch(print, (), 2, "cpu")
    assert launch(max, (3, 5), 1, "cpu") == 5


def test_one_process_where_several_were_asked_for_is_told(monkeypatch, capsys):
    """What ``accelerate launch --cpu --num_processes 2`` gives a process."""
    for name in ("WORLD_SIZE", "MASTER_ADDR", "ACCELERATE_MIXED_PRECISION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    assert launch(max, (3, 5), 1, "cpu") == 5
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    assert launch(max, (3, 5), 1, "cpu") == 5
    assert "accelerate launch started one process only" in capsys.readouterr().err
