"""Selection: which candidates together come closest to the real ones; and the control, by lot."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flawsmith.evaluate.certificate import Verdict
from flawsmith.evaluate.filtering.crops import ClassCrops
from flawsmith.evaluate.filtering.reasons import is_certified
from flawsmith.evaluate.kernel import cubed
from flawsmith.evaluate.neighbours import BLOCK, Features, Indices, Rows, as_pair
from flawsmith.seeding import rng

# Products such as 0.1 * 30 must not round up to 4.
EPSILON = 1e-9


class Herd:
    """The candidates of one class, from which those are chosen that lower the distance most.

    made: (M, D) crops; owners: (M,) the candidate of each, 0 to N - 1, each with a crop; real:
    (R, D). A candidate counts as the mean of its crops' embeddings, so that one of many defects
    weighs no more than one of one.

    The distance of n chosen ones S to the real ones X is the squared maximum mean discrepancy
    sum k(s, s') / n^2 - 2 sum k(s, x) / (n R) + const (Gretton et al. 2012, eq. 5) with the kernel
    of the KID. Each step takes the candidate after which it is smallest: greedy, as in Chen,
    Welling and Smola 2010 (kernel herding). The unbiased KID leaves out k(s, s); it has no value
    for one sample, and of few it prefers extremes.
    """

    def __init__(self, made: Features, owners: Indices, real: Features) -> None:
        self._made, known = as_pair(made, real)
        self._owners = np.asarray(owners)
        self._crops = np.bincount(self._owners)
        # Mean kernel with the real ones; with itself; with all chosen, added up.
        self._real = self._mean(_row_means(self._made, known))
        self._own = np.array([self._among(i) for i in range(len(self._crops))])
        self._chosen = np.zeros(len(self._crops))
        self._free = np.ones(len(self._crops), bool)
        self._inner = self._outer = 0.0
        self.count = 0

    def take(self, candidate: int) -> None:
        """Add a candidate to the chosen ones."""
        self._inner += 2 * self._chosen[candidate] + self._own[candidate]
        self._outer += self._real[candidate]
        self._chosen += self._row(candidate)
        self._free[candidate] = False
        self.count += 1

    def distances(self) -> Rows:
        """Return (N,): the distance, but for its constant, if a candidate were taken as well."""
        n = self.count + 1
        inner = self._inner + 2 * self._chosen + self._own
        return np.asarray(inner / n**2 - 2 * (self._outer + self._real) / n)

    def best(self, allowed: Sequence[int]) -> int:
        """Return the best of these candidates that is not taken; of equals the first."""
        left = [i for i in allowed if self._free[i]]
        found = self.distances()[left]
        return left[int(found.argmin())]

    def _among(self, candidate: int) -> float:
        """Return the mean kernel among a candidate's crops, each with itself, too."""
        own = self._made[self._owners == candidate]
        return float(cubed(own @ own.T, own.shape[1]).mean())

    def _row(self, candidate: int) -> Rows:
        """Return (N,): a candidate's mean kernel with every one."""
        own = self._made[self._owners == candidate]
        return self._mean(_row_means(self._made, own))

    def _mean(self, values: Rows) -> Rows:
        return np.bincount(self._owners, values) / self._crops


def _row_means(a: Rows, b: Rows) -> Rows:
    """Return (len(a),): the mean kernel of each row of a with those of b."""
    step = max(1, BLOCK // len(b))
    parts = [a[start : start + step] @ b.T for start in range(0, len(a), step)]
    return np.concatenate([cubed(part, a.shape[1]).mean(axis=1) for part in parts])


@dataclass(frozen=True)
class Pool:
    """What is chosen from: places of the candidates that are left, and quotas by class.

    members: plane -> the places that show it, ascending; of None: those that show none. quotas: how
    many of them to keep. hardness: by place, 0 to 1; hardest: share of the members to choose from.
    """

    members: Mapping[int | None, Sequence[int]]
    quotas: Mapping[int | None, int]
    hardness: Mapping[int, float]
    hardest: float = 1.0
    pinned: frozenset[int] = frozenset()


def choose(pool: Pool, made: Mapping[int, ClassCrops], real: Mapping[int, ClassCrops]) -> list[int]:
    """Return the places chosen, ascending: every class's quota is filled, the rarest class first.

    One of several classes counts for each, so there may be more than the quotas of later classes
    ask for. Where nothing real can be compared with, the first in order are taken.
    """
    chosen: set[int] = set(pool.pinned)
    for plane in sorted(pool.members, key=lambda p: (len(pool.members[p]), -1 if p is None else p)):
        members, quota = pool.members[plane], pool.quotas[plane]
        known = [place for place in members if place in chosen]
        if len(known) >= quota:
            continue
        if plane is None or not len(real[plane].samples):
            left = [place for place in members if place not in chosen]
            chosen.update(left[: quota - len(known)])
        else:
            chosen.update(_herded(pool, plane, known, made[plane], real[plane]))
    return sorted(chosen)


def _herded(
    pool: Pool, plane: int, known: Sequence[int], made: ClassCrops, real: ClassCrops
) -> list[int]:
    members, quota = pool.members[plane], pool.quotas[plane]
    number = {place: i for i, place in enumerate(members)}
    mine = np.isin(made.samples, members)
    owners = np.array([number[place] for place in made.samples[mine].tolist()], np.int64)
    herd = Herd(made.features[mine], owners, real.features)
    for place in known:
        herd.take(number[place])
    most = max(quota, math.ceil(pool.hardest * len(members) - EPSILON))
    # sorted keeps the order of equals: without any hardness the first ones would be preferred.
    by_hardness = sorted(members, key=lambda place: -pool.hardness.get(place, 0.0))
    allowed = sorted(number[place] for place in by_hardness[:most])
    found = []
    while herd.count < quota:
        best = herd.best(allowed)
        herd.take(best)
        found.append(members[best])
    return found


def quotas_of(
    certified: Mapping[int | None, int], left: Mapping[int | None, int], share: float
) -> dict[int | None, int]:
    """Return how many of each class to keep: its share of the certified ones, if so many are left.

    Rounded up, so that a class of which anything is left keeps at least one.
    """
    return {
        plane: min(count, math.ceil(share * certified[plane] - EPSILON))
        for plane, count in left.items()
    }


def random_subset(verdicts: Sequence[Verdict], seed: int) -> list[int]:
    """Return the places of a control, ascending: drawn by lot among all certified candidates.

    As many of every combination of classes as were accepted, so of each class, too.
    """
    accepted: dict[tuple[str, ...], int] = defaultdict(int)
    pool: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, verdict in enumerate(verdicts):
        if is_certified(verdict):
            pool[verdict.classes].append(place)
            accepted[verdict.classes] += verdict.accepted
    drawn: list[int] = []
    for classes, places in sorted(pool.items()):
        generator = rng(seed, "random subset", *classes)
        drawn += generator.choice(places, accepted[classes], replace=False).tolist()
    return sorted(drawn)
