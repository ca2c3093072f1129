"""Batch normalization of the columns of a matrix: forward, backward, inference.

    xhat = (x - batch_mean) * batch_invstd,  batch_invstd = 1 / sqrt(batch_var + epsilon)
    y    = gamma * xhat + beta

The statistics are computed apart (``skbn.kernels.moments``) from the normalization, and the
two sums of the backward pass apart from its data gradient: between them they may be added up
over processes.

Shapes: ``x``, ``y``, ``dx``, ``dy`` (n, d), row-major; everything else (d,).
Statistics are float64. A mean m is used as the pair hi = fl(m), lo = m - hi, so float32
rows lose nothing to an offset of their mean.

References
----------
Ioffe and Szegedy (2015), "Batch normalization: accelerating deep network training by
reducing internal covariate shift", Algorithm 1 and the equations of section 3.
"""

from cython cimport floating
from libc.math cimport fabs, sqrt

from skbn.kernels.moments cimport MOMENT_SCRATCH, moments_of_batch, moments_of_weighted
from skbn.kernels.pointers cimport pointer

import numpy as np

from skbn.kernels._operands import (
    as_floating, as_real, as_weights, check_at_least_zero, check_floating, check_target,
    check_weights,
)
from skbn.kernels.merging import merge, merge_pairs, update_running
from skbn.kernels.moments import (
    batch_moment_pairs, batch_moments, weighted_moments, without_rounding,
)

__all__ = [
    "affine", "backward", "batch_moment_pairs", "batch_moments", "combine", "forward", "infer",
    "merge", "merge_pairs", "relu_backward", "relu_forward", "update_running",
    "weighted_moments", "without_rounding",
]


cdef extern from *:
    """
    #include "simd.h"
    #define PANEL_OF(T) \
        (T*, const T*, const double*, const double*, const double*, \
         Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t)
    #define COLUMN_OF(T) \
        (T*, const T*, double, double, double, Py_ssize_t, Py_ssize_t, Py_ssize_t)
    #define FORWARD(T) \
        (T*, T*, const T*, const double*, const double*, const T*, const T*, \
         Py_ssize_t, Py_ssize_t, int)
    #define SUMS(T) \
        (double*, double*, T*, T*, const T*, const T*, const double*, const double*, \
         Py_ssize_t, Py_ssize_t)
    #define BACKWARD(T) \
        (T*, T*, const T*, const T*, const double*, const double*, const T*, \
         const double*, const double*, const double*, Py_ssize_t, Py_ssize_t, double)
    SKBN_CLONE_BOTH(int, skbn_affine_panel, PANEL_OF)
    SKBN_CLONE_BOTH(int, skbn_affine_column, COLUMN_OF)
    #define COMBINE(T) \
        (T*, T*, const T*, const double*, const double*, const T*, const T*, \
         Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, int)
    SKBN_CLONE_BOTH(void, skbn_batchnorm_forward, FORWARD)
    SKBN_CLONE_BOTH(void, skbn_batchnorm_combine, COMBINE)
    SKBN_CLONE_BOTH(void, skbn_batchnorm_gradient_sums, SUMS)
    SKBN_CLONE_BOTH(void, skbn_batchnorm_backward, BACKWARD)

    #if defined(__SSE2__) || defined(_M_X64)
    #include <emmintrin.h>
    #define SKBN_STREAM_ALIGNMENT 16
    /* Past the cache, so that no line of the target is read only to be overwritten. */
    static void skbn_stream(void* target, const void* source, Py_ssize_t bytes) {
        __m128i* to = (__m128i*) target;
        const __m128i* from = (const __m128i*) source;
        Py_ssize_t i, n = bytes / 16;
        for (i = 0; i < n; i++) _mm_stream_si128(to + i, _mm_loadu_si128(from + i));
        memcpy(to + n, from + n, (size_t) (bytes % 16));
    }
    static void skbn_stream_end(void) { _mm_sfence(); }
    #else
    #define SKBN_STREAM_ALIGNMENT 1
    static void skbn_stream(void* target, const void* source, Py_ssize_t bytes) {
        memcpy(target, source, (size_t) bytes);
    }
    static void skbn_stream_end(void) {}
    #endif
    """
    void prefetch "SKBN_PREFETCH"(const void* address) noexcept nogil
    int STREAM_ALIGNMENT "SKBN_STREAM_ALIGNMENT"
    void stream "skbn_stream"(void* target, const void* source, Py_ssize_t bytes) noexcept nogil
    void stream_end "skbn_stream_end"() noexcept nogil

# At most PANEL columns at a time have their affine form on the stack. A result larger than
# STREAM_BYTES, which no cache holds until it is used, goes to memory past the cache, by way
# of a buffer of STREAM_SIZE numbers. TILE: how long short rows are made.
cdef enum:
    PREFETCH_BYTES = 2048
    CACHE_LINE = 64
    PANEL = 128
    STREAM_SIZE = 512
    STREAM_BYTES = 16777216
    TILE = 128

