"""Painting: a trained generator, a picture of any size, and masks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flawsmith.errors import InputError
from flawsmith.inpaint.blocks import Generator
from flawsmith.inpaint.crops import batch_of, crop_of
from flawsmith.inpaint.generators import build_generator
from flawsmith.inpaint.hole import hole_of, soft_of
from flawsmith.inpaint.noise import draw_noise
from flawsmith.inpaint.settings import KIND, InpaintSettings
from flawsmith.inpaint.sites import Site, sites_of
from flawsmith.inpaint.windows import window_at
from flawsmith.sample import Image, Masks
from flawsmith.train.devices import pick_device
from flawsmith.train.runs import WEIGHTS, read_weights_facts
from flawsmith.train.weights import check_outline, load_into, read_tensors


@dataclass(frozen=True)
class Painter:
    """A trained generator that paints defects into pictures.

    classes: names of the mask planes, in order; channels: 1 for grey training pictures, else 3.
    """

    generator: Generator
    classes: tuple[str, ...]
    channels: int
    settings: InpaintSettings
    device: torch.device

    def paint(
        self, image: Image, masks: Masks, generator: np.random.Generator, strength: float = 1.0
    ) -> Image:
        """Return the picture with a defect wherever the masks say.

        image: uint8 (H, W) or (H, W, 3); masks: (K, H, W) bool in the order of ``classes``, planes
        may overlap; generator: its numbers decide the defects' look; strength: scale of the change,
        0 gives the picture back. Pixels outside of the hole (the masks, grown by a few pixels) keep
        their bytes. Raises InputError when masks and picture do not fit the run, or each other.
        """
        self._check(image, masks, strength)
        union = np.asarray(masks.any(axis=0))
        soft = strength * soft_of(hole_of(union, self.settings.grow), self.settings.feather)
        painted = image.copy()
        for site in sites_of(union, self.settings.grow):
            self._paint_site(painted, masks, site, soft, generator)
        return painted

    def _paint_site(
        self,
        image: Image,
        masks: Masks,
        site: Site,
        soft: NDArray[np.float32],
        generator: np.random.Generator,
    ) -> None:
        window = window_at(site.box, image.shape, self.settings.size)
        crop = crop_of(image, masks, window, self.settings.geometry)
        batch = batch_of([crop], self.channels)
        noise = draw_noise([generator], (self.settings.size, self.settings.size))
        with torch.inference_mode():
            raw = self.generator(
                batch.image.to(self.device),
                batch.hole.to(self.device),
                batch.masks.to(self.device),
                noise.to(self.device),
            )
        change = (raw.float().cpu() - batch.image)[0].numpy() * 127.5
        change = window.enlarged(_as_picture(change, image.ndim))
        (rows, columns), own = window.inside(image.shape)
        # Another site's hole may reach into this window: it has its own turn.
        mine = np.zeros(soft.shape, bool)
        mine[site.view] = site.hole
        mine = mine[rows, columns]
        weight = soft[rows, columns]
        target = image[rows, columns]
        change = change[own] * (weight[..., None] if image.ndim == 3 else weight)
        result = np.clip(np.rint(target + change), 0, 255).astype(np.uint8)
        target[mine] = result[mine]

    def _check(self, image: Image, masks: Masks, strength: float) -> None:
        if image.dtype != np.uint8 or image.shape[2:] not in ((), (3,)) or 0 in image.shape:
            raise InputError(
                f"a picture of {image.dtype} {image.shape}", mend="uint8 (H, W) or (H, W, 3)"
            )
        if masks.shape != (len(self.classes), *image.shape[:2]):
            raise InputError(
                f"masks of shape {masks.shape} for a picture of {image.shape[:2]}",
                mend=f"one plane a class, of the picture's size: {', '.join(self.classes)}",
            )
        if masks.dtype != np.bool_:
            raise InputError(f"masks of {masks.dtype}", mend="bool, True where the defect lies")
        if not 0 <= strength < np.inf:
            raise InputError(f"strength {strength}", mend="0 or more; 1 is what training showed")


def load_painter(run: Path, device: str = "auto") -> Painter:
    """Return the painter of a training run (its averaged weights), on a device.

    Raises InputError if the folder holds no inpainting run, or weights that do not fit it.
    """
    path = run / WEIGHTS
    if not path.is_file():
        raise InputError(
            "no trained weights here", where=run, mend="flawsmith inpaint train SRC RUN"
        )
    facts = read_weights_facts(path)
    if facts.get("kind") != KIND:
        raise InputError(f"weights of {facts.get('kind')!r}, not of an inpainting run", where=path)
    classes, channels, settings = _configured(facts.get("config"), path)
    where = pick_device(device)

    def build() -> Generator:
        return build_generator(settings.generator, channels, len(classes), settings.width, 0)

    check_outline(path, build, "painter of flawsmith")
    generator = build()
    load_into(generator, read_tensors(path, {}), path)
    generator.to(where).eval()
    if where.type == "cpu":
        # Convolutions there are quicker in this order: by a sixth for one crop at a time.
        generator.to(memory_format=torch.channels_last)
    return Painter(generator, classes, channels, settings, where)


def _configured(config: Any, path: Path) -> tuple[tuple[str, ...], int, InpaintSettings]:
    try:
        classes, channels = tuple(map(str, config["classes"])), int(config["channels"])
        settings = InpaintSettings(**config["settings"])
        if channels not in (1, 3) or not classes or len(set(classes)) < len(classes):
            raise ValueError(f"{channels} channels, classes {classes}")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            "its settings are not this flawsmith's", where=path, mend="train it again"
        ) from error
    return classes, channels, settings


def _as_picture(change: NDArray[np.float32], ndim: int) -> NDArray[np.float32]:
    """Return a (C, S, S) change in the form of the picture: (S, S), or (S, S, 3)."""
    if ndim == 2:
        return np.ascontiguousarray(change.mean(axis=0))
    planes = np.repeat(change, 3, axis=0) if len(change) == 1 else change
    return np.ascontiguousarray(np.moveaxis(planes, 0, 2))
