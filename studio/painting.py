"""One painting: a clean picture, a drawn mask, a seed and a strength; checked and kept."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field

from flawsmith.augment.bank import cut_out, make_bank
from flawsmith.data.cache import SampleCache
from flawsmith.data.thumbnails import Box
from flawsmith.errors import InputError, printable
from flawsmith.evaluate.certificate import area_ranges, check_pair
from flawsmith.inpaint.apply_settings import STRENGTHS
from flawsmith.inpaint.maskbank import read_masks
from flawsmith.inpaint.painter import Painter
from flawsmith.inpaint.prepare import OpenRun, open_run
from flawsmith.sample import Image, Masks, Sample
from flawsmith.seeding import rng
from flawsmith.studio.answers import Asked
from flawsmith.studio.runs import BoxedMask, DrawnMask, packed, unpacked

# Masks of a class that are offered; and bytes of masks kept decoded for that.
OFFERED = 60
KEPT = 32 << 20
DRAWN = "drawn"


class Order(Asked):
    """What to paint. origins: class -> ids of bank masks that were used, for the provenance."""

    picture: str
    mask: DrawnMask
    seed: int = Field(ge=0, lt=1 << 32)
    strength: float = Field(ge=STRENGTHS[0], le=STRENGTHS[1])
    origins: dict[str, list[str]] = Field(default_factory=dict)


@dataclass(frozen=True)
class Painted:
    """The part of a picture that may have changed: its box (x, y, width, height) and pixels.

    fault: what a certificate would say against it, or nothing.
    """

    box: Box
    image: Image
    fault: str


class Studio:
    """A training run that paints what is drawn."""

    def __init__(self, run: OpenRun) -> None:
        self.run = run
        self.painter: Painter = run.painter
        self.bank = read_masks(run.trained.path, self.painter.classes)
        self.areas = area_ranges(self.painter.classes, self.bank.facts)
        self._masks = SampleCache(self.bank.dataset, KEPT)

    def paint(self, background: Sample, order: Order) -> Painted:
        """Return what changes; raises InputError for a mask that does not fit."""
        mask = unpacked(order.mask, background.size, len(self.painter.classes))
        view = self._view(mask, background)
        masks = mask.within(view)
        plain = _cut(background.image, view)
        image = self._painted(plain, masks, order)
        box = _grown(mask.box, self.painter.settings.grow, background.size)
        own = (box[0] - view[0], box[1] - view[1], *box[2:])
        return Painted(box, _cut(image, own), self._fault(background, plain, image, masks))

    def sample(self, background: Sample, order: Order, name: str) -> Sample:
        """Return the whole painted pair with its provenance, as ``inpaint apply`` writes it."""
        mask = unpacked(order.mask, background.size, len(self.painter.classes))
        view = self._view(mask, background)
        image = background.image.copy()
        _cut(image, view)[:] = self._painted(_cut(background.image, view), mask.within(view), order)
        masks = mask.within((0, 0, *background.size))
        region = background.meta.get("region")
        meta = {
            "method": "inpaint",
            "background": background.id,
            **({} if region is None else {"region": region}),
            "mask_source": DRAWN,
            "hole_px": self.painter.settings.grow,
            "seed": order.seed,
            "run": printable(self.run.trained.path.resolve().name),
            "weights": self.run.trained.digest,
            "defects": self._defects(masks, order),
            "redrawn": {},
            "by": "studio",
        }
        return Sample(name, image, masks, "defective", background.group, meta)

    def certificate(self, sample: Sample, background: Sample) -> str:
        """Return what the certificate has against a pair, or nothing."""
        return check_pair(sample, self.painter.classes, background, self.areas).reason

    def offered(self) -> list[dict[str, Any]]:
        """Return masks of the run's bank: id, class number, size, runs."""
        bank = make_bank(self.bank, tuple(range(len(self.painter.classes))))
        found = []
        for plane, images in sorted(bank.items()):
            entries = [entry for _, own in images for entry in own][:OFFERED]
            for entry in entries:
                mask = cut_out(self._masks, entry, 0).mask
                h, w = mask.shape
                name = self.bank.dataset.ids[entry.sample]
                found.append({"id": name, "class": plane + 1, "size": [w, h], "runs": packed(mask)})
        return found

    def _view(self, mask: BoxedMask, background: Sample) -> Box:
        """Return so much around the mask that the painter's window ends only where the image does.

        As ``inpaint apply`` does: painting all of a plate photo would be slow, and no different.
        """
        w, h = mask.box[2:]
        reach = max(self.painter.settings.size, w, h) + self.painter.settings.grow
        return _grown(mask.box, reach, background.size)

    def _painted(self, plain: Image, masks: Masks, order: Order) -> Image:
        return self.painter.paint(plain, masks, rng(order.seed, "studio"), order.strength)

    def _fault(self, background: Sample, plain: Image, image: Image, masks: Masks) -> str:
        before = replace(background, image=plain, masks=np.zeros_like(masks))
        meta = {"method": "inpaint", "hole_px": self.painter.settings.grow}
        after = Sample(background.id, image, masks, "defective", background.group, meta)
        return self.certificate(after, before)

    def _defects(self, masks: Masks, order: Order) -> list[dict[str, str]]:
        known = set(self.bank.dataset.ids)
        found = []
        for name, plane in zip(self.painter.classes, masks, strict=True):
            if plane.any():
                used = order.origins.get(name, [])
                if not set(used) <= known or len(used) > OFFERED:
                    raise InputError("masks that the run's bank does not have")
                origin = "+".join([DRAWN, *dict.fromkeys(used)])
                defect = {"class": name, "mask": origin, "strength": f"{order.strength:.3f}"}
                found.append(defect)
        return found


def open_studio(run: Path, device: str) -> Studio:
    """Open a training run to paint with; raises InputError for one that cannot."""
    # Two paint at a time, each on one thread: as in ``inpaint apply``, and so with the same bytes.
    torch.set_num_threads(1)
    return Studio(open_run(run, device))


def _grown(box: Box, by: int, size: tuple[int, int]) -> Box:
    x, y, w, h = box
    left, top = max(0, x - by), max(0, y - by)
    return left, top, min(size[0], x + w + by) - left, min(size[1], y + h + by) - top


def _cut(image: Image, box: Box) -> Image:
    x, y, w, h = box
    return image[y : y + h, x : x + w]
