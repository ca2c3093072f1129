"""Mean and biased variance of the columns of a matrix, and how running ones are kept.

Everything here is accumulated in float64, whatever the dtype of ``x``, and from deviations
about a shift that lies inside the data, never from raw squares: ``E[x^2] - E[x]^2`` has
lost every digit once the mean is 1e8 standard deviations away.

Shapes: ``x`` (n, d) with any strides, statistics (d,), ``sample_weight`` (n,).

References
----------
Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance: analysis and
recommendations", The American Statistician 37(3), 242-247.
Ioffe and Szegedy (2015), "Batch normalization", Algorithms 1 and 2.
"""

from cython cimport floating
from libc.math cimport isnan

import numpy as np

from skbn.kernels._operands import as_floating

# Rows of one block. A block is short enough that its rounding error stays below
# BLOCK_ROWS * eps even when its first row is an outlier, long enough that the division at
# its end costs nothing.
cdef enum:
    BLOCK_ROWS = 256


cdef void _add_deviations(
    double* s1, double* s2,
    const floating* x, const double* shift,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t row_stride,
) noexcept nogil:
    # s1_j += sum_i (x_ij - shift_j), s2_j += sum_i (x_ij - shift_j)^2 over rows whose
    # columns are contiguous. Rows outer, units inner: the sums vectorize over the units
    # with no change of the order of addition. Four rows share one load and store of a sum.
    cdef Py_ssize_t i = 0, j
    cdef double t0, t1, t2, t3
    cdef const floating* x0
    cdef const floating* x1
    cdef const floating* x2
    cdef const floating* x3
    while i + 4 <= n:
        x0 = x + i * row_stride
        x1 = x0 + row_stride
        x2 = x1 + row_stride
        x3 = x2 + row_stride
        for j in range(d):
            t0 = x0[j] - shift[j]
            t1 = x1[j] - shift[j]
            t2 = x2[j] - shift[j]
            t3 = x3[j] - shift[j]
            s1[j] += (t0 + t1) + (t2 + t3)
            s2[j] += (t0 * t0 + t1 * t1) + (t2 * t2 + t3 * t3)
        i += 4
    while i < n:
        x0 = x + i * row_stride
        for j in range(d):
            t0 = x0[j] - shift[j]
            s1[j] += t0
            s2[j] += t0 * t0
        i += 1


cdef void _add_column_deviations(
    double* s1, double* s2,
    const floating* x, const double* shift,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t row_stride, Py_ssize_t column_stride,
) noexcept nogil:
    # The same for columns that lie apart (Fortran order, slices): columns outer.
    cdef Py_ssize_t i, j
    cdef double t, sum1, sum2
    cdef const floating* column
    for j in range(d):
        column = x + j * column_stride
        sum1 = 0.0
        sum2 = 0.0
        for i in range(n):
            t = column[i * row_stride] - shift[j]
            sum1 += t
            sum2 += t * t
        s1[j] += sum1
        s2[j] += sum2


cdef void moments_of_batch(
    double* batch_mean, double* batch_var, double* scratch,
    const floating* x,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t row_stride, Py_ssize_t column_stride,
) noexcept nogil:
    """Mean and biased variance of n >= 1 unweighted rows in one pass over x.

    Block by block with the running mean m of the N rows before it as the shift. With
    ``s1 = sum(x - m)``, ``s2 = sum((x - m)^2)`` over the block's b rows, Chan's merge of the
    block (mean m + s1/b, squares s2 - s1^2/b) collapses to

        m' = m + s1 / (N + b),   M2' = M2 + s2 - s1^2 / (N + b).

    The first block's shift is the first row, so a constant column has exactly variance 0.
    """
    cdef double* s1 = scratch
    cdef double* s2 = scratch + d
    cdef Py_ssize_t start, rows, j
    cdef double total
    cdef const floating* block
    for j in range(d):
        batch_mean[j] = x[j * column_stride]
        batch_var[j] = 0.0
    start = 0
    while start < n:
        rows = min(<Py_ssize_t> BLOCK_ROWS, n - start)
        block = x + start * row_stride
        for j in range(2 * d):
            s1[j] = 0.0
        if column_stride == 1:
            _add_deviations(s1, s2, block, batch_mean, rows, d, row_stride)
        else:
            _add_column_deviations(s1, s2, block, batch_mean, rows, d, row_stride, column_stride)
        total = <double> (start + rows)
        for j in range(d):
            batch_mean[j] += s1[j] / total
            batch_var[j] += s2[j] - s1[j] * (s1[j] / total)
        start += rows
    for j in range(d):
        batch_var[j] = max(batch_var[j], 0.0) / n


