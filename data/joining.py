"""Groups that turn out to show one part become one."""

from collections import Counter
from collections.abc import Iterable, Sequence


def merged(groups: Sequence[str], links: Iterable[Sequence[int]]) -> list[str]:
    """Return each sample's group once those of linked samples are one.

    groups: by sample. links: samples, by their place, that belong together. A merged group has the
    first name, in order of letters, of those it was made of.
    """
    nearer: dict[str, str] = {}

    def root(group: str) -> str:
        while group in nearer:
            group = nearer[group]
        return group

    for first, *others in links:
        for other in others:
            low, high = sorted((root(groups[first]), root(groups[other])))
            if low != high:
                nearer[high] = low
    return [root(group) for group in groups]


def largest(groups: Sequence[str], links: Iterable[Sequence[int]]) -> int:
    """Return how many groups the largest merged one would be made of."""
    pairs = set(zip(groups, merged(groups, links), strict=True))
    return max(Counter(root for _, root in pairs).values(), default=0)
