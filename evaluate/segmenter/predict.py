"""Prediction: the defects of a picture of any size, tile by tile."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from flawsmith.errors import InputError
from flawsmith.evaluate.segmenter.crops import pictures_of, places
from flawsmith.evaluate.segmenter.network import build_segmenter
from flawsmith.evaluate.segmenter.settings import SegmentSettings
from flawsmith.evaluate.segmenter.task import SegmentTask
from flawsmith.evaluate.segmenter.tiles import Span, Tiling
from flawsmith.sample import Image, Masks
from flawsmith.train.devices import pick_device
from flawsmith.train.runs import WEIGHTS, read_weights_facts
from flawsmith.train.weights import check_outline, load_into, read_tensors


@dataclass(frozen=True)
class Predictor:
    """A trained segmenter that marks defects.

    network: (N, 3, h, w) float RGB in [-1, 1] -> (N, K, h, w) logits, on the device, in evaluation
    mode. classes: names of the planes, in order.
    """

    network: Callable[[Tensor], Tensor]
    classes: tuple[str, ...]
    device: torch.device
    tiling: Tiling = field(default_factory=Tiling)

    def masks(self, image: Image) -> Masks:
        """Return (K, H, W) bool: the pixels of each class whose probability is at least 0.5."""
        return np.asarray(self.logits(image) >= 0)

    def logits(self, image: Image) -> NDArray[np.float32]:
        """Return (K, H, W) float32 of a uint8 picture (H, W) or (H, W, 3), at least a pixel large.

        Where tiles overlap, their logits are blended; what a tile says near its edge, where it
        does not see what follows, counts for nothing. Raises InputError for another kind of
        picture and for logits that are not finite.
        """
        _check(image)
        height, width = image.shape[:2]
        total = np.zeros((len(self.classes), height, width), np.float32)
        weight = np.zeros((height, width), np.float32)
        spans = self.tiling.spans(height), self.tiling.spans(width)
        for tiles in _portions(list(product(*spans)), self.tiling.batch):
            told = self.told([_cut(image, *tile) for tile in tiles])
            for tile, (down, across) in zip(told, tiles, strict=True):
                shares = np.outer(down.weights, across.weights)
                view = (slice(down.start, down.start + down.length),
                        slice(across.start, across.start + across.length))  # fmt: skip
                room = weight[view].shape
                own = slice(room[0]), slice(room[1])
                weight[view] += shares[own]
                total[(slice(None), *view)] += (tile * shares)[(slice(None), *own)]
        return total / weight

    def told(self, tiles: Sequence[Image]) -> NDArray[np.float32]:
        """Return (N, K, h, w) float32 logits of uint8 tiles of one size, in one pass.

        h and w are multiples of 32. Raises InputError for logits that are not finite.
        """
        # With TF32 the masks would depend on the kind of GPU.
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), exact:
            logits = self.network(pictures_of(tiles).to(self.device))
        found: NDArray[np.float32] = logits.to("cpu", torch.float32).numpy()
        if not np.isfinite(found).all():
            raise InputError("the segmenter gives values that are not finite", mend="train it anew")
        return found


def load_predictor(run: Path, device: str = "auto", tiling: Tiling | None = None) -> Predictor:
    """Return the predictor of a training run (its averaged weights), on a device.

    tiling: how pictures are cut, if not as by default. Raises InputError if the folder holds no run
    of a segmenter, or weights that do not fit it.
    """
    path = run / WEIGHTS
    if not path.is_file():
        raise InputError("no trained weights here", where=run)
    facts = read_weights_facts(path)
    if facts.get("kind") != SegmentTask.kind:
        raise InputError(f"weights of {facts.get('kind')!r}, not of a segmenter", where=path)
    classes, trained = _configured(facts.get("config"), path)
    where = pick_device(device)

    def build() -> nn.Module:
        return build_segmenter(len(classes), 0, trained.encoder, "none")

    check_outline(path, build, "segmenter of flawsmith")
    network = build()
    load_into(network, read_tensors(path, {}), path)
    network.to(where).eval()
    return Predictor(network, classes, where, tiling or trained.tiling)


def _configured(config: Any, path: Path) -> tuple[tuple[str, ...], SegmentSettings]:
    try:
        return tuple(map(str, config["classes"])), SegmentSettings(**config["settings"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            "its settings are not this flawsmith's", where=path, mend="train it again"
        ) from error


def _check(image: Image) -> None:
    if image.dtype != np.uint8 or image.shape[2:] not in ((), (3,)) or 0 in image.shape:
        raise InputError(
            f"a picture of {image.dtype} {image.shape}", mend="uint8 (H, W) or (H, W, 3)"
        )


def _cut(image: Image, down: Span, across: Span) -> Image:
    """Return the picture's tile, mirrored where it reaches beyond."""
    rows = places(down.start, down.length, image.shape[0])
    columns = places(across.start, across.length, image.shape[1])
    return image[rows][:, columns]


def _portions(places: list[tuple[Span, Span]], size: int) -> Iterator[list[tuple[Span, Span]]]:
    for first in range(0, len(places), size):
        yield places[first : first + size]
