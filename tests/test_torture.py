"""Commands that are killed, stopped, cut off from the disk or from time: nothing is lost.

``make torture`` runs the long form: ``FLAWSMITH_TORTURE`` is its time in seconds, and with
``FLAWSMITH_TORTURE_SEED`` its moments are others. What it did is printed, a line a trial.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nursery import PRELOAD, SOME, Nursery
from tests.torture import FAULTS, Skipped, Torture, trial
from tests.torture_commands import CASES
from tests.torture_several import lost_process

SECONDS = int(os.environ.get("FLAWSMITH_TORTURE", "0"))
SEED = int(os.environ.get("FLAWSMITH_TORTURE_SEED", "1"))
KILLS = 50
# Starts of several seconds are for the long form alone.
ALL = {**FAULTS, "process of several killed": lost_process}
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Torture]:
    """Two nurseries that order sets otherwise in the long form; in the short one, one is both."""
    root = tmp_path_factory.mktemp("torture")
    own = [
        Nursery(root / f"logs-{n}", n, PRELOAD if SECONDS else SOME)
        for n in (1, 2)[: 1 + bool(SECONDS)]
    ]
    yield Torture(root, own[0], own[-1])
    for one in own:
        one.close()


@pytest.mark.skipif(SECONDS > 0, reason="the long form does more")
@pytest.mark.parametrize("fault", FAULTS)
def test_hindered_and_run_again(here: Torture, fault: str) -> None:
    """One command without networks: trainings are killed at fixed places by tests of their own."""
    try:
        trial(here, FAULTS[fault], "data convert", SEED)
    except Skipped as why:
        pytest.skip(str(why))


def rounds() -> Iterator[tuple[str, str, int]]:
    """Yield trials (command, fault, seed): every pair once, then kills, then all of it again."""
    number = SEED * 1_000_000
    while True:
        pairs = [(name, fault) for fault in ALL for name in CASES]
        kills = [(name, "kill -9") for name in CASES] * (KILLS // len(CASES))
        for name, fault in pairs + kills:
            number += 1
            yield name, fault, number


@pytest.mark.skipif(not SECONDS, reason="make torture")
def test_all_commands_for_long(here: Torture) -> None:
    began, bad = time.monotonic(), []
    done: Counter[tuple[str, str]] = Counter()
    skipped: dict[str, str] = {}
    for name, fault, seed in rounds():
        if time.monotonic() - began > SECONDS:
            break
        start = time.monotonic()
        try:
            told = trial(here, ALL[fault], name, seed)
            done[name, fault] += 1
        except Skipped as why:
            told = skipped[f"{name}, {fault}"] = f"not done: {why}"
        except Exception as error:
            told = f"BAD: {error}"
            bad.append(f"{name}, {fault}, seed {seed}: {error}")
        print(f"{name}, {fault}, {seed}: {told} ({time.monotonic() - start:.1f} s)", flush=True)
    counts = {fault: sum(n for (_, f), n in done.items() if f == fault) for fault in ALL}
    missed = [
        f"{name}, {fault}"
        for name in CASES
        for fault in ALL
        if not done[name, fault] and f"{name}, {fault}" not in skipped
    ]
    told = {"seed": SEED, "trials": sum(counts.values()), **counts, "bad": len(bad)}
    print(json.dumps({**told, "not reached": missed, "left out": skipped}, indent=1))
    assert not bad, "\n".join(bad)
