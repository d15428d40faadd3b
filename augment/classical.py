"""Classical augmentation: real samples transformed by a policy of ``policies``."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flawsmith.augment.settings import AugmentSettings
from flawsmith.data.build import Refused
from flawsmith.data.cache import SampleCache
from flawsmith.data.folder import index_picture
from flawsmith.data.scan import Scan
from flawsmith.sample import Image, Label, Masks, Sample, pixel_counts
from flawsmith.seeding import rng

ATTEMPTS = 8
# A class with fewer pixels left counts as emptied (unless it had no more): nobody could find it.
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
        chosen = sources_of(scan, settings)
        order = rng(settings.seed, "classical order").permutation(sorted(chosen))
        return Classical(SampleCache(scan.dataset), tuple(order.tolist()), flips, settings)

    def make(self, index: int) -> Sample | Refused:
        source = self.samples[self.order[index % len(self.order)]]
        generator = rng(self.settings.seed, "classical", index)
        policy = self._policy(source.image.shape[:2])
        redrawn: Counter[str] = Counter()
        for _ in range(ATTEMPTS):
            seed_transforms(policy, generator)
            image, masks = _apply(policy, source)
            fault = self._fault(source, image, masks)
            if fault is None:
                break
            redrawn[fault] += 1
        else:
            return Refused(redrawn.most_common(1)[0][0])
        meta = {
            "method": "classical",
            "preset": self.settings.preset,
            "source": source.id,
            "seed": self.settings.seed,
            "redrawn": dict(redrawn),
        }
        return Sample(f"classical_{index:06d}", image, masks, source.label, source.group, meta)

    def _fault(self, source: Sample, image: Image, masks: Masks) -> str | None:
        """Return what is wrong with a transformed sample, or None.

        The thesis' policy leaves one sample in nine as it was (0.7 to the sixth power); that is
        part of it, and the certificate's business.
        """
        if not _keeps_classes(source.masks, masks):
            return "a mask emptied by the crop"
        unchanged = self.settings.preset == "safe" and np.array_equal(image, source.image)
        return "nothing changed" if unchanged else None

    def _policy(self, size: tuple[int, ...]) -> Any:
        # Imported where it is used: the parent process needs no Albumentations.
        from flawsmith.augment import policies

        key = size if self.settings.preset == "thesis" else ()
        if key not in self._policies:
            self._policies[key] = (
                policies.thesis_policy(*key) if key else policies.safe_policy(self.flips)
            )
        return self._policies[key]


def sources_of(scan: Scan, settings: AugmentSettings) -> list[int]:
    """Return the samples to transform: by label, and the defective ones by class."""
    labels: tuple[Label, ...] = ("defective", "good")
    if settings.sources != "all":
        labels = (settings.sources,)
    chosen = [i for label in labels for i in scan.where(label)]
    if settings.classes is None:
        return chosen
    names, facts = scan.dataset.classes, scan.facts
    wanted = {names.index(name) for name in settings.classes if name in names}
    return [i for i in chosen if facts[i].label == "good" or wanted & set(facts[i].planes)]


def seed_transforms(policy: Any, generator: np.random.Generator) -> None:
    """Give each transform of a policy a seed of its own.

    ``Compose.set_random_seed`` gives all the same one (Albumentations 2.0.8): their coins then fall
    alike, so that two flips at p = 0.5 happen both or neither, never one.
    """
    for transform in policy.transforms:
        transform.set_random_seed(int(generator.integers(2**31)))


def _apply(policy: Any, source: Sample) -> tuple[Any, Masks]:
    """Transform image and masks together; masks travel as one index picture where they can."""
    index = index_picture(source.masks) if len(source.masks) < 255 else None
    if index is not None and np.count_nonzero(index) == sum(pixel_counts(source.masks)):
        done = policy(image=source.image, mask=index)
        numbers = np.arange(1, len(source.masks) + 1, dtype=np.uint8)[:, None, None]
        masks = done["mask"] == numbers
    else:
        planes = np.ascontiguousarray(source.masks.transpose(1, 2, 0)).view(np.uint8)
        done = policy(image=source.image, mask=planes)
        masks = np.ascontiguousarray(done["mask"].transpose(2, 0, 1)) > 0
    return np.ascontiguousarray(done["image"]), masks


def _keeps_classes(before: Masks, after: Masks) -> bool:
    pairs = zip(pixel_counts(before), pixel_counts(after), strict=True)
    return all(has >= min(had, MIN_PIXELS) for had, has in pairs)
