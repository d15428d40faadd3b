"""The one command of the benchmarks: one form of result, nothing lost, nothing silent."""

import json
import os
import subprocess
import sys

import pytest

from flawsmith.benchmarks import all as bench
from flawsmith.benchmarks import growth
from flawsmith.benchmarks.shared import KEYS, of_line, result

GOOD = """
import json, pathlib, sys
from flawsmith.benchmarks.shared import result, tell
calls = pathlib.Path(sys.argv[1]) / "calls"
calls.parent.mkdir(parents=True, exist_ok=True)
calls.open("a").write("x")
tell(result("copying", ours=30.0, baseline=10.0, ratio=3.0, goal=2.0, unit="files/s", n=5, extra=1))
tell(result("waiting", ours=4.4, goal=2.0, at_most=True, unit="s", n=5))
"""


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """Four small benchmarks in place of ours."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "good.py").write_text(GOOD)
    (folder / "bad.py").write_text(
        "import sys; print('half', file=sys.stderr); sys.exit('no disk')"
    )
    (folder / "odd.py").write_text("print('3.4 times as fast')")
    (folder / "mute.py").write_text("")
    monkeypatch.setattr(bench, "HERE", folder)
    forms = {name: bench.Bench(name, "{work} full", "{work}") for name in ("bad", "good", "odd")}
    monkeypatch.setattr(bench, "BENCHES", {**forms, "mute": bench.Bench("mute", "", "")})
    return tmp_path


def run(out, *words):
    """Return the exit code of the command."""
    old, sys.argv = sys.argv, ["all.py", "--out", str(out), *words]
    try:
        with pytest.raises(SystemExit) as end:
            bench.main()
    finally:
        sys.argv = old
    return int(end.value.code)


def test_one_fails_the_rest_go_on_and_what_is_done_stays(scripts, capsys):
    out = scripts / "out"
    assert run(out, "--quick") == 1
    told = capsys.readouterr().out
    assert "FAILED bad: exit code 1: no disk" in told
    assert "FAILED odd: it printed a line that is no result: 3.4 times as fast" in told
    assert "FAILED mute: it printed no result" in told
    copying, waiting = told.splitlines()[1:3]
    assert copying.split() == ["copying", "files/s", "30", "10", "3", "2", "yes"]
    assert waiting.split() == ["waiting", "s", "4.4", "at", "most", "2", "no,", "+120%"]
    whole = json.loads((out / "quick.json").read_text())
    assert whole["form"] == "quick"
    assert {"machine", "versions"} <= set(whole)
    assert whole["versions"]["torch"]
    first = whole["benchmarks"]["good"]["results"][0]
    assert set(KEYS) <= set(first)
    assert first["more"] == {"extra": 1}
    # The good one is kept, the bad one tried again.
    (out.parent / "scripts" / "bad.py").write_text(GOOD)
    assert run(out, "--quick", "--only", "good,bad") == 0
    calls = out / "quick" / "work"
    assert (calls / "good" / "calls").read_text() == "x"
    assert (calls / "bad" / "calls").read_text() == "x"
    assert run(out, "--quick", "--only", "good", "--again") == 0
    assert (calls / "good" / "calls").read_text() == "xx"
    assert not list(out.rglob("*.new"))


def test_figures_of_other_code_say_so(scripts, capsys, monkeypatch):
    assert run(scripts / "out", "--only", "good") == 0
    assert "other code" not in capsys.readouterr().out
    monkeypatch.setattr(bench, "code_digest", lambda: "another")
    assert run(scripts / "out", "--only", "good") == 0
    assert "good: measured with other code" in capsys.readouterr().out
    # The full form is another measurement than the quick one.
    assert not (scripts / "out" / "quick").exists()


def test_unknown_names_are_refused(scripts):
    assert run(scripts / "out", "--only", "good,fast") == 2
    assert not (scripts / "out").exists()


def test_every_script_is_in_the_one_command():
    others = {"all", "shared"}
    found = {path.stem for path in bench.HERE.glob("*.py")} - others
    assert {one.script for one in bench.BENCHES.values()} == found


@pytest.mark.parametrize(
    ("given", "reached"),
    [
        ({"ours": 1.0, "ratio": 2.0, "goal": 2.0}, True),
        ({"ours": 9.0, "ratio": 1.9, "goal": 2.0}, False),
        ({"ours": 1.1, "goal": 1.0, "at_most": True, "slack": 0.1}, True),
        ({"ours": 1.2, "goal": 1.0, "at_most": True, "slack": 0.1}, False),
        ({"ours": None, "goal": 1.0}, None),
        ({"ours": 5.0}, None),
    ],
)
def test_when_a_goal_is_reached(given, reached):
    found = result("some", unit="s", n=1, **given)
    assert found["reached"] is reached
    assert list(found)[: len(KEYS)] == list(KEYS)


def test_a_line_of_figures_becomes_a_result():
    line = {"name": "x", "our rate": 4.0, "their rate": 2.0, "ratio": 2.0, "goal": 1.8, "lowest": 1}
    found = of_line(line, "our rate", "their rate", unit="files/s", n=3)
    assert [found[key] for key in KEYS] == ["x", 4.0, 2.0, 2.0, 1.8, "files/s", 3]
    assert found["more"] == {"lowest": 1}
    assert found["reached"]
    assert "our rate" in line


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
        growth.psutil, "Popen", lambda command, popen=growth.psutil.Popen, **how: popen(
            [sys.executable, "-c", job], **how
        )
    )  # fmt: skip
    cost = growth.cost_of(["data", "info"])
    assert cost.memory > 85 << 20
    assert 0.05 < cost.cpu < 20


def test_a_failing_command_ends_the_measurement():
    with pytest.raises(SystemExit, match="no-such-command"):
        growth.cost_of(["no-such-command"])


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


def test_scripts_find_their_shared_part_by_themselves():
    command = [sys.executable, str(bench.HERE / "rle.py"), "--help"]
    safe = os.environ | {"PYTHONSAFEPATH": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=safe)
    assert done.returncode == 0, done.stderr
    assert "--strips" in done.stdout