cdef void moments_of_weighted(
    double* batch_mean, double* batch_var, double* batch_weight, double* scratch,
    const floating* x, const double* sample_weight,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t row_stride, Py_ssize_t column_stride,
) noexcept nogil:
    """Mean, biased variance and total weight of weighted rows that may hold NaN.

    An entry that is NaN takes no part, nor does a row of weight 0 (so a mask is a weight of
    0 or 1). ``sample_weight`` may be NULL: all 1. In two passes: the mean about the column's
    first entry, then the squares about that mean, corrected for its rounding. A column
    without any entry has mean and variance 0 and weight 0.
    """
    cdef double* s1 = scratch
    cdef double* s2 = scratch + d
    cdef double* shift = scratch + 2 * d
    cdef Py_ssize_t i, j
    cdef double w, t
    cdef const floating* row
    for j in range(d):
        batch_weight[j] = 0.0
        s1[j] = 0.0
        s2[j] = 0.0
        shift[j] = 0.0
    for i in range(n):
        w = 1.0 if sample_weight == NULL else sample_weight[i]
        if w == 0.0:
            continue
        row = x + i * row_stride
        for j in range(d):
            t = row[j * column_stride]
            if isnan(t):
                continue
            if batch_weight[j] == 0.0:
                shift[j] = t
            batch_weight[j] += w
            s1[j] += w * (t - shift[j])
    for j in range(d):
        if batch_weight[j] > 0.0:
            batch_mean[j] = shift[j] + s1[j] / batch_weight[j]
        else:
            batch_mean[j] = 0.0
        s1[j] = 0.0
    for i in range(n):
        w = 1.0 if sample_weight == NULL else sample_weight[i]
        if w == 0.0:
            continue
        row = x + i * row_stride
        for j in range(d):
            # The entry itself is asked: less an infinite mean, infinity is NaN too.
            if isnan(row[j * column_stride]):
                continue
            t = row[j * column_stride] - batch_mean[j]
            s1[j] += w * t
            s2[j] += w * t * t
    for j in range(d):
        if batch_weight[j] > 0.0:
            t = s1[j] / batch_weight[j]
            batch_mean[j] += t
            batch_var[j] = max(s2[j] / batch_weight[j] - t * t, 0.0)
        else:
            batch_var[j] = 0.0


cdef void moments_merge(
    double* mean, double* var, double* weight,
    const double* batch_mean, const double* batch_var, const double* batch_weight,
    Py_ssize_t d,
) noexcept nogil:
    """Moments of two disjoint sets of rows together, exact (Chan et al., equation 2.1).

    With f = w_b / (w + w_b) and delta = mean_b - mean:
    mean' = mean + f delta,  var' = (1 - f) var + f var_b + f (1 - f) delta^2.
    """
    cdef Py_ssize_t j
    cdef double total, fraction, delta
    for j in range(d):
        if batch_weight[j] == 0.0:
            continue
        if weight[j] == 0.0:
            mean[j] = batch_mean[j]
            var[j] = batch_var[j]
            weight[j] = batch_weight[j]
            continue
        total = weight[j] + batch_weight[j]
        fraction = batch_weight[j] / total
        delta = batch_mean[j] - mean[j]
        mean[j] += fraction * delta
        var[j] += fraction * ((batch_var[j] - var[j]) + delta * delta * (weight[j] / total))
        weight[j] = total


cdef void moments_update_running(
    double* running_mean, double* running_var,
    const double* batch_mean, const double* batch_var,
    Py_ssize_t d,
    double momentum,
) noexcept nogil:
    """Exponential running averages; ``momentum`` is the weight of the newest batch."""
    cdef Py_ssize_t j
    for j in range(d):
        running_mean[j] += momentum * (batch_mean[j] - running_mean[j])
        running_var[j] += momentum * (batch_var[j] - running_var[j])


def _as_matrix(x):
    x = as_floating("x", x)
    if x.ndim != 2:
        raise ValueError(f"x must have shape (n, d), got {x.ndim} dimension(s)")
    return x


def batch_moments(x):
    """Mean and biased variance of the columns of a batch.

    Parameters
    ----------
    x : ndarray of shape (n, d), any strides
        The batch, float32 or float64, without NaN, n >= 1.

    Returns
    -------
    batch_mean, batch_var : ndarray of shape (d,), float64

    Raises
    ------
    ValueError
        If `x` has no row, or is not a matrix of float32 or float64.
    """
    x = _as_matrix(x)
    if x.shape[0] == 0:
        raise ValueError("moments of 0 rows are not defined")
    mean = np.zeros(x.shape[1])
    var = np.zeros(x.shape[1])
    if x.shape[1] > 0:
        _batch_moments(mean, var, np.empty(MOMENT_SCRATCH * x.shape[1]), x)
    return mean, var


