"""Do two arms differ? Paired intervals, over groups and seeds.

Both arms are tested on the same images and trained with the same seeds. What may come out otherwise
next time is which parts the test set holds and which seeds the training ran with. Parts are many
enough to be drawn again, photos of one always together, the same for both arms; of seeds there are
few, and Student's t says what so few runs cannot show.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from flawsmith.errors import InputError
from flawsmith.evaluate.overlap import Counts, Values, figure_names, figures, terms
from flawsmith.seeding import rng

# The counts of one arm: training seed -> the test set as that run predicted it.
Arm = Mapping[int, Counts]
Better = Literal["low", "high"]
DRAWS = 5000
LEVEL = 0.95
# With fewer groups or seeds than these, the interval is said to be doubtful.
ENOUGH_GROUPS = 10
ENOUGH_SEEDS = 3
# Beyond these degrees of freedom Student's t is normal to any digit that is shown.
MOST_FREE = 1e6
# Weights held at a time.
BLOCK = 4_000_000


@dataclass(frozen=True)
class Difference:
    """A figure of an arm less that of the base, averaged over the seeds, with its 95% interval.

    name: as in ``overlap.figure_names``; better: what is better, a high figure or a low one.
    value = own - base; low, high: its interval; by_seed: it for each seed, in ascending order.
    showing: groups that the figure is about: those that show the class (any class for the means),
    or hold clean images. groups, images: of the whole test set. draws: how many the interval comes
    from (a draw without any showing group has no figure). warning: why to doubt it, else empty.
    """

    name: str
    better: Better
    own: float
    base: float
    value: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    showing: int
    groups: int
    images: int
    seeds: int
    draws: int
    warning: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(content: dict[str, Any]) -> "Difference":
        return Difference(**{**content, "by_seed": tuple(content["by_seed"])})


def compare(
    arm: Arm, base: Arm, *, seed: int = 0, draws: int = DRAWS, min_area: int = 1
) -> tuple[Difference, ...]:
    """Compare two arms by every figure that the test set gives, in the order of ``figure_names``.

    A class that no image shows has no figure, nor have false alarms without clean images. A draw
    that lacks a class leaves it out of its means, for both arms alike.

    Groups are drawn with replacement, as many as there are, an image counting as often as its
    group; each draw gives the mean over all runs. What other seeds would change is added to that
    by ``interval_of``: to draw from three runs as from groups would be too narrow, with a true
    coverage of 0.73 to 0.93. The interval is the percentile one. seed: of the draws; min_area: of
    a false alarm.

    Raises ValueError when the arms differ in seeds, images or true masks, and InputError when the
    test set has one group or no defect.
    """
    test, seeds = _test_set(arm, base), sorted(base)
    groups = codes(test.groups)
    runs = [[_by_group(one[s], groups, min_area) for s in seeds] for one in (arm, base)]
    sums = np.stack(runs)  # (2, S, G, 2 * (2K + 1))
    whole = _figures(sums, np.ones((1, sums.shape[2])))[:, :, 0]
    if np.isnan(whole[0, 0, 0]):
        raise InputError("the test set shows no defect", mend="test on images with defects too")
    drawn = _draws(sums, seed, draws)
    showing = _showing(sums[0, 0])
    found = []
    for i, name in enumerate(figure_names(test.classes)):
        usable = drawn[~np.isnan(drawn[:, i]), i]
        if not len(usable):
            continue
        own, other = whole[:, :, i].mean(axis=1).tolist()
        by_seed = whole[0, :, i] - whole[1, :, i]
        low, high = interval_of(usable, by_seed, seed)
        few = _few(i, test.classes, showing)
        found.append(
            Difference(
                name=name,
                better="low" if name == "false alarms" else "high",
                own=own,
                base=other,
                value=own - other,
                low=low,
                high=high,
                by_seed=tuple(by_seed.tolist()),
                showing=int(showing[i]),
                groups=sums.shape[2],
                images=len(groups),
                seeds=len(seeds),
                draws=len(usable),
                warning=_warning(few, len(seeds)),
            )
        )
    return tuple(found)


def _test_set(arm: Arm, base: Arm) -> Counts:
    """Return the counts of one run, after a check that all runs saw the same test set."""
    if not base or set(arm) != set(base):
        raise ValueError(f"the arms ran with the seeds {sorted(arm)} and {sorted(base)}")
    first = next(iter(base.values()))
    for other in (*arm.values(), *base.values()):
        for name in ("classes", "ids", "groups", "labels"):
            if getattr(first, name) != getattr(other, name):
                raise ValueError(f"the runs differ in the {name} of their test sets")
        if not np.array_equal(first.tp + first.fn, other.tp + other.fn):
            raise ValueError("the runs differ in the true masks of their test sets")
    if len(set(first.groups)) < 2:
        raise InputError(
            f"all {len(first.ids)} test images are of one group: no interval can be had",
            mend="test on images of several parts",
        )
    return first


def codes(groups: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of each image's group, counted by first appearance."""
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    return np.array([numbers[group] for group in groups], np.int64)


