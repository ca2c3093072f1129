"""Exact moments of the columns of a table without gaps, merged over calls."""

from functools import reduce

import numpy as np
from scipy.sparse import issparse

from skbn.estimators.row_parts import LARGE_BYTES, blocks, fixed_parts, side_by_side
from skbn.kernels import merging, moments

EPS = np.finfo(np.float64).eps

# The words of scikit-learn's error. Callers may search for them.
NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and"
    " need to be preprocessed."
)


# Variances below this bound, of means below the other bound, may have lost digits, or be 0.
LEAST_VARIANCE, LEAST_MEAN = 1e-290, 1e-140

# No entry of such a column of up to 1e18 rows is larger.
LEAST_ENTRY = 1e-130

# Number of entries of a sparse table that are processed together: some megabytes.
ENTRIES = 1 << 20


def column_moments(X, sample_weight=None, name="X", numbers=None):
    """Mean, biased variance and total weight of the columns of X, each of shape (d,), float64.

    Parameters
    ----------
    X : ndarray of shape (n, d), or CSR matrix or array
        float32 or float64; finite.
    sample_weight : ndarray of shape (n,), float64, default=None
    name : str, default="X"
        The name of `X` in errors.
    numbers : ndarray of shape (n,), intp, default=None
        The rows of a dense X that count; ``None``: all. The weights are weights of these rows.

    Raises
    ------
    ValueError
        If squares of a column leave the range of float64.
    """
    if issparse(X):
        mean, var, weight = _sparse_moments(X, sample_weight)
    else:
        n = X.shape[0] if numbers is None else len(numbers)

        def moments_of(rows):
            part = X[rows if numbers is None else numbers[rows]]
            if sample_weight is not None:
                return moments.weighted_moments(part, sample_weight[rows])
            mean, var = moments.batch_moments(part)
            return mean, var, np.full(X.shape[1], float(rows.stop - rows.start))

        def moments_by_blocks(rows):
            # Rows with given numbers are copied. A large part is copied block by block.
            n_bytes = (rows.stop - rows.start) * X.shape[1] * X.itemsize
            pieces = blocks(rows.stop - rows.start, n_bytes, LARGE_BYTES)
            shifted = [slice(rows.start + b.start, rows.start + b.stop) for b in pieces]
            return reduce(_merged, map(moments_of, shifted))

        parts = side_by_side(
            moments_of if numbers is None else moments_by_blocks,
            fixed_parts(n, n * X.shape[1] * X.itemsize),
        )
        mean, var, weight = reduce(_merged, parts)
    _refuse_extremes(name, mean, var, too_small(mean, var, X, numbers))
    return mean, var, weight


def _sparse_moments(X, sample_weight):
    """`column_moments` of a sparse table, by two passes over its entries. All else is 0.

    Let m be the mean of column j, W the total weight of all rows, and W_j the total weight of the
    entries of the column. The variance is (sum w (x - m)^2 + (W - W_j) m^2) / W - e^2. Here e is
    the mean of x - m, which is not 0 because of rounding (Chan et al. 1983, the corrected two-pass
    algorithm).
    """
    n, d = X.shape
    total = float(n) if sample_weight is None else sample_weight.sum()
    # Parts of whole rows with about this number of entries. The weights of rows are repeated.
    ends = np.searchsorted(X.indptr, np.arange(ENTRIES, X.nnz, ENTRIES))
    bounds = np.unique(np.concatenate([[0], ends, [n]]))

    def over_entries(function):
        result = np.zeros(d)
        for rows in map(slice, bounds[:-1], bounds[1:]):
            starts = X.indptr[rows.start : rows.stop + 1]
            entries = slice(starts[0], starts[-1])
            columns = X.indices[entries]
            values = function(X.data[entries].astype(np.float64), columns)
            if sample_weight is not None:
                values *= np.repeat(sample_weight[rows], np.diff(starts))
            result += np.bincount(columns, values, minlength=d)
        return result

    counts = np.bincount(X.indices, minlength=d)
    with np.errstate(over="ignore", invalid="ignore"):
        # Exactly 0 if every row has an entry. A rounding error would be multiplied by m^2.
        present = counts
        if sample_weight is not None:
            present = over_entries(lambda x, columns: np.ones(len(x)))
        absent = np.where(counts == n, 0.0, np.maximum(total - present, 0.0))
        mean = over_entries(lambda x, columns: x) / total
        left = (over_entries(lambda x, columns: x - mean[columns]) - absent * mean) / total
        squares = over_entries(lambda x, columns: np.square(x - mean[columns]))
        var = np.maximum((squares + absent * mean**2) / total - left**2, 0.0)
    return mean + left, var, np.full(d, total)


