"""Mean and biased variance of the columns of a matrix.

All sums are float64 for any dtype of ``x``. The sums are of deviations from a shift that lies among
the data, never of raw squares: ``E[x^2] - E[x]^2`` has no correct digit left if the mean is 1e8
standard deviations away from 0.

Shapes: ``x`` (n, d) with any strides, statistics (d,), ``sample_weight`` (n,).

References
----------
Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance: analysis and
recommendations", The American Statistician 37(3), 242-247.
Ioffe and Szegedy (2015), "Batch normalization", Algorithm 1.
"""

from cython cimport floating
from libc.math cimport NAN, isinf, isnan

from skbn.kernels.pairs cimport add_to_pair

import numpy as np

from skbn.kernels._operands import (
    as_floating, as_real, as_weights, check_floating, check_weights,
)

# The number of rows of a block. A block is so short that its rounding error stays below
# BLOCK_ROWS * eps, even if the first row is an outlier. A block is so long that the division at
# the end of the block costs nothing.
cdef enum:
    BLOCK_ROWS = 256

# These loops read a whole array. GCC compiles them for several instruction sets, and the processor
# chooses one of the sets at run time (simd.h). The loops ask for the cache lines PREFETCH_BYTES
# ahead, because the hardware alone keeps too few reads in flight beside this much arithmetic.
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
    # Over rows whose columns are contiguous:
    #
    #     s1_j += sum_i (x_ij - shift_j),  s2_j += sum_i (x_ij - shift_j)^2.
    #
    # The outer loop is over the rows and the inner loop is over the columns. The sums then
    # vectorize over the columns, and the order of addition does not change. Several rows share
    # one load and one store of a sum: four rows of float32, but two rows of float64. More
    # streams of float64 are more than the prefetching can serve.
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
    # The sums of `_add_deviations` for one column. If the rows of the column are contiguous
    # (Fortran order), LANES partial sums vectorize over the rows. The partial sums are added at
    # the end.
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


cdef inline bint _is_columnwise(Py_ssize_t row_stride, Py_ssize_t column_stride) noexcept nogil:
    # Whether neighbours in a column are nearer in memory than neighbours in a row.
    return row_stride * row_stride < column_stride * column_stride


