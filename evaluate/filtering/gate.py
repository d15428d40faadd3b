"""The filter's last step: is a segmenter better with what passed? Else nothing is accepted.

Segmenters learn from the real samples alone, from these and what passed, and from these and as many
certified candidates drawn by lot; all are tested on real images that had no part in anything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flawsmith.data.alike import warn_of_shared_looks
from flawsmith.data.dataset import DataSet
from flawsmith.data.fingerprint import fingerprint
from flawsmith.data.leak import check_leaks
from flawsmith.data.scan import Scan
from flawsmith.errors import InputError, printable
from flawsmith.evaluate.certificate import Verdict
from flawsmith.evaluate.filtering.reasons import NOTHING, refused
from flawsmith.evaluate.filtering.selection import random_subset
from flawsmith.evaluate.segment import FILTERED, RANDOM, SegmentCheck, check
from flawsmith.evaluate.segment_runs import default_runs
from flawsmith.evaluate.segmenter.settings import SegmentSettings
from flawsmith.progress import say


@dataclass(frozen=True)
class Gate:
    """How it is measured whether what passed helps.

    test: folder of real images of other parts, with masks; settings: of every run; allow_leak: go
    on although the test images share parts or pictures with those learned from.
    """

    test: Path
    settings: SegmentSettings
    allow_leak: bool = False

    def describe(self) -> dict[str, Any]:
        """Return what the gate adds to a job's description, JSON-able.

        Of the test folder names, sizes and times are told: no file of it is opened before the
        filter has spoken. Raises InputError where there is no such folder.
        """
        if not self.test.is_dir():
            raise InputError("no such folder", where=self.test)
        return {
            "settings": self.settings.model_dump(mode="json"),
            "allow_leak": self.allow_leak,
            "test": {
                "folder": printable(self.test.resolve().name),
                "fingerprint": fingerprint(DataSet(self.test, "", (), ())),
            },
        }


@dataclass(frozen=True)
class Judged:
    """What the gate found; check: None where nothing passed, and so nothing was measured."""

    check: SegmentCheck | None

    @property
    def helps(self) -> bool:
        """Whether what passed is accepted."""
        return self.check is not None and self.check.accepts()

    @property
    def sentence(self) -> str:
        """The verdict in one sentence, with the numbers."""
        if self.check is None:
            return NOTHING
        return self.check.warned(self.check.finding(FILTERED).sentence)

    def decided(self, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
        """Return the last word on each candidate: none is accepted where the set does not help."""
        if self.helps:
            return tuple(verdicts)
        return tuple(refused(verdicts))


def measure(
    found: Scan,
    real: Scan,
    verdicts: Sequence[Verdict],
    gate: Gate,
    read: Callable[[Path], Scan],
    cache: Path,
    device: str = "auto",
) -> Judged:
    """Train and test the three arms, and judge; the same call again goes on where it stopped.

    found: the candidates; real: what they were made from; verdicts: the filter's on each; read:
    scans a folder of real images; cache: the user's folder, where runs are kept. Raises InputError
    as ``segment.check`` does, among others for test images that are not apart from the rest.
    """
    passed = [i for i, verdict in enumerate(verdicts) if verdict.accepted]
    if not passed:
        return Judged(None)
    added = {
        RANDOM: found.select(random_subset(verdicts, gate.settings.seed)),
        FILTERED: found.select(passed),
    }
    test = read(gate.test)
    # Of all candidates: a generator that saw a test image spoils those that were not drawn, too.
    leak = check_leaks(real, {"candidates": found}, test, allow=gate.allow_leak)
    warn_of_shared_looks(real, test)
    runs = cache / "segment" / default_runs(real, added, gate.settings, device).name
    say(f"gate: {len(added) + 1} arms, {gate.settings.seeds} seeds; runs are kept in {runs}")
    pairs = [(FILTERED, RANDOM)]
    return Judged(
        check(real, added, test, gate.settings, runs, device=device, pairs=pairs, leak=leak)
    )
