"""Tests compute on one thread, and so do the commands that they start.

Sums in another order give other bytes: a run stopped in one process and resumed in another would
differ from an uninterrupted one. And two test processes of two threads each slow each other down.
"""

import os
import sys
from typing import Any

# Before any test imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_sessionfinish(session: Any) -> None:
    """Hand the number of inputs that this process tried to the one that prints."""
    fuzzing = sys.modules.get("tests.fuzzing")
    if fuzzing and hasattr(session.config, "workeroutput"):
        session.config.workeroutput["fuzzed"] = fuzzing.counts


def pytest_configure(config: Any) -> None:
    if config.pluginmanager.hasplugin("xdist") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Workers())


class _Workers:
    """Adds up what worker processes tried."""

    def pytest_testnodedown(self, node: Any, error: object) -> None:
        from tests.fuzzing import counts

        for name, count in getattr(node, "workeroutput", {}).get("fuzzed", {}).items():
            counts[name] = counts.get(name, 0) + count


def pytest_terminal_summary(terminalreporter: Any) -> None:
    fuzzing = sys.modules.get("tests.fuzzing")
    if fuzzing and "FLAWSMITH_FUZZ" in os.environ:
        for name, count in sorted(fuzzing.counts.items()):
            terminalreporter.write_line(f"{count:>8,} inputs  {name}")
        terminalreporter.write_line(f"{sum(fuzzing.counts.values()):>8,} inputs in all")
