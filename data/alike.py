"""Photos that look like one part though their groups differ: a split must not separate them.

Each image becomes a sketch of local contrast, without what its rows and columns have in common
(light, stripes, a rim): what is left are marks at places. Two sketches are compared by normalised
cross-correlation at small shifts. How alike two photos of different parts are by chance is taken
from random pairs of the data themselves, so that parts of one design are not called one part.
Turned or mirrored photos are not recognised, nor are two views that overlap in less than most.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.data.dataset import Record, load
from flawsmith.data.joining import largest
from flawsmith.data.parallel import ordered_map
from flawsmith.data.scan import Facts, Scan
from flawsmith.progress import say, track
from flawsmith.sample import Image
from flawsmith.seeding import rng

# A sketch's side; shifts of up to SHIFT of its pixels are tried.
SIDE, SHIFT = 64, 5
# Radius of what counts as local, in pixels of the sketch.
LOCAL = 4.0
# The nearest of so many photos, by coarse sketches that need no shift, are compared closely.
NEAREST = 10
# Random pairs of different groups that tell what chance gives.
PAIRS = 5000
# One in so many data sets of different parts would show a pair above the threshold by chance...
ONE_IN = 20
# ...and never less than this: with a quarter of its variance shared, a mark or two may be common.
LEAST = 0.5
# More images than this are not compared: every one is held beside every other.
MOST = 20_000
# Alike photos may chain; beyond this share of the groups (and CHAIN of them) they tell nothing.
SHARE, CHAIN = 0.3, 10
NAMED = 3
Sketches = NDArray[np.float32]
# What is done about them where data are divided: their groups become one, or stay.
LookAlikes = Literal["join", "leave"]


@dataclass(frozen=True)
class Pair:
    """Two photos by their place in the scan, and the correlation of their sketches, at most 1."""

    first: int
    second: int
    correlation: float


@dataclass(frozen=True)
class Alike:
    """Pairs of photos of different groups that look like one part, the most alike first.

    threshold: the correlation from which on a pair counts, in (0, 1]. reason: why nothing was
    looked for, else empty.
    """

    pairs: tuple[Pair, ...] = ()
    threshold: float = 1.0
    reason: str = ""

    @property
    def links(self) -> list[tuple[int, int]]:
        """The places of each pair."""
        return [(pair.first, pair.second) for pair in self.pairs]


def look_alikes(found: Scan, *, workers: int = 1, seed: int = 0) -> Alike:
    """Return the pairs of photos of different groups that look like one part.

    Each picture is decoded once more. Raises InputError for pictures that cannot be read.
    """
    return _compared(found.facts, lambda: _sketches(found, workers), None, seed)


def join_look_alikes(found: Scan, *, workers: int = 1, seed: int = 0) -> Scan:
    """Return the scan with the groups of photos that look like one part merged, and say so."""
    alike = look_alikes(found, workers=workers, seed=seed)
    notice = told(found.facts, alike)
    if not notice:
        return found
    if alike.reason or chains(found.facts, alike):
        return found.joined([], notice)
    return found.joined(alike.links, f"{notice}; they share a group now")


def shared_looks(train: Scan, test: Scan, *, workers: int = 1, seed: int = 0) -> str:
    """Return which photos of two sets, one of each, look like one part; or nothing."""
    sides = np.repeat([False, True], [len(train.facts), len(test.facts)])
    # A group's name tells nothing here: two folders may both hold a 001.png.
    facts = train.facts + tuple(replace(fact, group=f"\0{fact.group}") for fact in test.facts)
    alike = _compared(
        facts,
        lambda: np.concatenate([_sketches(found, workers) for found in (train, test)]),
        sides,
        seed,
    )
    said = told(facts, alike)
    return f"learned from and tested on: {said}; the test may be easier than it seems" * bool(said)


def warn_of_shared_looks(train: Scan, test: Scan, *, workers: int = 1) -> str:
    """Say what ``shared_looks`` returns, if anything, and return it."""
    alike = shared_looks(train, test, workers=workers)
    if alike:
        say(f"warning: {alike} (mend: flawsmith data split keeps them together)")
    return alike


def told(facts: Sequence[Facts], alike: Alike) -> str:
    """Return what was found among samples with these facts in one sentence, or nothing."""
    if alike.reason or not alike.pairs:
        return alike.reason
    groups = {facts[i].group for pair in alike.links for i in pair}
    shown = ", ".join(
        f"{facts[pair.first].id} and {facts[pair.second].id} ({pair.correlation:.2f})"
        for pair in _of_different(facts, alike.pairs)
    )
    count = f"{len(alike.pairs)} pair" + ("" if len(alike.pairs) == 1 else "s")
    said = (
        f"{count} of photos of {len(groups)} groups look like one part (correlation "
        f"{alike.threshold:.2f} or more), such as {shown}"
    )
    if chains(facts, alike):
        return f"{said}; they link too many groups to tell anything, and stay apart"
    return said


def chains(facts: Sequence[Facts], alike: Alike) -> bool:
    """Tell whether the pairs link so many groups that they do not show one part."""
    groups = [fact.group for fact in facts]
    return largest(groups, alike.links) > max(CHAIN, SHARE * len(set(groups)))


def sketch(image: Image) -> Sketches:
    """Return (SIDE, SIDE) float32: an image's local contrast without common rows and columns."""
    grey = image.mean(axis=2) if image.ndim == 3 else image
    small = cv2.resize(grey.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    detail = small - cv2.GaussianBlur(small, (0, 0), LOCAL)
    # One grey level more than there is, so that noise on plain ground is not blown up.
    scale = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), LOCAL)) + 1
    even = detail / scale
    even += even.mean() - even.mean(axis=0, keepdims=True) - even.mean(axis=1, keepdims=True)
    return np.asarray(even, np.float32)


