"""The figures of one comparison: drawn at equal N from both sides, beside what real halves give."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from flawsmith.errors import InputError
from flawsmith.evaluate.comparison import Better, Figure
from flawsmith.evaluate.coverage import Coverage, coverage
from flawsmith.evaluate.frechet import frechet_distance
from flawsmith.evaluate.halving import Indices, half_size, halvings
from flawsmith.evaluate.kernel import kid, subset_pairs
from flawsmith.evaluate.neighbours import mean_pairwise, near_copies, nearest
from flawsmith.evaluate.table import Table
from flawsmith.progress import track
from flawsmith.seeding import rng

HALVINGS = 200
# Of the made samples fewer: their mean is sought, not a percentile far out.
DRAWS = 100
# A draw holds at least so many samples a side: five neighbours need more than five, and below ten
# the floor is so wide that everything lies inside of it.
SMALLEST = 10
# At most so many, so that the draws stay a matter of seconds; the full value uses every sample.
LARGEST = 250
# Of larger sets a seeded part serves for the draws; copies and full values look at every sample.
LIMIT = 1000
NEIGHBOURS = 5
LESS_IS_BETTER = ("KID", "nearest real", "near copies")
FEW_COPIES = 0.05
Array = NDArray[np.float32]
Values = dict[str, float]


@dataclass(frozen=True)
class Side:
    """Features (N, D) of the real samples of one side, and the part that each row shows."""

    features: Array
    groups: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.groups)

    def joined(self, other: "Side | None") -> "Side":
        if other is None:
            return self
        features = np.concatenate([self.features, other.features])
        return Side(features, self.groups + other.groups)


def draw_size(real: tuple[str, ...], train: tuple[str, ...], made: int, seed: int) -> int:
    """Return the samples a side of each draw; raises InputError when they are too few.

    real, train: groups of the compared real samples, and of those the made ones come from (empty if
    they are not known apart); made: number of made samples.
    """
    for found, who in ((len(real), "real"), (made, "made")):
        if found < SMALLEST:
            raise InputError(f"{_plural(found, who + ' sample')}, and {SMALLEST} are needed")
    n, _ = _division(real, train, made, seed)
    if n < SMALLEST:
        pool = real + train
        raise InputError(
            f"{_plural(len(pool), 'real sample')} of {_plural(len(set(pool)), 'part')} give halves "
            f"of {n}, and {SMALLEST} are needed: about {2 * SMALLEST} real samples of several parts"
        )
    return n


def _division(
    real: tuple[str, ...], train: tuple[str, ...], made: int, seed: int
) -> tuple[int, int | None]:
    """Return n, and how many parts face all others in the floor; None: even halves.

    Real and training samples are divided as they are, unless that gives less than half as many
    samples a draw as even halves: a small training part must not spoil the floor.
    """
    kept = tuple(real[i] for i in _some(len(real), seed, "real"))
    pool = kept + tuple(train[i] for i in _some(len(train), seed, "train"))
    count, parts = len(set(pool)), len(set(kept))
    most = min(len(kept), made, LARGEST)
    even = min(most, half_size(pool, HALVINGS, _generator(seed))) if count > 1 else 0
    if not train or parts == count:
        return even, None
    alike = min(most, half_size(pool, HALVINGS, _generator(seed), parts))
    return (alike, parts) if 2 * alike >= even else (even, None)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


# What halves of the real samples give, draw by draw, by n: the same for every candidate set.
Floors = dict[int, list[Values]]


def figures(
    real: Side,
    train: Side | None,
    made: Array,
    n: int,
    seed: int,
    distance_name: str,
    floors: Floors | None = None,
    label: str = "draws",
) -> tuple[Figure, ...]:
    """Return every figure of ``made`` (M, D) against ``real``.

    train: real samples that the made ones come from; they join the floor and are searched for
    copies. n: as ``draw_size`` gives it. distance_name: what the Frechet distance may be called.
    floors: filled for the next set of candidates with the same real samples, seed and name. label:
    of the progress bars.
    """
    floors = {} if floors is None else floors
    # Matrices this small are not worth the threads: where cores are shared, those cost tenfold.
    with threadpool_limits(1, "blas"):
        draws = _Draws(real, train, made, seed, distance_name)
        halves = list(halvings(draws.groups, HALVINGS, _generator(seed), n, draws.parts))
        if n not in floors:
            shown = track(halves, f"{label}: floors", len(halves))
            floors[n] = [draws.of_halves(first, second) for first, second in shown]
        firsts = [half for half, _ in halves[:DRAWS]]
        values = [
            draws.of_made(half, n, rng(seed, "draw", draw))
            for draw, half in enumerate(track(firsts, f"{label}: values", len(firsts)))
        ]
        full = draws.of_all()
    return tuple(
        _figure(
            name,
            [v[name] for v in values],
            [f[name] for f in floors[n]],
            full[name],
            # Up to this share copies are no finding: it may be one odd pair.
            max(FEW_COPIES, 1 / len(made)) if name == "near copies" else -np.inf,
        )
        for name in values[0]
    )


def _generator(seed: int) -> Callable[[int], np.random.Generator]:
    return partial(rng, seed, "halving")


class _Draws:
    """The samples that draws are taken from: at most LIMIT real and LIMIT made ones, as a table.

    Made copies are sought among all real samples, and the floor of the near copies is taken half
    against half.
    """

    def __init__(
        self, real: Side, train: Side | None, made: Array, seed: int, distance_name: str
    ) -> None:
        self.real, self.made, self.seed, self.name = real, made, seed, distance_name
        pool = real.joined(train)
        numbers = {group: number for number, group in enumerate(dict.fromkeys(pool.groups))}
        codes = np.array([numbers[group] for group in pool.groups])
        self.apart, _ = nearest(pool.features, pool.features, (codes, codes))
        self.found, _ = nearest(made, pool.features)
        mine = _some(len(real), seed, "real")
        others = len(real) + _some(len(pool) - len(real), seed, "train")
        kept = np.concatenate([mine, others])
        self.groups = tuple(pool.groups[i] for i in kept)
        self.codes = codes[kept]
        self.chosen = _some(len(made), seed, "made")
        self.table = Table(pool.features[kept], made[self.chosen])
        # Without a training side a half of the real samples is compared, else any of them.
        self.mine = None if train is None else np.arange(len(mine))
        others_of = () if train is None else train.groups
        self.parts = _division(real.groups, others_of, len(made), seed)[1]

    def of_halves(self, first: Indices, second: Indices) -> Values:
        apart = self.table.nearest(first, first, self.codes)
        # A half of one part alone knows no distance between parts.
        known = apart[np.isfinite(apart)]
        distances = self.table.nearest(second, first)
        copies = near_copies(distances, known if len(known) else self.apart)
        return self._measures(first, second, distances) | {"near copies": copies}

    def of_made(self, half: Indices, n: int, generator: np.random.Generator) -> Values:
        chosen = generator.choice(len(self.chosen), n, replace=False)
        mine = half if self.mine is None else generator.choice(self.mine, n, replace=False)
        rows = len(self.groups) + chosen
        distances = self.table.nearest(rows, half)
        copies = near_copies(self.found[self.chosen[chosen]], self.apart)
        return self._measures(mine, rows, distances) | {"near copies": copies}

    def of_all(self) -> Values:
        """Return the customary figures, over every sample."""
        real, made = self.real.features, self.made
        spread = mean_pairwise(real)
        return _named(
            self._kid(),
            self.name,
            frechet_distance(real, made),
            coverage(real, made, NEIGHBOURS),
            _ratio(mean_pairwise(made), spread),
            self.found,
        ) | {"near copies": near_copies(self.found, self.apart)}

    def _kid(self) -> float:
        generator = rng(self.seed, "KID")
        if len(self.real) > LIMIT or len(self.made) > LIMIT:
            return kid(self.real.features, self.made, generator)[0]
        pairs = subset_pairs(len(self.real), len(self.made), generator)
        offset = len(self.groups)
        return float(np.mean([self.table.mmd2(i, offset + j) for i, j in pairs]))

    def _measures(self, real: Indices, made: Indices, distances: NDArray[np.float64]) -> Values:
        table = self.table
        return _named(
            table.mmd2(real, made),
            self.name,
            table.frechet_distance(real, made),
            table.coverage(real, made, NEIGHBOURS),
            _ratio(table.mean_pairwise(made), table.mean_pairwise(real)),
            distances,
        )


def _some(count: int, seed: int, name: str) -> Indices:
    """Return at most LIMIT of so many, in order."""
    return np.sort(rng(seed, "some", name).choice(count, min(count, LIMIT), replace=False))


def _named(
    kid_: float,
    name: str,
    distance: float,
    found: Coverage,
    diversity: float,
    nearest_: NDArray[np.float64],
) -> Values:
    return {"KID": kid_, name: distance, **asdict(found), "diversity": diversity} | {
        "nearest real": float(np.median(nearest_))
    }


def _ratio(made: float, real: float) -> float:
    """Return the made samples' mean pairwise distance as a share of the real ones'."""
    return made / real if real else 1.0


def _figure(
    name: str, values: list[float], floors: list[float], full: float, least: float
) -> Figure:
    less = name in LESS_IS_BETTER or name.startswith(("FD", "FID"))
    better: Better = "low" if less else "high"
    low, high = np.percentile(values, (5, 95))
    floor = float(np.percentile(floors, 95 if less else 5))
    floor = max(floor, least)
    numbers = [_rounded(number) for number in (np.median(values), low, high, floor)]
    return Figure(name, numbers[0], numbers[1], numbers[2], numbers[3], better, _rounded(full))


def _rounded(value: float | np.floating[Any]) -> float:
    """Return six digits: the order of additions, which libraries choose, decides the last ones."""
    return float(f"{value:.6g}")
