"""Detectors by name, and saved ones from their files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flawsmith.errors import InputError
from flawsmith.evaluate.detectors.base import KIND, Detector
from flawsmith.evaluate.detectors.frames import Form
from flawsmith.settings import load_settings
from flawsmith.train.runs import read_weights_facts

BUILT_IN = ("knn",)
NAMES = BUILT_IN


def open_detector(
    name: str, settings: Mapping[str, Any] | None = None, device: str = "auto"
) -> Detector:
    """Return an unfitted detector. settings: by name, over its defaults.

    Raises InputError for an unknown name or setting, a wrong value, and a missing extra.
    """
    given = dict(settings or {})
    if name == "knn":
        from flawsmith.evaluate.detectors.knn import Knn, KnnSettings

        return Knn(load_settings(KnnSettings, None, given), device)
    raise InputError(f"no detector {name!r}", mend=f"one of {', '.join(NAMES)}")


def load_detector(path: Path, device: str = "auto") -> Detector:
    """Return a detector that ``save`` wrote; raises InputError for any other file."""
    facts = read_weights_facts(path)
    config = facts.get("config")
    try:
        if facts.get("kind") != KIND or not isinstance(config, dict):
            raise ValueError(facts.get("kind"))
        form = Form(**config["form"])
        detector = open_detector(str(config["name"]), config["settings"], device)
        detector.restore(path, form, dict(config["layout"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("no detector of flawsmith", where=path) from error
    return detector
