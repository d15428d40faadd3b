"""Features of pictures: which network, what a distance between its features is called, the cache.

No torch here: when every picture's features are known already, no network is built.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from flawsmith.errors import InputError
from flawsmith.evaluate import inception_file
from flawsmith.evaluate.feature_store import FeatureStore
from flawsmith.progress import track
from flawsmith.sample import Image
from flawsmith.train import lite0_file
from flawsmith.train.weights import file_sha256, known_sha256

if TYPE_CHECKING:
    from torch import Tensor

    from flawsmith.evaluate.networks import Network

Name = Literal["lite0", "inception"]
NAMES: tuple[Name, ...] = get_args(Name)
Features = NDArray[np.float32]
# Of our own preparation and pooling: features of another one are not reused.
REVISION = 1
# New features are written to the store whenever so many have come together.
SAVE_EVERY = 512


@dataclass(frozen=True)
class _Rule:
    """What is settled for a network: its size in pixels, how pictures get there, its features."""

    side: int
    antialias: bool
    dimension: int
    words: str


RULES: dict[str, _Rule] = {
    "lite0": _Rule(224, True, 1280, "the whole picture to 224x224, bilinear with antialiasing"),
    "inception": _Rule(
        299,
        False,
        2048,
        "the whole picture to 299x299, bilinear without antialiasing (pytorch-fid)",
    ),
}


@dataclass(frozen=True)
class Extractor:
    """A feature network that is built on first use.

    version: network, weights and resizing: the cache's key. genuine: these are the weights that the
    network's name stands for. distance_name: what a Frechet distance of these features may be
    called. resize: the resizing in words. dimension: D of the (N, D) features.
    """

    name: Name
    weights: Path
    digest: str
    version: str
    genuine: bool
    distance_name: str
    resize: str
    dimension: int
    _built: "dict[str, Network]" = field(default_factory=dict, repr=False, compare=False)

    def network(self, device: str = "auto") -> "Network":
        """Return the network on a device, built once.

        Raises InputError for weights that do not fit, and for a device that is not there.
        """
        if device not in self._built:
            from flawsmith.evaluate.networks import open_network

            if file_sha256(self.weights) != self.digest:
                raise InputError("the weights changed while in use", where=self.weights)
            rule = RULES[self.name]
            self._built[device] = open_network(
                self.name, self.weights, rule.side, rule.antialias, device
            )
        return self._built[device]


def open_extractor(name: str, weights: Path | None = None) -> Extractor:
    """Return the extractor ``lite0`` or ``inception``; its file is hashed, no network is built.

    weights: a safetensors file (or, for inception, pytorch-fid's own file); None takes the usual.
    Raises InputError for an unknown name, and for weights that are missing or an unknown pickle.
    """
    if name == "lite0":
        path = lite0_file.weights_file(weights)
        digest = known_sha256(path, lite0_file.TRUSTED)
        genuine = digest == lite0_file.SHA256
        return _extractor("lite0", path, digest, genuine, "FD (lite0)")
    if name == "inception":
        path = inception_file.inception_file(weights)
        digest = known_sha256(path, inception_file.TRUSTED)
        genuine = digest == inception_file.SHA256
        return _extractor("inception", path, digest, genuine, "FID")
    raise InputError(f"no such features: {name!r}", mend=f"one of {', '.join(NAMES)}")


def _extractor(name: Name, path: Path, digest: str, genuine: bool, called: str) -> Extractor:
    rule = RULES[name]
    smooth = "-antialias" if rule.antialias else ""
    return Extractor(
        name=name,
        weights=path,
        digest=digest,
        version=f"{name}-{digest[:16]}-bilinear{rule.side}{smooth}-{REVISION}",
        genuine=genuine,
        distance_name=called if genuine else f"FD ({name}, other weights)",
        resize=rule.words,
        dimension=rule.dimension,
    )


def extract(
    extractor: Extractor,
    keys: Sequence[str],
    load: Callable[[int], Image],
    *,
    device: str = "auto",
    batch: int = 32,
    store: FeatureStore | None = None,
    label: str = "features",
) -> Features:
    """Return the (N, D) float32 features of N pictures, in their order.

    keys: 32 hex digits a picture that identify its pixels, such as ``scan.pixel_digest``; load(i)
    returns picture i: uint8 (H, W) or (H, W, 3) RGB of any size; grey ones repeat their plane. Only
    pictures of unknown keys are loaded, and each key once. What was computed is in the store even
    if a later picture fails.
    """
    job = _Job(extractor, device, batch, store)
    try:
        for place, key in enumerate(track(keys, label, len(keys))):
            if not job.knows(key):
                job.add(key, load(place))
        job.compute()
    finally:
        job.save()
    rows = [job.rows[key] for key in keys]
    return np.stack(rows) if rows else np.zeros((0, extractor.dimension), np.float32)


class _Job:
    """One pass: ``rows`` holds the known features by key, ``_waiting`` the pictures to come."""

    def __init__(
        self, extractor: Extractor, device: str, batch: int, store: FeatureStore | None
    ) -> None:
        self.extractor = extractor
        self.device = device
        self.batch = batch
        self.store = store
        self.rows: dict[str, Features] = {}
        self._waiting: dict[str, Tensor] = {}
        self._unsaved: list[str] = []

    def knows(self, key: str) -> bool:
        """Return whether the picture's features are known, or about to be computed."""
        if key in self.rows or key in self._waiting:
            return True
        known = self.store.get(key, self.extractor.dimension) if self.store is not None else None
        if known is not None:
            self.rows[key] = known
        return known is not None

    def add(self, key: str, image: Image) -> None:
        prepared = self.extractor.network(self.device).prepare(_checked(image))
        self._waiting[key] = prepared
        if len(self._waiting) == self.batch:
            self.compute()

    def compute(self) -> None:
        """Run the pictures that wait through the network."""
        if not self._waiting:
            return
        found = self.extractor.network(self.device).run(tuple(self._waiting.values()))
        self.rows.update(zip(self._waiting, found, strict=True))
        self._unsaved += self._waiting
        self._waiting.clear()
        if len(self._unsaved) >= SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write what is new to the store."""
        if self.store is not None and self._unsaved:
            self.store.put(self._unsaved, np.stack([self.rows[d] for d in self._unsaved]))
        self._unsaved = []


def _checked(image: Image) -> Image:
    colour = image.ndim == 3 and image.shape[2] == 3
    if image.dtype != np.uint8 or not (image.ndim == 2 or colour) or not image.size:
        raise ValueError(f"found {image.dtype} {image.shape}; wanted uint8 (H, W) or (H, W, 3)")
    return image
