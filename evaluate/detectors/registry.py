"""Detectors by name, and saved ones from their files."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from flawsmith.errors import InputError
from flawsmith.evaluate.detectors.base import KIND, Detector
from flawsmith.evaluate.detectors.frames import Form
from flawsmith.settings import load_settings
from flawsmith.train.runs import read_weights_facts

# Name -> module, what its classes begin with, and whether it is trained by gradient.
PLACES = {
    "brightness": ("baselines", "Brightness", False),
    "pixels": ("baselines", "Pixels", False),
    "knn": ("knn", "Knn", False),
    "ganomaly": ("ganomaly", "Ganomaly", True),
    "cvae": ("cvae", "Cvae", True),
    "advae": ("advae", "Advae", True),
    "alad": ("alad", "Alad", True),
    "cpc": ("cpc", "Cpc", True),
    "patchcore": ("wrapped", "Patchcore", False),
    "padim": ("wrapped", "Padim", False),
    "dfm": ("wrapped", "Dfm", False),
    "fastflow": ("wrapped_learned", "Fastflow", True),
    "stfpm": ("wrapped_learned", "Stfpm", True),
    "reverse_distillation": ("wrapped_learned", "ReverseDistillation", True),
}
NAMES = tuple(PLACES)
# In a run folder.
TRAINED = tuple(name for name, (_, _, trained) in PLACES.items() if trained)
PRESETS = ("small", "thesis")


def open_detector(
    name: str,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    *,
    preset: str = "small",
    folder: Path | None = None,
) -> Detector:
    """Return an unfitted detector. settings: by name, over those of the preset.

    preset: ``small`` for CPUs, ``thesis`` with the sizes of the source works (knn has none).
    folder: of the training run of those that learn by gradient, so that it resumes. Raises
    InputError for an unknown name or setting, a wrong value, and a missing extra.
    """
    if preset not in PRESETS:
        raise InputError(f"no preset {preset!r}", mend=f"one of {', '.join(PRESETS)}")
    if name not in NAMES:
        raise InputError(f"no detector {name!r}", mend=f"one of {', '.join(NAMES)}")
    place, kind, trained = PLACES[name]
    module = import_module(f"flawsmith.evaluate.detectors.{place}")
    start = getattr(module, "THESIS", {}) if preset == "thesis" else {}
    model = getattr(module, f"{kind}Settings")
    chosen = load_settings(model, None, {**start, **(settings or {})})
    where = {"folder": folder} if trained else {}
    detector = getattr(module, kind)(chosen, device, **where)
    assert isinstance(detector, Detector)
    return detector


def load_detector(path: Path, device: str = "auto") -> Detector:
    """Return a detector that ``save`` wrote; raises InputError for any other file."""
    facts = read_weights_facts(path)
    config = facts.get("config")
    try:
        if facts.get("kind") != KIND or not isinstance(config, dict):
            raise ValueError(facts.get("kind"))
        form = Form(**config["form"])
        detector = open_detector(str(config["name"]), config["settings"], device)
        layout = dict(config["layout"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError("no detector of flawsmith", where=path) from error
    detector.restore(path, form, layout)
    return detector