def correlation(first: Sketches, second: Sketches) -> float:
    """Return the largest normalised cross-correlation of two sketches at shifts of up to SHIFT."""
    middle = np.ascontiguousarray(second[SHIFT:-SHIFT, SHIFT:-SHIFT])
    if middle.std() < 1e-6 or first.std() < 1e-6:  # a plain picture is like nothing
        return 0.0
    return min(1.0, float(cv2.matchTemplate(first, middle, cv2.TM_CCOEFF_NORMED).max()))


@dataclass(frozen=True)
class _Sketch:
    records: tuple[Record, ...]
    classes: int

    def __call__(self, index: int) -> Sketches:
        return sketch(load(self.records[index], self.classes).image)


def _sketches(found: Scan, workers: int) -> Sketches:
    look = _Sketch(found.dataset.records, len(found.dataset.classes))
    made = ordered_map(look, range(len(found.facts)), workers, chunk=16)
    return np.stack(list(track(made, "looking for photos of one part", len(found.facts))))


def _compared(
    facts: Sequence[Facts],
    sketches: Callable[[], Sketches],
    sides: NDArray[np.bool_] | None,
    seed: int,
) -> Alike:
    """Return the pairs; with sides, those of two sides."""
    groups = np.unique([fact.group for fact in facts], return_inverse=True)[1]
    if len(facts) > MOST:
        return Alike(reason=f"more than {MOST:,} images: none were compared for looking alike")
    if groups.max(initial=0) < 1:
        return Alike()
    made = sketches()
    threshold = _threshold(made, groups, seed)
    near = ((i, j, correlation(made[i], made[j])) for i, j in _nearest(made, groups, sides))
    close = [Pair(*entry) for entry in near if entry[2] >= threshold]
    close.sort(key=lambda pair: (-pair.correlation, pair.first, pair.second))
    return Alike(tuple(close), threshold)


def _threshold(sketches: Sketches, groups: NDArray[np.intp], seed: int) -> float:
    """Return what no pair of different parts would reach by chance in 19 of 20 such data sets.

    Fisher's z of random pairs of different groups is taken for normal, its width from the median
    down to the 10th percentile: pairs of one part among them, at the upper end, move neither much.
    """
    generator = rng(seed, "alike")
    drawn = generator.integers(len(groups), size=(2 * PAIRS, 2))
    different = [(i, j) for i, j in drawn if groups[i] != groups[j]][:PAIRS]
    values = np.array([correlation(sketches[i], sketches[j]) for i, j in different])
    z = np.arctanh(np.clip(values, -0.999, 0.999))
    low, middle = np.quantile(z, (0.1, 0.5))
    normal = NormalDist()
    pairs = len(groups) * (len(groups) - 1) / 2
    rare = normal.inv_cdf(1 - 1 / (ONE_IN * pairs))
    chance = math.tanh(middle + (middle - low) / normal.inv_cdf(0.9) * rare)
    return max(LEAST, chance)


def _nearest(
    sketches: Sketches, groups: NDArray[np.intp], sides: NDArray[np.bool_] | None
) -> Iterable[tuple[int, int]]:
    """Return the pairs to compare closely: of each photo the nearest ones of other groups."""
    coarse = np.stack([cv2.GaussianBlur(s, (0, 0), SIDE / 48)[::2, ::2].ravel() for s in sketches])
    coarse -= coarse.mean(axis=1, keepdims=True)
    coarse /= np.linalg.norm(coarse, axis=1, keepdims=True) + 1e-6
    found: set[tuple[int, int]] = set()
    for start in range(0, len(coarse), 1024):
        rows = np.arange(start, min(start + 1024, len(coarse)))
        near = coarse[rows] @ coarse.T
        out = groups[rows, None] == groups[None]
        if sides is not None:
            out |= sides[rows, None] == sides[None]
        near[out] = -2
        best = np.argsort(-near, axis=1, kind="stable")[:, :NEAREST]
        for row, line in zip(rows, best, strict=True):
            kept = [j for j in line if near[row - start, j] > -2]
            found.update((min(int(row), int(j)), max(int(row), int(j))) for j in kept)
    return sorted(found)


def _of_different(facts: Sequence[Facts], pairs: Sequence[Pair]) -> list[Pair]:
    """Return the first pair of each two groups, a few of them."""
    first: dict[frozenset[str], Pair] = {}
    for pair in pairs:
        key = frozenset((facts[pair.first].group, facts[pair.second].group))
        first.setdefault(key, pair)
    return list(first.values())[:NAMED]
