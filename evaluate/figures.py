"""The figures of one comparison: drawn at equal N from both sides, beside what real halves give."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from flawsmith.errors import InputError
from flawsmith.evaluate.comparison import Better, Figure
from flawsmith.evaluate.coverage import coverage
from flawsmith.evaluate.frechet import frechet_distance
from flawsmith.evaluate.halving import Indices, half_size, halvings
from flawsmith.evaluate.kernel import kid, mmd2
from flawsmith.evaluate.neighbours import mean_pairwise, near_copies, nearest
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
NEIGHBOURS = 5
LESS_IS_BETTER = ("KID", "nearest real", "near copies")
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


def draw_size(real: tuple[str, ...], pool: tuple[str, ...], made: int, seed: int) -> int:
    """Return the samples a side of each draw; raises InputError when they are too few.

    real, pool: groups of the compared real samples, and of all real ones, whose halves give the
    floor; made: number of made samples.
    """
    parts = len(set(pool))
    half = half_size(pool, HALVINGS, _generator(seed)) if parts > 1 else 0
    if half < SMALLEST:
        raise InputError(
            f"{len(pool)} real samples of {parts} parts give halves of {half}, and {SMALLEST} are "
            f"needed: about {2 * SMALLEST} real samples of several parts"
        )
    for found, who in ((len(real), "real"), (made, "made")):
        if found < SMALLEST:
            raise InputError(f"{found} {who} samples, and {SMALLEST} are needed")
    return min(half, len(real), made, LARGEST)


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
    pool = real.joined(train)
    closeness = _Closeness.of(pool, made)
    floors = {} if floors is None else floors
    # Matrices this small are not worth the threads: where cores are shared, those cost tenfold.
    with threadpool_limits(1, "blas"):
        halves = list(halvings(pool.groups, HALVINGS, _generator(seed), n))
        if n not in floors:
            shown = track(halves, f"{label}: floors", len(halves))
            floors[n] = [
                _measures(pool.features[a], pool.features[b], distance_name) | closeness.of_real(b)
                for a, b in shown
            ]
        values = []
        firsts = [half for half, _ in halves[:DRAWS]]
        for draw, half in enumerate(track(firsts, f"{label}: values", len(firsts))):
            generator = rng(seed, "draw", draw)
            chosen = generator.choice(len(made), n, replace=False)
            # Without a training side the compared half is the floor's; with one, any real ones.
            mine = half if train is None else generator.choice(len(real), n, replace=False)
            found = _measures(real.features[mine], made[chosen], distance_name)
            values.append(found | closeness.of_made(chosen))
    full = _full(real.features, made, distance_name, seed) | closeness.of_made(None)
    return tuple(
        _figure(name, [v[name] for v in values], [f[name] for f in floors[n]], full[name])
        for name in values[0]
    )


def _generator(seed: int) -> Callable[[int], np.random.Generator]:
    return partial(rng, seed, "halving")


def _measures(real: Array, made: Array, distance_name: str) -> Values:
    found = coverage(real, made, NEIGHBOURS)
    return {
        "KID": mmd2(real, made),
        distance_name: frechet_distance(real, made),
        "precision": found.precision,
        "recall": found.recall,
        "density": found.density,
        "coverage": found.coverage,
        "diversity": _diversity(real, made),
    }


def _full(real: Array, made: Array, distance_name: str, seed: int) -> Values:
    found = _measures(real, made, distance_name)
    return found | {"KID": kid(real, made, rng(seed, "KID"))[0]}


def _diversity(real: Array, made: Array) -> float:
    """Mean pairwise distance of the made samples, as a share of the real ones'."""
    spread = mean_pairwise(real)
    return mean_pairwise(made) / spread if spread else float(mean_pairwise(made) == 0)


@dataclass(frozen=True)
class _Closeness:
    """How far each sample lies from the closest real one: of another part, if it is real itself."""

    real: NDArray[np.float64]
    made: NDArray[np.float64]

    @staticmethod
    def of(pool: Side, made: Array) -> "_Closeness":
        numbers = {group: number for number, group in enumerate(dict.fromkeys(pool.groups))}
        codes = np.array([numbers[group] for group in pool.groups])
        return _Closeness(
            nearest(pool.features, pool.features, (codes, codes))[0],
            nearest(made, pool.features)[0],
        )

    def of_real(self, chosen: Indices) -> Values:
        return self._values(self.real[chosen])

    def of_made(self, chosen: Indices | None) -> Values:
        return self._values(self.made if chosen is None else self.made[chosen])

    def _values(self, distances: NDArray[np.float64]) -> Values:
        return {
            "nearest real": float(np.median(distances)),
            "near copies": near_copies(distances, self.real),
        }


def _figure(name: str, values: list[float], floors: list[float], full: float) -> Figure:
    less = name in LESS_IS_BETTER or name.startswith(("FD", "FID"))
    better: Better = "low" if less else "high"
    low, high = np.percentile(values, (5, 95))
    floor = np.percentile(floors, 95 if less else 5)
    return Figure(name, float(np.mean(values)), float(low), float(high), float(floor), better, full)