cdef union SingleBits:
    float value
    unsigned int bits

cdef union DoubleBits:
    double value
    unsigned long long bits


cdef void inverse_std(
    double* batch_invstd, const double* batch_var, Py_ssize_t d, double epsilon,
) noexcept nogil:
    """1 / sqrt(var + epsilon); 0 where the batch has no variance.

    Without variance xhat is 0 whatever the reciprocal, but the gradient carries it: at
    1 / sqrt(epsilon) a column that happens to be constant would multiply it by 316.
    """
    cdef Py_ssize_t j
    for j in range(d):
        batch_invstd[j] = 1.0 / sqrt(batch_var[j] + epsilon) if batch_var[j] > 0.0 else 0.0


cdef void batchnorm_forward "skbn_batchnorm_forward"(
    floating* y, floating* scratch,
    const floating* x,
    const double* batch_mean, const double* batch_invstd,
    const floating* gamma, const floating* beta,
    Py_ssize_t n, Py_ssize_t d,
    bint relu,
) noexcept nogil:
    """y = gamma * (x - mean) * invstd + beta; y may be x. The running statistics serve too.

    With `relu` its positive part, which saves a pass over y; a NaN stays one.
    """
    cdef floating* hi = scratch
    cdef floating* scale = scratch + d
    cdef floating* shift = scratch + 2 * d
    cdef Py_ssize_t i, j
    cdef double slope
    cdef floating value
    for j in range(d):
        slope = batch_invstd[j] * gamma[j]
        hi[j] = <floating> batch_mean[j]
        scale[j] = <floating> slope
        shift[j] = <floating> (beta[j] - (batch_mean[j] - hi[j]) * slope)
    # In place by one pointer: with two the compiler would have to fear an overlap.
    if y == x:
        for i in range(n):
            for j in range(d):
                value = (y[i * d + j] - hi[j]) * scale[j] + shift[j]
                y[i * d + j] = 0 if relu and value < 0 else value
    else:
        for i in range(n):
            for j in range(d):
                value = (x[i * d + j] - hi[j]) * scale[j] + shift[j]
                y[i * d + j] = 0 if relu and value < 0 else value


cdef void batchnorm_combine "skbn_batchnorm_combine"(
    floating* y, floating* scratch,
    const floating* x,
    const double* mean, const double* invstd, const floating* gamma, const floating* beta,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t y_row_stride, Py_ssize_t x_row_stride,
    bint add,
) noexcept nogil:
    """y = gamma * (x - mean) * invstd + beta, or y += that if `add`; rows of any stride.

    For sums of normalized parts. `beta` may be NULL, which is 0. `mean` may be NULL: x itself,
    plus `beta`. y is not x.
    """
    cdef floating* hi = scratch
    cdef floating* scale = scratch + d
    cdef floating* shift = scratch + 2 * d
    cdef Py_ssize_t i, j
    cdef double slope
    cdef floating* to_row
    cdef const floating* from_row
    for j in range(d):
        slope = 1.0
        hi[j] = 0
        shift[j] = 0 if beta == NULL else beta[j]
        if mean != NULL:
            slope = invstd[j] * gamma[j]
            hi[j] = <floating> mean[j]
            shift[j] -= <floating> ((mean[j] - hi[j]) * slope)
        scale[j] = <floating> slope
    for i in range(n):
        to_row = y + i * y_row_stride
        from_row = x + i * x_row_stride
        if add:
            for j in range(d):
                to_row[j] += (from_row[j] - hi[j]) * scale[j] + shift[j]
        else:
            for j in range(d):
                to_row[j] = (from_row[j] - hi[j]) * scale[j] + shift[j]


