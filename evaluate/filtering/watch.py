"""The two detectors of the detection step: what they learn, who judges whom, how they look.

Each is fitted on the clean images of one half of the real groups, and on nothing else. A real
sample is judged by the one that has not seen its group, and so is a candidate, which belongs to the
group of the image that it was painted on (one of a group of its own: by the first). Pictures are
looked at in windows at their own scale: stretched to a small square, small defects would vanish.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np

from flawsmith.data.scan import Scan
from flawsmith.evaluate.detectors.base import Detector
from flawsmith.evaluate.detectors.frames import Form, fitted
from flawsmith.evaluate.detectors.registry import open_detector
from flawsmith.evaluate.filtering.halves import halves_of
from flawsmith.evaluate.filtering.settings import FilterSettings
from flawsmith.evaluate.filtering.thresholds import lacking
from flawsmith.evaluate.filtering.windows import MOST, cover, covering, windows_of
from flawsmith.evaluate.neighbours import Rows
from flawsmith.progress import track
from flawsmith.sample import Image, Masks
from flawsmith.seeding import rng

# Side of the windows, in pixels.
SIDE = 128
# What each detector learns from, and what its thresholds come from, at most; the rest costs time
# and moves a quantile little. Windows; clean pictures a half; defective ones a class; masks of a
# class that are laid on clean surface.
LEARNED, PICTURES, DEFECTS, BARE = 256, 40, 200, 40
# A map is not smoothed: its largest value near a small mask is then a patch's, as in the open.
KNN = {"most": 1024, "pool": 16384, "blur": 0.0}
BATCH = 16


@dataclass(frozen=True)
class Value:
    """The largest value of a sample's map, near the marks of a class; plane None: anywhere."""

    sample: int
    plane: int | None
    value: float


@dataclass(frozen=True)
class Look:
    """A window of a sample, and (S, S) bool where in it the map counts; plane as for a value."""

    sample: int
    plane: int | None
    image: Image
    where: Masks


