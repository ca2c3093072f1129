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
from libc.math cimport NAN, isinf, isnan

import numpy as np

from skbn.kernels._operands import (
    as_floating, as_real, as_weights, check_floating, check_share, check_weights,
)

# Rows of one block. A block is short enough that its rounding error stays below
# BLOCK_ROWS * eps even when its first row is an outlier, long enough that the division at
# its end costs nothing.
cdef enum:
    BLOCK_ROWS = 256

# The loops that read a whole array: compiled for several instruction sets where GCC can
# choose among them at run time, and asking for the cache lines PREFETCH_BYTES ahead, since
# the hardware alone keeps too few reads in flight beside this much arithmetic.
cdef extern from *:
    """
    #include "simd.h"
    #define DEVIATIONS(T) \
        (double*, double*, const T*, const double*, Py_ssize_t, Py_ssize_t, Py_ssize_t)
    #define COLUMN(T) (double*, double*, const T*, double, Py_ssize_t, Py_ssize_t)
    #define VALID(T) \
        (double*, double*, double*, const T*, const double*, const double*, \
         Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t)
    SKBN_CLONE_BOTH(void, skbn_add_deviations, DEVIATIONS)
    SKBN_CLONE_BOTH(void, skbn_add_column_deviations, COLUMN)
    SKBN_CLONE_BOTH(void, skbn_add_valid, VALID)
    """
    void prefetch "SKBN_PREFETCH"(const void* address) noexcept nogil

cdef enum:
    PREFETCH_BYTES = 4096
    CACHE_LINE = 64
    LANES = 16


