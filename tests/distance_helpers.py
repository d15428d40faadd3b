"""Flat parts of known grey levels, for the tests of what is compared with what."""

from collections.abc import Iterable

import numpy as np
import pytest

from flawsmith.evaluate.comparison import Comparison, Distances
from flawsmith.evaluate.features import Extractor
from flawsmith.sample import Sample
from tests.augment_helpers import part, surface
from tests.eye import Eye

SIZE = (0, 0, 200, 150)
HERE, THERE = (60, 50), (120, 90)
# The crops around defects of 10 by 8 pixels at these places.
HERE_BOX, THERE_BOX = (33, 22, 64, 64), (93, 62, 64, 64)


@pytest.fixture(autouse=True)
def eye(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Extractor, "network", lambda self, device="auto": Eye())
    for name in ("HALVINGS", "DRAWS"):
        monkeypatch.setattr(f"flawsmith.evaluate.figures.{name}", 8)
    Eye.seen = 0


def marked(key: str, level: int, at: tuple[int, int] = HERE, plane: int = 0) -> Sample:
    """Return a flat part of this grey level with one defect of 10 by 8 pixels."""
    x, y = at
    image = np.full((150, 200), level, np.uint8)
    return part(key, [(plane, (x, y, x + 10, y + 8))], image=image)


def row(prefix: str, levels: Iterable[int], at=HERE, plane: int = 0) -> list[Sample]:
    return [marked(f"{prefix}-{i}", level, at, plane) for i, level in enumerate(levels)]


def clean(prefix: str, count: int, seed: int = 0) -> list[Sample]:
    return [part(f"{prefix}-{i}", image=surface(seed + i, size=SIZE)) for i in range(count)]


REAL = row("real", range(60, 160, 5))
MADE = row("made", range(62, 162, 5))


def of(distances: Distances, view: str, scope: str) -> Comparison:
    (found,) = (e for e in distances.comparisons if (e.view, e.scope) == (view, scope))
    return found
