"""Exact moments of the columns of a table, merged over calls, and the divisors from them."""

import numpy as np

from skbn.kernels import moments


def is_constant(mean, var, weight):
    """Whether a column cannot be told from a constant one.

    The bound is that of the rounding error of a two-pass variance (Chan, Golub and LeVeque
    1983): what lies below it may be noise alone, and dividing by it would blow that up. It is
    the one of scikit-learn's ``StandardScaler``.
    """
    eps = np.finfo(np.float64).eps
    return var <= weight * eps * var + (weight * mean * eps) ** 2


def column_moments(X, sample_weight=None):
    """Mean, biased variance and total weight of the columns of X, each of shape (d,), float64."""
    if sample_weight is not None:
        return moments.weighted_moments(X, sample_weight)
    mean, var = moments.batch_moments(X)
    return mean, var, np.full(X.shape[1], float(X.shape[0]))


def merged(previous, batch):
    """Moments of the rows of both; `previous` is ``None`` or as from `column_moments`."""
    if previous is None:
        return batch
    result = tuple(array.copy() for array in previous)
    moments.merge(*result, *batch)
    return result


def standard_deviation(mean, var, weight):
    """Root of the variance, 1 for a constant column."""
    return np.where(is_constant(mean, var, weight), 1.0, np.sqrt(var))
