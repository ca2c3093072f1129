"""Losses of raw outputs z: the value and the gradient of a loss in one pass.

A loss takes the raw output z and applies the link function (such as the softmax) itself. This is
faster than a loss of a probability, and it is exact where the link function saturates: no
probability is clipped. With weights w and W their sum, every loss is ``sum_i w_i l_i / W``, where
l_i is the loss of row i, summed over its k outputs (a softmax has one loss for each row). The
gradient dz is ``w_i / W (prediction - y)`` for all losses but two. For the absolute error, the sign
of ``prediction - y`` replaces this difference. For a quantile q, 1 - q replaces a positive
difference and -q replaces a negative one.

Shapes: ``z``, ``dz`` (n, k), row-major; ``sample_weight`` (n,) or NULL (all 1).
"""

from cython cimport floating
from libc.math cimport exp, fabs, log

from skbn.kernels.exponential cimport exp_nonpositive, log1p_unit

import numpy as np

from skbn.kernels._operands import as_floating, as_real, as_weights, check_weights

# Name -> code: the losses that are registered below.
LOSSES = {}

# Losses that scikit-learn reports as a mean over the outputs. Their gradient is the gradient of the
# sum over the outputs, as in scikit-learn.
MEAN_OVER_OUTPUTS = set()

# Losses that have a parameter.
WITH_PARAMETER = set()

ctypedef double (*SingleLoss)(
    float* dz, const float* z, const float* y, const double* sample_weight,
    Py_ssize_t n, Py_ssize_t k, double total_weight, double parameter,
) noexcept nogil
ctypedef double (*DoubleLoss)(
    double* dz, const double* z, const double* y, const double* sample_weight,
    Py_ssize_t n, Py_ssize_t k, double total_weight, double parameter,
) noexcept nogil

cdef enum:
    MOST = 32
    LOGGED = 16

cdef SingleLoss[MOST] SINGLE
cdef DoubleLoss[MOST] DOUBLE


# Registers a loss: its name, its loops for float and double, whether it is reported as a mean over
# the outputs, whether it has a parameter. The order of the calls gives the codes.
cdef int _register(
    str name, SingleLoss single, DoubleLoss double_, bint mean_over_outputs=False,
    bint with_parameter=False,
) except -1:
    cdef int code = len(LOSSES)
    if code == MOST:
        raise ImportError("the table is full: raise MOST")
    SINGLE[code], DOUBLE[code] = single, double_
    LOSSES[name] = code
    if mean_over_outputs:
        MEAN_OVER_OUTPUTS.add(name)
    if with_parameter:
        WITH_PARAMETER.add(name)
    return code


cdef extern from *:
    """
    #include "simd.h"
    #define EXPONENTIALS(T) (T*, Py_ssize_t)
    #define LOGISTIC(T) (double*, double*, const T*, const T*, Py_ssize_t)
    SKBN_CLONE_BOTH(void, skbn_exponentials, EXPONENTIALS)
    SKBN_CLONE_BOTH(void, skbn_logistic_terms, LOGISTIC)
    """

# The logistic loss computes the terms of so many entries, and then adds them up.
cdef enum:
    CHUNK = 256


cdef void exponentials "skbn_exponentials"(floating* x, Py_ssize_t size) noexcept nogil:
    # x = exp(x) of entries <= 0.
    cdef Py_ssize_t i
    for i in range(size):
        x[i] = exp_nonpositive(x[i])


cdef void logistic_terms "skbn_logistic_terms"(
    double* terms, double* errors, const floating* z, const floating* y, Py_ssize_t size,
) noexcept nogil:
    # The terms log(1 + exp(z)) - y z = max(z, 0) - y z + log1p(exp(-|z|)), y in [0, 1], in float64,
    # and their derivatives, the probability minus y.
    cdef Py_ssize_t i
    cdef double value, target, small
    for i in range(size):
        value = z[i]
        target = y[i]
        small = exp_nonpositive[double](-fabs(value))
        terms[i] = (0.0 if value < 0.0 else value) - target * value + log1p_unit(small)
        # y is subtracted in the numerator: where the probability is near y, subtracting y from
        # the quotient would cancel.
        if value >= 0.0:
            errors[i] = ((1.0 - target) - target * small) / (1.0 + small)
        else:
            errors[i] = ((1.0 - target) * small - target) / (1.0 + small)


