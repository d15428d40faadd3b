"""Processes that are one job end together: whichever is lost, stopped, wrong or left alone."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flawsmith.errors import InputError, Interrupted
from flawsmith.train.launch import result_of
from flawsmith.train.members import Bug, Ended
from tests import members_helpers
from tests.nursery import state_of

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def start(what, folder):
    return subprocess.Popen(
        [sys.executable, members_helpers.__file__, what, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process):
    try:
        out, complaints = process.communicate(timeout=120)
    finally:
        process.kill()  # its processes end with it
    assert process.returncode == 0, complaints
    assert complaints == ""
    return json.loads(out)


def wait_for(*paths):
    until = time.monotonic() + 100
    while not all(path.is_file() and path.stat().st_size for path in paths):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_both_answer_to_much_that_they_are_given(tmp_path):
    size = len(members_helpers.LARGE)
    told = ended(start("answer", tmp_path))
    assert told["words"] == [f"({rank}, {size})" for rank in (0, 1)]
    assert (told["codes"], told["stopped"], told["lost"]) == ([0, 0], False, None)


@pytest.mark.parametrize("what", ["die", "die early"])
def test_one_that_dies_is_named_and_not_waited_for(tmp_path, what):
    """Early: before it has read what it is to do, while the other one is being started."""
    told = ended(start(what, tmp_path))
    assert told["lost"] == [1, -signal.SIGKILL]
    assert told["codes"][0] is None


def test_one_that_leaves_without_a_word_is_named_and_not_waited_for(tmp_path):
    told = ended(start("leave", tmp_path))
    assert told["lost"] == [1, 0]
    assert told["codes"] == [None, 0]


def test_what_the_work_raises_is_never_taken_for_a_lost_launcher(tmp_path):
    told = ended(start("run out", tmp_path))
    assert "EOFError: nothing left" in told["words"][1]
    assert (told["codes"], told["lost"]) == ([None, 1], None)


def test_words_may_be_longer_than_a_pipe_takes(tmp_path):
    size = len(members_helpers.LARGE)
    told = ended(start("answer at length", tmp_path))
    assert [len(word) for word in told["words"]] == [3 * size, 2 * size]
    assert told["codes"] == [0, 2]


@pytest.mark.parametrize("to", ["the launcher", "all in its terminal"])
def test_stopped_while_they_start(tmp_path, to):
    process = start("start slowly", tmp_path)
    wait_for(tmp_path / "SpawnProcess-1", tmp_path / "SpawnProcess-2")
    if to == "the launcher":
        process.send_signal(signal.SIGTERM)
    else:
        os.killpg(process.pid, signal.SIGINT)
    told = ended(process)
    assert told["codes"] == [-signal.SIGTERM] * 2
    assert (told["stopped"], told["lost"]) == (True, None)


def test_they_do_not_outlive_what_started_them(tmp_path):
    process = start("sleep", tmp_path)
    files = [tmp_path / f"rank{rank}" for rank in (0, 1)]
    wait_for(*files)
    process.kill()
    process.communicate(timeout=60)  # its standard output is theirs, too
    pids = [int(file.read_text()) for file in files]
    until = time.monotonic() + 1  # a process that is ending closes its files first
    while not {*map(state_of, pids)} <= {"Z", "X"}:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_errors_and_bugs_come_back(tmp_path):
    told = ended(start("refuse", tmp_path))
    assert told["words"] == ["stopped at step 3", "no"]
    assert told["codes"] == [3, 2]
    told = ended(start("err", tmp_path))
    assert "ZeroDivisionError" in told["words"][0]
    assert told["codes"] == [1, 0]
    told = ended(start("fill", tmp_path))
    assert told["words"][0] == "[Errno 28] No space left on device: 'last.ckpt'"
    assert "ConnectionResetError" in told["words"][1]  # no disk is to blame
    assert told["codes"] == [2, 1]


BUG = Bug("Connection closed by peer")
FULL = OSError(errno.ENOSPC, "No space left on device", "last.ckpt")
LAST = "the same command goes on from the last checkpoint"


@pytest.mark.parametrize(
    ("words", "codes", "stopped", "error", "line"),
    [
        ([BUG, None], [1, -9], False, Interrupted, "rank 1 was killed, most likely for lack of"),
        ([None, BUG], [-11, 1], False, Interrupted, f"rank 0 was ended by SIGSEGV; {LAST}"),
        ([None, None], [7, None], False, Interrupted, "by itself, with exit code 7"),
        ([None, None], [0, None], False, Interrupted, "by itself, with exit code 0"),
        ([BUG, FULL], [1, 2], False, OSError, "No space left on device: 'last.ckpt'"),
        ([None, FULL], [-9, 2], False, OSError, "No space left on device: 'last.ckpt'"),
        ([None, None], [-15, None], True, Interrupted, f"stopped; {LAST}"),
        ([BUG, None], [1, -15], True, Interrupted, f"stopped; {LAST}"),
        ([BUG, InputError("no picture")], [1, 2], False, InputError, "no picture"),
        ([Interrupted("at step 3"), InputError("no")], [3, 2], True, InputError, "no"),
        ([Interrupted("at step 3"), BUG], [3, 1], True, Interrupted, "at step 3"),
        ([None, (None,)], [None, -11], False, Interrupted, f"rank 1 was ended by SIGSEGV; {LAST}"),
        ([BUG, None], [1, None], False, RuntimeError, "closed by peer"),
    ],
)
def test_the_cause_is_told_not_what_follows_from_it(words, codes, stopped, error, line):
    with pytest.raises(error, match=line):
        result_of(Ended(words, codes, stopped))


def test_a_signal_that_comes_too_late_loses_no_result():
    assert result_of(Ended([("done",), (None,)], [0, -9], True)) == "done"
