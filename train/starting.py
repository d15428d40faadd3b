"""First weights that depend on a seed alone: torch's layers draw theirs from global state."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from flawsmith.seeding import rng


@contextmanager
def starting_from(seed: int, *key: int | str) -> Iterator[None]:
    """Let layers that are built inside draw from ``(seed, *key)``; the global state comes back.

    Only the CPU's generator is touched, so networks are built there and moved afterwards.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(rng(seed, *key).integers(2**63)))
        yield
