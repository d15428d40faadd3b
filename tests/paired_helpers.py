"""Test sets of made-up counts, for comparisons of arms."""

import numpy as np

from flawsmith.evaluate.overlap import Counts


def counts(tp, fp, fn, groups, labels=None, largest=None):
    """Counts of images with these (N, K) pixels; defective unless labels say otherwise."""
    tp, fp, fn = (np.asarray(a, np.int64) for a in (tp, fp, fn))
    n, k = tp.shape
    return Counts(
        classes=tuple("abcdefgh"[:k]),
        ids=tuple(f"i{i}" for i in range(n)),
        groups=tuple(map(str, groups)),
        labels=tuple(labels or ["defective"] * n),
        tp=tp,
        fp=fp,
        fn=fn,
        largest=np.asarray([0] * n if largest is None else largest, np.int64),
    )


def arms(seed=0, groups=12, photos=2, seeds=3, gain=0.1, seed_spread=0.05, k=2):
    """Two arms on the same images; half of the groups are clean. The first arm finds more.

    The share of a defect that a run finds varies with the group, the run, and both.
    """
    g = np.random.default_rng(seed)
    codes = np.repeat(np.arange(groups), photos)
    clean = codes % 2 == 1
    truth = g.integers(50, 400, (len(codes), k)) * ~clean[:, None]
    ease = g.normal(0, 0.1, groups)[codes, None]
    gains = g.normal(0, 0.05, groups)[codes, None]
    found = []
    for shift in (gain, 0.0):
        arm = {}
        for s in range(seeds):
            run = g.normal(0, seed_spread) + g.normal(0, 0.03, truth.shape)
            share = np.clip(0.5 + ease + bool(shift) * gains + shift + run, 0, 1)
            tp = np.round(truth * share).astype(int)
            fp = g.integers(0, 30, truth.shape)
            labels = ["good" if c else "defective" for c in clean]
            arm[s] = counts(tp, fp, truth - tp, codes, labels, g.integers(0, 40, len(codes)))
        found.append(arm)
    return found
