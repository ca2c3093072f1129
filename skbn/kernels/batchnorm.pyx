"""Batch normalization of the columns of a matrix: forward, backward, inference.

    xhat = (x - batch_mean) * batch_invstd,  batch_invstd = 1 / sqrt(batch_var + epsilon)
    y    = gamma * xhat + beta

One function computes the statistics (``skbn.kernels.moments``), and another function normalizes.
In the backward pass, one function computes the two sums, and another function computes the
gradient of x. Between the two functions of a pass, statistics and sums may be added up over
processes.

Shapes: ``x``, ``y``, ``dx``, ``dy`` (n, d), row-major; everything else (d,).
Statistics are float64. A mean m is used as the pair hi, lo: hi is m rounded to the dtype of x,
and lo = m - hi. With a scale s,

    (x - m) s = (x - hi) s - lo s,

so float32 rows lose no digits if their mean is far from 0.

References
----------
Ioffe and Szegedy (2015), "Batch normalization: accelerating deep network training by
reducing internal covariate shift", Algorithm 1 and the equations of section 3.
"""

from cython cimport floating
from libc.math cimport INFINITY, sqrt

from skbn.kernels.moments cimport MOMENT_SCRATCH, moments_of_batch, moments_of_weighted

import numpy as np

from skbn.kernels._operands import (
    as_floating, as_real, as_weights, check_at_least_zero, check_floating, check_weights,
)
from skbn.kernels.merging import merge, merge_pairs, update_running
from skbn.kernels.moments import (
    batch_moment_pairs, batch_moments, weighted_moments, without_rounding,
)

__all__ = [
    "backward", "batch_moment_pairs", "batch_moments", "forward", "infer", "merge",
    "merge_pairs", "relu_backward", "relu_forward", "update_running", "weighted_moments",
    "without_rounding",
]


# GCC compiles these loops for several instruction sets, and the processor chooses one of the sets
# at run time (simd.h).
cdef extern from *:
    """
    #include "simd.h"
    #define FORWARD(T) \
        (T*, T*, const T*, const double*, const double*, const T*, const T*, \
         Py_ssize_t, Py_ssize_t, int)
    #define SUMS(T) \
        (double*, double*, T*, T*, const T*, const T*, const double*, const double*, \
         Py_ssize_t, Py_ssize_t)
    #define BACKWARD(T) \
        (T*, T*, const T*, const T*, const double*, const double*, const T*, \
         const double*, const double*, Py_ssize_t, Py_ssize_t, double)
    SKBN_CLONE_BOTH(void, skbn_batchnorm_forward, FORWARD)
    SKBN_CLONE_BOTH(void, skbn_batchnorm_gradient_sums, SUMS)
    SKBN_CLONE_BOTH(void, skbn_batchnorm_backward, BACKWARD)
    """


