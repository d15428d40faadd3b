"""The one command of the benchmarks: one form of result, nothing lost, nothing silent."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from flawsmith.benchmarks import all as bench
from flawsmith.benchmarks.shared import KEYS, of_line, result

GOOD = """
import json, pathlib, sys
from flawsmith.benchmarks.shared import result, tell
work = pathlib.Path(sys.argv[1])
(work / "kept").open("a").write("x")
(work.parent / f"{work.name}-calls").open("a").write("x")
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
    work = out / "quick" / "work"
    assert (work / "good-calls").read_text() == "x"
    assert (work / "bad-calls").read_text() == "x"
    assert run(out, "--quick", "--only", "good", "--again") == 0
    assert (work / "good-calls").read_text() == "xx"
    # Anew is from nothing: what the script keeps for itself is gone.
    assert (work / "good" / "kept").read_text() == "x"
    assert not list(out.rglob("*.new"))


def test_figures_of_other_code_say_so(scripts, capsys, monkeypatch):
    assert run(scripts / "out", "--only", "good") == 0
    assert "other code" not in capsys.readouterr().out
    monkeypatch.setattr(bench, "code_digest", lambda: "another")
    assert run(scripts / "out", "--only", "good") == 0
    assert "good: measured with other code" in capsys.readouterr().out
    # The full form is another measurement than the quick one.
    assert not (scripts / "out" / "quick").exists()


def test_what_other_code_left_half_done_is_not_used(scripts, monkeypatch):
    work, script = scripts / "out" / "full" / "work" / "good", scripts / "scripts" / "good.py"
    script.write_text(GOOD + "sys.exit(3)\n")
    assert run(scripts / "out", "--only", "good") == 1
    assert run(scripts / "out", "--only", "good") == 1
    assert (work / "kept").read_text() == "xx"
    monkeypatch.setattr(bench, "code_digest", lambda: "another")
    script.write_text(GOOD)
    assert run(scripts / "out", "--only", "good") == 0
    assert (work / "kept").read_text() == "x"


def test_a_stopped_benchmark_takes_its_commands_with_it(tmp_path):
    """What a script started must not go on for hours beside the next measurement."""
    inner = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    outer = (
        "import sys; from pathlib import Path; from flawsmith.benchmarks import all as bench\n"
        "bench.stop_by_signal()\n"
        f"bench.ended([sys.executable, '-c', {script.replace('run([', 'run(stdout=2, args=[')!r}], "
        "Path(sys.argv[1]))"
    )
    log = tmp_path / "log"
    job = subprocess.Popen([sys.executable, "-c", outer, str(log)])
    end = time.monotonic() + 60
    while not (log.is_file() and log.read_text().endswith("\n")):
        assert time.monotonic() < end
        time.sleep(0.05)
    job.terminate()
    assert job.wait(30) == 128 + signal.SIGTERM
    number = int(log.read_text())
    while psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_studies_are_made_when_asked_for(scripts, monkeypatch):
    """They take many hours; the quick form shows that they work, too."""
    study = bench.Bench("good", "{work}", "{work}", study=True)
    monkeypatch.setattr(bench, "BENCHES", {"good": bench.BENCHES["good"], "study": study})
    out = scripts / "out"
    assert run(out) == 0
    assert not (out / "full" / "study.json").exists()
    assert run(out, "--studies") == 0
    assert (out / "full" / "study.json").is_file()
    assert run(out, "--quick") == 0
    assert (out / "quick" / "study.json").is_file()
    assert run(out, "--only", "study", "--again") == 0


def test_unknown_names_are_refused(scripts):
    assert run(scripts / "out", "--only", "good,fast") == 2
    assert not (scripts / "out").exists()


def test_every_script_is_in_the_one_command():
    others = {"all", "cost", "shared"}
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


def test_scripts_find_their_shared_part_by_themselves():
    command = [sys.executable, str(bench.HERE / "rle.py"), "--help"]
    safe = os.environ | {"PYTHONSAFEPATH": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=safe)
    assert done.returncode == 0, done.stderr
    assert "--strips" in done.stdout


def load(name):
    """Return a benchmark as a module, as ``python benchmarks/name.py`` reads it."""
    path = bench.HERE / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"told_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_the_studios_figures_stand_with_their_goals(capsys):
    found = {"start_s": 7.0, "usable_s": 0.9, "before_mb": 125.0, "scroll_mb": 127.0}
    found |= {"again_mb": 126.0, "first_stroke_s": 0.2, "stroke_s": 1.4}
    load("studio").tell_all(found, 2.0, 10, 8)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["ours"] for one in told] == [0.9, 2.0, 1.4]
    assert [one["reached"] for one in told] == [True, True, False]
    assert told[0]["more"]["first_stroke_s"] == 0.2


def test_an_arm_stands_beside_real_alone():
    runs = [[{"miou": 0.5}, {"miou": 0.6}], [{"miou": 0.6}, {"miou": 0.8}]]
    arms = [{"name": name, "runs": r} for name, r in zip(("real", "paste"), runs, strict=True)]
    found = load("few_shot").judged("paste", {"arms": arms, "findings": [{"sentence": "helps"}]})
    assert (found["ours"], found["baseline"], found["n"]) == (0.7, 0.55, 2)
    assert found["more"] == {"findings": ["helps"]}


def test_a_detector_stands_beside_brightness():
    def entry(value):
        figure = {"name": "AUROC", "value": value, "anomalous": 9}
        return {"figures": [figure], "by_seed": [value], "costs": {"bytes": 1}}

    judged, known = load("detectors").judged, {"knn": entry(0.9), "brightness": entry(0.6)}
    assert judged("knn", known)["baseline"] == 0.6
    assert judged("brightness", known)["baseline"] is None
    assert judged("knn", {"knn": entry(0.9)})["baseline"] is None


def test_a_generator_stands_beside_the_floor(capsys):
    module = load("gan_quality")
    figures = {name: {"value": 0.5, "floor": 0.1} for name in module.SHOWN}
    module.told_as_json("dcgan", {"n": 40, "figures": figures})
    told = json.loads(capsys.readouterr().out)
    assert [told[key] for key in ("ours", "baseline", "n")] == [0.5, 0.1, 40]


def test_distances_stand_beside_the_quickest_other():
    module = load("distance")
    sides = {"pytorch-fid": (9.0, 1.0), "torch-fidelity": (6.0, 1.0), "ours": (3.0, 1.0)}
    case = "both sides cached"
    line = module.told(case, [{"cold": sides, case: {**sides, "ours": (0.5, 1.0)}}])
    found = of_line(line, "ours s", "baseline s", unit="s", n=4)
    assert [found[key] for key in KEYS] == [f"distance {case}", 0.5, 6.0, 12.0, 20, "s", 4]
    assert found["reached"] is False
    assert of_line(module.agreement(sides), "ours", unit="FD", n=4)["ours"] == 1.0
