"""Exact moments of the columns of a table without gaps, merged over calls."""

from functools import reduce

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from skbn.estimators.row_parts import fixed_parts, side_by_side
from skbn.kernels import moments

EPS = np.finfo(np.float64).eps


def column_moments(X, sample_weight=None):
    """Mean, biased variance and total weight of the columns of X, each of shape (d,), float64."""
    if issparse(X):
        mean, var, weight = mean_variance_axis(
            X, axis=0, weights=sample_weight, return_sum_weights=True
        )
        return tuple(
            np.broadcast_to(values, X.shape[1]).astype(np.float64) for values in (mean, var, weight)
        )

    def moments_of(rows):
        if sample_weight is not None:
            return moments.weighted_moments(X[rows], sample_weight[rows])
        mean, var = moments.batch_moments(X[rows])
        return mean, var, np.full(X.shape[1], float(rows.stop - rows.start))

    return reduce(merged, side_by_side(moments_of, fixed_parts(X.shape[0], X.nbytes)))


def merged(previous, batch):
    """Moments of the rows of both; `previous` is ``None`` or as from `column_moments`."""
    if previous is None:
        return batch
    result = tuple(array.copy() for array in previous)
    moments.merge(*result, *batch)
    return result


def divisor(mean, var, weight, epsilon):
    """What ``x - mean`` is divided by: ``sqrt(var + epsilon)``, and 1 in a constant column.

    The bound is StandardScaler's: a variance that rounding alone could have left behind is
    none (Chan et al. 1983).

    Parameters
    ----------
    mean, var : ndarray of shape (m,)
    weight : float or ndarray of shape (m,)
        Total weight of the entries behind each column.
    epsilon : float

    Returns
    -------
    divisor : ndarray of shape (m,)
    """
    with np.errstate(over="ignore", invalid="ignore"):
        bound = weight * EPS * var + (weight * mean * EPS) ** 2
        constant = (var <= bound) & np.isfinite(var)
        return np.where(constant, 1.0, np.sqrt(var + epsilon))
