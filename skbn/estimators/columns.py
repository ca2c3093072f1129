"""Exact moments of the columns of a table without gaps, merged over calls."""

import numpy as np

from skbn.kernels import moments


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