cdef double softmax_log_loss_rows(
    floating* dz,
    const floating* z, const floating* y, const double* sample_weight,
    Py_ssize_t n, Py_ssize_t k,
    double total_weight, double parameter,
) noexcept nogil:
    # l_i = log(sum_j exp(z_ij - m)) + m - z_iy with m = max_j z_ij; y (n,) holds the number
    # of the class, exact in float32 up to 2^24 classes.
    # There are three passes. The pass with the exponentials goes over all n k entries at once,
    # because the k entries of a row are often too few to fill a register. Without weights, LOGGED
    # rows share a logarithm: a sum of exponentials is in [1, k], so a product of LOGGED sums is far
    # below the largest double.
    cdef Py_ssize_t i, j, label
    cdef double share, total, product = 1.0, loss = 0.0
    cdef floating largest, factor
    cdef const floating* z_row
    cdef floating* dz_row
    for i in range(n):
        z_row = z + i * k
        dz_row = dz + i * k
        share = (1.0 if sample_weight == NULL else sample_weight[i]) / total_weight
        largest = z_row[0]
        for j in range(1, k):
            # "not <=" lets a NaN through. The loss then becomes NaN, and the training notices it.
            if not (z_row[j] <= largest):
                largest = z_row[j]
        loss += share * (<double> largest - <double> z_row[<Py_ssize_t> y[i]])
        for j in range(k):
            dz_row[j] = z_row[j] - largest
    exponentials(dz, n * k)
    for i in range(n):
        dz_row = dz + i * k
        label = <Py_ssize_t> y[i]
        share = (1.0 if sample_weight == NULL else sample_weight[i]) / total_weight
        total = 0.0
        for j in range(k):
            total += dz_row[j]
        product *= total
        if sample_weight != NULL or i % LOGGED == LOGGED - 1 or i == n - 1:
            loss += share * log(product)
            product = 1.0
        factor = <floating> (share / total)
        for j in range(k):
            dz_row[j] *= factor
        dz_row[label] -= <floating> share
    return loss


_register("softmax_log_loss", softmax_log_loss_rows, softmax_log_loss_rows)