cdef int _affine_panel "skbn_affine_panel"(
    floating* y,
    const floating* x, const double* mean, const double* scale, const double* shift,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t y_row_stride, Py_ssize_t x_row_stride,
) noexcept nogil:
    # At most PANEL columns that are contiguous, in the arithmetic of x; returns whether all
    # of x is finite. t - t is +0.0 but for NaN and infinity, whose bits are not all 0: an
    # "or" of integers vectorizes, a sum of floating-point numbers would not.
    cdef floating[PANEL] hi
    cdef floating[PANEL] factor
    cdef floating[PANEL] offset
    cdef floating[STREAM_SIZE] buffer
    cdef unsigned int single_bits = 0
    cdef unsigned long long double_bits = 0
    cdef SingleBits single_rest
    cdef DoubleBits double_rest
    cdef floating t
    cdef Py_ssize_t i, j, line, start = 0, rows, out_stride
    cdef Py_ssize_t size = <Py_ssize_t> sizeof(floating)
    cdef Py_ssize_t row_lines = d * size // CACHE_LINE + 1
    cdef Py_ssize_t block = n
    cdef const floating* from_row
    cdef floating* to_row
    cdef floating* out
    cdef bint streams = (y != x and y_row_stride == d and n * d * size >= STREAM_BYTES
                         and <size_t> y % STREAM_ALIGNMENT == 0)
    for j in range(d):
        hi[j] = <floating> mean[j]
        factor[j] = <floating> scale[j]
        offset[j] = <floating> (shift[j] - (mean[j] - hi[j]) * scale[j])
    if streams:
        # Four rows are a whole number of 16-byte words, whatever their length.
        block = STREAM_SIZE // d // 4 * 4
    while start < n:
        rows = min(block, n - start)
        if streams:
            out = &buffer[0]
            out_stride = d
        else:
            out = y + start * y_row_stride
            out_stride = y_row_stride
        for i in range(rows):
            from_row = x + (start + i) * x_row_stride
            to_row = out + i * out_stride
            for line in range(row_lines):
                prefetch(<const char*> from_row + line * CACHE_LINE + PREFETCH_BYTES)
            if to_row == from_row:
                # In place. Said with one pointer, or the compiler would fear an overlap.
                for j in range(d):
                    t = to_row[j]
                    if floating is float:
                        single_rest.value = t - t
                        single_bits |= single_rest.bits
                    else:
                        double_rest.value = t - t
                        double_bits |= double_rest.bits
                    to_row[j] = (t - hi[j]) * factor[j] + offset[j]
            else:
                for j in range(d):
                    t = from_row[j]
                    if floating is float:
                        single_rest.value = t - t
                        single_bits |= single_rest.bits
                    else:
                        double_rest.value = t - t
                        double_bits |= double_rest.bits
                    to_row[j] = (t - hi[j]) * factor[j] + offset[j]
        if streams:
            stream(y + start * d, &buffer[0], rows * d * size)
        start += rows
    if streams:
        stream_end()
    return single_bits == 0 and double_bits == 0


cdef int _affine_column "skbn_affine_column"(
    floating* y,
    const floating* x, double mean, double scale, double shift,
    Py_ssize_t n, Py_ssize_t y_stride, Py_ssize_t x_stride,
) noexcept nogil:
    # One column of any strides, in float64; returns whether all of x is finite.
    cdef unsigned long long bits = 0
    cdef DoubleBits rest
    cdef double t
    cdef Py_ssize_t i
    if y_stride == 1 and x_stride == 1 and y == x:
        for i in range(n):
            t = y[i]
            rest.value = t - t
            bits |= rest.bits
            y[i] = <floating> ((t - mean) * scale + shift)
    elif y_stride == 1 and x_stride == 1:
        for i in range(n):
            t = x[i]
            rest.value = t - t
            bits |= rest.bits
            y[i] = <floating> ((t - mean) * scale + shift)
    else:
        for i in range(n):
            t = x[i * x_stride]
            rest.value = t - t
            bits |= rest.bits
            y[i * y_stride] = <floating> ((t - mean) * scale + shift)
    return bits == 0


cdef inline bint _fits(const double* scale, Py_ssize_t d, floating zero) noexcept nogil:
    # Whether float32 holds the scales. Columns narrower than 1e-38 need float64 for theirs.
    cdef Py_ssize_t j
    if floating is float:
        for j in range(d):
            if scale[j] != 0.0 and not (1e-37 < fabs(scale[j]) < 1e38):
                return False
    return True


