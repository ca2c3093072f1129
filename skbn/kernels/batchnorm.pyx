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
from libc.math cimport sqrt

from skbn.kernels.moments cimport MOMENT_SCRATCH, moments_of_batch, moments_of_weighted

import numpy as np

from skbn.kernels._operands import as_floating
from skbn.kernels.moments import batch_moments, merge, update_running, weighted_moments

__all__ = [
    "backward", "batch_moments", "forward", "infer", "merge", "update_running",
    "weighted_moments",
]


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


cdef void batchnorm_forward(
    floating* y, floating* scratch,
    const floating* x,
    const double* batch_mean, const double* batch_invstd,
    const floating* gamma, const floating* beta,
    Py_ssize_t n, Py_ssize_t d,
) noexcept nogil:
    """y = gamma * (x - mean) * invstd + beta; y may be x. The running statistics serve too."""
    cdef floating* hi = scratch
    cdef floating* scale = scratch + d
    cdef floating* shift = scratch + 2 * d
    cdef Py_ssize_t i, j
    cdef double slope
    for j in range(d):
        slope = batch_invstd[j] * gamma[j]
        hi[j] = <floating> batch_mean[j]
        scale[j] = <floating> slope
        shift[j] = <floating> (beta[j] - (batch_mean[j] - hi[j]) * slope)
    for i in range(n):
        for j in range(d):
            y[i * d + j] = (x[i * d + j] - hi[j]) * scale[j] + shift[j]


cdef void batchnorm_gradient_sums(
    double* sum_dy, double* sum_dy_xhat, floating* scratch,
    const floating* dy, const floating* x,
    const double* batch_mean, const double* batch_invstd,
    Py_ssize_t n, Py_ssize_t d,
) noexcept nogil:
    """sum_i dy_ij (the gradient of beta) and sum_i dy_ij xhat_ij (the gradient of gamma)."""
    cdef floating* hi = scratch
    cdef floating* scale = scratch + d
    cdef floating* shift = scratch + 2 * d
    cdef Py_ssize_t i, j
    for j in range(d):
        hi[j] = <floating> batch_mean[j]
        scale[j] = <floating> batch_invstd[j]
        shift[j] = <floating> (-(batch_mean[j] - hi[j]) * batch_invstd[j])
        sum_dy[j] = 0.0
        sum_dy_xhat[j] = 0.0
    for i in range(n):
        for j in range(d):
            sum_dy[j] += dy[i * d + j]
            sum_dy_xhat[j] += dy[i * d + j] * ((x[i * d + j] - hi[j]) * scale[j] + shift[j])


cdef void batchnorm_backward(
    floating* dx, floating* scratch,
    const floating* dy, const floating* x,
    const double* batch_mean, const double* batch_invstd,
    const floating* gamma,
    const double* sum_dy, const double* sum_dy_xhat,
    const double* sample_weight,
    Py_ssize_t n, Py_ssize_t d,
    double total_weight,
) noexcept nogil:
    """Gradient of x; dx may be dy.

    The statistics are weighted means with shares p_i = w_i / sum(w) (1 / n without weights),
    so d mean / d x_i = p_i and d var / d x_i = 2 p_i (x_i - mean). With dxhat = gamma dy:

        dx_i = invstd (dxhat_i - p_i (sum_k dxhat_k + xhat_i sum_k dxhat_k xhat_k)).
    """
    cdef floating* slope = scratch
    cdef floating* constant = scratch + d
    cdef floating* linear = scratch + 2 * d
    cdef Py_ssize_t i, j
    cdef double scale
    cdef floating share = <floating> (1.0 / total_weight)
    # dx_i = slope dy_i - p_i (constant + linear (x_i - hi)): xhat is affine in x.
    for j in range(d):
        scale = gamma[j] * batch_invstd[j]
        slope[j] = <floating> scale
        linear[j] = <floating> (scale * sum_dy_xhat[j] * batch_invstd[j])
        constant[j] = <floating> (
            scale * sum_dy[j]
            - (batch_mean[j] - <double> <floating> batch_mean[j])
            * (scale * sum_dy_xhat[j] * batch_invstd[j])
        )
    for i in range(n):
        if sample_weight != NULL:
            share = <floating> (sample_weight[i] / total_weight)
        for j in range(d):
            dx[i * d + j] = slope[j] * dy[i * d + j] - share * (
                constant[j] + linear[j] * (x[i * d + j] - <floating> batch_mean[j])
            )


