"""Random generators derived from a seed and a key: never from global state.

Sample ``i`` of a job depends on ``(seed, i)`` alone, so the result does not depend on how many
workers share the job or how often it was restarted.
"""

import hashlib

import numpy as np


def rng(seed: int, *key: int | str) -> np.random.Generator:
    """Return the generator of ``(seed, *key)``; string parts name independent streams.

    ``rng(7, "paste", 12)`` is sample 12 of the job "paste" with seed 7.
    """
    return np.random.default_rng(np.random.SeedSequence([seed, *(_as_int(part) for part in key)]))


def _as_int(part: int | str) -> int:
    if isinstance(part, str):
        return int.from_bytes(hashlib.sha256(part.encode()).digest()[:8], "big")
    return part
