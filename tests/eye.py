"""A stand-in for the feature network: quick, and of a plain meaning."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from flawsmith.evaluate.features import Extractor
from flawsmith.sample import Image


class Eye:
    """A stand-in for the network: sees the picture at 8 by 6 pixels, and counts what it sees."""

    seen = 0

    def prepare(self, image: Image) -> NDArray[np.float32]:
        grey = image if image.ndim == 2 else image.mean(axis=2)
        return cv2.resize(grey.astype(np.float32) / 255, (8, 6), interpolation=cv2.INTER_AREA)

    def run(self, prepared: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        Eye.seen += len(prepared)
        return np.stack([np.resize(picture, 1280) for picture in prepared])


@pytest.fixture(autouse=True)
def eye(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Import it, and every test of the module sees by it, with a cache of its own."""
    monkeypatch.setattr(Extractor, "network", lambda self, device="auto": Eye())
    monkeypatch.setenv("FLAWSMITH_CACHE", str(tmp_path / "cache"))