def _batch_moments(double[::1] mean, double[::1] var, double[::1] scratch, const floating[:, :] x):
    cdef Py_ssize_t row_stride = x.strides[0] // <Py_ssize_t> sizeof(floating)
    cdef Py_ssize_t column_stride = x.strides[1] // <Py_ssize_t> sizeof(floating)
    with nogil:
        moments_of_batch(&mean[0], &var[0], &scratch[0], &x[0, 0],
                         x.shape[0], x.shape[1], row_stride, column_stride)


def weighted_moments(x, sample_weight=None):
    """Mean, biased variance and total weight of the columns of a weighted batch.

    NaN entries and rows of weight 0 take no part: a mask is a weight of 0 or 1.

    Parameters
    ----------
    x : ndarray of shape (n, d), any strides
        The batch, float32 or float64.
    sample_weight : ndarray of shape (n,), default=None
        Weights >= 0 of the rows, float64. ``None``: all 1.

    Returns
    -------
    batch_mean, batch_var : ndarray of shape (d,), float64
        0 in a column without an entry.
    batch_weight : ndarray of shape (d,), float64
        Total weight of the entries of each column.

    Raises
    ------
    ValueError
        If `x` is not a matrix of float32 or float64, or the lengths differ.
    """
    x = _as_matrix(x)
    d = x.shape[1]
    if sample_weight is not None:
        sample_weight = np.ascontiguousarray(sample_weight, dtype=np.float64)
        if sample_weight.shape != (x.shape[0],):
            raise ValueError(
                f"sample_weight has shape {sample_weight.shape}, x has {x.shape[0]} rows"
            )
    mean, var, weight = np.zeros(d), np.zeros(d), np.zeros(d)
    if x.size > 0:
        _weighted_moments(mean, var, weight, np.empty(MOMENT_SCRATCH * d), x, sample_weight)
    return mean, var, weight


def _weighted_moments(
    double[::1] mean, double[::1] var, double[::1] weight, double[::1] scratch,
    const floating[:, :] x, const double[::1] sample_weight,
):
    cdef Py_ssize_t row_stride = x.strides[0] // <Py_ssize_t> sizeof(floating)
    cdef Py_ssize_t column_stride = x.strides[1] // <Py_ssize_t> sizeof(floating)
    cdef const double* weights = NULL
    if sample_weight is not None:
        weights = &sample_weight[0]
    with nogil:
        moments_of_weighted(&mean[0], &var[0], &weight[0], &scratch[0], &x[0, 0], weights,
                            x.shape[0], x.shape[1], row_stride, column_stride)


def _check_statistics(*arrays):
    if len({array.shape[0] for array in arrays}) != 1:
        raise ValueError("statistics must have one length, got "
                         + ", ".join(str(array.shape[0]) for array in arrays))


def merge(
    double[::1] mean, double[::1] var, double[::1] weight,
    const double[::1] batch_mean, const double[::1] batch_var, const double[::1] batch_weight,
):
    """Merge the moments of a batch into those of the rows before it, exactly and in place.

    Parameters
    ----------
    mean, var, weight : ndarray of shape (d,), float64, C-ordered
        Mean, biased variance and total weight so far; changed in place.
    batch_mean, batch_var, batch_weight : ndarray of shape (d,), float64, C-ordered
        Those of the batch.

    Raises
    ------
    ValueError
        If the lengths differ.

    References
    ----------
    Chan, Golub and LeVeque (1983), equation 2.1.
    """
    _check_statistics(mean, var, weight, batch_mean, batch_var, batch_weight)
    if mean.shape[0] > 0:
        moments_merge(&mean[0], &var[0], &weight[0], &batch_mean[0], &batch_var[0],
                      &batch_weight[0], mean.shape[0])


def update_running(
    double[::1] running_mean, double[::1] running_var,
    const double[::1] batch_mean, const double[::1] batch_var,
    double momentum,
):
    """Update exponential running averages in place.

    ``running = (1 - momentum) * running + momentum * batch``: `momentum` is the weight of
    the **newest** batch, as in PyTorch (Keras's ``momentum`` is ``1 - momentum``).

    Parameters
    ----------
    running_mean, running_var : ndarray of shape (d,), float64, C-ordered
        Changed in place.
    batch_mean, batch_var : ndarray of shape (d,), float64, C-ordered
        Those of the newest batch.
    momentum : float
        Weight of the newest batch, in [0, 1].

    Raises
    ------
    ValueError
        If the lengths differ.
    """
    _check_statistics(running_mean, running_var, batch_mean, batch_var)
    if running_mean.shape[0] > 0:
        moments_update_running(&running_mean[0], &running_var[0], &batch_mean[0],
                               &batch_var[0], running_mean.shape[0], momentum)
