"""Real against real: halves of the real samples that share no physical part, draw after draw.

What such halves differ by is the floor under every distance. A draw depends on its own generator
alone, so neither the number of draws nor their order changes it.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
# Returns a fresh generator of a draw: the same at each call, ``rng(seed, "halving", draw)``.
GeneratorOf = Callable[[int], np.random.Generator]


def half_size(
    groups: Sequence[str], count: int, generator_of: GeneratorOf, parts: int | None = None
) -> int:
    """Return the largest n that all of the ``count`` draws can give: their smallest half.

    groups: the physical part of each sample; parts: as for ``halvings``. Raises ValueError unless
    there are two or more groups, more than ``parts``, and ``count`` is 1 or more.
    """
    if count < 1:
        raise ValueError(f"{count} draws")
    codes = _codes(groups)
    return min(min(map(len, _halves(codes, generator_of(draw), parts))) for draw in range(count))


def halvings(
    groups: Sequence[str],
    count: int,
    generator_of: GeneratorOf,
    n: int | None = None,
    parts: int | None = None,
) -> Iterator[tuple[Indices, Indices]]:
    """Yield ``count`` pairs of halves: the indices of n samples each, no group in both.

    Whole groups, the largest first, the others in random order, join the smaller half; both are
    then cut to n by drawing without replacement. n: default ``half_size``. parts: so many groups
    make up the first half and all others the second, as a test part faces its training part.
    Raises ValueError as ``half_size`` does, and when a draw cannot give n.
    """
    most = half_size(groups, count, generator_of, parts)
    n = most if n is None else n
    if not 1 <= n <= most:
        raise ValueError(f"n = {n}, but halves of {most} can be had")
    codes = _codes(groups)
    for draw in range(count):
        yield _cut_halves(codes, generator_of(draw), n, parts)


def _codes(groups: Sequence[str]) -> Indices:
    """Return the number of each sample's group, counted by first appearance."""
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    if len(numbers) < 2:
        raise ValueError(f"{len(numbers)} groups, where halves need at least 2")
    return np.array([numbers[group] for group in groups])


def _halves(
    codes: Indices, generator: np.random.Generator, parts: int | None
) -> tuple[Indices, Indices]:
    sizes = np.bincount(codes)
    if parts is not None:
        if not 1 <= parts < len(sizes):
            raise ValueError(f"{parts} of {len(sizes)} groups leave none for the other half")
        first = np.isin(codes, generator.permutation(len(sizes))[:parts])
        return np.flatnonzero(first), np.flatnonzero(~first)
    second = np.zeros(len(sizes), bool)
    filled = [0, 0]
    order = generator.permutation(len(sizes))
    # Last, the largest group could fill a half that is full already; the others stay shuffled.
    largest = order[sizes[order].argmax()]
    for group in (largest, *order[order != largest]):
        half = int(filled[1] < filled[0])
        filled[half] += int(sizes[group])
        second[group] = bool(half)
    # The first group always opens one half; a coin says which, so that neither role is favoured.
    second ^= generator.random() < 0.5
    in_second = second[codes]
    return np.flatnonzero(~in_second), np.flatnonzero(in_second)


def _cut_halves(
    codes: Indices, generator: np.random.Generator, n: int, parts: int | None
) -> tuple[Indices, Indices]:
    first, second = _halves(codes, generator, parts)
    return (
        generator.choice(first, n, replace=False),
        generator.choice(second, n, replace=False),
    )