def _as_operands(x, *vectors):
    # C-ordered operands of one dtype; copies only what is not.
    x = as_floating("x", x, order="C")
    if x.ndim != 2:
        raise ValueError(f"x must have shape (n, d), got {x.ndim} dimension(s)")
    vectors = [np.ascontiguousarray(vector) for vector in vectors]
    for vector in vectors:
        if vector.shape != x.shape[1:]:
            raise ValueError(f"expected shape {x.shape[1:]} for {x.shape[1]} columns, "
                             f"got {vector.shape}")
    return x, *vectors


def _as_weights(sample_weight, n):
    if sample_weight is None:
        return None
    sample_weight = np.ascontiguousarray(sample_weight, dtype=np.float64)
    if sample_weight.shape != (n,):
        raise ValueError(f"sample_weight has shape {sample_weight.shape}, x has {n} rows")
    return sample_weight


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
    x = np.asarray(x)
    x, gamma, beta = _as_operands(x, np.asarray(gamma, x.dtype), np.asarray(beta, x.dtype))
    n, d = x.shape
    sample_weight = _as_weights(sample_weight, n)
    rows = n if sample_weight is None else int(np.sum(sample_weight > 0))
    if rows < 2:
        raise ValueError(
            f"a batch of {rows} row(s) has no variance to normalize by: at least 2 are needed"
        )
    y = np.empty_like(x)
    mean, var, invstd = np.empty(d), np.empty(d), np.empty(d)
    if d > 0:
        _forward(y, mean, var, invstd, x, gamma, beta, sample_weight, epsilon)
    return y, mean, var, invstd


def _forward(
    floating[:, ::1] y, double[::1] mean, double[::1] var, double[::1] invstd,
    const floating[:, ::1] x, const floating[::1] gamma, const floating[::1] beta,
    const double[::1] sample_weight, double epsilon,
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
                          &gamma[0], &beta[0], n, d)


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
    x = np.asarray(x)
    x, gamma, batch_mean, batch_invstd = _as_operands(
        x, np.asarray(gamma, x.dtype), np.asarray(batch_mean, np.float64),
        np.asarray(batch_invstd, np.float64),
    )
    dy = np.ascontiguousarray(dy, dtype=x.dtype)
    if dy.shape != x.shape:
        raise ValueError(f"dy has shape {dy.shape}, x has {x.shape}")
    n, d = x.shape
    sample_weight = _as_weights(sample_weight, n)
    dx = np.empty_like(x)
    dgamma, dbeta = np.zeros(d), np.zeros(d)
    if x.size > 0:
        _backward(dx, dgamma, dbeta, dy, x, gamma, batch_mean, batch_invstd, sample_weight)
    return dx, dgamma.astype(x.dtype, copy=False), dbeta.astype(x.dtype, copy=False)


def _backward(
    floating[:, ::1] dx, double[::1] dgamma, double[::1] dbeta,
    const floating[:, ::1] dy, const floating[:, ::1] x, const floating[::1] gamma,
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
        batchnorm_gradient_sums(&dbeta[0], &dgamma[0], columns, &dy[0, 0], &x[0, 0],
                                &mean[0], &invstd[0], n, d)
        batchnorm_backward(&dx[0, 0], columns, &dy[0, 0], &x[0, 0], &mean[0], &invstd[0],
                           &gamma[0], &dbeta[0], &dgamma[0], weights, n, d, total_weight)


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
    x = np.asarray(x)
    x, gamma, beta, running_mean, running_var = _as_operands(
        x, np.asarray(gamma, x.dtype), np.asarray(beta, x.dtype),
        np.asarray(running_mean, np.float64), np.asarray(running_var, np.float64),
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
                          &gamma[0], &beta[0], n, d)
