"""Exact moments of the columns of a table without gaps, merged over calls."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from skbn.kernels import moments


def column_moments(X, sample_weight=None):
    """Mean, biased variance and total weight of the columns of X, each of shape (d,), float64."""
    if issparse(X):
        mean, var, weight = mean_variance_axis(
            X, axis=0, weights=sample_weight, return_sum_weights=True
        )
        return tuple(
            np.broadcast_to(values, X.shape[1]).astype(np.float64) for values in (mean, var, weight)
        )
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
