"""The Frechet distance between two sets of features, each taken for a Gaussian."""

import numpy as np

from flawsmith.evaluate.neighbours import Features, Rows, as_pair


def frechet_distance(a: Features, b: Features) -> float:
    """Return |mu_a - mu_b|^2 + tr(S_a) + tr(S_b) - 2 tr((S_a S_b)^(1/2)), never below 0.

    a: (N, D), b: (M, D), finite; S with divisor N - 1. Heusel et al. 2017, eq. 6: the *squared*
    distance, as FID is reported. Samples of one distribution are far from 0 unless N is many
    times D. Rounding stays below 1e-14 of tr(S_a) + tr(S_b): at most that is what a set has to
    itself. Raises ValueError below 2 samples, for different D, and for NaN or infinity.
    """
    first, second = as_pair(a, b, least=2)
    centre, other = first.mean(axis=0), second.mean(axis=0)
    first, second = _root(first - centre), _root(second - other)
    shift = centre - other
    # With S_a = A'A and S_b = B'B the eigenvalues of S_a S_b are the squared singular values of
    # A B': the trace of its root is their sum. Real and not negative whatever the rounding, where
    # the root of the D x D product itself can turn complex.
    shared = np.linalg.svd(first @ second.T, compute_uv=False).sum()
    distance = shift @ shift + (first**2).sum() + (second**2).sum() - 2 * shared
    return max(0.0, float(distance))


def _root(centred: Rows) -> Rows:
    """Return A with A'A = the covariance of the centred (N, D) rows: (min(N, D), D)."""
    count, dimensions = centred.shape
    if count > dimensions:
        centred = np.asarray(np.linalg.qr(centred, mode="r"))
    scaled: Rows = centred / np.sqrt(count - 1)
    return scaled
