"""Runs with a gate in seconds: small settings, and counts made up in place of training."""

import json

import numpy as np

from flawsmith.evaluate.overlap import Counts
from tests.run_helpers import result_of, run

# The arms of a gate without others.
GATE = ("real", "real+filtered")
# One thread and few steps: seconds a run. No distances: they need more samples.
SMALL = {
    "count": 10,
    "seed": 4,
    "budget": "none",
    "features": "none",
    "detectors": [],
    "test_fraction": 0.4,
    "seeds": 2,
    "gate_steps": 3,
    "arms": [],
    "filtering": {"steps": 3},
    "segment": {"crop": 64, "batch": 4, "rate": 2e-3, "ema": 0.9},
}


def config_of(folder, **changes):
    """Write the settings as a file; return the flags that name it."""
    path = folder / "run.yaml"
    path.write_text(json.dumps({**SMALL, **changes}))
    return ("--config", path, "--device", "cpu")


def lines_of(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def gated(*words, workers=1):
    """Run with all stages; the result's exception is the gate's refusal if it refuses."""
    return run(*words, workers=workers, plain=False)


def told_by(*words, workers=1):
    return result_of(*words, workers=workers, plain=False)


def made_up(gains, calls=None):
    """Return a stand-in for ``run_arm``: an arm finds so much more of each defect than 50%."""

    def run_arm(entry, seed, test, folder, plan):
        if calls is not None:
            calls.append((entry.arm.name, seed))
        folder.mkdir(parents=True, exist_ok=True)
        known = [fact for fact in test.found.facts if fact.label != "unknown"]
        truth = np.array([fact.pixels for fact in known], np.int64)
        share = 0.5 + gains.get(entry.arm.name, 0.0) + 0.01 * seed
        tp = np.floor(truth * share).astype(np.int64)
        return Counts(
            classes=test.found.dataset.classes,
            ids=tuple(fact.id for fact in known),
            groups=tuple(fact.group for fact in known),
            labels=tuple(fact.label for fact in known),
            tp=tp,
            fp=np.zeros_like(tp),
            fn=truth - tp,
            largest=np.zeros(len(known), np.int64),
        )

    return run_arm