cdef bint batchnorm_affine(
    floating* y,
    const floating* x, const double* mean, const double* scale, const double* shift,
    Py_ssize_t n, Py_ssize_t d,
    Py_ssize_t y_row_stride, Py_ssize_t y_column_stride,
    Py_ssize_t x_row_stride, Py_ssize_t x_column_stride,
) noexcept nogil:
    """y = (x - mean) * scale + shift; y may be x. NaN stays NaN.

    A float32 x is taken from the pair hi, lo of its mean. Returns whether every entry of x is
    finite, which costs next to nothing beside the reading.
    """
    cdef bint finite = True
    cdef Py_ssize_t start = 0, rows, j, panel
    # Fortran order: a column at a time. Other strides: in blocks of rows that stay in cache.
    cdef Py_ssize_t block = n
    if d > 1 and y_column_stride == 1 and x_column_stride == 1 and _fits[floating](scale, d, 0):
        for panel in range((d - 1) // PANEL + 1):
            j = panel * PANEL
            finite &= _affine_panel(y + j, x + j, mean + j, scale + j, shift + j, n,
                                    min(<Py_ssize_t> PANEL, d - j), y_row_stride, x_row_stride)
        return finite
    if x_row_stride * x_row_stride > x_column_stride * x_column_stride:
        block = 256
    while start < n:
        rows = min(block, n - start)
        for j in range(d):
            finite &= _affine_column(
                y + start * y_row_stride + j * y_column_stride,
                x + start * x_row_stride + j * x_column_stride,
                mean[j], scale[j], shift[j], rows, y_row_stride, x_row_stride,
            )
        start += rows
    return finite


cdef inline void _mask(floating* dy, const floating* y, Py_ssize_t size) noexcept nogil:
    # A product, not a choice, as in the relu by itself.
    cdef Py_ssize_t j
    for j in range(size):
        dy[j] = dy[j] * <floating> (y[j] > 0)


cdef void batchnorm_gradient_sums "skbn_batchnorm_gradient_sums"(
    double* sum_dy, double* sum_dy_xhat, floating* scratch, floating* dy,
    const floating* y, const floating* x,
    const double* batch_mean, const double* batch_invstd,
    Py_ssize_t n, Py_ssize_t d,
) noexcept nogil:
    """sum_i dy_ij (the gradient of beta) and sum_i dy_ij xhat_ij (the gradient of gamma).

    `y` may be NULL. Otherwise it is the output of a relu behind the normalization, and `dy` the
    gradient with respect to that: it is first multiplied by [y > 0], a few rows at a time.
    """
    cdef floating* hi = scratch
    cdef floating* scale = scratch + d
    cdef floating* shift = scratch + 2 * d
    cdef Py_ssize_t i = 0, j
    cdef const floating* g0
    cdef const floating* g1
    cdef const floating* g2
    cdef const floating* g3
    cdef const floating* x0
    cdef const floating* x1
    cdef const floating* x2
    cdef const floating* x3
    for j in range(d):
        hi[j] = <floating> batch_mean[j]
        scale[j] = <floating> batch_invstd[j]
        shift[j] = <floating> (-(batch_mean[j] - hi[j]) * batch_invstd[j])
        sum_dy[j] = 0.0
        sum_dy_xhat[j] = 0.0
    # Four rows share one load and store of the sums, and in float32 one conversion.
    while i + 4 <= n:
        g0 = dy + i * d
        g1, g2, g3 = g0 + d, g0 + 2 * d, g0 + 3 * d
        x0 = x + i * d
        x1, x2, x3 = x0 + d, x0 + 2 * d, x0 + 3 * d
        if y != NULL:
            _mask(dy + i * d, y + i * d, 4 * d)
        for j in range(d):
            sum_dy[j] += (g0[j] + g1[j]) + (g2[j] + g3[j])
            sum_dy_xhat[j] += (
                (g0[j] * ((x0[j] - hi[j]) * scale[j] + shift[j])
                 + g1[j] * ((x1[j] - hi[j]) * scale[j] + shift[j]))
                + (g2[j] * ((x2[j] - hi[j]) * scale[j] + shift[j])
                   + g3[j] * ((x3[j] - hi[j]) * scale[j] + shift[j]))
            )
        i += 4
    while i < n:
        g0, x0 = dy + i * d, x + i * d
        if y != NULL:
            _mask(dy + i * d, y + i * d, d)
        for j in range(d):
            sum_dy[j] += g0[j]
            sum_dy_xhat[j] += g0[j] * ((x0[j] - hi[j]) * scale[j] + shift[j])
        i += 1


cdef void batchnorm_backward "skbn_batchnorm_backward"(
    floating* dx, floating* scratch,
    const floating* dy, const floating* x,
    const double* batch_mean, const double* batch_invstd,
    const floating* gamma,
    const double* sum_dy, const double* sum_dy_xhat,
    const double* sample_weight,
    Py_ssize_t n, Py_ssize_t d,
    double total_weight,
) noexcept nogil:
    """Gradient of x; dx may be dy, or x.

    The statistics are weighted means with shares p_i = w_i / sum(w) (1 / n without weights),
    so d mean / d x_i = p_i and d var / d x_i = 2 p_i (x_i - mean). With dxhat = gamma dy:

        dx_i = invstd (dxhat_i - p_i (sum_k dxhat_k + xhat_i sum_k dxhat_k xhat_k)).
    """
    cdef floating* slope = scratch
    cdef floating* constant = scratch + d
    cdef floating* linear = scratch + 2 * d
    cdef floating* hi = scratch + 3 * d
    cdef Py_ssize_t i, j
    cdef const floating* from_row
    cdef const floating* dy_row
    cdef floating* to_row
    cdef double scale
    cdef floating share = <floating> (1.0 / total_weight)
    # dx_i = slope dy_i - p_i (constant + linear (x_i - hi)): xhat is affine in x.
    for j in range(d):
        scale = gamma[j] * batch_invstd[j]
        slope[j] = <floating> scale
        linear[j] = <floating> (scale * sum_dy_xhat[j] * batch_invstd[j])
        hi[j] = <floating> batch_mean[j]
        constant[j] = <floating> (
            scale * sum_dy[j]
            - (batch_mean[j] - hi[j]) * (scale * sum_dy_xhat[j] * batch_invstd[j])
        )
    for i in range(n):
        if sample_weight != NULL:
            share = <floating> (sample_weight[i] / total_weight)
        from_row = x + i * d
        to_row = dx + i * d
        if dx == dy:
            # In place by one pointer, as in the forward pass.
            for j in range(d):
                to_row[j] = slope[j] * to_row[j] - share * (
                    constant[j] + linear[j] * (from_row[j] - hi[j])
                )
        elif dx == x:
            dy_row = dy + i * d
            for j in range(d):
                to_row[j] = slope[j] * dy_row[j] - share * (
                    constant[j] + linear[j] * (to_row[j] - hi[j])
                )
        else:
            dy_row = dy + i * d
            for j in range(d):
                to_row[j] = slope[j] * dy_row[j] - share * (
                    constant[j] + linear[j] * (from_row[j] - hi[j])
                )


def _as_operands(x, *vectors):
    # C-ordered operands of one dtype; copies only what is not.
    x = as_floating("x", x, order="C")
    if x.ndim != 2:
        raise ValueError(f"x must have shape (n, d), got {x.ndim} dimension(s)")
    shape = x.shape[1:]
    for vector in vectors:
        if vector.shape != shape:
            raise ValueError(f"expected shape {shape} for {shape[0]} columns, "
                             f"got {vector.shape}")
    return x, *vectors


def forward(x, gamma, beta, double epsilon=1e-5, sample_weight=None):
    """Normalize a batch by its own statistics (the training-mode forward pass).

    Parameters
    ----------
    x : ndarray of shape (n, d)
        The batch, float32 or float64; copied if it is not C-ordered.
    gamma, beta : array-like of shape (d,)
        Scale and shift, cast to the dtype of `x`.
    epsilon : float, default=1e-5
        Added to the variance.
    sample_weight : array-like of shape (n,), default=None
        Weights >= 0 of the rows in the statistics; a weight of 2 is the row twice, of 0 a
        masked row, which is normalized but counts nowhere.

    Returns
    -------
    y : ndarray of shape (n, d), dtype of `x`
    batch_mean : ndarray of shape (d,), float64
    batch_var : ndarray of shape (d,), float64
        Biased (divided by n).
    batch_invstd : ndarray of shape (d,), float64
        ``1 / sqrt(batch_var + epsilon)``; 0 in a column without variance, whose `y` is `beta`.

    Raises
    ------
    ValueError
        If fewer than two rows have a positive weight (one row has no variance), or shapes or
        dtypes do not fit.

    References
    ----------
    Ioffe and Szegedy (2015), Algorithm 1.
    """
    return _forward_door(x, gamma, beta, epsilon, sample_weight, False)


def relu_forward(x, gamma, beta, double epsilon=1e-5, sample_weight=None):
    """``forward`` and a relu behind it in one pass; the same bits as by both.

    Parameters
    ----------
    x : ndarray of shape (n, d)
        The batch, float32 or float64; copied if it is not C-ordered.
    gamma, beta : array-like of shape (d,)
        Scale and shift, cast to the dtype of `x`.
    epsilon : float, default=1e-5
        Added to the variance.
    sample_weight : array-like of shape (n,), default=None
        As in ``forward``.

    Returns
    -------
    y, batch_mean, batch_var, batch_invstd : ndarray
        As ``forward``, `y` without what is negative.

    Raises
    ------
    ValueError
        As ``forward``.
    """
    return _forward_door(x, gamma, beta, epsilon, sample_weight, True)


def _forward_door(x, gamma, beta, epsilon, sample_weight, relu):
    check_at_least_zero("epsilon", epsilon)
    x = np.asarray(x)
    check_floating("x", x.dtype)
    x, gamma, beta = _as_operands(
        x, as_real("gamma", gamma, x.dtype), as_real("beta", beta, x.dtype)
    )
    n, d = x.shape
    sample_weight = as_weights(sample_weight, n, "x")
    rows = n if sample_weight is None else int(np.sum(sample_weight > 0))
    if rows < 2:
        raise ValueError(
            f"a batch of {rows} row(s) has no variance to normalize by: at least 2 are needed"
        )
    check_weights(sample_weight)
    y = np.empty_like(x)
    mean, var, invstd = np.empty(d), np.empty(d), np.empty(d)
    if d > 0:
        _forward(y, mean, var, invstd, x, gamma, beta, sample_weight, epsilon, relu)
    return y, mean, var, invstd


def _forward(
    floating[:, ::1] y, double[::1] mean, double[::1] var, double[::1] invstd,
    const floating[:, ::1] x, const floating[::1] gamma, const floating[::1] beta,
    const double[::1] sample_weight, double epsilon, bint relu,
):
    cdef Py_ssize_t n = x.shape[0], d = x.shape[1]
    cdef double[::1] scratch = np.empty((MOMENT_SCRATCH + 1 + AFFINE_SCRATCH) * d)
    cdef floating* columns = <floating*> &scratch[(MOMENT_SCRATCH + 1) * d]
    with nogil:
        if sample_weight is None:
            moments_of_batch(&mean[0], &var[0], &scratch[0], &x[0, 0], n, d, d, 1)
        else:
            moments_of_weighted(&mean[0], &var[0], &scratch[MOMENT_SCRATCH * d], &scratch[0],
                                &x[0, 0], &sample_weight[0], n, d, d, 1)
        inverse_std(&invstd[0], &var[0], d, epsilon)
        batchnorm_forward(&y[0, 0], columns, &x[0, 0], &mean[0], &invstd[0],
                          &gamma[0], &beta[0], n, d, relu)


def backward(dy, x, gamma, batch_mean, batch_invstd, sample_weight=None):
    """Gradients of ``forward``, through the statistics of the batch.

    Parameters
    ----------
    dy : array-like of shape (n, d)
        Gradient of the loss with respect to `y`, in the dtype of `x`.
    x : ndarray of shape (n, d)
        The batch given to ``forward``.
    gamma : array-like of shape (d,)
        The scale given to ``forward``.
    batch_mean, batch_invstd : ndarray of shape (d,), float64
        As ``forward`` returned them.
    sample_weight : array-like of shape (n,), default=None
        The weights given to ``forward``. They are taken to be in `dy` already, as a weighted
        loss puts them there: `dgamma` and `dbeta` are plain sums.

    Returns
    -------
    dx : ndarray of shape (n, d)
    dgamma, dbeta : ndarray of shape (d,)
        All in the dtype of `x`.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit.
    """
    return _backward_door(dy, None, x, gamma, batch_mean, batch_invstd, sample_weight)


def relu_backward(dy, y, x, gamma, batch_mean, batch_invstd, sample_weight=None):
    """Gradients of ``relu_forward``; the same bits as by the relu's and ``backward``.

    Parameters
    ----------
    dy : array-like of shape (n, d)
        Gradient of the loss with respect to `y`, in the dtype of `x`.
    y : ndarray of shape (n, d)
        What ``relu_forward`` returned.
    x : ndarray of shape (n, d)
        The batch given to ``relu_forward``.
    gamma : array-like of shape (d,)
        The scale given to ``relu_forward``.
    batch_mean, batch_invstd : ndarray of shape (d,), float64
        As ``relu_forward`` returned them.
    sample_weight : array-like of shape (n,), default=None
        As in ``backward``.

    Returns
    -------
    dx : ndarray of shape (n, d)
    dgamma, dbeta : ndarray of shape (d,)
        All in the dtype of `x`.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit.
    """
    x = np.asarray(x)
    check_floating("x", x.dtype)
    y = as_real("y", y, x.dtype)
    if y.shape != np.shape(x):
        raise ValueError(f"y has shape {y.shape}, x has {np.shape(x)}")
    return _backward_door(dy, y, x, gamma, batch_mean, batch_invstd, sample_weight)


def _backward_door(dy, y, x, gamma, batch_mean, batch_invstd, sample_weight):
    x = np.asarray(x)
    check_floating("x", x.dtype)
    x, gamma, batch_mean, batch_invstd = _as_operands(
        x, as_real("gamma", gamma, x.dtype), as_real("batch_mean", batch_mean, np.float64),
        as_real("batch_invstd", batch_invstd, np.float64),
    )
    dy = as_real("dy", dy, x.dtype)
    if dy.shape != x.shape:
        raise ValueError(f"dy has shape {dy.shape}, x has {x.shape}")
    n, d = x.shape
    sample_weight = as_weights(sample_weight, n, "x")
    check_weights(sample_weight)
    dx = np.empty_like(x) if y is None else dy.copy()
    dgamma, dbeta = np.zeros(d), np.zeros(d)
    if x.size > 0:
        _backward(dx, dgamma, dbeta, dy, y, x, gamma, batch_mean, batch_invstd, sample_weight)
    return dx, dgamma.astype(x.dtype, copy=False), dbeta.astype(x.dtype, copy=False)


def _backward(
    floating[:, ::1] dx, double[::1] dgamma, double[::1] dbeta,
    const floating[:, ::1] dy, const floating[:, ::1] y, const floating[:, ::1] x,
    const floating[::1] gamma,
    const double[::1] mean, const double[::1] invstd, const double[::1] sample_weight,
):
    cdef Py_ssize_t n = x.shape[0], d = x.shape[1]
    cdef double[::1] scratch = np.empty(AFFINE_SCRATCH * d)
    cdef floating* columns = <floating*> &scratch[0]
    cdef const double* weights = NULL
    cdef double total_weight = n
    if sample_weight is not None:
        weights = &sample_weight[0]
        total_weight = np.sum(sample_weight)
    with nogil:
        if y is None:
            # Nothing is written to dy where there is no relu.
            batchnorm_gradient_sums(&dbeta[0], &dgamma[0], columns, <floating*> &dy[0, 0], NULL,
                                    &x[0, 0], &mean[0], &invstd[0], n, d)
            batchnorm_backward(&dx[0, 0], columns, &dy[0, 0], &x[0, 0], &mean[0], &invstd[0],
                               &gamma[0], &dbeta[0], &dgamma[0], weights, n, d, total_weight)
        else:
            # dx is a copy of dy.
            batchnorm_gradient_sums(&dbeta[0], &dgamma[0], columns, &dx[0, 0], &y[0, 0],
                                    &x[0, 0], &mean[0], &invstd[0], n, d)
            batchnorm_backward(&dx[0, 0], columns, <const floating*> &dx[0, 0], &x[0, 0],
                               &mean[0], &invstd[0], &gamma[0], &dbeta[0], &dgamma[0], weights,
                               n, d, total_weight)


def combine(
    y, x, gamma=None, beta=None, batch_mean=None, batch_invstd=None, *, bint add=True,
):
    """Add normalized rows to others in place: ``y += gamma * (x - mean) * invstd + beta``.

    Sums of parts that are normalized each by itself, as in a recurrent cell, so need no memory
    for the parts.

    Parameters
    ----------
    y : ndarray of shape (n, d)
        Changed in place; float32 or float64, contiguous rows of any stride, such as some of the
        columns of a C-ordered matrix.
    x : ndarray of shape (n, d)
        What is added, of the dtype of `y`; copied if its rows are not contiguous.
    gamma : array-like of shape (d,), default=None
        Scale, cast to the dtype of `y`. ``None``: 1.
    beta : array-like of shape (d,), default=None
        Shift, cast to the dtype of `y`. ``None``: 0.
    batch_mean, batch_invstd : array-like of shape (d,), default=None
        Statistics, float64. ``None``, both: `x` is added as it is, plus `beta`.
    add : bool, default=True
        Whether to add to `y`. Otherwise it is written over.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit, or a scale or one statistic is without the other one.

    References
    ----------
    Cooijmans et al. (2017), "Recurrent batch normalization", equation 6.
    """
    check_target("y", y)
    x = as_floating("x", x)
    if x.shape != y.shape or x.dtype != y.dtype:
        raise ValueError(f"x has shape {x.shape} and dtype {x.dtype}, y has {y.shape} and "
                         f"{y.dtype}")
    if x.strides[1] != x.itemsize or np.may_share_memory(x, y):
        x = np.array(x, order="C")  # an overlap would be read after it is written
    if (batch_mean is None) != (batch_invstd is None):
        raise ValueError("batch_mean and batch_invstd go together")
    if batch_mean is None and gamma is not None:
        raise ValueError("gamma scales normalized rows: it needs batch_mean and batch_invstd")
    if batch_mean is not None and gamma is None:
        gamma = np.ones(y.shape[1], y.dtype)
    columns = [
        None if column is None else as_real(name, column, dtype)
        for name, column, dtype in (
            ("batch_mean", batch_mean, np.float64), ("batch_invstd", batch_invstd, np.float64),
            ("gamma", gamma, y.dtype), ("beta", beta, y.dtype),
        )
    ]
    for column in columns:
        if column is not None and column.shape != y.shape[1:]:
            raise ValueError(f"expected shape {y.shape[1:]} for {y.shape[1]} columns, "
                             f"got {column.shape}")
    if y.size > 0:
        _combine(y, x, *columns, add)


def _combine(
    floating[:, :] y, const floating[:, :] x,
    const double[::1] mean, const double[::1] invstd,
    const floating[::1] gamma, const floating[::1] beta,
    bint add,
):
    cdef Py_ssize_t d = y.shape[1], size = <Py_ssize_t> sizeof(floating)
    cdef double[::1] scratch = np.empty(AFFINE_SCRATCH * d)
    cdef const double* mean_pointer = pointer(mean)
    cdef const double* invstd_pointer = pointer(invstd)
    cdef const floating* gamma_pointer = pointer(gamma)
    cdef const floating* beta_pointer = pointer(beta)
    with nogil:
        batchnorm_combine(
            &y[0, 0], <floating*> &scratch[0], &x[0, 0], mean_pointer, invstd_pointer,
            gamma_pointer, beta_pointer, y.shape[0], d, y.strides[0] // size,
            x.strides[0] // size, add,
        )


def infer(x, gamma, beta, running_mean, running_var, double epsilon=1e-5):
    """Normalize rows by running statistics (the inference-mode forward pass).

    Parameters
    ----------
    x : ndarray of shape (n, d)
        The rows, float32 or float64; copied if they are not C-ordered.
    gamma, beta : array-like of shape (d,)
        Scale and shift, cast to the dtype of `x`.
    running_mean, running_var : array-like of shape (d,)
        The running averages, float64. In a column without variance `y` is `beta`, as in
        ``forward``.
    epsilon : float, default=1e-5
        Added to the variance.

    Returns
    -------
    y : ndarray of shape (n, d), dtype of `x`

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit.

    References
    ----------
    Ioffe and Szegedy (2015), Algorithm 2, line 11.
    """
    check_at_least_zero("epsilon", epsilon)
    x = np.asarray(x)
    check_floating("x", x.dtype)
    x, gamma, beta, running_mean, running_var = _as_operands(
        x, as_real("gamma", gamma, x.dtype), as_real("beta", beta, x.dtype),
        as_real("running_mean", running_mean, np.float64),
        as_real("running_var", running_var, np.float64),
    )
    y = np.empty_like(x)
    if x.size > 0:
        _infer(y, x, gamma, beta, running_mean, running_var, epsilon)
    return y


def _infer(
    floating[:, ::1] y, const floating[:, ::1] x,
    const floating[::1] gamma, const floating[::1] beta,
    const double[::1] mean, const double[::1] var, double epsilon,
):
    cdef Py_ssize_t n = x.shape[0], d = x.shape[1]
    cdef double[::1] scratch = np.empty((1 + AFFINE_SCRATCH) * d)
    cdef floating* columns = <floating*> &scratch[d]
    with nogil:
        inverse_std(&scratch[0], &var[0], d, epsilon)
        batchnorm_forward(&y[0, 0], columns, &x[0, 0], &mean[0], &scratch[0],
                          &gamma[0], &beta[0], n, d, False)


def affine(x, mean, scale, shift, out=None):
    """Map the columns of a matrix: ``y = (x - mean) * scale + shift``.

    A float32 `x` loses nothing to an offset of its mean. NaN stays NaN.

    Parameters
    ----------
    x : ndarray of shape (n, d), any strides
        The rows, float32 or float64.
    mean, scale, shift : array-like of shape (d,)
        Cast to float64.
    out : ndarray of shape (n, d), any strides, default=None
        Where `y` goes, in the dtype of `x`; may be `x` itself. ``None``: a new array in the
        memory order of `x`.

    Returns
    -------
    y : ndarray of shape (n, d), dtype of `x`
    finite : bool
        Whether every entry of `x` was finite.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit.
    """
    x = as_floating("x", x)
    if x.ndim != 2:
        raise ValueError(f"x must have shape (n, d), got {x.ndim} dimension(s)")
    if out is None:
        out = np.empty_like(x, subok=False)
    elif out.shape != x.shape or out.dtype != x.dtype:
        raise ValueError(f"out has shape {out.shape} and dtype {out.dtype}, x has {x.shape} "
                         f"and {x.dtype}")
    elif not out.flags.aligned:
        raise ValueError("out is not aligned: it cannot be written to in place")
    elif np.may_share_memory(out, x) and (
        out.ctypes.data != x.ctypes.data or out.strides != x.strides
    ):
        x = x.copy()  # they overlap: entries would be read after they are written
    columns = [
        as_real(name, column, np.float64)
        for name, column in (("mean", mean), ("scale", scale), ("shift", shift))
    ]
    for column in columns:
        if column.shape != x.shape[1:]:
            raise ValueError(f"expected shape {x.shape[1:]} for {x.shape[1]} columns, "
                             f"got {column.shape}")
    if x.size == 0:
        return out, True
    n, d = x.shape
    # Short rows leave most of a vector register empty: see several of them as one row.
    together = min(n, TILE // d)
    if together < 4 or not (x.flags.c_contiguous and out.flags.c_contiguous):
        return out, _affine(out, x, *columns)
    head = n - n % together
    finite = _affine(out[:head].reshape(-1, together * d), x[:head].reshape(-1, together * d),
                     *(np.tile(column, together) for column in columns))
    if head < n:
        finite &= _affine(out[head:], x[head:], *columns)
    return out, finite


def _affine(
    floating[:, :] y, const floating[:, :] x,
    const double[::1] mean, const double[::1] scale, const double[::1] shift,
):
    cdef Py_ssize_t size = <Py_ssize_t> sizeof(floating)
    cdef bint finite
    with nogil:
        finite = batchnorm_affine(
            &y[0, 0], &x[0, 0], &mean[0], &scale[0], &shift[0], x.shape[0], x.shape[1],
            y.strides[0] // size, y.strides[1] // size,
            x.strides[0] // size, x.strides[1] // size,
        )
    return finite