cdef void inverse_std(
    double* batch_invstd, const double* batch_var, Py_ssize_t d, double epsilon,
) noexcept nogil:
    """1 / sqrt(var + epsilon) for each column; 0 for a column without variance.

    In a column without variance xhat is 0 for any reciprocal. The reciprocal is also a factor of
    the gradient of x. With epsilon = 1e-5 the factor 1 / sqrt(epsilon) = 316 would blow up the
    gradient in a column that is constant by chance.
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
    """y = gamma * (x - mean) * invstd + beta, by batch or running statistics; y may be x.

    If `relu` is true, y is the positive part of these numbers, which saves a second pass over y.
    NaN stays NaN.
    """
    cdef floating* hi = scratch
    cdef floating* scale = scratch + d
    cdef floating* shift = scratch + 2 * d
    cdef Py_ssize_t i, j
    cdef double slope
    cdef floating value
    # A maximum instead of a choice by `relu`: the columns behind the last whole vector have random
    # signs, too, and a branch on them would take longer than all other columns together. A NaN and
    # a zero are not below `least`, so they stay as they are.
    cdef floating least = 0 if relu else <floating> -INFINITY
    for j in range(d):
        slope = batch_invstd[j] * gamma[j]
        hi[j] = <floating> batch_mean[j]
        scale[j] = <floating> slope
        shift[j] = <floating> (beta[j] - (batch_mean[j] - hi[j]) * slope)
    # In place there is one pointer. With two pointers, the compiler would have to assume that
    # writes to y change entries of x that are not read yet.
    if y == x:
        for i in range(n):
            for j in range(d):
                value = (y[i * d + j] - hi[j]) * scale[j] + shift[j]
                y[i * d + j] = least if value < least else value
    else:
        for i in range(n):
            for j in range(d):
                value = (x[i * d + j] - hi[j]) * scale[j] + shift[j]
                y[i * d + j] = least if value < least else value


cdef inline void _mask(floating* dy, const floating* y, Py_ssize_t size) noexcept nogil:
    # dy *= [y > 0]. A product gives the same bits as the gradient of the relu alone, which is a
    # product too: NaN and the sign of 0 come from dy.
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

    `y` may be NULL. If `y` is not NULL, a relu follows the normalization, `y` is the output of
    the relu, and `dy` is the gradient with respect to `y`. `dy` is then changed in place: a few
    rows at a time, `dy` is multiplied by [y > 0] before the sums use these rows.
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
    # Four rows share one load and one store of each sum. Four rows of float32 also share one
    # conversion to float64.
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
    const double* sums, const double* sample_weight,
    Py_ssize_t n, Py_ssize_t d,
    double total_weight,
) noexcept nogil:
    """Gradient of x from `sums` (2, d), of dy and of dy xhat; dx may be dy, or x.

    Row i has the share p_i = w_i / sum(w) in the statistics; without weights p_i = 1 / n. So
    d mean / d x_i = p_i and d var / d x_i = 2 p_i (x_i - mean). With dxhat = gamma dy,

        dx_i = invstd (dxhat_i - p_i (sum_k dxhat_k + xhat_i sum_k dxhat_k xhat_k)).

    With xhat_i = (x_i - hi - lo) invstd this is dx_i = slope dy_i - p_i (constant +
    linear (x_i - hi)), where

        slope    = gamma invstd,
        linear   = slope invstd sum_k dy_k xhat_k,
        constant = slope sum_k dy_k - lo linear.
    """
    cdef floating* slope = scratch
    cdef floating* constant = scratch + d
    cdef floating* linear = scratch + 2 * d
    cdef floating* hi = scratch + 3 * d
    cdef const double* sum_dy = sums
    cdef const double* sum_dy_xhat = sums + d
    cdef Py_ssize_t i, j
    cdef const floating* from_row
    cdef const floating* dy_row
    cdef floating* to_row
    cdef double scale
    cdef floating share = <floating> (1.0 / total_weight)
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
            # In place there is one pointer, as in the forward pass.
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
    # The matrix x in C order, and the vectors, if each vector has an entry for each column of x.
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
        Weights >= 0 of the rows in the statistics. A row of weight 2 counts like two equal rows.
        A row of weight 0 is masked: the row is normalized, but does not count in the statistics.

    Returns
    -------
    y : ndarray of shape (n, d), dtype of `x`
    batch_mean : ndarray of shape (d,), float64
    batch_var : ndarray of shape (d,), float64
        Biased (divided by n).
    batch_invstd : ndarray of shape (d,), float64
        ``1 / sqrt(batch_var + epsilon)``. In a column without variance `batch_invstd` is 0 and
        `y` is `beta`.

    Raises
    ------
    ValueError
        If fewer than two rows have a positive weight (one row has no variance), or shapes or
        dtypes do not fit.

    References
    ----------
    Ioffe and Szegedy (2015), Algorithm 1.
    """
    return _checked_forward(x, gamma, beta, epsilon, sample_weight, False)