cdef void _add_deviations "skbn_add_deviations"(
    double* s1, double* s2,
    const floating* x, const double* shift,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t row_stride,
) noexcept nogil:
    # s1_j += sum_i (x_ij - shift_j), s2_j += sum_i (x_ij - shift_j)^2 over rows whose
    # columns are contiguous. Rows outer, units inner: the sums vectorize over the units
    # with no change of the order of addition. Rows share one load and store of a sum: four
    # of float32, but two of float64, where more streams than that outrun the prefetching.
    cdef Py_ssize_t i = 0, j, line
    cdef double t0, t1, t2, t3
    cdef const floating* x0
    cdef const floating* x1
    cdef const floating* x2
    cdef const floating* x3
    cdef Py_ssize_t row_bytes = d * <Py_ssize_t> sizeof(floating)
    if floating is float:
        while i + 4 <= n:
            x0 = x + i * row_stride
            x1 = x0 + row_stride
            x2 = x1 + row_stride
            x3 = x2 + row_stride
            for line in range(4 * row_bytes // CACHE_LINE + 1):
                prefetch(<const char*> x0 + line * CACHE_LINE + PREFETCH_BYTES)
            for j in range(d):
                t0 = x0[j] - shift[j]
                t1 = x1[j] - shift[j]
                t2 = x2[j] - shift[j]
                t3 = x3[j] - shift[j]
                s1[j] += (t0 + t1) + (t2 + t3)
                s2[j] += (t0 * t0 + t1 * t1) + (t2 * t2 + t3 * t3)
            i += 4
    else:
        while i + 2 <= n:
            x0 = x + i * row_stride
            x1 = x0 + row_stride
            for line in range(2 * row_bytes // CACHE_LINE + 1):
                prefetch(<const char*> x0 + line * CACHE_LINE + PREFETCH_BYTES)
            for j in range(d):
                t0 = x0[j] - shift[j]
                t1 = x1[j] - shift[j]
                s1[j] += t0 + t1
                s2[j] += t0 * t0 + t1 * t1
            i += 2
    while i < n:
        x0 = x + i * row_stride
        for j in range(d):
            t0 = x0[j] - shift[j]
            s1[j] += t0
            s2[j] += t0 * t0
        i += 1


cdef void _add_column_deviations "skbn_add_column_deviations"(
    double* s1, double* s2,
    const floating* column, double shift,
    Py_ssize_t n, Py_ssize_t row_stride,
) noexcept nogil:
    # The same for one column. Where its rows are contiguous (Fortran order) LANES partial
    # sums vectorize over the rows and are added up at the end.
    cdef Py_ssize_t i = 0, k
    cdef double t, total1 = 0.0, total2 = 0.0
    cdef double[LANES] sum1
    cdef double[LANES] sum2
    if row_stride == 1 and n >= LANES:
        for k in range(LANES):
            sum1[k] = 0.0
            sum2[k] = 0.0
        while i + LANES <= n:
            prefetch(column + i + PREFETCH_BYTES // <Py_ssize_t> sizeof(floating))
            prefetch(column + i + (PREFETCH_BYTES + CACHE_LINE) // <Py_ssize_t> sizeof(floating))
            for k in range(LANES):
                t = column[i + k] - shift
                sum1[k] += t
                sum2[k] += t * t
            i += LANES
        for k in range(LANES):
            total1 += sum1[k]
            total2 += sum2[k]
    while i < n:
        t = column[i * row_stride] - shift
        total1 += t
        total2 += t * t
        i += 1
    s1[0] += total1
    s2[0] += total2


cdef inline void _add_to_pair(double* high, double* low, double change) noexcept nogil:
    # high + low += change without rounding (Knuth's two-sum); |low| <= half an ulp of high.
    cdef double step = low[0] + change
    cdef double total = high[0] + step
    cdef double part = total - high[0]
    low[0] = (high[0] - (total - part)) + (step - part)
    high[0] = total


cdef inline bint _is_columnwise(Py_ssize_t row_stride, Py_ssize_t column_stride) noexcept nogil:
    # Whether walking down a column touches nearer memory than walking along a row.
    return row_stride * row_stride < column_stride * column_stride


cdef void moments_about(
    double* batch_mean, double* batch_var, double* scratch,
    const floating* x,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t row_stride, Py_ssize_t column_stride,
) noexcept nogil:
    """Mean and biased variance of n >= 1 unweighted rows in one pass over x.

    ``batch_mean`` holds on entry a number of about the size of the column's: the shift of the
    first block. Every later block's shift is the running mean m of the N rows before it. With
    ``s1 = sum(x - m)``, ``s2 = sum((x - m)^2)`` over the block's b rows, Chan's merge of the
    block (mean m + s1/b, squares s2 - s1^2/b) collapses to

        m' = m + s1 / (N + b),   M2' = M2 + s2 - s1^2 / (N + b),

    which holds for the first block too. m is kept as a pair of doubles: the returned mean is
    rounded once, however many blocks, and what it lost is left in the last d of ``scratch``'s
    MOMENT_SCRATCH d. A column with NaN or infinity gives a mean or a
    variance that is not finite.
    """
    cdef double* s1 = scratch
    cdef double* s2 = scratch + d
    cdef double* low = scratch + 2 * d
    cdef Py_ssize_t start, rows, j
    cdef double total, first, square
    cdef const floating* block
    cdef double[MOMENT_SCRATCH] of_column
    if d > 1 and _is_columnwise(row_stride, column_stride):
        for j in range(d):
            moments_about(batch_mean + j, batch_var + j, &of_column[0], x + j * column_stride,
                          n, 1, row_stride, column_stride)
            low[j] = of_column[2]
        return
    for j in range(d):
        batch_var[j] = 0.0
        low[j] = 0.0
    start = 0
    while start < n:
        rows = min(<Py_ssize_t> BLOCK_ROWS, n - start)
        block = x + start * row_stride
        for j in range(2 * d):
            s1[j] = 0.0
        if column_stride == 1 and d > 1:
            _add_deviations(s1, s2, block, batch_mean, rows, d, row_stride)
        else:
            for j in range(d):
                _add_column_deviations(s1 + j, s2 + j, block + j * column_stride,
                                       batch_mean[j], rows, row_stride)
        total = <double> (start + rows)
        for j in range(d):
            # The sums are about the upper half of m: move them to m.
            first = s1[j] - rows * low[j]
            square = s2[j] - low[j] * (2.0 * s1[j] - rows * low[j])
            batch_var[j] += square - first * (first / total)
            _add_to_pair(batch_mean + j, low + j, first / total)
        start += rows
    for j in range(d):
        batch_var[j] = max(batch_var[j], 0.0) / n


cdef void moments_of_batch(
    double* batch_mean, double* batch_var, double* scratch,
    const floating* x,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t row_stride, Py_ssize_t column_stride,
) noexcept nogil:
    """``moments_about`` the first row: one pass, and a constant column has variance 0."""
    cdef Py_ssize_t j
    for j in range(d):
        batch_mean[j] = x[j * column_stride]
    moments_about(batch_mean, batch_var, scratch, x, n, d, row_stride, column_stride)


cdef void moments_of_table(
    double* batch_mean, double* batch_var, double* scratch,
    const floating* x,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t row_stride, Py_ssize_t column_stride,
) noexcept nogil:
    """``moments_about`` the mean of the first block, which is read twice for it.

    A first row far from the mean, as in sorted columns, costs the variance a few digits;
    this saves them. In a batch of one block it doubles the work.
    """
    moments_of_batch(batch_mean, batch_var, scratch, x, min(<Py_ssize_t> BLOCK_ROWS, n), d,
                     row_stride, column_stride)
    moments_about(batch_mean, batch_var, scratch, x, n, d, row_stride, column_stride)


cdef void _add_valid "skbn_add_valid"(
    double* s0, double* s1, double* s2,
    const floating* x, const double* shift, const double* sample_weight,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t row_stride, Py_ssize_t column_stride,
) noexcept nogil:
    # s0, s1, s2 += the sums of w, w (x - shift), w (x - shift)^2 over entries that are not
    # NaN. NaN is the one value that differs from itself; it becomes an entry 0 of weight 0,
    # so the loop has no jumps. The entry itself is asked: less an infinite shift, infinity is
    # NaN too.
    cdef Py_ssize_t i, j
    cdef double w, v, t, e, sum0 = 0.0, sum1 = 0.0, sum2 = 0.0
    cdef const floating* row
    if d == 1:
        for i in range(n):
            v = 1.0 if sample_weight == NULL else sample_weight[i]
            if v == 0.0:
                continue
            e = x[i * row_stride]
            t = e - shift[0]
            v = v if e == e else 0.0
            t = t if e == e else 0.0
            sum0 += v
            sum1 += v * t
            sum2 += v * t * t
        s0[0] += sum0
        s1[0] += sum1
        s2[0] += sum2
        return
    for i in range(n):
        w = 1.0 if sample_weight == NULL else sample_weight[i]
        if w == 0.0:
            continue
        row = x + i * row_stride
        for j in range(d):
            e = row[j * column_stride]
            t = e - shift[j]
            v = w if e == e else 0.0
            t = t if e == e else 0.0
            s0[j] += v
            s1[j] += v * t
            s2[j] += v * t * t


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
    cdef Py_ssize_t i, j, missing
    cdef double t
    if d > 1 and _is_columnwise(row_stride, column_stride):
        for j in range(d):
            moments_of_weighted(batch_mean + j, batch_var + j, batch_weight + j, scratch,
                                x + j * column_stride, sample_weight, n, 1, row_stride,
                                column_stride)
        return
    for j in range(d):
        shift[j] = NAN
    # Almost always the first row has an entry in every column.
    missing = d
    i = 0
    while i < n and missing > 0:
        if sample_weight == NULL or sample_weight[i] != 0.0:
            for j in range(d):
                t = x[i * row_stride + j * column_stride]
                if isnan(shift[j]) and not isnan(t):
                    shift[j] = t
                    missing -= 1
        i += 1
    for j in range(d):
        batch_weight[j] = 0.0
        s1[j] = 0.0
        s2[j] = 0.0
    _add_valid(batch_weight, s1, s2, x, shift, sample_weight, n, d, row_stride, column_stride)
    for j in range(d):
        batch_mean[j] = shift[j] + s1[j] / batch_weight[j] if batch_weight[j] > 0.0 else 0.0
        s1[j] = 0.0
        s2[j] = 0.0
    # The weights are known by now: what this pass adds up of them is not used.
    _add_valid(shift, s1, s2, x, batch_mean, sample_weight, n, d, row_stride, column_stride)
    for j in range(d):
        if batch_weight[j] > 0.0:
            t = s1[j] / batch_weight[j]
            batch_mean[j] += t
            batch_var[j] = s2[j] / batch_weight[j]
            if isinf(batch_mean[j]) or isnan(batch_mean[j]):
                batch_var[j] = NAN
            elif not isinf(batch_var[j]):
                batch_var[j] = max(batch_var[j] - t * t, 0.0)
        else:
            batch_var[j] = 0.0


cdef void moments_without_rounding(
    double* var, const double* mean, Py_ssize_t d, double precision,
) noexcept nogil:
    """Set a variance to 0 that is not more than rounding leaves behind.

    Rows that are equal come out of a matrix product unequal by some roundings, since not all
    rows go through the same code. What is rounded are sums of terms as large as the columns
    are on the whole, so the bound is (16 precision)^2 (mean_j^2 + the mean of all mean_k^2)
    for numbers of that relative precision.
    """
    cdef Py_ssize_t j
    cdef double square = 0.0, bound = 256.0 * precision * precision
    for j in range(d):
        square += mean[j] * mean[j]
    square /= d
    for j in range(d):
        if var[j] <= bound * (mean[j] * mean[j] + square):
            var[j] = 0.0


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


cdef void moments_merge_pairs(
    double* mean, double* var, double* weight,
    const double* batch_mean, const double* batch_var, const double* batch_weight,
    Py_ssize_t d,
) noexcept nogil:
    """``moments_merge`` whose means and variances are pairs of doubles.

    ``mean`` and ``var`` hold 2 d values: the numbers, then what was lost when they were
    rounded. So a stream of a million single rows ends where one batch of them does.
    """
    cdef Py_ssize_t j
    cdef double total, fraction, delta, change
    for j in range(d):
        if batch_weight[j] == 0.0:
            continue
        if weight[j] == 0.0:
            mean[j] = batch_mean[j]
            mean[d + j] = batch_mean[d + j]
            var[j] = batch_var[j]
            var[d + j] = batch_var[d + j]
            weight[j] = batch_weight[j]
            continue
        total = weight[j] + batch_weight[j]
        fraction = batch_weight[j] / total
        delta = (batch_mean[j] - mean[j]) + (batch_mean[d + j] - mean[d + j])
        change = (batch_var[j] - var[j]) + (batch_var[d + j] - var[d + j])
        change = fraction * (change + delta * delta * (weight[j] / total))
        _add_to_pair(mean + j, mean + d + j, fraction * delta)
        _add_to_pair(var + j, var + d + j, change)
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
    mean, var = batch_moment_pairs(x)
    return mean[0], var


def batch_moment_pairs(x):
    """``batch_moments``, each mean with what it lost when it was rounded.

    Parts of a table that are merged with such means have the moments of the whole also where
    it lies far from 0.

    Parameters
    ----------
    x : ndarray of shape (n, d), any strides
        The batch, float32 or float64, without NaN, n >= 1.

    Returns
    -------
    batch_mean : ndarray of shape (2, d), float64
        The means; what is to be added to them.
    batch_var : ndarray of shape (d,), float64

    Raises
    ------
    ValueError
        If `x` has no row, or is not a matrix of float32 or float64.
    """
    x = _as_matrix(x)
    if x.shape[0] == 0:
        raise ValueError("moments of 0 rows are not defined")
    d = x.shape[1]
    mean, var, scratch = np.zeros((2, d)), np.zeros(d), np.zeros((MOMENT_SCRATCH, d))
    if d > 0:
        _batch_moments(mean[0], var, scratch.ravel(), x)
        mean[1] = scratch[MOMENT_SCRATCH - 1]
    return mean, var


def _batch_moments(double[::1] mean, double[::1] var, double[::1] scratch, const floating[:, :] x):
    cdef Py_ssize_t row_stride = x.strides[0] // <Py_ssize_t> sizeof(floating)
    cdef Py_ssize_t column_stride = x.strides[1] // <Py_ssize_t> sizeof(floating)
    with nogil:
        moments_of_table(&mean[0], &var[0], &scratch[0], &x[0, 0],
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
    sample_weight = as_weights(sample_weight, x.shape[0], "x")
    check_weights(sample_weight)
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


cdef int _check_totals(name, const double[::1] weight) except -1:
    # NaN is not at least 0.
    cdef Py_ssize_t j
    for j in range(weight.shape[0]):
        if not weight[j] >= 0.0:
            raise ValueError(f"{name} must be >= 0, got {weight[j]} in column {j}")
    return 0


def without_rounding(mean, var, dtype):
    """Variances without those that rounding alone can have left behind.

    Parameters
    ----------
    mean, var : array-like of shape (d,)
        Moments of columns that a matrix product has computed.
    dtype : {np.float32, np.float64}
        What it computed in.

    Returns
    -------
    var : ndarray of shape (d,), float64
        0 where a column of equal numbers may have been rounded differently from row to row: up
        to ``(16 eps)^2 (mean_j^2 + mean(mean^2))``.

    Raises
    ------
    ValueError
        If the shapes differ, there is no column, or the dtype is another one.
    """
    check_floating("what products are computed in", np.dtype(dtype))
    mean = as_real("mean", mean, np.float64)
    var = as_real("var", var, np.float64).copy()
    if mean.shape != var.shape or mean.ndim != 1 or mean.size == 0:
        raise ValueError(f"mean and var must be vectors of one size, got {mean.shape}, {var.shape}")
    cdef double[::1] var_view = var
    cdef const double[::1] mean_view = mean
    moments_without_rounding(&var_view[0], &mean_view[0], var.size, np.finfo(dtype).eps)
    return var


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
        If the lengths differ, or a weight is negative or NaN.

    References
    ----------
    Chan, Golub and LeVeque (1983), equation 2.1.
    """
    _check_statistics(mean, var, weight, batch_mean, batch_var, batch_weight)
    _check_totals("weight", weight)
    _check_totals("batch_weight", batch_weight)
    if mean.shape[0] > 0:
        moments_merge(&mean[0], &var[0], &weight[0], &batch_mean[0], &batch_var[0],
                      &batch_weight[0], mean.shape[0])


def merge_pairs(
    double[:, ::1] mean, double[:, ::1] var, double[::1] weight,
    const double[:, ::1] batch_mean, const double[:, ::1] batch_var,
    const double[::1] batch_weight,
):
    """Merge moments as ``merge`` does, keeping means and variances as pairs of doubles.

    Row 0 of a pair is the number, row 1 what was lost when it was rounded; their sum is the
    value. Rounding then does not grow with the number of merges.

    Parameters
    ----------
    mean, var : ndarray of shape (2, d), float64, C-ordered
        Mean and biased variance so far; changed in place.
    weight : ndarray of shape (d,), float64, C-ordered
        Total weight so far; changed in place.
    batch_mean, batch_var : ndarray of shape (2, d), float64, C-ordered
        Those of the batch.
    batch_weight : ndarray of shape (d,), float64, C-ordered
        Total weight of the batch; columns where it is 0 stay as they are.

    Raises
    ------
    ValueError
        If the shapes differ, or a weight is negative or NaN.

    References
    ----------
    Chan, Golub and LeVeque (1983), equation 2.1; the pairs are Knuth's two-sum, "The Art of
    Computer Programming", volume 2, section 4.2.2.
    """
    cdef Py_ssize_t d = weight.shape[0], i
    cdef Py_ssize_t[4] rows = [mean.shape[0], var.shape[0], batch_mean.shape[0],
                               batch_var.shape[0]]
    _check_statistics(weight, batch_weight, mean[0], var[0], batch_mean[0], batch_var[0])
    _check_totals("weight", weight)
    _check_totals("batch_weight", batch_weight)
    for i in range(4):
        if rows[i] != 2:
            raise ValueError(f"a pair of statistics has 2 rows, got {rows[i]}")
    if d > 0:
        moments_merge_pairs(&mean[0, 0], &var[0, 0], &weight[0], &batch_mean[0, 0],
                            &batch_var[0, 0], &batch_weight[0], d)


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
    check_share("momentum", momentum)
    _check_statistics(running_mean, running_var, batch_mean, batch_var)
    if running_mean.shape[0] > 0:
        moments_update_running(&running_mean[0], &running_var[0], &batch_mean[0],
                               &batch_var[0], running_mean.shape[0], momentum)