def _by_group(counts: Counts, groups: NDArray[np.int64], min_area: int) -> Values:
    """Return (G, 2 * (2K + 1)): the terms of ``overlap.terms``, summed over each group."""
    both = np.concatenate(terms(counts, min_area), axis=1)
    sums = np.zeros((int(groups.max()) + 1, both.shape[1]))
    np.add.at(sums, groups, both)
    return sums


def _figures(sums: Values, weights: Values) -> Values:
    """Return (2, S, D, F): the figures of each arm and run under D weightings (D, G) of groups."""
    tops, bottoms = np.split(weights @ sums, 2, axis=-1)
    return figures(tops, bottoms)


def _draws(sums: Values, seed: int, draws: int) -> Values:
    """Return (draws, F): the difference of the arms, over all runs, in each draw of groups."""
    if draws < 1:
        raise ValueError(f"{draws} draws")
    groups = sums.shape[2]
    found = []
    for weights in weightings(groups, seed, draws):
        own, base = _figures(sums, weights)
        found.append((own - base).mean(axis=0))
    return np.concatenate(found)


def weightings(groups: int, seed: int, draws: int, block: int = BLOCK) -> Iterator[Values]:
    """Yield (some, groups) float64, ``draws`` rows in all: how often each group is drawn.

    Groups are drawn with replacement, as many as there are. block: numbers held at a time.
    """
    generator = rng(seed, "paired", "groups")
    step = max(1, block // groups)
    for start in range(0, draws, step):
        number = min(step, draws - start)
        drawn = generator.multinomial(groups, [1 / groups] * groups, number)
        yield drawn.astype(np.float64)


def interval_of(drawn: Values, by_seed: Values, seed: int) -> tuple[float, float]:
    """Return the ends of the interval of one figure.

    drawn: (D,), what draws of groups give; by_seed: (S,), the difference of each run. The error of
    the groups has a variance that the draws tell, that of the seeds one that is known from S runs
    only. Their sum is Student's t with the degrees of freedom of Welch (1947) and Satterthwaite
    (1946), groups counted as known: normal draws over the root of chi square over its degrees of
    freedom. Each draw counts with either sign, so that the arms may be exchanged.
    """
    runs, mean = len(by_seed), by_seed.mean()
    of_seeds = float(by_seed.var(ddof=1)) / runs if runs > 1 else 0.0
    of_groups = float(drawn.var())
    freedom = (runs - 1) * (1 + of_groups / of_seeds) ** 2 if of_seeds > 0 else MOST_FREE
    if freedom < MOST_FREE:
        generator = rng(seed, "paired", "seeds")
        more = generator.standard_normal(len(drawn)) * of_seeds**0.5
        wider = (freedom / generator.chisquare(freedom, len(drawn))) ** 0.5
        around = drawn - mean
        drawn = mean + np.concatenate([(around - more) * wider, (around + more) * wider])
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return low, high


def _showing(sums: Values) -> NDArray[np.int64]:
    """Return (F,): the groups that each figure is about. sums: of one run, (G, 2 * (2K + 1))."""
    bottoms = sums[:, sums.shape[1] // 2 :]
    k = bottoms.shape[1] // 2
    shown = bottoms[:, k : 2 * k] > 0
    a_class, any_class = shown.sum(axis=0), [shown.any(axis=1).sum()]
    clean = [(bottoms[:, -1] > 0).sum()]
    return np.concatenate([any_class, a_class, any_class, a_class, clean])


def _few(index: int, classes: tuple[str, ...], showing: NDArray[np.int64]) -> list[tuple[str, int]]:
    """Return what too few groups show, and how many, of all that a figure is about."""
    k = len(classes)
    about = [(name, int(showing[1 + j])) for j, name in enumerate(classes)]
    if index == 2 * k + 2:
        about = [("clean images", int(showing[index]))]
    elif index not in (0, k + 1):  # neither of the means
        about = [about[(index - 1) % (k + 1)]]
    return [(name, number) for name, number in about if 0 < number < ENOUGH_GROUPS]


def _warning(few: list[tuple[str, int]], seeds: int) -> str:
    """Return why to doubt an interval, or nothing."""
    said = []
    if few:
        shown = ", ".join(f"{name} ({number})" for name, number in few)
        said.append(f"fewer than {ENOUGH_GROUPS} groups show {shown}")
    if seeds == 1:
        said.append("one seed: what another training run would change is not in the interval")
    elif seeds < ENOUGH_SEEDS:
        said.append(f"only {seeds} seeds")
    return "; ".join(said)