class Watch:
    """Two detectors; ``clean[h]`` are the clean real samples of half h, in a drawn order."""

    def __init__(self, real: Scan, settings: FilterSettings, device: str) -> None:
        self.real, self.settings, self.device = real, settings, device
        halves = halves_of(real, settings.seed)
        self.half = {real.facts[i].group: h for h, part in enumerate(halves) for i in part}
        good = set(real.where("good"))
        self.clean = [
            self._shuffled([i for i in part if i in good], h) for h, part in enumerate(halves)
        ]
        grey = all(real.facts[i].channels == 1 for part in self.clean for i in part)
        self.form = Form(SIDE, SIDE, 1 if grey else 3)
        self.detectors: list[Detector] = []

    def lacks(self) -> str:
        """Return why the clean images are too few, or nothing; each half has to have enough."""
        for part in self.clean:
            if why := lacking([self.real.facts[i].group for i in part]):
                total = sum(map(len, self.clean))
                return f"{total} clean images; a half of the groups has {why}"
        return ""

    def fit(self, learned: int = LEARNED) -> None:
        """Fit a detector on each half's clean images, on so many windows of them at most."""
        for half, part in enumerate(self.clean):
            detector = open_detector("knn", {**KNN, "seed": self.settings.seed}, self.device)
            detector.fit(self._windows(part, half, learned))
            self.detectors.append(detector)

    def shown(self) -> list[int]:
        """Return the clean real samples that thresholds come from."""
        return [i for part in self.clean for i in part[:PICTURES]]

    def defective(self, planes: Sequence[int]) -> list[int]:
        """Return real samples that show these classes, up to ``DEFECTS`` of each."""
        chosen: set[int] = set()
        for plane in planes:
            own = [i for i, fact in enumerate(self.real.facts) if plane in fact.planes]
            chosen.update(self._shuffled(own, "class", plane)[:DEFECTS])
        return sorted(chosen)

    def looks(self, places: Sequence[int]) -> int:
        """Return how many windows of real samples are looked at, at most."""
        facts = [self.real.facts[i] for i in places]
        return sum(MOST * len(f.planes) or covering(f.width, f.height, SIDE) for f in facts)

    def ahead(self) -> int:
        """Return how many windows are looked at before those of candidates, at most."""
        planes = sorted({plane for fact in self.real.facts for plane in fact.planes})
        learned = sum(min(LEARNED, self.looks(part)) for part in self.clean)
        known = self.looks(self.shown()) + self.looks(self.defective(planes))
        return learned + known + BARE * MOST * len(planes)

    def bare(self, plane: int) -> Rows:
        """Return values of a class's real masks, laid on clean surface: of defects not there."""
        generator = rng(self.settings.seed, "detector bare", plane)
        clean = self.shown()
        looks: list[list[Look]] = [[], []]
        shown = self._shuffled(self.defective((plane,)), "bare", plane)
        for number, i in enumerate(islice(cycle(shown), BARE)):
            chosen = clean[int(generator.integers(len(clean)))]
            windows = list(cover(self.real.dataset[chosen], SIDE))
            image, inside = windows[int(generator.integers(len(windows)))]
            image = image.copy()  # a view would keep the whole picture
            looks[self.judge_of(self.real, chosen)] += [
                Look(number, plane, image, window.near & inside)
                for window in windows_of(self.real.dataset[i], SIDE)
                if window.plane == plane
            ]
        told = [self._told(d, iter(own)) for d, own in zip(self.detectors, looks, strict=True)]
        return np.array([entry.value for values in told for entry in values])

    def held_out(self, places: Sequence[int], label: str) -> list[Value]:
        """Return the values of real samples, by the detector of the other half."""
        return self._values(self.real, places, label)

    def candidates(self, made: Scan) -> list[Value]:
        """Return the values of all candidates, by the detector that has not seen their surface."""
        return self._values(made, range(len(made.facts)), "detector")

    def _values(self, found: Scan, places: Sequence[int], label: str) -> list[Value]:
        values: list[Value] = []
        for number, detector in enumerate(self.detectors):
            own = [i for i in places if self.judge_of(found, i) == number]
            looks = (
                look
                for i in track(own, f"{label}, {number + 1} of 2", len(own))
                for look in _looks(found, i)
            )
            values += self._told(detector, looks)
        return values

    def judge_of(self, found: Scan, index: int) -> int:
        """Return which detector judges a sample: the one that has not seen its group."""
        return 1 - self.half.get(found.facts[index].group, 1)

    def _told(self, detector: Detector, looks: Iterator[Look]) -> list[Value]:
        """Return the values of samples by this detector, windows of several at a time."""
        largest: dict[tuple[int, int | None], float] = {}
        while batch := list(islice(looks, BATCH)):
            maps = detector.score([fitted(look.image, self.form) for look in batch]).maps
            assert maps is not None
            for look, values in zip(batch, maps, strict=True):
                key, value = (look.sample, look.plane), float(values[look.where].max(initial=0.0))
                largest[key] = max(value, largest.get(key, 0.0))
        return [Value(*key, value) for key, value in largest.items()]

    def _shuffled(self, places: Sequence[int], *key: str | int) -> list[int]:
        order = rng(self.settings.seed, "detector", *key).permutation(len(places))
        return [places[k] for k in order]

    def _windows(self, places: Sequence[int], half: int, most: int) -> list[Image]:
        """Return windows of clean images, ``most`` at most: as many of each, drawn from all."""
        generator = rng(self.settings.seed, "detector windows", half)
        chosen = places[:most]
        found = []
        for i in track(chosen, "detector learns", len(chosen)):
            windows = [image for image, _ in cover(self.real.dataset[i], SIDE)]
            order = generator.permutation(len(windows))[: -(-most // len(chosen))]
            found += [fitted(windows[k], self.form).copy() for k in order]  # not whole pictures
        return found[:most]


def _looks(found: Scan, index: int) -> Iterator[Look]:
    """Yield the windows around a sample's marks, or all over a picture without any."""
    sample = found.dataset[index]
    if found.facts[index].planes:
        for window in windows_of(sample, SIDE):
            yield Look(index, window.plane, window.image, window.near)
    else:
        for image, inside in cover(sample, SIDE):
            yield Look(index, None, image, inside)
