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

# Name -> module and what its classes begin with.
PLACES = {
    "brightness": ("baselines", "Brightness"),
    "pixels": ("baselines", "Pixels"),
    "knn": ("knn", "Knn"),
    "ganomaly": ("ganomaly", "Ganomaly"),
    "cvae": ("cvae", "Cvae"),
    "advae": ("advae", "Advae"),
    "alad": ("alad", "Alad"),
    "cpc": ("cpc", "Cpc"),
    "patchcore": ("wrapped", "Patchcore"),
    "padim": ("wrapped", "Padim"),
    "dfm": ("wrapped", "Dfm"),
    "fastflow": ("wrapped_learned", "Fastflow"),
    "stfpm": ("wrapped_learned", "Stfpm"),
    "reverse_distillation": ("wrapped_learned", "ReverseDistillation"),
}
NAMES = tuple(PLACES)
# Trained by gradient, in a run folder.
TRAINED = ("ganomaly", "cvae", "advae", "alad", "cpc", "fastflow", "stfpm", "reverse_distillation")
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
    place, kind = PLACES[name]
    module = import_module(f"flawsmith.evaluate.detectors.{place}")
    start = getattr(module, "THESIS", {}) if preset == "thesis" else {}
    model = getattr(module, f"{kind}Settings")
    chosen = load_settings(model, None, {**start, **(settings or {})})
    where = {"folder": folder} if name in TRAINED else {}
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