cdef void moments_about(
    double* batch_mean, double* batch_var, double* scratch,
    const floating* x,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t row_stride, Py_ssize_t column_stride,
) noexcept nogil:
    """Mean and biased variance of n >= 1 unweighted rows in one pass over x.

    On entry ``batch_mean`` holds the shift of the first block, a number of about the size of the
    entries of the column. The shift of every later block is m, the mean of the N rows before the
    block. With ``s1 = sum(x - m)`` and ``s2 = sum((x - m)^2)`` over the b rows of the block, the
    block has the mean m + s1/b and the sum of squares s2 - s1^2/b. Chan's merge of the block
    then becomes

        m' = m + s1 / (N + b),   M2' = M2 + s2 - s1^2 / (N + b).

    Both equations hold for the first block too. m is kept as a pair of doubles, so the returned
    mean is rounded once, however many blocks there are. ``scratch`` has MOMENT_SCRATCH d values.
    The last d values of ``scratch`` receive the parts of the means that were lost by rounding. A
    column with NaN or infinity gives a mean or a variance that is not finite.
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
            # s1 and s2 are sums of deviations from the first number of the pair m. `first` and
            # `square` are the sums of deviations from m.
            first = s1[j] - rows * low[j]
            square = s2[j] - low[j] * (2.0 * s1[j] - rows * low[j])
            batch_var[j] += square - first * (first / total)
            add_to_pair(batch_mean + j, low + j, first / total)
        start += rows
    for j in range(d):
        batch_var[j] = max(batch_var[j], 0.0) / n


cdef void moments_of_batch(
    double* batch_mean, double* batch_var, double* scratch,
    const floating* x,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t row_stride, Py_ssize_t column_stride,
) noexcept nogil:
    """Moments by ``moments_about`` with the first row as the shift.

    The rows are read once, and a constant column has the variance 0 exactly.
    """
    cdef Py_ssize_t j
    for j in range(d):
        batch_mean[j] = x[j * column_stride]
    moments_about(batch_mean, batch_var, scratch, x, n, d, row_stride, column_stride)


cdef void moments_of_table(
    double* batch_mean, double* batch_var, double* scratch,
    const floating* x,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t row_stride, Py_ssize_t column_stride,
) noexcept nogil:
    """Moments by ``moments_about`` with the mean of the first block as the shift.

    The first block is read twice. ``moments_of_batch`` loses a few digits of the variance if the
    first row is far from the mean, as in sorted columns. This function keeps these digits. For a
    batch of one block the work is doubled.
    """
    moments_of_batch(batch_mean, batch_var, scratch, x, min(<Py_ssize_t> BLOCK_ROWS, n), d,
                     row_stride, column_stride)
    moments_about(batch_mean, batch_var, scratch, x, n, d, row_stride, column_stride)


cdef void _add_valid "skbn_add_valid"(
    double* s0, double* s1, double* s2,
    const floating* x, const double* shift, const double* sample_weight,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t row_stride, Py_ssize_t column_stride,
) noexcept nogil:
    # Over the entries that are not NaN:
    #
    #     s0 += sum w,  s1 += sum w (x - shift),  s2 += sum w (x - shift)^2.
    #
    # NaN is the only value that differs from itself. A NaN is replaced by a deviation 0 of
    # weight 0, so the inner loop has no jumps. The comparison is of the entry and not of the
    # deviation, because infinity minus an infinite shift is NaN too.
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

    An entry that is NaN takes no part, and a row of weight 0 takes no part. So weights of 0 and
    1 are a mask. ``sample_weight`` may be NULL, which means that all weights are 1.

    There are two passes over x. The first pass gives the mean from deviations about the first
    entry of the column. The second pass gives the squares about this mean, and the mean t of
    the deviations that rounding has left. The mean is then corrected by t and the variance by
    -t^2. A column without any entry has the mean 0, the variance 0 and the weight 0.
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
    # The first row almost always has an entry in every column, and then the loop ends.
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
    # The total weights are known already. The second pass needs memory for its own sums of
    # weights, which nobody reads: this memory is `shift`.
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
    """Set a variance to 0 if rounding alone can have made the variance.

    A matrix product of equal rows may give rows that differ by some roundings, because not all
    rows go through the same code. The rounded numbers are sums of terms, and the terms are
    about as large as the columns are on the whole. So for numbers of the relative precision
    ``precision`` the bound of the variance is

        (16 precision)^2 (mean_j^2 + the mean of mean_k^2 over all d columns k).
    """
    cdef Py_ssize_t j
    cdef double square = 0.0, bound = 256.0 * precision * precision
    for j in range(d):
        square += mean[j] * mean[j]
    square /= d
    for j in range(d):
        if var[j] <= bound * (mean[j] * mean[j] + square):
            var[j] = 0.0


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
    """Moments as from ``batch_moments``, each mean as a pair of numbers.

    The sum of the two numbers of a pair is the mean without rounding. Moments of the parts of a
    table can be merged exactly with these pairs, even if the table is far from 0.

    Parameters
    ----------
    x : ndarray of shape (n, d), any strides
        The batch, float32 or float64, without NaN, n >= 1.

    Returns
    -------
    batch_mean : ndarray of shape (2, d), float64
        Row 0: the means. Row 1: the parts of the means that were lost by rounding.
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

    Entries that are NaN and rows of weight 0 take no part. So weights of 0 and 1 are a mask.

    Parameters
    ----------
    x : ndarray of shape (n, d), any strides
        The batch, float32 or float64.
    sample_weight : ndarray of shape (n,), default=None
        Weights >= 0 of the rows, float64. ``None``: all 1.

    Returns
    -------
    batch_mean, batch_var : ndarray of shape (d,), float64
        Mean and biased variance of each column; 0 in a column without an entry.
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


def without_rounding(mean, var, dtype):
    """Variances, with 0 in place of a variance that rounding alone can have made.

    Parameters
    ----------
    mean, var : array-like of shape (d,)
        Moments of the columns of a matrix product.
    dtype : {np.float32, np.float64}
        The dtype of the matrix product.

    Returns
    -------
    var : ndarray of shape (d,), float64
        The variances. A variance is 0 if it is at most
        ``(16 eps)^2 (mean_j^2 + mean(mean^2))``: the entries of such a column may be one number
        that was rounded differently from row to row.

    Raises
    ------
    ValueError
        If the shapes differ, there is no column, or `dtype` is neither float32 nor float64.
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
