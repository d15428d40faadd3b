"""Samples from a trained run: picture i depends on (seed, i), the weights and the device's kind."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from flawsmith.errors import InputError
from flawsmith.gen.latents import latents
from flawsmith.gen.networks import build_generator
from flawsmith.gen.pictures import from_bytes
from flawsmith.gen.settings import GenSettings
from flawsmith.gen.shapes import Shape, marked, sampled
from flawsmith.gen.task import GenTask
from flawsmith.sample import LABELS, Label, Sample
from flawsmith.train.devices import one_thread, pick_device
from flawsmith.train.runs import WEIGHTS, read_weights_facts
from flawsmith.train.weights import check_outline, file_sha256, load_into, read_tensors

# Pictures made at once on a GPU. Every batch is full, so that a picture's bytes do not depend on
# how many are asked for; on a CPU one at a time is as quick.
BATCH = 32


@dataclass(frozen=True)
class Sampler:
    """A trained generator.

    classes: names of the mask planes, in order; () without. label: of samples without masks, "good"
    if it learned from clean pictures alone. run: the folder's name; digest: the weights' SHA-256.
    """

    generator: nn.Module
    shape: Shape
    classes: tuple[str, ...]
    label: Label
    settings: GenSettings
    device: torch.device
    run: str
    digest: str

    def sample(
        self, count: int, seed: int, truncation: float = 1.0, start: int = 0
    ) -> Iterator[Sample]:
        """Yield samples ``start`` to ``start + count - 1`` of a seed.

        truncation: 0 to 1 or a little above; below 1 samples are more usual, and more alike.
        Raises InputError for another one.
        """
        if not 0 <= truncation <= 2:
            raise InputError(f"truncation {truncation}", mend="0 to 2; 1 is what was trained")
        each = BATCH if self.device.type != "cpu" else 1
        for first in range(start - start % each, start + count, each):
            made = self._made(range(first, first + each), seed, truncation)
            for index, planes in enumerate(made, first):
                if start <= index < start + count:
                    yield self._sample(index, planes, seed, truncation)

    def _made(self, indices: range, seed: int, truncation: float) -> NDArray[np.uint8]:
        z = latents(seed, indices, self.settings.latent).to(self.device)
        with torch.inference_mode(), one_thread():
            x = sampled(self.generator, z, truncation)
            image, planes = x[:, : self.shape.channels], x[:, self.shape.channels :]
            picture = ((image + 1) * 127.5).round().clamp(0, 255).byte()
            both = torch.cat([picture, marked(planes).byte()], dim=1)
        return both.cpu().numpy()

    def _sample(
        self, index: int, planes: NDArray[np.uint8], seed: int, truncation: float
    ) -> Sample:
        masks = planes[self.shape.channels :] > 0
        label: Label = self.label
        if self.classes:
            # That no plane marks anything does not mean that no defect was drawn.
            label = "defective" if masks.any() else "unknown"
        name = f"gen_{index:06d}"
        meta = {
            "method": "gen",
            "arch": self.settings.arch,
            "run": self.run,
            "weights": self.digest,
            "seed": seed,
            "index": index,
            "truncation": truncation,
        }
        picture = from_bytes(planes, self.shape.channels)
        return Sample(name, picture, np.ascontiguousarray(masks), label, name, meta)


def load_sampler(run: Path, device: str = "auto") -> Sampler:
    """Return the sampler of a training run (its averaged weights), on a device.

    Raises InputError if the folder holds no run of ``gen``, or weights that do not fit it.
    """
    path = run / WEIGHTS
    if not path.is_file():
        raise InputError("no trained weights here", where=run, mend="flawsmith gen train SRC RUN")
    facts = read_weights_facts(path)
    if facts.get("kind") != GenTask.kind:
        raise InputError(f"weights of {facts.get('kind')!r}, not of a run of gen", where=path)
    settings, shape, classes, label = _configured(facts.get("config"), path)
    where = pick_device(device)
    check_outline(
        path, lambda: build_generator(settings.arch, shape, settings, 0), "generator of flawsmith"
    )
    generator = build_generator(settings.arch, shape, settings, 0)
    load_into(generator, read_tensors(path, {}), path)
    generator.to(where).eval().requires_grad_(False)
    name = run.resolve().name
    return Sampler(generator, shape, classes, label, settings, where, name, file_sha256(path))


def _configured(config: Any, path: Path) -> tuple[GenSettings, Shape, tuple[str, ...], Label]:
    try:
        settings = GenSettings(**config["settings"])
        shape = Shape(*(int(config["shape"][k]) for k in ("channels", "height", "width", "planes")))
        classes, label = tuple(map(str, config["classes"])), config["label"]
        if len(classes) != shape.planes or label not in LABELS:
            raise ValueError(f"{len(classes)} classes, label {label}")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            "its settings are not this flawsmith's", where=path, mend="train it again"
        ) from error
    return settings, shape, classes, label
