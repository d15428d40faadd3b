"""Which parts make which plate: every part about equally often, no plate twice, from a seed.

Plate i is a function of the seed, the numbers of parts and i alone, found without drawing those
before it, so that any worker can make any plate.
"""

from dataclasses import dataclass
from functools import cached_property
from math import gcd, lcm, prod

import numpy as np

from flawsmith.seeding import rng

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Triples:
    """``of(i)`` for i below ``total``: (a, b, c) with a < counts[0], and so on; all different.

    Among any first n of them each part occurs n / count times, rounded up or down.
    """

    counts: Triple
    seed: int

    @property
    def total(self) -> int:
        """How many different triples there are."""
        return prod(self.counts)

    def of(self, index: int) -> Triple:
        """Return triple ``index``; raises IndexError outside of 0 to total - 1."""
        if not 0 <= index < self.total:
            raise IndexError(index)
        # (k, k + u, k + v) counts all three in step: a diagonal, which meets every part equally
        # often. The shifts (u, v) number the diagonals, and these divide all triples among them.
        turn, k = divmod(index, lcm(*self.counts))
        few, many = self._shifts
        # The same in two dimensions: each new diagonal shifts both by another amount.
        u = turn % few
        v = (turn + turn // lcm(few, many)) % many
        u, v = int(self._orders[3][u]), int(self._orders[4][v])
        a, b, c = (
            int(order[(k + shift) % count])
            for order, shift, count in zip(self._orders, (0, u, v), self.counts, strict=False)
        )
        return a, b, c

    @cached_property
    def _shifts(self) -> tuple[int, int]:
        """How many shifts of the second and of the third part give different diagonals."""
        a, b, c = self.counts
        return gcd(a, b), gcd(lcm(a, b), c)

    @cached_property
    def _orders(self) -> list[np.ndarray]:
        """Seeded orders of the three parts and of the two shifts."""
        lengths = (*self.counts, *self._shifts)
        return [rng(self.seed, "assemble", i).permutation(n) for i, n in enumerate(lengths)]
