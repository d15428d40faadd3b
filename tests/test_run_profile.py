"""The clock that says where a run's time goes: whose time it is, and of which stage."""

import json
import subprocess
import sys
import time

import pytest
import yaml

from flawsmith.benchmarks import stages
from flawsmith.benchmarks.stages import NETWORKS, Clock, results, rows, shares, table
from flawsmith.pipeline.candidates import TRAINING
from flawsmith.pipeline.filtering import FOLDS
from flawsmith.pipeline.gate import RUNS
from flawsmith.pipeline.surfaces import CLEAN, DRAWN, stage_of
from tests.run_helpers import make_source
from tests.torture_commands import RUN_CONFIG


@pytest.fixture
def clock(monkeypatch):
    """A clock whose seconds are said, not waited for."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    made = Clock()
    made.wait = lambda seconds: now.__setitem__(0, now[0] + seconds)
    return made


def test_of_nested_parts_the_inner_one_counts(clock):
    clock.stage = "gate-runs/real/0"
    with clock.inside("crops"):
        clock.wait(1)
        with clock.inside("decoding"):
            clock.wait(2)
        clock.wait(4)
    clock.wait(8)
    assert dict(clock.seconds) == {
        ("gate-runs/real/0", "crops"): 5.0,
        ("gate-runs/real/0", "decoding"): 2.0,
    }


def test_what_networks_call_is_theirs(clock):
    class Owner:
        def forward(self):
            clock.wait(1)
            return self.crop()

        def crop(self):
            clock.wait(2)
            return "cut"

    clock.on(NETWORKS, Owner, "forward")
    clock.on("crops", Owner, "crop")
    assert Owner().forward() == "cut"
    assert Owner().crop() == "cut"
    assert dict(clock.seconds) == {("", NETWORKS): 3.0, ("", "crops"): 2.0}


def test_of_a_generator_its_turns_count(clock):
    class Owner:
        def windows(self):
            for number in range(3):
                clock.wait(1)
                yield number

    clock.on("crops", Owner, "windows")
    for number in Owner().windows():
        with clock.inside("decoding"):
            clock.wait(10)
        assert number in range(3)
    assert dict(clock.seconds) == {("", "crops"): 3.0, ("", "decoding"): 30.0}


def test_an_error_ends_its_part(clock):
    def crop():
        clock.wait(1)
        raise ValueError("no crop")

    with pytest.raises(ValueError, match="no crop"), clock.inside("crops"):
        crop()
    clock.wait(2)
    with clock.inside("saving"):
        clock.wait(4)
    assert dict(clock.seconds) == {("", "crops"): 1.0, ("", "saving"): 4.0}


def test_shares_are_of_a_stage_and_of_all_that_train(clock):
    for name, inside, rest in (
        ("read", 0.0, 5.0), ("segmenters", 3.0, 1.0), ("gate-runs/real/0", 5.0, 1.0),
        ("gate-runs/real/1", 1.0, 1.0),
    ):  # fmt: skip
        clock.stage = name
        with clock.inside(NETWORKS):
            clock.wait(inside)
        clock.whole[name] = inside + rest
    assert rows(clock) == {
        "all that train": ["segmenters", "gate-runs/real/0", "gate-runs/real/1"],
        "read": ["read"],
        "segmenters": ["segmenters"],
        "gate-runs/real": ["gate-runs/real/0", "gate-runs/real/1"],
    }
    assert shares(clock, ["gate-runs/real/0", "gate-runs/real/1"])[NETWORKS] == 0.75
    found = list(results(clock, "--budget minutes", 20.0))
    first = found[0]
    assert (first["ours"], first["goal"], first["reached"]) == (0.75, 0.9, False)
    assert first["more"]["shares"]["none of these"] == 0.25
    assert [one["goal"] for one in found[1:]] == [None] * 3
    assert table(found).splitlines()[1].split()[:5] == ["all", "that", "train", "12.0", "75.0"]


@pytest.mark.parametrize(
    ("stage", "trained"),
    [(stage_of(CLEAN, ""), True), (stage_of(CLEAN, "anode"), True), (FOLDS, True),
     (stage_of(DRAWN, ""), False), (TRAINING, True), (f"candidates-{TRAINING}", False),
     ("gate", False), (f"{RUNS}/real/0", True)],
)  # fmt: skip
def test_which_stages_train(stage, trained):
    assert stages.trains(stage) == trained


def test_a_run_is_looked_into(tmp_path):
    """In a process of its own: the clocks stay where they are put."""
    source, config = make_source(tmp_path / "source"), tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(RUN_CONFIG))
    done = subprocess.run(
        [sys.executable, stages.__file__, source, tmp_path / "work", "--json",
         "--words", f"--device cpu --config {config}"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = {
        one["name"].partition(": ")[2]: one for one in map(json.loads, done.stdout.splitlines())
    }
    whole = found["all that train"]["more"]
    assert whole["shares"][NETWORKS] > 0.1
    for part in ("decoding", "crops", "marks", "saving"):
        assert 0 < whole["shares"][part] < 0.5, part
    assert 0 <= whole["shares"]["none of these"] < 0.9
    assert found["read"]["more"]["shares"][NETWORKS] == 0