def _refuse_extremes(name, mean, var, tiny):
    # `tiny`: a mask of the columns whose squares are too small, from `too_small` or `lost`.
    finite = np.isfinite(mean) & np.isfinite(var)
    if tiny.any() or not finite.all():
        first = np.argmax(tiny | ~finite)
        columns = "" if len(mean) == 1 else f" in column {first}"
        is_huge = not finite[first]
        size = "large or too far apart" if is_huge else "small or too close together"
        raise ValueError(
            (f"{NON_FINITE} The loss was not taken: " if is_huge else "")
            + f"{name} has numbers{columns} that are too {size}, and their squares leave the range "
            "of float64. Try other units, so that they lie between 1e-140 and 1e150."
        )


def may_be_too_small(mean, var, dtype):
    """Columns that are constant or `too_small`: a mask of shape (d,)."""
    if dtype != np.float64:
        return np.zeros(var.shape, bool)
    suspects = var < LEAST_VARIANCE
    return suspects & (np.abs(mean) < LEAST_MEAN) if suspects.any() else suspects


def too_small(mean, var, X, numbers=None):
    """Columns that vary by numbers so small that their squares are 0: a mask of shape (d,).

    `numbers` are the rows of a dense X that mean and variance belong to; ``None``: all rows.
    """
    suspects = may_be_too_small(mean, var, X.dtype)
    if not suspects.any():
        return suspects
    if issparse(X) and not _has_tiny_entry(X.data):
        return np.zeros_like(suspects)
    chosen = np.flatnonzero(suspects)
    if issparse(X):
        columns = X[:, chosen]
        varies = columns.max(axis=0).toarray() != columns.min(axis=0).toarray()
    else:
        n = len(X) if numbers is None else len(numbers)
        low, high = np.full((2, len(chosen)), [[np.inf], [-np.inf]])
        for rows in blocks(n, n * X.shape[1] * X.itemsize):
            block = X[rows if numbers is None else numbers[rows]][:, chosen]
            # NaN are ignored.
            np.fmin(low, np.fmin.reduce(block, axis=0), out=low)
            np.fmax(high, np.fmax.reduce(block, axis=0), out=high)
        varies = high > low
    suspects[suspects] = np.ravel(varies)
    return suspects


def _has_tiny_entry(entries):
    # A column that is too small has only tiny entries. Most tables have empty columns, but no tiny
    # entries.
    sizes = np.abs(entries)
    return bool(((sizes > 0.0) & (sizes < LEAST_ENTRY)).any())


def lost(mean, var, before):
    """Columns that varied only between calls, by numbers whose squares are 0: a mask.

    Parameters
    ----------
    mean, var : ndarray of shape (m,)
        Moments of all calls.
    before : ndarray of shape (m,)
        The means without the last call.
    """
    # The mean of equal numbers is exactly this number, also for a sparse column.
    return may_be_too_small(mean, var, np.dtype(np.float64)) & (mean != before)


def merged(previous, batch, name="What was given up to now"):
    """Moments of the rows of `previous` and `batch`, both from `column_moments`.

    ``None`` as `previous` stands for no rows. Errors say that the rows of both are `name`.

    Raises
    ------
    ValueError
        If squares of the difference of the means leave the range of float64.
    """
    if previous is None:
        return batch
    mean, var, weight = _merged(previous, batch)
    _refuse_extremes(name, mean, var, lost(mean, var, previous[0]))
    return mean, var, weight


def _merged(previous, batch):
    result = tuple(array.copy() for array in previous)
    merging.merge(*result, *batch)
    return result


def divisor(mean, var, weight, epsilon):
    """The divisor of ``x - mean``: ``sqrt(var + epsilon)``, and 1 in a constant column.

    A column is constant if rounding alone could have caused its variance. The bound is the bound of
    StandardScaler (Chan et al. 1983).

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
