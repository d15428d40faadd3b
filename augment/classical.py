"""Classical augmentation with Albumentations; the only module that imports it.

``thesis``: the plates thesis' policy, six transforms at p = 0.3 each; it ruined that thesis'
detector. ``safe``: the default. Every pixel it makes is one of the photo's pixels, moved by whole
pixels and passed through one mild tone curve, so masks move exactly, no interpolation thins or
blurs a defect, and none is hidden by noise. Flips that the clean images themselves rule out (an
anode never lies at the bottom) are left out: see ``symmetry``.
"""

import os
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flawsmith.augment.settings import AugmentSettings
from flawsmith.data.build import Refused
from flawsmith.data.cache import SampleCache
from flawsmith.data.scan import Scan
from flawsmith.sample import Masks, Sample
from flawsmith.seeding import rng

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import albumentations as A
    import cv2

ATTEMPTS = 8
# A class with fewer pixels left counts as emptied: nobody could find it.
MIN_PIXELS = 4
Flips = tuple[bool, bool]


@dataclass(frozen=True)
class Classical:
    """The recipe: sample i is source i (in a seeded order), transformed as (seed, i) says."""

    samples: SampleCache
    order: tuple[int, ...]
    flips: Flips
    settings: AugmentSettings
    _policies: dict[tuple[int, int], Any] = field(default_factory=dict, compare=False, repr=False)

    @staticmethod
    def of(scan: Scan, settings: AugmentSettings, flips: Flips) -> "Classical":
        """Prepare the recipe: ``flips`` allows (left-right, top-bottom)."""
        labels = {"defective": ["defective"], "good": ["good"], "all": ["defective", "good"]}
        chosen = [i for label in labels[settings.sources] for i in scan.where(label)]  # type: ignore[arg-type]
        if settings.classes is not None:
            wanted = {scan.dataset.classes.index(name) for name in settings.classes}
            facts = scan.facts
            chosen = [
                i for i in chosen if wanted & set(facts[i].planes) or facts[i].label == "good"
            ]
        order = rng(settings.seed, "classical order").permutation(sorted(chosen))
        return Classical(SampleCache(scan.dataset), tuple(order.tolist()), flips, settings)

    def make(self, index: int) -> Sample | Refused:
        source = self.samples[self.order[index % len(self.order)]]
        generator = rng(self.settings.seed, "classical", index)
        policy = self._policy(source.image.shape[:2])
        redrawn = 0
        for _ in range(ATTEMPTS):
            policy.set_random_seed(int(generator.integers(2**31)))
            image, masks = _apply(policy, source)
            if _keeps_classes(source.masks, masks):
                break
            redrawn += 1
        else:
            return Refused("a mask emptied by the crop")
        meta = {
            "method": "classical",
            "preset": self.settings.preset,
            "source": source.id,
            "seed": self.settings.seed,
            "redrawn": {"a mask emptied by the crop": redrawn} if redrawn else {},
        }
        return Sample(f"classical_{index:06d}", image, masks, source.label, source.group, meta)

    def _policy(self, size: tuple[int, ...]) -> Any:
        key = (size[0], size[1])
        if key not in self._policies:
            make = thesis_policy if self.settings.preset == "thesis" else safe_policy
            self._policies[key] = make(*key, self.flips)
        return self._policies[key]


def _apply(policy: Any, source: Sample) -> tuple[Any, Masks]:
    done = policy(image=source.image, masks=list(source.masks.view(np.uint8)))
    masks = [np.asarray(mask, np.uint8) for mask in done["masks"]]
    stacked = np.stack(masks) if masks else np.zeros((0, *done["image"].shape[:2]), np.uint8)
    return np.ascontiguousarray(done["image"]), stacked > 0


def _keeps_classes(before: Masks, after: Masks) -> bool:
    had, has = before.any(axis=(1, 2)), after.sum(axis=(1, 2)) >= MIN_PIXELS
    return bool((has | ~had).all())


def safe_policy(height: int, width: int, flips: Flips) -> A.Compose:
    """Flips, whole-pixel shifts up to 5% with reflected edges, and a mild tone curve."""
    shift = (max(1, height // 20), max(1, width // 20))
    across, down = flips
    return _compose(
        A.HorizontalFlip(p=0.5 if across else 0.0),
        A.VerticalFlip(p=0.5 if down else 0.0),
        *_recrop(height, width, height + 2 * shift[0], width + 2 * shift[1]),
        A.RandomBrightnessContrast(
            brightness_limit=(-0.06, 0.06), contrast_limit=(-0.08, 0.08), p=0.8
        ),
    )


def thesis_policy(height: int, width: int, flips: Flips) -> A.Compose:
    """The plates thesis' six transforms, p = 0.3 each; both flips whatever the data says.

    RandomScale changes the size, so the picture is padded by reflection or cropped back.
    """
    reflect = cv2.BORDER_REFLECT_101
    nearest = cv2.INTER_NEAREST
    return _compose(
        A.RandomScale(scale_limit=(-0.1, 0.1), mask_interpolation=nearest, p=0.3),
        *_recrop(height, width, height, width),
        A.Rotate(limit=(-10, 10), border_mode=reflect, mask_interpolation=nearest, p=0.3),
        A.VerticalFlip(p=0.3),
        A.HorizontalFlip(p=0.3),
        A.Blur(blur_limit=(3, 3), p=0.3),
        A.RandomBrightnessContrast(
            brightness_limit=(-0.05, 0.05), contrast_limit=(-0.05, 0.05), p=0.3
        ),
    )


def _recrop(height: int, width: int, padded_height: int, padded_width: int) -> tuple[Any, ...]:
    pad = A.PadIfNeeded(padded_height, padded_width, border_mode=cv2.BORDER_REFLECT_101, p=1.0)
    return pad, A.RandomCrop(height, width, p=1.0)


def _compose(*transforms: Any) -> A.Compose:
    # "Argument(s) ... not valid" is only a warning there; a policy that drops a part is an error.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return A.Compose(list(transforms))
