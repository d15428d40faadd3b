"""How growth is measured: exponents, a command with its workers, what is kept and resumed."""

import json
import sys

import pytest

from flawsmith.benchmarks import cost, growth


@pytest.mark.parametrize("k", [0.5, 1.0, 2.0])
def test_the_exponent_of_time_takes_the_start_up_off(k):
    assert growth.time_exponent([7 + 0.01 * n**k for n in (10, 40, 160)]) == pytest.approx(k)


def test_times_that_do_not_rise_have_no_exponent():
    assert growth.time_exponent([2.0, 1.9, 3.0]) is None
    found = growth.results("x", [(n, growth.Cost(2.0, 2.0, 1 << 30)) for n in (1, 4, 16)])
    assert [one["ours"] for one in found] == [None, 0.0]
    assert [one["reached"] for one in found] == [None, True]


def test_the_exponent_of_memory():
    assert growth.memory_exponent([100, 100, 100]) == pytest.approx(0.0)
    assert growth.memory_exponent([100, 400, 1600]) == pytest.approx(1.0)


def test_a_command_is_watched_with_its_workers(monkeypatch):
    """A child that takes memory and time, and is nobody's child when it ends."""
    burn = "x = bytearray(80 << 20); x[::4096] = bytes(len(x[::4096]))\nfor i in range(6000000): i"
    job = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    monkeypatch.setattr(
        cost.psutil, "Popen", lambda command, popen=cost.psutil.Popen, **how: popen(
            [sys.executable, "-c", job], **how
        )
    )  # fmt: skip
    found = cost.cost_of(["data", "info"])
    assert found.memory > 85 << 20
    assert 0.05 < found.cpu < 20


def test_a_failing_command_ends_the_measurement():
    with pytest.raises(SystemExit, match="no-such-command"):
        cost.cost_of(["no-such-command"])


def test_a_case_is_measured_once_and_resumed(tmp_path, monkeypatch, capsys):
    asked = []

    def cost_of(words):
        asked.append(words)
        count = int(words[words.index("--count") + 1])
        return growth.Cost(1 + 0.5 * count, 9.0, 100 << 20)

    monkeypatch.setattr(growth, "cost_of", cost_of)
    growth.run(tmp_path, ["demo"], 3)
    assert [words[3] for words in asked] == ["3", "3", "12", "12", "48"]
    first = capsys.readouterr().out
    growth.run(tmp_path, ["demo"], 3)
    assert len(asked) == 5
    assert capsys.readouterr().out == first
    time, memory = map(json.loads, first.splitlines())
    assert (time["ours"], memory["ours"]) == (1.0, 0.0)
    assert time["reached"]
    assert memory["reached"]


@pytest.mark.parametrize(("code", "goes_on"), [(1, True), ("no disk", True), (143, False)])
def test_a_case_that_fails_is_told_and_a_signal_ends_all(tmp_path, monkeypatch, code, goes_on):
    asked = []

    def cost_of(words):
        asked.append(words[0])
        sys.exit(code)

    monkeypatch.setattr(growth, "cost_of", cost_of)
    monkeypatch.setattr(growth.Inputs, "get", lambda inputs, name, n: tmp_path / name)
    if goes_on:
        assert growth.run(tmp_path, ["demo", "data info"], 3) == 2
    else:
        with pytest.raises(SystemExit):
            growth.run(tmp_path, ["demo", "data info"], 3)
    assert asked == (["demo", "data"] if goes_on else ["demo"])