def relu_forward(x, gamma, beta, double epsilon=1e-5, sample_weight=None):
    """Normalize a batch and apply a relu to the result in one pass over the result.

    `y` has the same bits as the relu of the `y` of ``forward``.

    Parameters
    ----------
    x : ndarray of shape (n, d)
        The batch, float32 or float64; copied if it is not C-ordered.
    gamma, beta : array-like of shape (d,)
        Scale and shift, cast to the dtype of `x`.
    epsilon : float, default=1e-5
        Added to the variance.
    sample_weight : array-like of shape (n,), default=None
        Weights >= 0 of the rows, as in ``forward``.

    Returns
    -------
    y : ndarray of shape (n, d), dtype of `x`
        The positive part of the normalized rows.
    batch_mean, batch_var, batch_invstd : ndarray of shape (d,), float64
        The statistics, as from ``forward``.

    Raises
    ------
    ValueError
        If ``forward`` would raise this error.
    """
    return _checked_forward(x, gamma, beta, epsilon, sample_weight, True)


def _checked_forward(x, gamma, beta, epsilon, sample_weight, relu):
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
    """Gradients of ``forward``, with the part of the gradient that goes through the statistics.

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
        The weights given to ``forward``. `dy` must contain the weights already, as the gradient
        of a weighted loss does. So `dgamma` and `dbeta` are sums without further weights.

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
    return _checked_backward(dy, None, x, gamma, batch_mean, batch_invstd, sample_weight)


def relu_backward(dy, y, x, gamma, batch_mean, batch_invstd, sample_weight=None):
    """Gradients of ``relu_forward``.

    The results have the same bits as the results of ``backward`` after the gradient of the relu.

    Parameters
    ----------
    dy : array-like of shape (n, d)
        Gradient of the loss with respect to `y`, in the dtype of `x`.
    y : ndarray of shape (n, d)
        The `y` that ``relu_forward`` returned.
    x : ndarray of shape (n, d)
        The batch given to ``relu_forward``.
    gamma : array-like of shape (d,)
        The scale given to ``relu_forward``.
    batch_mean, batch_invstd : ndarray of shape (d,), float64
        As ``relu_forward`` returned them.
    sample_weight : array-like of shape (n,), default=None
        The weights given to ``relu_forward``, as in ``backward``.

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
    return _checked_backward(dy, y, x, gamma, batch_mean, batch_invstd, sample_weight)


def _checked_backward(dy, y, x, gamma, batch_mean, batch_invstd, sample_weight):
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
    sums = np.zeros((2, d))
    if x.size > 0:
        _backward(dx, sums, dy, y, x, gamma, batch_mean, batch_invstd, sample_weight)
    return dx, sums[1].astype(x.dtype), sums[0].astype(x.dtype)


def _backward(
    floating[:, ::1] dx, double[:, ::1] sums,
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
            # Without a relu nothing is written to dy, so the cast of the const is safe.
            batchnorm_gradient_sums(&sums[0, 0], &sums[1, 0], columns, <floating*> &dy[0, 0],
                                    NULL, &x[0, 0], &mean[0], &invstd[0], n, d)
            batchnorm_backward(&dx[0, 0], columns, &dy[0, 0], &x[0, 0], &mean[0], &invstd[0],
                               &gamma[0], &sums[0, 0], weights, n, d, total_weight)
        else:
            # dx is a copy of dy: the product with [y > 0] must not change dy.
            batchnorm_gradient_sums(&sums[0, 0], &sums[1, 0], columns, &dx[0, 0], &y[0, 0],
                                    &x[0, 0], &mean[0], &invstd[0], n, d)
            batchnorm_backward(&dx[0, 0], columns, <const floating*> &dx[0, 0], &x[0, 0],
                               &mean[0], &invstd[0], &gamma[0], &sums[0, 0], weights, n, d,
                               total_weight)


def infer(x, gamma, beta, running_mean, running_var, double epsilon=1e-5):
    """Normalize rows by running statistics (the inference-mode forward pass).

    Parameters
    ----------
    x : ndarray of shape (n, d)
        The rows, float32 or float64; copied if they are not C-ordered.
    gamma, beta : array-like of shape (d,)
        Scale and shift, cast to the dtype of `x`.
    running_mean, running_var : array-like of shape (d,)
        The running averages, cast to float64. In a column without variance `y` is `beta`, as in
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
