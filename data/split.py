"""Seeded splits that keep groups together and every class's share alike.

Iterative stratification (Sechidis, Tsoumakas, Vlahavas 2011, "On the stratification of multi-label
data", algorithm 1), with groups of images in place of single examples.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flawsmith.data.dataset import DataSet
from flawsmith.data.scan import Facts, Scan
from flawsmith.errors import InputError
from flawsmith.seeding import rng

EPSILON = 1e-9
# A stratum is a class's plane, or the label of the samples that show none.
Stratum = tuple[str, int]
Counts = Counter[Stratum]


@dataclass(frozen=True)
class _Group:
    name: str
    members: tuple[int, ...]
    counts: Counts


def split_groups(facts: Sequence[Facts], fractions: Sequence[float], seed: int) -> list[list[int]]:
    """Return for each fraction the ascending indices of its samples; no group is in two parts.

    Strata are the classes (an image with two counts for both), ``good`` and ``unknown``. The part
    a sample gets depends on the ids, groups, labels and classes and on the seed, not on the order
    of ``facts``. Where every group shows one stratum and has at most g images, a part holds less
    than g images more than its share of each stratum, and less than g * parts fewer. What the
    fractions leave over is in no part. Raises InputError for fractions that are not above 0 or add
    up to more than 1.
    """
    check_fractions(fractions)
    left_over = 1 - math.fsum(fractions)
    shares = [*fractions, left_over] if left_over > EPSILON else list(fractions)
    generator = rng(seed, "split")
    waiting = _groups(facts)
    waiting = [waiting[i] for i in generator.permutation(len(waiting))]
    # Large groups first: the small ones then even out what those leave.
    waiting.sort(key=lambda group: -len(group.members))
    total = sum((group.counts for group in waiting), Counts())
    lacking = [{stratum: share * n for stratum, n in total.items()} for share in shares]
    parts: list[list[int]] = [[] for _ in shares]
    while waiting:
        rarest = _rarest(waiting)
        for group in [g for g in waiting if rarest in g.counts]:
            part = _neediest(lacking, rarest, generator)
            parts[part] += group.members
            for stratum, n in group.counts.items():
                lacking[part][stratum] -= n
        waiting = [g for g in waiting if rarest not in g.counts]
    return [sorted(part) for part in parts[: len(fractions)]]


def check_classes(classes: tuple[str, ...] | None, dataset: DataSet) -> None:
    """Raise InputError for a class that the data does not have."""
    unknown = [name for name in classes or () if name not in dataset.classes]
    if unknown:
        known = ", ".join(dataset.classes) or "none"
        raise InputError(f"no class {unknown[0]!r}", where=dataset.root, mend=f"it has {known}")


def showing_only(found: Scan, classes: tuple[str, ...] | None) -> list[int]:
    """Return the indices of the samples that show no class but these; None: of all.

    Raises InputError as ``check_classes`` does.
    """
    if classes is None:
        return list(range(len(found.facts)))
    check_classes(classes, found.dataset)
    wanted = {found.dataset.classes.index(name) for name in classes}
    return [i for i, fact in enumerate(found.facts) if set(fact.planes) <= wanted]


def check_fractions(fractions: Sequence[float]) -> None:
    """Raise InputError unless there are fractions, each above 0, together at most 1."""
    mend = "give shares such as 0.7,0.3"
    if not fractions:
        raise InputError("a split needs at least one fraction", mend=mend)
    if not all(math.isfinite(f) and f > 0 for f in fractions):
        raise InputError(f"each fraction must be above 0; got {_listed(fractions)}", mend=mend)
    if math.fsum(fractions) > 1 + EPSILON:
        total = math.fsum(fractions)
        raise InputError(
            f"the fractions {_listed(fractions)} add up to {total:g}, more than 1", mend=mend
        )


def limit_per_class(
    part: Sequence[int], facts: Sequence[Facts], n: int, seed: int
) -> tuple[list[int], dict[int, int]]:
    """Return the part with at most ``n`` defective images a class, and the classes with fewer.

    An image of two classes counts for both; rare classes choose first. Clean and unknown samples
    stay. The second value is plane -> images kept, for the classes of ``facts`` with fewer than
    ``n``. Raises InputError for n below 1.
    """
    if n < 1:
        raise InputError(f"at least 1 image a class is needed; got {n}", mend="raise --per-class")
    defective = sorted((i for i in part if facts[i].planes), key=lambda i: facts[i].id)
    shuffled = [defective[k] for k in rng(seed, "limit").permutation(len(defective))]
    available = Counter(plane for i in shuffled for plane in facts[i].planes)
    kept: set[int] = set()
    used: Counter[int] = Counter()
    for plane in sorted(available, key=lambda plane: (available[plane], plane)):
        for index in shuffled:
            planes = facts[index].planes
            if plane in planes and index not in kept and all(used[p] < n for p in planes):
                kept.add(index)
                used.update(planes)
    known = sorted({plane for fact in facts for plane in fact.planes})
    short = {plane: used[plane] for plane in known if used[plane] < n}
    return [i for i in part if i in kept or not facts[i].planes], short


def _groups(facts: Sequence[Facts]) -> list[_Group]:
    members: dict[str, list[int]] = defaultdict(list)
    for index, fact in enumerate(facts):
        members[fact.group].append(index)
    return [
        _Group(name, tuple(found), Counts(s for i in found for s in _strata(facts[i])))
        for name, found in sorted(members.items())
    ]


def _strata(fact: Facts) -> list[Stratum]:
    return [("class", plane) for plane in fact.planes] or [(fact.label, 0)]


def _rarest(waiting: Sequence[_Group]) -> Stratum:
    left = sum((group.counts for group in waiting), Counts())
    return min(left, key=lambda stratum: (left[stratum], stratum))


def _neediest(
    lacking: list[dict[Stratum, float]], stratum: Stratum, generator: np.random.Generator
) -> int:
    """The part that lacks most of the stratum, then most of all strata, then drawn by lot."""
    needs = [(round(part[stratum], 6), round(sum(part.values()), 6)) for part in lacking]
    best = max(needs)
    return int(generator.choice([i for i, need in enumerate(needs) if need == best]))


def _listed(fractions: Sequence[float]) -> str:
    return ", ".join(f"{fraction:g}" for fraction in fractions)