cdef double logistic_log_loss_rows(
    floating* dz,
    const floating* z, const floating* y, const double* sample_weight,
    Py_ssize_t n, Py_ssize_t k,
    double total_weight, double parameter,
) noexcept nogil:
    cdef double[CHUNK] terms
    cdef double[CHUNK] errors
    cdef Py_ssize_t start = 0, size, i
    cdef double share = 1.0 / total_weight, loss = 0.0
    while start < n * k:
        size = min(<Py_ssize_t> CHUNK, n * k - start)
        logistic_terms(terms, errors, z + start, y + start, size)
        for i in range(size):
            if sample_weight != NULL:
                share = sample_weight[(start + i) // k] / total_weight
            loss += share * terms[i]
            dz[start + i] = <floating> (share * errors[i])
        start += size
    return loss


_register("logistic_log_loss", logistic_log_loss_rows, logistic_log_loss_rows)


cdef double squared_error_rows(
    floating* dz,
    const floating* z, const floating* y, const double* sample_weight,
    Py_ssize_t n, Py_ssize_t k,
    double total_weight, double parameter,
) noexcept nogil:
    # l_ij = (z - y)^2 / 2.
    cdef Py_ssize_t i, j
    cdef double share, error, loss = 0.0
    for i in range(n):
        share = (1.0 if sample_weight == NULL else sample_weight[i]) / total_weight
        for j in range(i * k, i * k + k):
            error = <double> z[j] - <double> y[j]
            loss += 0.5 * share * error * error
            dz[j] = <floating> (share * error)
    return loss


_register("squared_error", squared_error_rows, squared_error_rows, True)


cdef double absolute_error_rows(
    floating* dz,
    const floating* z, const floating* y, const double* sample_weight,
    Py_ssize_t n, Py_ssize_t k,
    double total_weight, double parameter,
) noexcept nogil:
    # l_ij = |z - y|; its derivative at 0 is taken to be 0.
    cdef Py_ssize_t i, j
    cdef double share, error, loss = 0.0
    for i in range(n):
        share = (1.0 if sample_weight == NULL else sample_weight[i]) / total_weight
        for j in range(i * k, i * k + k):
            error = <double> z[j] - <double> y[j]
            loss += share * fabs(error)
            dz[j] = <floating> (share * ((error > 0.0) - (error < 0.0)))
    return loss


_register("absolute_error", absolute_error_rows, absolute_error_rows, True)


cdef double quantile_rows(
    floating* dz,
    const floating* z, const floating* y, const double* sample_weight,
    Py_ssize_t n, Py_ssize_t k,
    double total_weight, double parameter,
) noexcept nogil:
    # The pinball loss of the quantile q = parameter: l_ij = q (y - z) where y >= z, otherwise
    # (1 - q) (z - y); its derivative at 0 is taken to be 0.
    cdef Py_ssize_t i, j
    cdef double share, error, slope, loss = 0.0
    for i in range(n):
        share = (1.0 if sample_weight == NULL else sample_weight[i]) / total_weight
        for j in range(i * k, i * k + k):
            error = <double> z[j] - <double> y[j]
            # A NaN is neither above nor below, so the product stays NaN.
            slope = (1.0 - parameter) * (error > 0.0) - parameter * (error < 0.0)
            loss += share * error * slope
            dz[j] = <floating> (share * slope)
    return loss


_register("quantile", quantile_rows, quantile_rows, mean_over_outputs=True, with_parameter=True)


cdef double poisson_rows(
    floating* dz,
    const floating* z, const floating* y, const double* sample_weight,
    Py_ssize_t n, Py_ssize_t k,
    double total_weight, double parameter,
) noexcept nogil:
    # Half the Poisson deviance with the log link, mean exp(z):
    # l_ij = y log(y / exp(z)) - y + exp(z), where 0 log 0 is 0.
    cdef Py_ssize_t i, j
    cdef double share, mean, target, loss = 0.0
    for i in range(n):
        share = (1.0 if sample_weight == NULL else sample_weight[i]) / total_weight
        for j in range(i * k, i * k + k):
            target = y[j]
            mean = exp(<double> z[j])
            loss += share * (mean - target)
            if target != 0.0:
                loss += share * target * (log(target) - <double> z[j])
            dz[j] = <floating> (share * (mean - target))
    return loss


_register("poisson", poisson_rows, poisson_rows)


cdef double loss_forward_backward(
    floating* dz,
    const floating* z, const floating* y, const double* sample_weight,
    Py_ssize_t n, Py_ssize_t k,
    double total_weight, int loss, double parameter,
) noexcept nogil:
    """Return the weighted mean loss and write its gradient to dz. `parameter` is for the loss."""
    if floating is float:
        return SINGLE[loss](dz, z, y, sample_weight, n, k, total_weight, parameter)
    else:
        return DOUBLE[loss](dz, z, y, sample_weight, n, k, total_weight, parameter)


def _loss_and_gradient(z, y, y_shape, sample_weight, loss, parameter=0.0):
    z = as_floating("z", z, order="C")
    if z.ndim != 2 or z.size == 0:
        raise ValueError(f"z must have shape (n, k) with n, k >= 1, got {z.shape}")
    y = as_real("y", y, z.dtype)
    if y.shape != y_shape(z):
        raise ValueError(f"y must have shape {y_shape(z)}, got {y.shape}")
    sample_weight = as_weights(sample_weight, z.shape[0], "z")
    if sample_weight is not None:
        total_weight = sample_weight.sum()
        if not total_weight > 0:
            raise ValueError("the weights must have a positive sum")
        check_weights(sample_weight)
    else:
        total_weight = z.shape[0]
    dz = np.empty_like(z)
    value = _rows(dz, z, y.reshape(-1), sample_weight, total_weight, LOSSES[loss],
                  parameter)
    return value, dz


def _rows(
    floating[:, ::1] dz, const floating[:, ::1] z, const floating[::1] y,
    const double[::1] sample_weight, double total_weight, int loss, double parameter,
):
    cdef const double* weights = NULL
    cdef double value
    if sample_weight is not None:
        weights = &sample_weight[0]
    with nogil:
        value = loss_forward_backward(&dz[0, 0], &z[0, 0], &y[0], weights,
                                      z.shape[0], z.shape[1], total_weight, loss, parameter)
    return value


def softmax_log_loss(z, y, sample_weight=None):
    """Cross-entropy of the softmax of raw outputs.

    Parameters
    ----------
    z : ndarray of shape (n, k)
        Raw outputs, float32 or float64.
    y : array-like of shape (n,)
        Numbers of the classes, 0 to k - 1.
    sample_weight : array-like of shape (n,), default=None
        Weights >= 0 of the rows, with a positive sum. ``None``: all 1.

    Returns
    -------
    loss : float
        Weighted mean over the rows, in nats.
    dz : ndarray of shape (n, k)
        Gradient of the loss with respect to `z`.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit, or a class is out of range.
    """
    y = np.asarray(y)
    z = np.asarray(z)
    if y.size and z.ndim == 2 and not (0 <= y.min() and y.max() < z.shape[1]):
        raise ValueError(f"y must be in 0 to {z.shape[1] - 1}, got {y.min()} to {y.max()}")
    if (y % 1 != 0).any():
        raise ValueError("y must be whole numbers: the numbers of the classes")
    return _loss_and_gradient(z, y, lambda z: z.shape[:1], sample_weight, "softmax_log_loss")


def logistic_log_loss(z, y, sample_weight=None):
    """Cross-entropy of the logistic function of raw outputs, summed over the outputs.

    Parameters
    ----------
    z : ndarray of shape (n, k)
        Raw outputs, float32 or float64.
    y : array-like of shape (n, k)
        0 or 1 (or a probability between).
    sample_weight : array-like of shape (n,), default=None
        Weights >= 0 of the rows, with a positive sum. ``None``: all 1.

    Returns
    -------
    loss : float
        Weighted mean over the rows of the sum over the outputs, in nats.
    dz : ndarray of shape (n, k)
        Gradient of the loss with respect to `z`.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit.
    """
    return _loss_and_gradient(z, y, lambda z: z.shape, sample_weight, "logistic_log_loss")


def squared_error(z, y, sample_weight=None):
    """Half the squared error, summed over the outputs.

    Parameters
    ----------
    z : ndarray of shape (n, k)
        Raw outputs, float32 or float64.
    y : array-like of shape (n, k)
        Targets.
    sample_weight : array-like of shape (n,), default=None
        Weights >= 0 of the rows, with a positive sum. ``None``: all 1.

    Returns
    -------
    loss : float
        Weighted mean over the rows of the sum over the outputs.
    dz : ndarray of shape (n, k)
        Gradient of the loss with respect to `z`.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit.
    """
    return _loss_and_gradient(z, y, lambda z: z.shape, sample_weight, "squared_error")


def absolute_error(z, y, sample_weight=None):
    """Absolute error, summed over the outputs.

    Parameters
    ----------
    z : ndarray of shape (n, k)
        Raw outputs, float32 or float64.
    y : array-like of shape (n, k)
        Targets.
    sample_weight : array-like of shape (n,), default=None
        Weights >= 0 of the rows, with a positive sum. ``None``: all 1.

    Returns
    -------
    loss : float
        Weighted mean over the rows of the sum over the outputs.
    dz : ndarray of shape (n, k)
        Gradient of the loss with respect to `z`; 0 where `z` equals `y`.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit.
    """
    return _loss_and_gradient(z, y, lambda z: z.shape, sample_weight, "absolute_error")


def poisson(z, y, sample_weight=None):
    """Half the Poisson deviance of the exponential of raw outputs, summed over the outputs.

    Parameters
    ----------
    z : ndarray of shape (n, k)
        Raw outputs, float32 or float64: logarithms of the means.
    y : array-like of shape (n, k)
        Targets >= 0.
    sample_weight : array-like of shape (n,), default=None
        Weights >= 0 of the rows, with a positive sum. ``None``: all 1.

    Returns
    -------
    loss : float
        Weighted mean over the rows of the sum over the outputs.
    dz : ndarray of shape (n, k)
        Gradient of the loss with respect to `z`.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit, or a target is negative.
    """
    if np.min(y, initial=0.0) < 0.0:
        raise ValueError("the Poisson deviance is defined for targets >= 0")
    return _loss_and_gradient(z, y, lambda z: z.shape, sample_weight, "poisson")


def quantile(z, y, sample_weight=None, quantile=0.5):
    """Pinball loss, whose minimum is a quantile of the targets, summed over the outputs.

    Parameters
    ----------
    z : ndarray of shape (n, k)
        Raw outputs, float32 or float64.
    y : array-like of shape (n, k)
        Targets.
    sample_weight : array-like of shape (n,), default=None
        Weights >= 0 of the rows, with a positive sum. ``None``: all 1.
    quantile : float, default=0.5
        Which quantile, in (0, 1).

    Returns
    -------
    loss : float
        Weighted mean over the rows of the sum over the outputs.
    dz : ndarray of shape (n, k)
        Gradient of the loss with respect to `z`; 0 where `z` equals `y`.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit, or `quantile` is out of its range.

    References
    ----------
    Koenker and Bassett (1978), "Regression quantiles".
    """
    if not 0.0 < quantile < 1.0:
        raise ValueError(f"quantile must be in (0, 1), got {quantile}")
    return _loss_and_gradient(z, y, lambda z: z.shape, sample_weight, "quantile", quantile)
