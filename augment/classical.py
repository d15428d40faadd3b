"""Classical augmentation: real samples transformed by a policy of ``policies``."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flawsmith.augment.settings import AugmentSettings
from flawsmith.data.build import Refused
from flawsmith.data.cache import SampleCache
from flawsmith.data.folder import index_picture
from flawsmith.data.scan import Scan
from flawsmith.sample import Masks, Sample
from flawsmith.seeding import rng

ATTEMPTS = 8
# A class with fewer pixels left counts as emptied: nobody could find it.
MIN_PIXELS = 4
Flips = tuple[bool, bool]  # left-right, top-bottom


@dataclass(frozen=True)
class Classical:
    """The recipe: sample i is source i (in a seeded order), transformed as (seed, i) says."""

    samples: SampleCache
    order: tuple[int, ...]
    flips: Flips
    settings: AugmentSettings
    _policies: dict[tuple[int, ...], Any] = field(default_factory=dict, compare=False, repr=False)

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
        # Imported where it is used: the parent process needs no Albumentations.
        from flawsmith.augment import policies

        key = size if self.settings.preset == "thesis" else ()
        if key not in self._policies:
            self._policies[key] = (
                policies.thesis_policy(*key) if key else policies.safe_policy(self.flips)
            )
        return self._policies[key]


def _apply(policy: Any, source: Sample) -> tuple[Any, Masks]:
    """Transform image and masks together; masks travel as one index picture where they can."""
    if len(source.masks) < 255 and (source.masks.sum(axis=0, dtype=np.uint8) <= 1).all():
        done = policy(image=source.image, mask=index_picture(source.masks))
        numbers = np.arange(1, len(source.masks) + 1, dtype=np.uint8)[:, None, None]
        masks = done["mask"] == numbers
    else:
        planes = np.ascontiguousarray(source.masks.transpose(1, 2, 0)).view(np.uint8)
        done = policy(image=source.image, mask=planes)
        masks = np.ascontiguousarray(done["mask"].transpose(2, 0, 1)) > 0
    return np.ascontiguousarray(done["image"]), masks


def _keeps_classes(before: Masks, after: Masks) -> bool:
    had, has = before.any(axis=(1, 2)), after.sum(axis=(1, 2)) >= MIN_PIXELS
    return bool((has | ~had).all())
