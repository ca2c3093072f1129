"""Sums of matrices, where each matrix has its own normalization.

    y = gamma * (x - mean) * invstd + beta,  or  y += gamma * (x - mean) * invstd + beta

A recurrent cell adds a part of the inputs and a part of the state. Each part has its own batch
norm. The functions here normalize a part and add the part to the sum in one pass, so the
normalized part needs no memory.

Shapes: ``x``, ``y`` (n, d) with contiguous rows of any stride; everything else (d,).
Statistics are float64. A mean m is used as the pair hi, lo: hi is m rounded to the dtype of x,
and lo = m - hi. So float32 rows lose no digits if their mean is far from 0.

References
----------
Cooijmans et al. (2017), "Recurrent batch normalization", equation 6.
"""

from cython cimport floating

from skbn.kernels.pointers cimport pointer

import numpy as np

from skbn.kernels._operands import as_floating, as_real, check_target


# GCC compiles the loop for several instruction sets, and the processor chooses one of the sets at
# run time (simd.h).
cdef extern from *:
    """
    #include "simd.h"
    #define COMBINE(T) \
        (T*, T*, const T*, const double*, const double*, const T*, const T*, \
         Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, int)
    SKBN_CLONE_BOTH(void, skbn_batchnorm_combine, COMBINE)
    """


cdef void batchnorm_combine "skbn_batchnorm_combine"(
    floating* y, floating* scratch,
    const floating* x,
    const double* mean, const double* invstd, const floating* gamma, const floating* beta,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t y_row_stride, Py_ssize_t x_row_stride,
    bint add,
) noexcept nogil:
    """Write gamma * (x - mean) * invstd + beta to y, or add these numbers to y if `add`.

    `beta` may be NULL, which means 0. `mean` may be NULL, which means that x + beta is written or
    added; `invstd` and `gamma` are then not read. y must not overlap x. With
    scale = gamma invstd, the numbers are

        (x - mean) scale + beta = (x - hi) scale + (beta - lo scale).

    `scratch` has SUM_SCRATCH d values.
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


def combine(
    y, x, gamma=None, beta=None, batch_mean=None, batch_invstd=None, *, bint add=True,
):
    """Add normalized rows to other rows in place: ``y += gamma * (x - mean) * invstd + beta``.

    In a sum of parts with their own normalizations, as in a recurrent cell, the normalized parts
    need no memory.

    Parameters
    ----------
    y : ndarray of shape (n, d)
        The sum, changed in place; float32 or float64, with contiguous rows of any stride, such as
        some columns of a C-ordered matrix.
    x : ndarray of shape (n, d)
        The rows to normalize and to add, of the dtype of `y`; copied if its rows are not
        contiguous.
    gamma : array-like of shape (d,), default=None
        Scale, cast to the dtype of `y`. ``None``: 1.
    beta : array-like of shape (d,), default=None
        Shift, cast to the dtype of `y`. ``None``: 0.
    batch_mean, batch_invstd : array-like of shape (d,), default=None
        Statistics, cast to float64. If both are ``None``, ``x + beta`` is added.
    add : bool, default=True
        Whether to add to `y`. If not, `y` is overwritten.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit, if only one statistic is given, or if `gamma` is given
        without statistics.

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
        x = np.array(x, order="C")  # without a copy, x could be overwritten before it is read
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
    cdef double[::1] scratch = np.empty(SUM_SCRATCH * d)
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
